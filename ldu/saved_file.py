"""Save a protected picture as PNG, JPEG or WebP, and say what the file is worth.

A PNG holds the very levels that were measured. JPEG and WebP change them again after the budget was kept, so such a
file is decoded once more and measured against the original: what holds of the picture no longer holds of the file.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import BadImageError, BadValueError
from .metrics import max_abs_levels, measure_visibility
from .naming import ENDINGS
from .picture import PictureInfo, fits_png, load_picture, save_png, to_pillow
from .shapes import Levels
from .whole_file import written_whole
from .wording import say_bytes

_LONGEST = {"jpeg": 65500, "webp": 16383}  # pixels a side, of the libraries that write them
# JPEG with full colour resolution: half of it would throw half of the change of colour away. WebP with the colours
# under transparent parts: without them those parts would seem changed by up to 255 levels.
_LOSSY: dict[str, dict[str, Any]] = {"jpeg": {"subsampling": "4:4:4"}, "webp": {"method": 4, "exact": True}}


@dataclass(frozen=True)
class FileFormat:
    """How a picture is written.

    Args:
        name: "png", "jpeg" or "webp".
        quality: 1 to 100, of JPEG and WebP; PNG has none.
    """

    name: str = "png"
    quality: int = 90

    def __post_init__(self) -> None:
        """Refuse what cannot be written."""
        if self.name not in ENDINGS or not 1 <= self.quality <= 100:
            raise BadValueError(
                f"A picture is saved as {', '.join(ENDINGS)} with a quality of 1 to 100, "
                f"but {self.name} with {self.quality} came."
            )

    def __str__(self) -> str:
        """Say it for people."""
        names = {"png": "PNG", "jpeg": f"JPEG of quality {self.quality}", "webp": f"WebP of quality {self.quality}"}
        return names[self.name]

    @property
    def ending(self) -> str:
        """The ending of its files, with the dot."""
        return ENDINGS[self.name]

    @property
    def keeps_levels(self) -> bool:
        """Whether its files hold the very levels that are written."""
        return self.name == "png"


def save_picture(
    path: Path, levels: Tensor, info: PictureInfo, form: FileFormat, text: Mapping[str, str] | None = None
) -> None:
    """Write levels with the original's alpha and colour profile to a file that is complete or absent.

    Args:
        path: The new file, which is never replaced; its folder must exist.
        levels: uint8 [height, width, 3], RGB.
        info: Of the original.
        form: What to write.
        text: Texts to embed by keyword, in a PNG only.

    Raises:
        BadFileError: if the file exists already or cannot be written.
        BadImageError: if levels or alpha do not fit each other or the format.
    """
    if form.keeps_levels:
        save_png(path, levels, info.alpha, info.icc, text=text)
        return
    content = encode(levels, info, form)
    with written_whole(path) as unfinished:
        unfinished.write_bytes(content)


def require_holds(form: FileFormat, info: PictureInfo) -> None:
    """Refuse a picture that a format cannot hold; known before anything is computed.

    Raises:
        BadImageError: if it is larger than the format can be, or transparent where the format cannot be.
    """
    longest = _LONGEST.get(form.name)
    if longest is not None and max(info.width, info.height) > longest:
        raise BadImageError(
            f"{info.name} has {info.width}x{info.height} pixels, but {form} holds at most {longest} a side: "
            "save it as PNG."
        )
    if form.name == "jpeg" and info.alpha is not None:
        raise BadImageError(f"{info.name} has transparent parts, which JPEG cannot hold: save it as PNG or WebP.")


def encode(levels: Tensor, info: PictureInfo, form: FileFormat) -> bytes:
    """Return the bytes of a JPEG or WebP file, with the colour profile and nothing else beside the pixels.

    Raises:
        BadImageError: if the picture is larger than the format allows, or transparent where the format cannot be.
    """
    require_holds(form, info)
    file = io.BytesIO()
    options = _LOSSY[form.name] | ({"icc_profile": info.icc} if info.icc else {})
    try:
        to_pillow(levels, info.alpha).save(file, format=form.name, quality=form.quality, **options)
    except (OSError, ValueError) as error:
        raise BadImageError(f"{info.name} cannot be written as {form} ({error}): save it as PNG.") from error
    return file.getvalue()


def say_file(path: Path, info: PictureInfo, form: FileFormat, original: Levels | None) -> list[str]:
    """Say how large a saved file is, how far from the original, and of a lossy one that no bound holds for it.

    Args:
        path: The saved file.
        info: Of the original.
        form: How it was written.
        original: The original's levels; without them nothing can be measured.
    """
    size = f"{form}, {say_bytes(path.stat().st_size)}"
    if form.keeps_levels:
        change = "" if original is None else f"Largest change {_largest_change(path, original)} of 255 levels. "
        left_out = [] if fits_png(info.icc) else ["Its colour profile is left out: it is too large for a PNG."]
        return [f"{size}. {change}{_say_alternative(path, info, form.quality)}", *left_out]
    return [f"{size}. {say_loss(path, form, original)}"]


def say_expected(original: Levels, protected: Levels) -> str:
    """Say before anything is saved how large the files will be, without alpha; nothing if nothing was changed.

    Args:
        original: Whole levels, one picture.
        protected: Of the same size.
    """
    if torch.equal(original, protected):
        return ""
    before, after = (_png_size(levels) for levels in (original, protected))
    height, width = protected.shape[-2:]
    form, info = FileFormat("jpeg"), PictureInfo("the picture", "RGB", width, height)
    said = f"As a PNG about {say_bytes(after)} (its original: {say_bytes(before)})"
    try:
        smaller = len(encode(as_uint8(protected), info, form))
    except BadImageError:  # longer than a JPEG may be
        return f"{said}."
    return f"{said}, as {form} about {say_bytes(smaller)}, which changes values beyond the budget."


def say_loss(path: Path, form: FileFormat, original: Levels | None) -> str:
    """Say that a lossy file keeps no bound, and how far it is from the original as its readers see it."""
    warning = f"{form} changes the values again: the bound of the budget no longer holds for this file."
    if original is None:
        return f"{warning} How far it is from the original was not measured: connect the original."
    return f"{warning} {measure_visibility(original, load_picture(path).as_batch())}"


def pixel_digest(levels: Tensor) -> str:
    """Return the SHA-256 of uint8 levels [height, width, 3]: the same for every lossless copy of a picture."""
    digest = hashlib.sha256(str(tuple(levels.shape)).encode())
    digest.update(levels.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def as_uint8(levels: Levels) -> Tensor:
    """Return a batch of one as uint8 [height, width, 3]."""
    return levels[0].to(torch.uint8).movedim(0, -1)


def _png_size(levels: Levels) -> int:
    file = io.BytesIO()
    to_pillow(as_uint8(levels), None).save(file, format="PNG")
    return len(file.getvalue())


def _largest_change(path: Path, original: Levels) -> int:  # alone: an SSIM of a large photo takes gigabytes
    return max_abs_levels(original, load_picture(path).as_batch())


def _say_alternative(path: Path, info: PictureInfo, quality: int) -> str:
    """Say how large the same picture would be as JPEG, or as WebP where it has transparency."""
    form = FileFormat("jpeg" if info.alpha is None else "webp", quality)
    try:
        size = len(encode(load_picture(path).levels, info, form))
    except BadImageError as error:
        return str(error)
    return f"As {form} it would be about {say_bytes(size)}, but that changes values beyond the budget."
