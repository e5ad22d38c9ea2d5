"""Under which names the protected pictures of a folder are saved. Standard library only: `launch` reads it as well."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain, count
from pathlib import PurePosixPath

ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}  # by the name of the format


def protected_names(names: Iterable[str], ending: str) -> dict[str, str]:
    """Give each picture of a folder its own name with another ending, in its own sub-folder.

    Twins (a.jpg beside a.png) keep their old ending before the new one, so that no two share a file; upper and lower
    case count as the same, as on many disks.

    Args:
        names: Paths inside the folder, with forward slashes.
        ending: With its dot.
    """
    listed = list(names)
    shared = Counter(_stem(name).lower() for name in listed)
    taken: set[str] = set()
    found = {}
    for name in listed:
        wished = _stem(name) if shared[_stem(name).lower()] == 1 else name
        numbered = chain([wished], (f"{wished}_{number}" for number in count(2)))
        chosen = next(each for each in numbered if each.lower() not in taken)
        taken.add(chosen.lower())
        found[name] = chosen + ending
    return found


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
