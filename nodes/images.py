"""Between the host's IMAGE (NHWC in [0, 1]) and the core's levels and pixels.

What leaves this pack is always round(255 x) / 255 in float32, so that the saved file holds the very levels that were
measured: the stock Save Image truncates instead of rounding.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..ldu.attacks.thief import thief_view
from ..ldu.budget import WHITE, resize_mask, working_size
from ..ldu.errors import BadImageError, MismatchError
from ..ldu.shapes import Levels, Mask, Pixels, Resized

LONG = 4  # times the short side; what lies farther out takes memory and no part in the square in the middle


def to_levels(image: Tensor, what: str) -> Levels:
    """Turn an IMAGE into whole levels, NCHW float32.

    Raises:
        BadImageError: if it is no non-empty batch of finite RGB pictures.
    """
    _require_pictures(image, what)
    return (image.cpu().movedim(-1, 1).float() * WHITE).round().clamp(0, WHITE)


def to_pixels(image: Tensor, what: str) -> Pixels:
    """Turn an IMAGE into pixels in [-1, 1], NCHW float32, without rounding.

    Raises:
        BadImageError: if it is no non-empty batch of finite RGB pictures.
    """
    _require_pictures(image, what)
    return image.cpu().movedim(-1, 1).float() * 2 - 1


def to_image(levels: Levels) -> Tensor:
    """Turn whole levels into an IMAGE."""
    return levels.movedim(1, -1) / WHITE


def as_a_thief_loads_it(levels: Levels, side: int) -> Resized:
    """Return the square that a personalizer trains on; of a long picture the middle alone is enlarged.

    Raises:
        BadImageError: if the picture is too narrow for the walk.
    """
    height, width = levels.shape[-2:]
    working_size(width, height, side)
    short = min(height, width)
    step = short // math.gcd(short, side)  # what is cut off are whole pixels when it is enlarged, too
    cut = [max(0, length - LONG * short) // 2 // step * step for length in (height, width)]
    return thief_view(levels[..., cut[0] : height - cut[0], cut[1] : width - cut[1]], side)


def split_pictures(image: Sequence[Tensor]) -> list[Levels]:
    """Return the pictures of a list of IMAGEs one by one, (1, 3, h, w) in whole levels and outside inference mode."""
    if not image:
        raise BadImageError("At least one picture is needed, but the list is empty: connect one.")
    with torch.inference_mode(False):
        return [picture[None].clone() for batch in image for picture in to_levels(batch, "image")]


def require_one_size(original: Tensor, protected: Tensor, advice: str) -> None:
    """Refuse two IMAGEs that are no pictures before and after.

    Raises:
        MismatchError: with both shapes and the advice.
    """
    if original.shape != protected.shape:
        raise MismatchError(
            f"Both pictures must have one size, but {tuple(original.shape)} and {tuple(protected.shape)} came: {advice}"
        )


def fit_mask(mask: Tensor, levels: Levels) -> Mask:
    """Bring a MASK to the size of its pictures, in [0, 1].

    Raises:
        BadImageError: if it is not finite, or 0 everywhere: a picture left open must not pass for a protected one.
        MismatchError: if there is neither one mask for all pictures nor one for each.
    """
    masks = mask_planes(mask)
    require_one_or_each(len(masks), len(levels))
    _require_something(masks)
    return resize_mask(masks, levels)


def require_one_or_each(masks: int, pictures: int) -> None:
    """Refuse a number of masks that is neither 1 nor that of the pictures.

    Raises:
        MismatchError: with both numbers.
    """
    if masks not in (1, pictures):
        raise MismatchError(f"There are {masks} masks for {pictures} pictures: give one, or one for each.")


def mask_of_each(mask: Mask | None, count: int) -> Sequence[Mask | None]:
    """Return the mask of each of `count` pictures, where one may serve all."""
    return [None] * count if mask is None else mask.expand(count, -1, -1, -1).split(1)


def require_one_mask(mask: Tensor) -> None:
    """Refuse a MASK that is not one for all pictures of a folder, before the first of them is worked on.

    Raises:
        BadImageError: if it is not finite, or 0 everywhere.
        MismatchError: if there are several.
    """
    masks = mask_planes(mask)
    if len(masks) > 1:
        raise MismatchError(f"There are {len(masks)} masks, but one serves the whole folder: connect a single mask.")
    _require_something(masks)


def mask_planes(mask: Tensor) -> Tensor:
    """Return a MASK as (batch, 1, height, width), float32.

    Raises:
        BadImageError: if there is nothing in it.
    """
    if mask.ndim < 2 or 0 in mask.shape:
        raise BadImageError(
            f"A mask must be (batch, height, width), but {tuple(mask.shape)} came: paint one, or disconnect it."
        )
    return mask.cpu().float().reshape(-1, 1, *mask.shape[-2:])


def _require_something(masks: Tensor) -> None:
    if not masks.isfinite().all() or not (masks > 0).flatten(1).any(1).all():
        raise BadImageError(
            "A mask is 0 everywhere or not finite, so nothing would be protected; "
            "paint where to protect, or disconnect it to protect the whole picture."
        )


def _require_pictures(image: Tensor, what: str) -> None:
    """Raise unless an IMAGE is a non-empty batch of RGB pictures of at least 8 x 8 pixels, black 0 and white 1.

    Raises:
        BadImageError: with what was expected and what came.
    """
    if image.ndim != 4 or image.shape[0] == 0 or image.shape[-1] != 3 or min(image.shape[1:3]) < 8:
        raise BadImageError(
            f"The {what} must be one or more RGB pictures of at least 8 x 8 pixels, (batch, height, width, 3), "
            f"but {tuple(image.shape)} came: load it with Load Picture, or convert it to RGB."
        )
    if not torch.isfinite(image).all():
        raise BadImageError(f"The {what} holds values that are infinite or not numbers: look at the node that made it.")
    if not image.is_floating_point() or image.min() < -1 or image.max() > 2:  # an upscaler may overshoot
        raise BadImageError(
            f"The {what} must hold fractions from 0 (black) to 1 (white), but values from "
            f"{image.min().item():g} to {image.max().item():g} came, as {image.dtype}: have the "
            "node that made it divide by 255."
        )
