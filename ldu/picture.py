"""Read a picture file into 8-bit RGB levels, and write the protected one with nothing in its file but pixels.

A budget is a promise about two files, max |levels of the saved file - levels of the original| <= budget, so both
sides are decoded here and nowhere else: by Pillow, upright (EXIF orientation applied), first frame, 8 bits a channel.
Alpha and an RGB colour profile travel beside the levels; everything else in the file (EXIF, GPS, XMP, thumbnail,
texts) is left behind. What had to be converted on the way is said in one sentence, `PictureInfo.note`.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError
from PIL.PngImagePlugin import MAX_TEXT_CHUNK, PngInfo
from torch import Tensor

from .errors import BadFileError, BadImageError
from .shapes import Levels
from .whole_file import written_whole

# Raster formats only: others start programs (EPS) or need a rendering size (WMF).
_FORMATS = (
    *("AVIF", "BMP", "DDS", "GIF", "HEIF", "ICNS", "ICO", "JPEG", "JPEG2000"),
    *("PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
_DECODER_FAILURES = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,  # what AVIF's decoder raises
    MemoryError,  # a length in the file that is none
)
_OPAQUE = 255
_LARGEST_PROFILE = MAX_TEXT_CHUNK  # Pillow takes a larger one in a PNG for an attack, also in a file of ours
_MODE_WORDS = {
    "1": "1-bit black and white",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "a palette",
    "PA": "a palette with alpha",
    "I": "32-bit grey, cut at 65535,",
}
_DEEP_LAYOUT = re.compile(r"\b(?:I|L|LA|RGB|RGBA|RGBX|CMYK);(12|16)")
_FEW_BITS = re.compile(r"\bL;([24])\b")  # of grey
_TURN_OF = {  # what makes a picture upright, by its EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class PictureInfo:
    """Everything about a picture file that its RGB levels do not hold.

    Attributes:
        name: File name without its folder.
        mode: Pillow's mode of the file, e.g. "RGB", "CMYK", "I;16".
        width: Pixels, after the EXIF orientation was applied.
        height: Pixels, after the EXIF orientation was applied.
        alpha: uint8 [height, width], 255 is opaque; None if nothing is transparent.
        icc: The colour profile; None if there is none or if it does not describe RGB.
        note: One sentence on what was converted.
        own_name: Path inside its folder without ending, which no other picture there has; empty if it has no folder.
    """

    name: str
    mode: str
    width: int
    height: int
    alpha: Tensor | None = None
    icc: bytes | None = None
    note: str = ""
    own_name: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: uint8 levels [height, width, 3] in RGB and what else its file told."""

    levels: Tensor
    info: PictureInfo

    @property
    def alpha(self) -> Tensor | None:
        """The alpha channel, uint8 [height, width], or None."""
        return self.info.alpha

    def as_batch(self) -> Levels:
        """Give the levels as a batch of one for the core, float32 [1, 3, height, width]."""
        return self.levels.permute(2, 0, 1)[None].float()


def load_picture(path: str | Path) -> Picture:
    """Decode a picture file into upright 8-bit RGB levels.

    Raises:
        BadFileError: if there is no such file, or it is no picture, damaged, cut short or too large.
    """
    path = Path(path)
    _require_file(path)
    try:
        # By its name Pillow would map a plain TIFF into memory, and shear one that is to be turned by a quarter.
        with path.open("rb") as file, Image.open(file, formats=_installed_formats()) as opened:
            return _decode(opened, path.name)
    except Image.DecompressionBombError as error:
        raise BadFileError(
            f"{path.name} is larger than Pillow's safety limit of {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; "
            "give a smaller picture."
        ) from error
    except UnidentifiedImageError as error:
        raise BadFileError(
            f"{path.name} is not a picture in a format known here; give a PNG, JPEG, WebP or TIFF file."
        ) from error
    except _DECODER_FAILURES as error:
        raise BadFileError(
            f"{path.name} cannot be read as a picture ({error}); it may be damaged or cut short: take another copy."
        ) from error


