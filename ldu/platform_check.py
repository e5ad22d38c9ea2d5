"""What is left of a protection after a platform has put the upload through its own hands.

With P the platform (fit to its longest side, JPEG 80), x the original and x' the protected picture,
    d = x' - x        share = <P(x') - P(x), d> / <d, d>
is the part of the change that is still there: what JPEG does to both pictures alike cancels, and what it adds at
random is at right angles to d.
"""

from dataclasses import dataclass

import torch

from .attacks.purify.image import Platform
from .budget import to_levels, to_pixels
from .metrics import max_abs_levels
from .shapes import Levels

LONGEST = 2048  # pixels


@dataclass(frozen=True)
class AfterPlatform:
    """What a platform leaves.

    Attributes:
        share: Of the change, 1 is all; None if nothing was changed.
        max_abs_levels: How far the platform's file is from the original, in levels.
    """

    share: float | None
    max_abs_levels: int

    def __str__(self) -> str:
        """Say it in one sentence."""
        what = f"After an upload (fitted to {LONGEST} pixels, JPEG 80)"
        far = f"the picture is up to {self.max_abs_levels} of 255 levels from the original"
        if self.share is None:
            return f"{what} {far}; nothing had been changed."
        return f"{what} {self.share:.0%} of the change is left and {far}."


def after_platform(original: Levels, protected: Levels) -> AfterPlatform:
    """Put both pictures through a platform and measure what is left of their difference.

    Args:
        original: Whole levels, one picture.
        protected: Of the same size.
    """
    before, after = (_uploaded(levels) for levels in (original, protected))
    change = (protected - original).double()
    power = change.square().sum().item()
    share = ((after - before).double() * change).sum().item() / power if power else None
    return AfterPlatform(share, max_abs_levels(original, after))


def _uploaded(levels: Levels) -> Levels:
    uploaded = Platform(LONGEST)(to_pixels(levels), generator=torch.Generator())
    return to_levels(uploaded).round()
