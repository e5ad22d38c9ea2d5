"""A lock on a file that the operating system lets go of when its holder dies, however it dies."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from launch import LaunchError

if os.name == "nt":
    import msvcrt

    def _grab(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _grab(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


HELD_BY_ANOTHER = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


def try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock until it is closed, or None when somebody else holds it.

    Raises:
        LaunchError: Files cannot be written or locked there, as on some network drives.
    """
    no_link = getattr(os, "O_NOFOLLOW", 0)  # in a folder that all may write to it could lead anywhere
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | no_link, 0o600)
    except OSError as error:
        raise LaunchError(
            f"No file can be written in {path.parent} ({error.strerror}): name another folder in LDU_CACHE."
        ) from error
    try:
        _grab(descriptor)
    except OSError as error:
        os.close(descriptor)
        if error.errno in HELD_BY_ANOTHER:
            return None
        raise LaunchError(
            f"Files in {path.parent} cannot be locked ({error.strerror}): name a folder on another disk in LDU_CACHE."
        ) from error
    return descriptor


@contextmanager
def locked(path: Path, on_wait: Callable[[], None], *, pause: float = 0.5) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; `on_wait` is called once when it must be waited for."""
    descriptor = try_lock(path)
    if descriptor is None:
        on_wait()
    while descriptor is None:
        time.sleep(pause)
        descriptor = try_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)
