"""Keep a protected picture within its budget, in whole 0..255 levels, at the picture's own size.

With r = 127.5 (D(z_0_protected) - D(z_0)), resized to the picture L, a mask m and the whole budget b = floor(budget):
    L' = round(clamp(L + clip(m r, -b, b), 0, 255))
The VAE's own error cancels in r. L is whole, so every L' lies within b levels of it after rounding as well, and r = 0
gives back L itself. The order matters: resizing after the clip would overshoot it (bicubic makes 17 of 10).
All three steps let gradients pass straight through, so that a pixel at its limit can still learn to come back.
"""

import math

import torch.nn.functional as F
from torch import Tensor

from .errors import BadImageError, BadValueError, MismatchError, NonFiniteError
from .shapes import Levels, Mask, Pixels, Resized

WHITE = 255
SMALLEST_SIDE = 64  # working pixels: 8 latent cells at the usual factor of 8
LARGEST_AREA = 4  # in squares of the short side: longer pictures are worked on with a smaller short side


def to_levels(x: Pixels) -> Levels:
    """Map pixels in [-1, 1] to levels in 0..255, float32, not yet rounded."""
    return (x.float() + 1) * (WHITE / 2)


def to_pixels(levels: Levels) -> Pixels:
    """Map levels in 0..255 to pixels in [-1, 1]."""
    return levels / (WHITE / 2) - 1


def quantise(levels: Levels) -> Levels:
    """Round to whole levels; the gradient passes straight through."""
    return straight_through(levels, levels.round())


def clip(levels: Levels, low: float, high: float) -> Levels:
    """Clamp to [low, high]; the gradient passes straight through."""
    return straight_through(levels, levels.clamp(low, high))


def whole_budget(budget_levels: float) -> int:
    """Give the budget in whole levels, rounded down.

    Raises:
        BadValueError: if it is not a number in 0..255.
    """
    if not 0 <= budget_levels <= WHITE:
        raise BadValueError(f"The budget must be 0 to 255 levels, got {budget_levels}: 4 to 16 is usual.")
    return math.floor(budget_levels)


def compose(original_levels: Levels, residual: Levels, budget_levels: float, mask: Mask | None = None) -> Levels:
    """Add a residual to a picture within the budget and give whole levels.

    Args:
        original_levels: In 0..255; rounded to whole levels before anything is added.
        residual: Signed levels of any size, same shape.
        budget_levels: Largest allowed change of a value, 0..255 levels, rounded down.
        mask: Multiplies the residual before it is clipped: 1 protects, 0 leaves the picture as it is.

    Raises:
        BadValueError: if the budget is not a number in 0..255.
    """
    bound = whole_budget(budget_levels)
    masked = residual if mask is None else residual * mask
    return quantise(clip(quantise(original_levels.float()) + clip(masked.float(), -bound, bound), 0, WHITE))


def residual_levels(decoded_clean: Pixels, decoded_protected: Pixels) -> Levels:
    """Subtract the clean decode from the protected one, in signed levels and float32 whatever the VAE computes in."""
    return (decoded_protected.float() - decoded_clean.float()) * (WHITE / 2)


def clipped_share(residual: Levels, budget_levels: float) -> Tensor:
    """Measure the share of values, 0..1, that the budget will clip."""
    return (residual.detach().abs() > whole_budget(budget_levels)).float().mean()  # a log entry, not a loss


def resize(values: Tensor, height: int, width: int) -> Tensor:
    """Resize a batch [B, C, H, W] bicubically with antialiasing; the same size gives back the same values."""
    if values.shape[-2:] == (height, width):
        return values
    return F.interpolate(values, size=(height, width), mode="bicubic", antialias=True)


def resize_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Bring a mask (B, 1, h, w) to the size, device and type of pictures [B, C, H, W], in [0, 1]."""
    return resize(mask.to(like), *like.shape[-2:]).clamp(0, 1)


def fit_to_budget(
    original_levels: Levels,
    decoded_clean: Pixels,
    decoded_protected: Pixels,
    budget_levels: float,
    mask: Mask | None = None,
) -> Levels:
    """Carry the difference of two decodes over to the picture at its own size, within the budget.

    Args:
        original_levels: The picture in 0..255 at its own size.
        decoded_clean: Decode of the unshifted latent, [-1, 1], at the working size.
        decoded_protected: Decode of the protected latent, same shape.
        budget_levels: Largest allowed change of a value, 0..255 levels, rounded down.
        mask: Where to protect, in [0, 1], at the picture's own size.

    Raises:
        BadValueError: if the budget is not a number in 0..255.
        MismatchError: if the decodes differ in shape or there is not one of them for each picture.
        NonFiniteError: if a decode holds infinite values or values that are no numbers.
    """
    if decoded_clean.shape != decoded_protected.shape or len(decoded_clean) != len(original_levels):
        raise MismatchError(
            f"The clean decode {list(decoded_clean.shape)} and the protected decode {list(decoded_protected.shape)} "
            f"must have one shape and one entry for each of the {len(original_levels)} originals: "
            "decode both of one walk."
        )
    residual = residual_levels(decoded_clean, decoded_protected)
    if not residual.isfinite().all():
        raise NonFiniteError("The decoded pictures hold values that are not finite; run the VAE in float32.")
    return compose(original_levels, resize(residual, *original_levels.shape[-2:]), budget_levels, mask)


def working_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Choose the size, (width, height), at which the model sees a picture: aspect kept, multiples of 8.

    The short side becomes `short_side`. A picture longer than 4:1 gets a smaller one, so that the area stays that of
    a 4:1 picture.

    Raises:
        BadValueError: if short_side is below 64.
        BadImageError: if the picture is so narrow that its short side would fall below 64.
    """
    if short_side < SMALLEST_SIDE:
        raise BadValueError(
            f"The short side must be at least {SMALLEST_SIDE} pixels, got {short_side}: give the model's training size."
        )
    scale = short_side * min(1 / min(width, height), math.sqrt(LARGEST_AREA / (width * height)))
    sides = _multiple_of_8(scale * width), _multiple_of_8(scale * height)
    if min(sides) < SMALLEST_SIDE:
        raise BadImageError(
            f"A picture of {width}x{height} pixels is too narrow for a short side of {short_side}; "
            f"crop it to {LARGEST_AREA * (short_side // SMALLEST_SIDE) ** 2}:1 or less."
        )
    return sides


def to_working_size(original_levels: Levels, short_side: int) -> Resized:
    """Resize a picture to the size at which the model sees it, in whole levels (see `working_size`)."""
    width, height = working_size(original_levels.shape[-1], original_levels.shape[-2], short_side)
    return quantise(clip(resize(original_levels, height, width), 0, WHITE))


def _multiple_of_8(length: float) -> int:
    return 8 * round(length / 8)


def straight_through(values: Tensor, result: Tensor) -> Tensor:
    """Return `result` with the gradient of `values`, as if what made the one of the other were the identity."""
    # Exactly `result`, since the bracket is 0; detached so that its gradient is that of the identity.
    return result.detach() + (values - values.detach())
