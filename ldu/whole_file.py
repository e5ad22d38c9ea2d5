"""Files that are complete or absent, never half there.

Standard library only: `launch` reads it as well.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import BadFileError

_SURELY_DEAD = 3600  # seconds


@contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a name beside the path to write to; the file moves to the path when the block ends without an error.

    Args:
        path: The new file; its folder must exist.
        force: Whether an existing file may be replaced.

    Raises:
        BadFileError: if the file exists already or cannot be written.
    """
    unfinished = path.with_name(f".ldu-{secrets.token_hex(8)}.part")
    try:
        if path.exists() and not force:
            raise _taken(path)
        yield unfinished
        if force:
            unfinished.replace(path)
        else:
            _place(unfinished, path)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that this system cannot spell
        reason = getattr(error, "strerror", None) or error
        raise BadFileError(f"{path} cannot be written ({reason}); choose another name or place.") from error
    finally:
        with suppress(OSError, UnicodeError):  # it is not there, nor its folder
            unfinished.unlink()


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of programs that were killed while they wrote to a folder, an hour ago or more."""
    for file in folder.glob(".ldu-*.part"):
        with suppress(OSError):  # somebody else's by now, or gone
            if time.time() - file.stat().st_mtime > _SURELY_DEAD:
                file.unlink()


def _place(unfinished: Path, path: Path) -> None:
    """Give a finished file its name unless somebody else has taken it in the meantime."""
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        raise _taken(path) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise _taken(path) from None
        unfinished.replace(path)


def _taken(path: Path) -> BadFileError:
    return BadFileError(f"{path} exists already; choose another name or allow it to be replaced.")
