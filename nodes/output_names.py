"""Where a new file goes: inside the output folder, under a name that the file system can spell."""

import os
from pathlib import Path

import folder_paths

from ..ldu.errors import BadValueError
from ..ldu.naming import LONGEST_NAME

LONGEST_FILE = 255  # bytes


def rho_folder() -> Path:
    """Return the folder that trained rhos are written to, which Load ρ reads too."""
    return Path(folder_paths.get_output_directory()) / "ldu"


def next_free(prefix: str, width: int, height: int) -> tuple[Path, str, int, str]:
    """Return folder, stem, next number and subfolder for a new file inside the output folder.

    Raises:
        BadValueError: if the prefix leads out of the output folder.
    """
    require_inside_output(prefix)
    output = folder_paths.get_output_directory()
    try:
        folder, stem, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, width, height)
    except OSError as error:
        reason = error.strerror or error
        raise BadValueError(f"No folder can be made for the prefix {prefix!r} ({reason}); give another one.") from error
    return Path(folder), stem, counter, subfolder


def require_inside_output(prefix: str) -> None:
    """Raise unless files with this prefix lie in the output folder.

    Raises:
        BadValueError: with the prefix.
    """
    if not _can_be_spelt(prefix):
        raise BadValueError(f"The prefix {prefix!r} holds a sign that cannot stand in a name; leave it out.")
    if prefix.endswith(("/", "\\")):
        raise BadValueError(f"The prefix {prefix!r} ends with a folder; give a name after it.")
    output = folder_paths.get_output_directory()
    if not folder_paths.is_within_directory(output, str(Path(output, prefix).parent)):
        raise BadValueError(f"The prefix {prefix!r} leads out of the output folder; give a name inside it.")


def require_length(name: str) -> None:
    """Raise unless a file can be called like this.

    Raises:
        BadValueError: with its first letters.
    """
    if len(os.fsencode(name)) > LONGEST_FILE:
        raise BadValueError(f"The name {name[:40]!r}... is longer than {LONGEST_FILE} bytes; give a shorter prefix.")


def is_taken(path: Path) -> bool:
    """Tell whether something lies at a place, be it a link that leads nowhere."""
    return os.path.lexists(path)


def require_plain_name(name: str, what: str) -> None:
    """Raise unless a file of a folder can be called like this, with room for a number and an ending.

    Raises:
        BadValueError: naming what is to be saved.
    """
    spelt = _can_be_spelt(name) and len(os.fsencode(name)) <= LONGEST_NAME
    if not spelt or not name or Path(name).name != name:
        raise BadValueError(
            f"{what} is saved under a plain name of at most {LONGEST_NAME} letters, without folders, but "
            f"{name[:40]!r} came: choose another name."
        )


def _can_be_spelt(name: str) -> bool:
    """Tell whether the file system has letters for all of a name."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False
