"""What other systems, and other ways to install ComfyUI, do differently; acted out here."""

import ast
import asyncio
import importlib.util
import itertools
import json
import mimetypes
import os
import platform
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from launch import PACK, LaunchError, files, host, private, protect, server, setup, stress


def load(name, path):
    """Run a file of the pack as a module of its own."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def embedded_python(folder):
    """Return a Python that does what that of ComfyUI portable does: it looks at neither its environment nor here."""
    python = folder / "python.exe"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "$@"\n')
    python.chmod(0o700)
    return python


class TestEmbeddedPython:
    @pytest.mark.parametrize("command", [["run.py", "protect", "--help"], ["install.py"]])
    def test_the_doors_open_although_it_does_not_look_where_they_lie(self, command):
        answer = subprocess.run([sys.executable, "-I", *command], cwd=PACK, capture_output=True, text=True, check=False)
        assert (answer.returncode, answer.stderr) == (0, "")

    @pytest.mark.skipif(os.name == "nt", reason="needs a shell")
    def test_the_server_writes_utf_8_although_it_reads_no_variables(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LC_ALL", "C.utf8")  # POSIX alone would mean UTF-8 whatever is asked
        (tmp_path / "main.py").write_text("import sys\nprint('UTF-8 mode', sys.flags.utf8_mode)\n")
        started = server._start(host.Host(embedded_python(tmp_path), tmp_path), tmp_path, 1, [])
        started.process.wait(60)
        started.process.stdin.close()
        assert started.log.read_text() == "UTF-8 mode 1\n"

    def test_without_the_parts_that_make_environments_it_is_told_what_to_do(self, tmp_path, monkeypatch):
        monkeypatch.setattr(setup, "find_spec", lambda name: None if name == "ensurepip" else object())
        with pytest.raises(LaunchError, match=r"cannot make virtual environments: .*--comfyui DIR"):
            setup._venv(tmp_path)


def test_what_the_hosts_python_says_is_read_whatever_its_code_page(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    (tmp_path / "Ünlü.png").write_text("no picture")
    with pytest.raises(LaunchError, match="is not a picture"):
        protect.measure(host.Host(Path(sys.executable), tmp_path), [(tmp_path / "Ünlü.png", tmp_path / "Ünlü.png")])


def test_an_older_python_is_told_so_before_it_meets_what_it_does_not_know():
    before = itertools.takewhile(
        lambda each: not isinstance(each, ast.If), ast.parse((PACK / "run.py").read_text()).body
    )
    assert [ast.unparse(each) for each in before if isinstance(each, ast.Import | ast.ImportFrom)] == ["import sys"]


class TestInstallation:
    def run(self, pack):
        shutil.copytree(PACK / "launch", pack / "launch")
        for name in ("install.py", "pyproject.toml"):
            shutil.copy(PACK / name, pack)
        return subprocess.run([sys.executable, "install.py"], cwd=pack, capture_output=True, text=True).stdout

    def test_a_base_directory_as_the_desktop_app_has_one_is_as_good_as_comfyui(self, tmp_path):
        assert self.run(tmp_path / "custom_nodes" / "LDU main 1.0") == "LDU: everything needed is there.\n"
        assert (tmp_path / "models" / "ldu").is_dir()

    def test_a_package_between_two_versions_is_understood(self, monkeypatch):
        install = load("install", PACK / "install.py")
        monkeypatch.setattr(install, "version", lambda _: "2.4rc1")
        assert install.installed("torch") == (2, 4)

    def test_a_pillow_without_what_is_needed_is_named(self, tmp_path, monkeypatch):
        (tmp_path / "PIL").mkdir()
        (tmp_path / "PIL" / "__init__.py").write_text("__version__ = '9.5.0'\n")
        monkeypatch.setattr(host, "NEEDED", ("PIL", "torch"))
        (tmp_path / "torch.py").write_text(FAKE_TORCH.format(xpu=False))
        with pytest.raises(LaunchError, match=r"has Pillow 9\.5\.0, but 10\.1 or newer is needed"):
            host.probe(host.Host(Path(sys.executable), tmp_path))

    @pytest.mark.parametrize("xpu", [False, True])
    def test_an_intel_gpu_counts_as_one(self, tmp_path, monkeypatch, xpu):
        (tmp_path / "torch.py").write_text(FAKE_TORCH.format(xpu=xpu))
        monkeypatch.setattr(host, "NEEDED", ("torch",))
        assert host.probe(host.Host(Path(sys.executable), tmp_path)) is xpu

    def test_a_mac_with_an_intel_processor_is_told_before_anything_is_fetched(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(platform, "machine", lambda: "x86_64")
        with pytest.raises(LaunchError, match="no PyTorch for Python on Intel processors under macOS"):
            setup._venv(tmp_path)


FAKE_TORCH = """
class No:
    @staticmethod
    def is_available():
        return False
class Maybe:
    @staticmethod
    def is_available():
        return {xpu}
class backends:
    mps = No
