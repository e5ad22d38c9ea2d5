"""Names of pictures: which files are some, what is passed over, and what protected ones are called.

Standard library only: `launch` reads it as well.
"""

import mimetypes
from collections import Counter
from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path, PurePosixPath

MARK = "_protected"  # in the names of files and folders that are made
LONGEST_NAME = 200  # bytes of a name that gets MARK, a number and an ending besides
LONGEST = 240  # bytes of a name, which leaves room for a number and an ending on every usual file system
ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}  # by the name of the format
# Endings that Python's table does not know on every system; what cannot be read is named, not passed over in silence.
ALSO_PICTURES = (
    *(".avif", ".dds", ".heic", ".heif", ".icns", ".jfif", ".jp2", ".jxl", ".mpo", ".psd", ".qoi", ".tga", ".webp"),
)


def is_picture(name: str) -> bool:
    """Tell by its ending whether a file is a picture."""
    ending = PurePosixPath(name).suffix.lower()
    kind, _ = mimetypes.guess_type(f"file{ending}", strict=False)  # which takes whole names for addresses
    return (kind or "").startswith("image/") or ending in ALSO_PICTURES


def say_links(folder: Path) -> list[str]:
    """Name the sub-folders that are links: nobody goes through them, for they can lead anywhere, also back."""
    links = (path.relative_to(folder) for path in folder.rglob("*") if path.is_symlink() and path.is_dir())
    names = sorted(link.as_posix() for link in links if not any(part.startswith(".") for part in link.parts))
    return [f"{name} is a link to another folder, and was passed over: copy what it holds here." for name in names]


def protected_names(names: Iterable[str], ending: str) -> dict[str, str]:
    """Give each picture of a folder its own name with another ending, in its own sub-folder.

    Twins (a.jpg beside a.png) keep their old ending before the new one, so that no two share a file; upper and lower
    case count as the same, as on many disks. A name that would be too long is cut.

    Args:
        names: Paths inside the folder, with forward slashes.
        ending: With its dot.
    """
    listed = list(names)
    shared = Counter(_stem(name).lower() for name in listed)
    taken: set[str] = set()
    found = {}
    for name in listed:
        wished = shortened(_stem(name) if shared[_stem(name).lower()] == 1 else name, LONGEST)
        numbered = chain([wished], (f"{wished}_{number}" for number in count(2)))
        chosen = next(each for each in numbered if each.lower() not in taken)
        taken.add(chosen.lower())
        found[name] = chosen + ending
    return found


def shortened(path: str, longest: int) -> str:
    """Cut the last part of a path, with forward slashes, to a number of bytes."""
    folder, slash, last = path.rpartition("/")
    while len(last.encode("utf-8", "replace")) > longest:
        last = last[:-1]
    return folder + slash + last


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
