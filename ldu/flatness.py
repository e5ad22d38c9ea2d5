"""Flat areas of a picture, where the eye finds a change first: sky, paper, skin without texture, line art.

A pixel is flat if the standard deviation of brightness in the 7 x 7 window around it is below 2 levels, which is less
than the grain of a photograph.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from .errors import MismatchError
from .shapes import Levels, Mask

WINDOW = 7  # pixels
GRAIN = 2.0  # levels
LARGE_SHARE = 0.2  # of the picture, from which a hint is due
SEEN = 1.0  # levels of mean change in flat areas, from which a hint is due


@dataclass(frozen=True)
class FlatChange:
    """How much the flat areas of a picture were changed.

    Attributes:
        share: Share of the picture, 0..1, that is flat.
        mean_abs_levels: Mean change of a value there, levels; 0 if nothing is flat.
        max_abs_levels: Largest change of a value there, whole levels.
    """

    share: float
    mean_abs_levels: float
    max_abs_levels: int

    @property
    def notable(self) -> bool:
        """Whether the change is likely to be seen."""
        return self.share >= LARGE_SHARE and self.mean_abs_levels >= SEEN

    def __str__(self) -> str:
        """Say it in one sentence, with a hint if the change is likely to be seen; nothing if hardly any is flat."""
        if self.share < 0.01:
            return ""
        said = (
            f"Flat areas ({self.share:.0%} of the picture): mean change {self.mean_abs_levels:.2f}, "
            f"largest {self.max_abs_levels} levels."
        )
        if not self.notable:
            return said
        return (
            f"{said} The change may be seen there: lower the budget or visibility, or leave them out with a mask; "
            "less change protects less."
        )


def flat_areas(levels: Levels) -> Tensor:
    """Return where pictures are flat, bool (batch, 1, height, width)."""
    brightness = levels.float().mean(dim=1, keepdim=True)
    padded = functional.pad(brightness, [WINDOW // 2] * 4, mode="replicate")
    mean = functional.avg_pool2d(padded, WINDOW, stride=1)
    square = functional.avg_pool2d((padded - 128).square(), WINDOW, stride=1)  # about the middle: fewer digits lost
    return square - (mean - 128).square() < GRAIN**2


def measure_flat(original: Levels, protected: Levels) -> FlatChange:
    """Measure the change in the flat areas of one original.

    Raises:
        MismatchError: if the shapes differ.
    """
    if original.shape != protected.shape:
        raise MismatchError(f"Only pictures of one size can be compared, got {original.shape} and {protected.shape}.")
    flat = flat_areas(original).expand_as(original)
    change = (protected.float() - original.float()).abs()[flat]
    if not change.numel():
        return FlatChange(0.0, 0.0, 0)
    return FlatChange(change.numel() / original.numel(), change.mean().item(), round(change.max().item()))


def hint(original: Levels, budget_levels: float, training_side: int, mask: Mask | None = None) -> str:
    """Say that the budget will show in this picture; nothing if it need not.

    Args:
        original: One picture, (1, 3, h, w).
        budget_levels: Largest change of a value.
        training_side: Short side in pixels that the model was trained at.
        mask: Where it is to be protected, of the same size; everywhere if None.
    """
    return " ".join(filter(None, (_say_flat(original, budget_levels, mask), say_small(original, training_side))))


def say_small(original: Levels, training_side: int) -> str:
    """Say that a picture is small beside what the model was trained at; nothing if it is not."""
    height, width = original.shape[-2:]
    if min(height, width) >= training_side / 2:
        return ""
    return (
        f"The picture is small ({width} x {height} pixels beside the model's {training_side}): "
        "protect a larger version if there is one."
    )


def _say_flat(original: Levels, budget_levels: float, mask: Mask | None) -> str:
    if budget_levels <= 4:
        return ""
    flat = flat_areas(original).float()
    share = (flat if mask is None else flat * mask).mean().item()
    if share < LARGE_SHARE:
        return ""
    return (
        f"{share:.0%} of the picture is flat, where {budget_levels:g} levels may be seen: "
        "a budget of 4 or a mask keeps it clean, but protects less."
    )
