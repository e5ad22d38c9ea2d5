"""Small pictures for the report.

No original is among them: a page that shows one would give a thief what the protection is to keep from him. The map of
changes holds no signs, in one grey channel, so that it cannot be taken away from the protected picture again.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from ..budget import WHITE
from ..shapes import Levels

SIDE = 320  # pixels
PAPER, INK = np.array([248.0, 247.0, 243.0]), np.array([178.0, 34.0, 52.0])  # no change, the largest change


@dataclass(frozen=True)
class Thumbnails:
    """The protected picture, and where it differs from its original."""

    protected: Image.Image
    changes: Image.Image


def thumbnails(original: Levels, protected: Levels, full_scale: float, alpha: Tensor | None = None) -> Thumbnails:
    """Make both of one picture, (1, 3, h, w).

    Args:
        original: Whole levels.
        protected: Whole levels, same shape.
        full_scale: The change, in levels, that gets the full colour.
        alpha: uint8 (h, w), 0 where the picture is transparent; what is hidden there must not be seen on a page.
    """
    size = (protected - original).abs().amax(1)[0] / max(full_scale, 1.0)
    shares = size.clamp(0, 1).cpu().numpy()[..., None]
    changes = Image.fromarray((PAPER + shares * (INK - PAPER)).round().astype(np.uint8))
    return Thumbnails(shrink(_as_seen(to_pillow(protected), alpha), SIDE), shrink(changes, SIDE))


def _as_seen(picture: Image.Image, alpha: Tensor | None) -> Image.Image:
    """Lay a picture over paper where it is transparent."""
    if alpha is None:
        return picture
    paper = Image.new("RGB", picture.size, tuple(PAPER.astype(int).tolist()))
    return Image.composite(picture, paper, Image.fromarray(alpha.cpu().numpy()))


def to_pillow(levels: Tensor) -> Image.Image:
    """Turn levels (1, 3, h, w) into a picture."""
    return Image.fromarray(levels[0].movedim(0, -1).round().clamp(0, WHITE).byte().cpu().numpy())


def shrink(picture: Image.Image, side: int) -> Image.Image:
    """Fit a picture into a square, never enlarging it."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small
