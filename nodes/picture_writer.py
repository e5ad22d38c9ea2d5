"""Write protected pictures to files, remember them, and say what there is to know about each file."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ..ldu.errors import LduError
from ..ldu.picture import PictureInfo, load_picture
from ..ldu.platform_check import after_platform
from ..ldu.saved_file import FileFormat, as_uint8, save_picture, say_file
from ..ldu.shapes import Levels
from ..ldu.wording import say_beside
from .known_pictures import KNOWN, is_known, remember

UNPROTECTED = "It is the original, pixel for pixel: nothing is protected."


@dataclass(frozen=True)
class Written:
    """One saved picture.

    Args:
        path: of the file.
        seen: its levels as its readers see them, a batch of one.
        said: what there is to know about it, in sentences.
    """

    path: Path
    seen: Levels
    said: list[str]


@dataclass(frozen=True)
class Writer:
    """Saves protected pictures, all in the same way.

    Args:
        form: format and quality.
        platform_check: whether to say what an upload leaves of the change.
    """

    form: FileFormat
    platform_check: bool = False

    def write(
        self,
        path: Path,
        levels: Levels,
        info: PictureInfo,
        original: Levels | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> Written:
        """Save one picture, remember it as protected, and say what is to be said about the file.

        Args:
            path: The new file; its folder must exist.
            levels: A batch of one, whole levels.
            info: Of the original.
            original: Its levels, of the same size.
            texts: To be embedded in a PNG.
        """
        save_picture(path, as_uint8(levels), info, self.form, texts)
        seen = levels if self.form.keeps_levels else load_picture(path).as_batch()
        unchanged = original is not None and torch.equal(original, seen)
        forgotten = [] if unchanged else remember(as_uint8(seen))
        said = [*([UNPROTECTED] if unchanged else []), *say_file(path, info, self.form, original), *forgotten]
        if original is not None and is_known(as_uint8(original)):
            said.append(KNOWN)
        if self.platform_check and original is not None:
            said.append(str(after_platform(original, seen)))
        return Written(path, seen, [*said, *say_unprotected_beside(path, info)])


def say_unprotected_beside(path: Path, info: PictureInfo) -> list[str]:
    """Say that an unprotected picture that is called like the original lies beside a saved file, if one does."""
    beside = _unprotected_beside(path, info)
    return [] if beside is None else [say_beside(beside, "it")]


def _unprotected_beside(path: Path, info: PictureInfo) -> str | None:
    """Return the name of a picture beside a saved file that is called like the original and was never protected."""
    for file in sorted(path.parent.glob(glob.escape(Path(info.name).stem) + ".*")):
        if file != path and _is_unprotected_picture(file):
            return file.name
    return None


def _is_unprotected_picture(file: Path) -> bool:
    try:
        return not is_known(load_picture(file).levels)
    except LduError:  # not a picture
        return False
