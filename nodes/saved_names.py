"""What saved pictures are called: after their originals, with a number behind the name or without one."""

from pathlib import Path

from torch import Tensor

from ..ldu.errors import BadValueError
from ..ldu.naming import LONGEST_NAME, shortened
from ..ldu.picture import PictureInfo
from ..ldu.saved_file import FileFormat
from ..ldu.shapes import Levels
from .output_names import LONGEST_FILE, next_free, require_length

NAME = "%name%"


def require_room(prefix: str, info: PictureInfo, form: FileFormat) -> None:
    """Refuse a prefix that is too long with the original's name and a number.

    Raises:
        BadValueError: with its first letters.
    """
    require_length(f"{Path(_prefix(prefix, info, LONGEST_NAME)).name}_00001_{form.ending}")


def next_files(prefix: str, info: PictureInfo, form: FileFormat, pictures: Levels) -> tuple[list[Path], str]:
    """Return where pictures go under the next free numbers, and the subfolder of the output folder.

    Raises:
        BadValueError: if the names are too long with what is round them.
    """
    folder, stem, first, subfolder = next_free(
        _prefix(prefix, info, LONGEST_NAME), pictures.shape[-1], pictures.shape[-2]
    )
    names = [f"{stem}_{first + each:05}_{form.ending}" for each in range(len(pictures))]
    require_length(names[-1])
    return [folder / name for name in names], subfolder


def own_files(prefix: str, info: PictureInfo, form: FileFormat, pictures: Levels) -> tuple[list[Path], str]:
    """Return where a picture goes without a number, and the subfolder of the output folder.

    Raises:
        BadValueError: if there are several, which would replace each other.
    """
    if len(pictures) > 1:
        raise BadValueError(
            f"Without numbers a name is for one picture, but a batch of {len(pictures)} came: switch numbered on, or "
            "give the pictures one by one, as Load Picture Folder does."
        )
    target, subfolder = own_file(prefix, info, form)
    return [target], subfolder


def require_known(prefix: str, info: PictureInfo | None, original: Tensor | None) -> tuple[PictureInfo, Tensor]:
    """Return what a picture without a number needs.

    Raises:
        BadValueError: if the original's name is not used, or nobody told it, or showed the original.
    """
    if info is None or NAME not in prefix:
        raise BadValueError(
            "Without numbers a file is named by its original: connect the info of Load Picture or Load Picture Folder "
            f"and have {NAME} in the prefix, or switch numbered on."
        )
    if original is None:
        raise BadValueError(
            "Without numbers a file that is there already is compared with the picture before, but no original came: "
            "connect it, or switch numbered on."
        )
    return info, original


def own_file(prefix: str, info: PictureInfo, form: FileFormat) -> tuple[Path, str]:
    """Return where a picture goes without a number, and the subfolder of the output folder.

    Raises:
        BadValueError: if the name is too long with what is round it.
    """
    folder, stem, _, subfolder = next_free(_prefix(prefix, info, LONGEST_FILE), info.width, info.height)
    require_length(f"{stem}{form.ending}")
    return folder / f"{stem}{form.ending}", subfolder


def _prefix(wished: str, info: PictureInfo, longest: int) -> str:
    """Return a prefix with the original's name in it, cut to a number of bytes."""
    name = info.own_name or Path(info.name).with_suffix("").as_posix()
    return wished.replace(NAME, shortened(name, longest))