def save_png(
    path: str | Path,
    levels: Tensor,
    alpha: Tensor | None = None,
    icc: bytes | None = None,
    *,
    force: bool = False,
    text: Mapping[str, str] | None = None,
) -> None:
    """Write levels to a PNG file that is complete or absent, never half there.

    Args:
        path: The new file; its folder must exist.
        levels: uint8 [height, width, 3], RGB.
        alpha: uint8 [height, width], 255 is opaque.
        icc: Colour profile to embed; one that is too large for a PNG is left out.
        force: Whether an existing file may be replaced.
        text: Texts to embed by keyword; none unless given.

    Raises:
        BadFileError: if the file exists already or cannot be written.
        BadImageError: if levels or alpha do not have that shape and type.
    """
    encoded = io.BytesIO()  # whole before anything is on disk: a host that ends meanwhile leaves no part of it there
    profile = icc if fits_png(icc) else None
    to_pillow(levels, alpha).save(encoded, format="PNG", icc_profile=profile, pnginfo=_png_texts(text or {}))
    with written_whole(Path(path), force=force) as unfinished:
        unfinished.write_bytes(encoded.getvalue())


def fits_png(icc: bytes | None) -> bool:
    """Tell whether readers take a colour profile of this size from a PNG."""
    return icc is None or len(icc) <= _LARGEST_PROFILE


def _require_file(path: Path) -> None:
    try:
        is_there = path.is_file()
    except OSError:  # a name too long for any file
        is_there = False
    if not is_there:
        raise BadFileError(f"There is no picture file at {path}; check the name.")


def _installed_formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _decode(opened: Image.Image, name: str) -> Picture:
    if opened.mode == "F":
        raise BadFileError(
            f"{name} is a floating-point picture, which does not say what is white; save it with 8 bits a channel."
        )
    _match_transparency(opened)  # before anything reads the pixels: they take their layout with them
    steps, grey = list(_conversions(opened)), _deep_grey(opened)
    rgb, alpha = _to_rgb(_upright(opened), grey)
    opaque = alpha is None or alpha.min() == _OPAQUE  # many a screenshot has alpha, and nothing transparent
    if opaque and alpha is not None:
        steps.append("its alpha left out because nothing is transparent")
    height, width = rgb.shape[:2]
    info = PictureInfo(
        name=name,
        mode=opened.mode,
        width=width,
        height=height,
        alpha=None if opaque else torch.from_numpy(alpha),
        icc=_profile(opened) if _describes_rgb(opened) else None,
        note=_sentence(steps or [f"8-bit {opened.mode}, nothing converted"]),
    )
    return Picture(torch.from_numpy(rgb), info)


def _match_transparency(image: Image.Image) -> None:
    """Give a PNG's transparent colour the depth that its pixels have once decoded; Pillow leaves it as in the file."""
    transparent = image.info.get("transparency")
    layout = _layout(image)
    if isinstance(transparent, int) and (bits := _FEW_BITS.search(layout)):
        image.info["transparency"] = transparent * 255 // (2 ** int(bits[1]) - 1)
    elif isinstance(transparent, tuple) and _DEEP_LAYOUT.search(layout):
        image.info["transparency"] = tuple(value >> 8 for value in transparent)


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture by its EXIF orientation alone: Pillow's own way writes all tags anew, and fails at an odd one."""
    image.load()  # which turns a TIFF
    turn = _turn_of(image)
    return image if turn is None else image.transpose(turn)


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURN_OF.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DECODER_FAILURES:  # of what is no picture: a browser shows it as it lies there, too
        return None


