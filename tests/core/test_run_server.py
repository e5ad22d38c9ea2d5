"""The door talks to a server of its own, and ends it whatever happens."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from launch import PACK, LaunchError, server, websocket

from .made_files import make_file


def test_a_port_at_which_another_program_answers_is_refused():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(LaunchError, match=f"^Another program answers at port {port}"):
            server._require_free(port)
    server._require_free(port)


class TestServerAnswers:
    def test_a_refusal_becomes_one_sentence(self):
        error = {"message": "Value 0 smaller than min of 1", "details": "width"}
        answer = {
            "error": {"message": "x", "details": ""},
            "node_errors": {"1": {"errors": [error]}, "2": {"errors": [error]}},
        }
        assert server.refusal(json.dumps(answer).encode()) == "Value 0 smaller than min of 1: width."
        assert server.refusal(b"<html>") == "ComfyUI refused the request without a reason."

    def test_a_failed_node_is_quoted_in_one_line(self):
        assert self.failure("custom_nodes.ldu.ldu.errors.BadImageError") == "A picture is needed."
        assert server.failure({"status": {"status_str": "success", "messages": []}}) is None

    def test_an_error_that_nobody_foresaw_is_called_that(self):
        assert self.failure("KeyError").startswith("LDU_X failed (KeyError: A picture is needed.)")

    @staticmethod
    def failure(kind):
        told = {"node_type": "LDU_X", "exception_type": kind, "exception_message": "A picture\nis needed.\n"}
        return server.failure({"status": {"status_str": "error", "messages": [["execution_error", told]]}})


class TestWebsocket:
    @pytest.mark.parametrize("length", [0, 5, 125, 126, 65535, 65536])
    def test_a_frame_is_taken_whole_whatever_its_length(self, length):
        payload = b"x" * length
        frame = make_frame(1, payload)
        received = bytearray(frame[:-1])
        assert websocket.take_frame(received) is None
        received += frame[-1:] + b"rest"
        assert websocket.take_frame(received) == (1, payload)
        assert received == b"rest"


def make_frame(opcode, payload):
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_second_ctrl_c_leaves_no_server_behind(tmp_path, monkeypatch):
    slow = "import signal as s, time; s.signal(s.SIGTERM, lambda *_: (time.sleep(1), exit())); print(); time.sleep(60)"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-u", "-c", slow], **pipes, start_new_session=True)
    process.stdout.readline()
    monkeypatch.setattr(server, "_start", lambda *_: server.Server(process, 0, tmp_path / "log"))
    monkeypatch.setattr(server, "_wait_until_it_answers", lambda _: None)
    again = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), server.serving(None, tmp_path, cpu=True, port=1):
        again.start()
        raise KeyboardInterrupt
    assert process.poll() is not None


def test_the_hosts_previews_are_gone_when_it_has_ended(tmp_path, monkeypatch):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.PIPE)
    monkeypatch.setattr(server, "_start", lambda *_: server.Server(process, 0, tmp_path / "log"))
    monkeypatch.setattr(server, "_wait_until_it_answers", lambda _: None)
    for name in ("temp", "scratch", "output"):
        (tmp_path / name).mkdir()
        make_file(tmp_path / name / "photo.png")
    with server.serving(None, tmp_path, cpu=True, port=1):
        assert (tmp_path / "temp" / "photo.png").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


class TestChild:
    def start(self, folder, source):
        program = folder / "program.py"
        program.write_text(source)
        command = [sys.executable, str(PACK / "launch" / "child.py"), str(program)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_a_program_that_ends_first_has_the_last_word(self, tmp_path):
        child = self.start(tmp_path, "import time\ntime.sleep(0.5)\nraise SystemExit('no room')\n")
        assert (child.wait(60), child.stderr.read()) == (1, "no room\n")

    @pytest.mark.parametrize("delay", [0, 0.01, 0.03, 0.1, 0.5])
    def test_it_ends_with_its_parent_however_early(self, tmp_path, delay):
        child = self.start(tmp_path, "import time\ntime.sleep(60)\n")
        time.sleep(delay)
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(10) != 0

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends as soon as the lock is let go")
    def test_it_ends_even_while_its_program_holds_the_interpreters_lock(self, tmp_path):
        up = tmp_path / "up"
        child = self.start(tmp_path, f"import ctypes\nopen({str(up)!r}, 'w')\nctypes.PyDLL(None).sleep(60)\n")
        while not up.exists():
            time.sleep(0.05)
        time.sleep(0.3)
        child.stdin.close()
        assert child.wait(10) != 0