cuda, xpu = No, Maybe
"""


class TestOlderComfyUI:
    @pytest.mark.parametrize("version", ["0.3.75", "0.29.9"])
    def test_it_is_refused_in_one_sentence(self, monkeypatch, version):
        pack = load("pack_alone", PACK / "__init__.py")
        monkeypatch.setitem(sys.modules, "comfyui_version", types.SimpleNamespace(__version__=version))
        with pytest.raises(ImportError, match=rf"^LDU needs ComfyUI 0\.30\.0 or newer, but this is {version}: update"):
            asyncio.run(pack.comfy_entrypoint())

    @pytest.mark.parametrize("version", ["0.30.0", "0.31", "1.0.0-rc.1", "unknown to numbers 9"])
    def test_what_is_as_new_as_the_pack_says_is_let_in(self, monkeypatch, version):
        pack = load("pack_alone", PACK / "__init__.py")
        assert host.wanted_version() == pack.OLDEST_COMFYUI
        monkeypatch.setitem(sys.modules, "comfyui_version", types.SimpleNamespace(__version__=version))
        pack._require_version()


class TestWindows:
    def test_the_server_does_not_wait_inside_a_read_which_would_keep_numpy_from_loading(self, monkeypatch):
        looks = []

        def look(handle, size):
            looks.append((handle, size))
            if len(looks) == 3:
                raise BrokenPipeError

        with monkeypatch.context() as windows:
            windows.setattr(os, "name", "nt")
            windows.setitem(sys.modules, "_winapi", types.SimpleNamespace(PeekNamedPipe=look))
            windows.setitem(sys.modules, "msvcrt", types.SimpleNamespace(get_osfhandle=lambda number: 100 + number))
            child = load("child_on_windows", str(PACK / "launch" / "child.py"))
        monkeypatch.setattr(child.os, "read", pytest.fail)
        monkeypatch.setattr(child, "PAUSE", 0)
        child.wait_for_the_end()
        assert looks == [(100, 0)] * 3

    def test_ctrl_c_is_heard_while_the_graph_is_open_for_nobody_waits_inside_the_system(self, monkeypatch):
        monkeypatch.setattr(server, "NAP", 0)
        states = iter([None, None, 0])
        process = types.SimpleNamespace(poll=lambda: next(states), wait=pytest.fail)
        server.Server(process, 1, Path("log")).wait()
        assert list(states) == []

    def test_a_private_folder_is_gone_although_the_server_lets_go_of_its_files_late(self, tmp_path, monkeypatch):
        monkeypatch.setattr(private.tempfile, "tempdir", str(tmp_path))
        monkeypatch.setattr(private, "PAUSE", 0.01)
        unlink, refused = os.unlink, []

        def locked(path, **options):
            if str(path).endswith("server.log") and len(refused) < 3:
                refused.append(path)
                raise PermissionError(13, "in use")
            unlink(path, **options)

        with private.private_folder() as folder:
            (folder / "server.log").write_bytes(b"names of photos")
            monkeypatch.setattr(os, "unlink", locked)
        assert len(refused) == 3
        assert not folder.exists()

    def test_a_junction_to_where_the_pack_was_is_replaced(self, tmp_path, monkeypatch):
        pack = tmp_path / "custom_nodes" / "ldu"
        pack.mkdir(parents=True)  # a junction is removed like an empty folder; one that leads nowhere "does not exist"
        exists = Path.exists
        monkeypatch.setattr(Path, "exists", lambda path, **how: path != pack and exists(path, **how))
        private.lay_out(tmp_path)
        assert (pack / "run.py").is_file()

    def test_a_whole_drive_needs_a_place_for_what_is_saved(self, tmp_path):
        drive = Path(tmp_path.anchor)
        with pytest.raises(LaunchError, match=r"is a whole drive: say with --out where"):
            files.plan_folder(drive, None)


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js to run a script of the front end")
def test_a_touchpad_does_not_zoom_as_far_with_each_small_move_as_a_mouse_wheel_with_a_notch_nor_when_moved_sideways():
    moves = [(-100, 0), (120, 0), (3, 1), (-4, 0), (0, 0)]  # the last is sideways
    asked = ", ".join(f"notches({{ deltaY: {far}, deltaMode: {mode} }})" for far, mode in moves)
    script = f"import {{ notches }} from {json.dumps((PACK / 'web/js/wheel.js').as_uri())}; console.log([{asked}])"
    command = ["node", "--input-type=module", "-e", script]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(answer) == [-1, 1, 1, -0.04, 0]


def test_no_picture_of_a_folder_is_passed_over_where_python_does_not_know_its_ending(tmp_path, monkeypatch):
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: (None, None))
    source = tmp_path / "folder"
    source.mkdir()
    for name in ("a.webp", "b.JFIF", "c.avif", "notes.txt"):
        (source / name).touch()
    found = files.pictures_of(files.plan_folder(source, None))
    assert [path.name for path in found] == ["a.webp", "b.JFIF", "c.avif"]


@pytest.mark.parametrize(("system", "same"), [("linux", False), ("darwin", True), ("win32", True)])
class TestUpperAndLowerCase:
    def test_two_results_under_one_name_are_refused_before_one_replaces_the_other(
        self, tmp_path, monkeypatch, system, same
    ):
        monkeypatch.setattr(sys, "platform", system)
        pair = [tmp_path / "A.png", tmp_path / "a.png"]
        if not same:
            files.require_distinct(pair)
            return
        with pytest.raises(LaunchError, match="Two files would be saved under one name"):
            files.require_distinct(pair)

    def test_two_originals_of_one_name_are_refused_before_one_replaces_the_other(
        self, tmp_path, monkeypatch, system, same
    ):
        originals = [tmp_path / "one" / "A.png", tmp_path / "two" / "a.png"]
        for picture in originals:
            picture.parent.mkdir()
            picture.touch()
        monkeypatch.setattr(sys, "platform", system)
        order = stress.StressOrder(originals, [], tmp_path / "out")
        if not same:
            stress.require_pictures(order)
            return
        with pytest.raises(LaunchError, match="Two originals have the same name"):
            stress.require_pictures(order)
