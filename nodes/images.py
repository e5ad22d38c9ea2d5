"""Between the host's IMAGE (NHWC in [0, 1]) and the core's levels and pixels.

What leaves this pack is always round(255 x) / 255 in float32, so that the saved file holds the very levels that were
measured: the stock Save Image truncates instead of rounding.
"""

from torch import Tensor

from ..ldu.budget import WHITE, resize
from ..ldu.errors import BadImageError, MismatchError
from ..ldu.shapes import Levels, Mask, Pixels
from .host import require_pictures


def to_levels(image: Tensor, what: str) -> Levels:
    """Turn an IMAGE into whole levels, NCHW float32.

    Raises:
        BadImageError: if it is no non-empty batch of finite RGB pictures.
    """
    require_pictures(image, what)
    return (image.cpu().movedim(-1, 1).float() * WHITE).round().clamp(0, WHITE)


def to_pixels(image: Tensor, what: str) -> Pixels:
    """Turn an IMAGE into pixels in [-1, 1], NCHW float32, without rounding.

    Raises:
        BadImageError: if it is no non-empty batch of finite RGB pictures.
    """
    require_pictures(image, what)
    return image.cpu().movedim(-1, 1).float() * 2 - 1


def to_image(levels: Levels) -> Tensor:
    """Turn whole levels into an IMAGE."""
    return levels.movedim(1, -1) / WHITE


def fit_mask(mask: Tensor, levels: Levels) -> Mask:
    """Bring a MASK to the size of its pictures, in [0, 1].

    Raises:
        BadImageError: if it is not finite, or 0 everywhere: a picture left open must not pass for a protected one.
        MismatchError: if there is neither one mask for all pictures nor one for each.
    """
    masks = mask.cpu().float().reshape(-1, 1, *mask.shape[-2:])
    if len(masks) not in (1, len(levels)):
        raise MismatchError(f"There are {len(masks)} masks for {len(levels)} pictures; give one, or one for each.")
    if not masks.isfinite().all() or not (masks > 0).flatten(1).any(1).all():
        raise BadImageError(
            "A mask is 0 everywhere or not finite, so nothing would be protected; "
            "paint where to protect, or disconnect it to protect the whole picture."
        )
    return resize(masks, *levels.shape[-2:]).clamp(0, 1)
