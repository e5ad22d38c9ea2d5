"""A private folder for one run: copies of the photos, ComfyUI's own folders, logs; gone when the run ends.

Only this user can look inside, and ComfyUI answers to the run alone. A run that was killed outright cannot tidy up; the
next run does it, for each folder carries a lock that dies with its owner.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launch import PACK, LaunchError
from launch.lock import try_lock

PREFIX = "ldu-private-"
ATTEMPTS, PAUSE = 20, 0.25  # seconds between two attempts to remove a folder
JUST_MADE = 60.0  # seconds in which a folder may not hold its lock yet
HOST_FOLDERS = ("custom_nodes", "models", "input", "output", "user", "temp")
NOT_NEEDED_IN_A_COPY = (".git", "tests", "benchmarks", "__pycache__", ".*_cache")


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a base directory for ComfyUI with the pack in place, and remove it however the block ends."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    lock = None
    with suppress(LaunchError):  # where files cannot be locked, what a killed run leaves stays
        lock = try_lock(folder / "lock")
    try:
        lay_out(folder)
        yield folder
    finally:
        with undisturbed():
            if lock is not None:
                os.close(lock)
            remove(folder)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C cut the tidying short."""
    signals = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def remove(folder: Path) -> None:
    """Remove a folder; Windows lets go of the files of a program only some moments after it has ended."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(PAUSE)


def sweep() -> None:
    """Remove the folders of runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        if folder.is_symlink():  # somebody else's, in a folder that all may write to
            continue
        with suppress(OSError, LaunchError):
            lock = try_lock(folder / "lock") if time.time() - folder.stat().st_mtime > JUST_MADE else None
            if lock is not None:
                os.close(lock)
                shutil.rmtree(folder, ignore_errors=True)


def lay_out(base: Path) -> None:
    """Make the folders that ComfyUI wants in its base directory, with the pack as custom_nodes/ldu."""
    for name in HOST_FOLDERS:
        (base / name).mkdir(exist_ok=True)
    pack = base / "custom_nodes" / "ldu"
    _remove_link(pack)
    link_folder(PACK, pack)


def link_folder(source: Path, link: Path) -> None:
    """Make `link` lead to the folder `source`; where links are not allowed, copy it."""
    with suppress(OSError):
        link.symlink_to(source, target_is_directory=True)
        return
    if os.name == "nt":
        import _winapi

        with suppress(OSError):
            _winapi.CreateJunction(str(source), str(link))
            return
    shutil.copytree(source, link, ignore=shutil.ignore_patterns(*NOT_NEEDED_IN_A_COPY))


def _remove_link(link: Path) -> None:
    if link.is_symlink():
        link.unlink()
    elif os.path.lexists(link):  # also a junction that leads nowhere, because the pack has moved
        try:
            link.rmdir()  # a junction, whose target stays
        except OSError:
            shutil.rmtree(link)  # a copy


def link_model(file: Path, base: Path, kind: str) -> str:
    """Put a model where the ComfyUI in `base` looks for this kind, and return the name that it has there."""
    link_file(file.resolve(), base / "models" / kind / file.name)
    return file.name


def link_file(source: Path, link: Path) -> None:
    """Make `link` lead to the file `source`; where links are not allowed, copy it."""
    link.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        link.symlink_to(source)
        return
    if os.access(source, os.W_OK):  # else Windows could not remove the hard link, which is read-only as well
        with suppress(OSError):
            link.hardlink_to(source)
            return
    unfinished = link.with_name(f".{link.name}.part")
    shutil.copyfile(source, unfinished)
    times = source.stat()  # which tell that it is a copy; without its rights, for what is read-only cannot be removed
    os.utime(unfinished, ns=(times.st_atime_ns, times.st_mtime_ns))
    unfinished.replace(link)
