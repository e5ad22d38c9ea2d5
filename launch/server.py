"""Starts a ComfyUI server for one run, hands it a graph, and makes sure that it ends.

It listens on 127.0.0.1 only, keeps everything in the base directory it is given, asks nothing of the internet and
loads no other node pack; where it works for one command alone, it answers to nobody else.
"""

import http.client
import json
import os
import secrets
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch import LaunchError
from launch.child import TOKEN
from launch.console import clock, last_line, status_line
from launch.host import UTF8, Host
from launch.private import remove, undisturbed
from launch.websocket import messages

CHILD = Path(__file__).with_name("child.py")
START_TIMEOUT = 900.0
LAST_EVENTS = ("execution_success", "execution_error", "execution_interrupted")
STOP_TIMEOUT = 10.0
NAP = 0.25
OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
# Threads that wait must sleep: where the cores are shared with other work, spinning made training 20 times slower.
WAIT_QUIETLY = {"OMP_WAIT_POLICY": "PASSIVE"}
OPTIONS = (
    "--listen=127.0.0.1",
    "--disable-auto-launch",
    "--disable-api-nodes",
    "--disable-metadata",
    "--disable-all-custom-nodes",
    "--whitelist-custom-nodes=ldu",
)


@dataclass(frozen=True)
class Server:
    """A running server, known by its port, and the token that it wants to hear; "" = it answers to everybody."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    token: str = ""

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        """GET `path`, or POST `body` to it, and return the JSON that comes back (None for an empty answer).

        Raises:
            LaunchError: The server refuses; the message is its own.
        """
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
            method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = answer.read()
        if answer.status != 200:
            raise LaunchError(refusal(text))
        return json.loads(text) if text else None

    def run(self, graph: dict[str, Any], on_progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Run a graph in API format and return its entry in the server's history.

        Args:
            graph: Nodes by id.
            on_progress: Called with the nodes' progress (id -> value, max, state), once a second at least.

        Raises:
            LaunchError: The graph was refused, a node failed, or the server ended.
        """
        client = uuid.uuid4().hex
        try:
            events = messages(self.port, client, self.token)
            next(events, None)  # the channel stands once the first message is there
            job = self.ask("/prompt", {"prompt": graph, "client_id": client})["prompt_id"]
            entry = self._follow(job, events, on_progress)
        except (OSError, http.client.HTTPException) as error:
            raise LaunchError(f"ComfyUI {self._state()} ({error}); its last words: {last_line(self.log)}") from error
        except BaseException:
            self._interrupt()
            raise
        if reason := failure(entry):
            raise LaunchError(reason)
        return entry

    def wait(self) -> None:
        """Wait until it ends; in naps, for under Windows no Ctrl-C is heard in a wait for a process."""
        while self.process.poll() is None:
            time.sleep(NAP)

    def _follow(
        self, job: str, events: Iterator[dict[str, Any] | None], on_progress: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        nodes: dict[str, Any] = {}
        over = False
        for event in events:
            if event is not None and event["type"] == "progress_state":
                nodes = event["data"]["nodes"]
            on_progress(nodes)
            over = over or (event is not None and event["type"] in LAST_EVENTS)
            if (over or event is None) and (entry := self._entry(job)):
                return entry
        raise ConnectionError("it hung up")

    def _entry(self, job: str) -> dict[str, Any] | None:
        try:
            return self.ask(f"/history/{job}").get(job)
        except TimeoutError:  # one step can keep it from answering for long
            return None

    def _state(self) -> str:
        try:
            status = self.process.wait(1)
        except subprocess.TimeoutExpired:
            return "is out of reach"
        killed = " (killed, as when memory runs out: close other programs)" if status == -9 else ""
        return f"ended with status {status}{killed}"

    def _interrupt(self) -> None:
        with suppress(OSError, LaunchError, http.client.HTTPException):
            self.ask("/interrupt", {})


@contextmanager
def serving(
    host: Host,
    base: Path,
    *,
    cpu: bool,
    port: int | None = None,
    options: tuple[str, ...] = (),
    locked: bool = False,
) -> Iterator[Server]:
    """Start ComfyUI on the base directory `base`, wait until it answers, and stop it however the block ends.

    Args:
        host: The ComfyUI.
        base: Where its folders are.
        cpu: Whether it shall leave a GPU alone.
        port: Where it listens; None = at a free one.
        options: Of its command line, beside the usual ones.
        locked: Whether it answers to this process alone, and to no other account or program of this computer.

    Raises:
        LaunchError: It does not start.
    """
    if port is not None:
        _require_free(port)
    token = secrets.token_urlsafe() if locked else ""
    server = _start(host, base, port or _free_port(), [*OPTIONS, *options, *(["--cpu"] if cpu else [])], token)
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        with undisturbed():  # a server that outlived this would write into a folder that is gone
            _stop(server.process)
            for name in ("scratch", "temp"):  # the second is the host's own, for previews: it had no time to tidy up
                remove(base / name)


def refusal(content: bytes) -> str:
    """Put a server's refusal of a graph into one sentence."""
    try:
        answer = json.loads(content)
        errors = [e for node in answer["node_errors"].values() for e in node["errors"]] or [answer["error"]]
        complaints = {f"{e['message']}: {e['details']}" for e in errors}
        return _sentence("; ".join(sorted(complaints)))  # ComfyUI tells them in another order each time
    except (ValueError, KeyError, TypeError, AttributeError):
        return "ComfyUI refused the request without a reason."


def failure(entry: dict[str, Any]) -> str | None:
    """Return what went wrong in a history entry as one sentence; None when all went well."""
    status = entry["status"]
    if status["status_str"] == "success":
        return None
    for kind, data in status["messages"]:
        if kind == "execution_error":
            return _blame(data["node_type"], data["exception_type"], data["exception_message"])
    return "The work was interrupted."


def _blame(node: str, kind: str, message: str) -> str:
    """Quote an error of the pack's own as it stands; say of any other where it came from."""
    if ".ldu.errors." in kind:
        return _sentence(message)
    return f"{node} failed ({kind}: {_sentence(message)}) Add --keep-log FILE to see all of it."


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?")) else line + "."


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _require_free(port: int) -> None:
    """Refuse a port at which somebody answers, who would be taken for the new server."""
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), timeout=1)):
        raise LaunchError(f"Another program answers at port {port}: choose another, or leave --port out.")


def _start(host: Host, base: Path, port: int, options: list[str], token: str = "") -> Server:
    folders = [f"--base-directory={base}", f"--database-url=sqlite:///{base / 'user' / 'comfyui.db'}", f"--port={port}"]
    log = base / "server.log"
    scratch = base / "scratch"
    scratch.mkdir(exist_ok=True)
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(host.python), *UTF8, str(CHILD), str(host.comfyui / "main.py"), *folders, *options],
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=host.comfyui,
            env=_environment(scratch) | ({TOKEN: token} if token else {}),
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    return Server(process, port, log, token)


def _environment(scratch: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    private = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    return {**WAIT_QUIETLY, **kept, **private, **OFFLINE, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def _wait_until_it_answers(server: Server) -> None:
    started = time.monotonic()
    with status_line() as status:
        while time.monotonic() - started < START_TIMEOUT:
            if server.process.poll() is not None:
                raise LaunchError(f"ComfyUI did not start: {last_line(server.log)}")
            with suppress(OSError, http.client.HTTPException):
                server.ask("/system_stats")
                return
            status.show(f"Starting ComfyUI  {clock(time.monotonic() - started)}")
            time.sleep(NAP)
    raise LaunchError(f"ComfyUI did not answer within {START_TIMEOUT:.0f} seconds.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