def _to_rgb(image: Image.Image, grey: "_DeepGrey") -> tuple[np.ndarray, np.ndarray | None]:
    if image.mode.startswith("I"):
        return _deep_grey_to_rgb(image, grey)
    if not image.has_transparency_data:
        return np.array(image.convert("RGB")), None
    rgba = np.array(image.convert("RGBA"))
    return rgba[..., :3].copy(), rgba[..., 3].copy()


@dataclass(frozen=True)
class _DeepGrey:
    """What Pillow leaves as it is in grey of more than 8 bits: how many, and a TIFF's negative (WhiteIsZero)."""

    bits: int
    negative: bool


def _deep_grey(image: Image.Image) -> _DeepGrey:
    photometric = getattr(image, "tag_v2", {}).get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION)
    return _DeepGrey(12 if "I;12" in _layout(image) else 16, photometric == 0)


def _deep_grey_to_rgb(image: Image.Image, deep: _DeepGrey) -> tuple[np.ndarray, np.ndarray | None]:
    """Take the highest 8 bits, as Pillow does for 16-bit colour; its own conversion of 16-bit grey cuts at 255."""
    white = 2**deep.bits - 1
    grey = np.asarray(image).astype(np.int64).clip(0, white)
    transparent = image.info.get("transparency")
    alpha = None if transparent is None else np.where(grey == transparent, 0, 255).astype(np.uint8)
    shown = (white - grey if deep.negative else grey) >> (deep.bits - 8)
    return np.repeat(shown.astype(np.uint8)[..., None], 3, axis=-1), alpha


def _profile(image: Image.Image) -> bytes | None:
    return image.info.get("icc_profile") or None


def _describes_rgb(image: Image.Image) -> bool:
    """Tell by the colour space field of its header whether the profile still fits after conversion to RGB."""
    return (_profile(image) or b"")[16:20] == b"RGB "


def _layout(image: Image.Image) -> str:
    """Return how the pixels lie in the file, in Pillow's words, until they are read."""
    return str(getattr(image, "tile", ""))


def _sentence(steps: list[str]) -> str:
    text = "; ".join(steps)
    return f"{text[0].upper()}{text[1:]}."


def _conversions(image: Image.Image) -> Iterator[str]:
    if image.mode not in ("RGB", "RGBA"):
        yield f"converted from {_MODE_WORDS.get(image.mode, image.mode)} to RGB"
    if deep := _DEEP_LAYOUT.search(_layout(image)):
        yield f"reduced from {deep[1]} to 8 bits a channel"
    if _turn_of(image) is not None:
        yield "turned upright as its EXIF orientation says"
    if (frames := getattr(image, "n_frames", 1)) > 1:
        yield f"the first of {frames} frames taken"
    if _profile(image) and not _describes_rgb(image):
        yield "its colour profile left out because it does not describe RGB"


def to_pillow(levels: Tensor, alpha: Tensor | None) -> Image.Image:
    """Give uint8 levels [height, width, 3], and alpha [height, width] if there is one, as a Pillow image.

    Raises:
        BadImageError: if levels or alpha do not have that shape and type.
    """
    if levels.dtype != torch.uint8 or levels.ndim != 3 or levels.shape[-1] != 3 or 0 in levels.shape:
        raise BadImageError(
            f"Levels to save must be uint8 [height, width, 3], got {levels.dtype} {list(levels.shape)}."
        )
    if alpha is None:
        return Image.fromarray(levels.cpu().numpy())
    if alpha.dtype != torch.uint8 or alpha.shape != levels.shape[:2]:
        raise BadImageError(
            f"Alpha to save must be uint8 {list(levels.shape[:2])} like its picture, got {alpha.dtype} "
            f"{list(alpha.shape)}: take info and picture from the same Load Picture."
        )
    return Image.fromarray(torch.cat([levels, alpha[..., None]], dim=-1).cpu().numpy())


def _png_texts(text: Mapping[str, str]) -> PngInfo:
    info = PngInfo()
    for keyword, value in text.items():
        info.add_text(keyword, value)
    return info
