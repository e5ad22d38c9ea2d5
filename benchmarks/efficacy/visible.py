"""Methods compared at equal visibility: a change is scaled until it has the wanted PSNR, or the wanted SSIM."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldu.budget import compose, to_levels, to_pixels
from ldu.metrics import psnr_db, ssim
from ldu.shapes import Levels

STRONGEST = 8.0  # times a method's own change


@dataclass(frozen=True)
class Scale:
    """What visibility is measured by.

    Args:
        measure: of originals and protected pictures; falls as the change grows.
        tolerance: by which it may be missed.
    """

    measure: Callable[[Levels, Levels], float]
    tolerance: float


SCALES = {"PSNR": Scale(psnr_db, 0.05), "SSIM": Scale(ssim, 0.001)}


def as_visible_as(
    x: Tensor, protected: Tensor, wanted: float, budget_levels: float, by: Scale = SCALES["PSNR"]
) -> Tensor:
    """Return the protected pictures with their change scaled to a PSNR or SSIM over the set, within the budget.

    The factor is found by bisection; a change so small that STRONGEST times it does not reach what is wanted stays
    fainter. Levels are rounded up or down at random, the same for every factor: a change of the same size everywhere
    would otherwise jump from one whole level to the next.
    """
    original, change = to_levels(x), to_levels(protected) - to_levels(x)
    dither = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    low, high = 0.0, STRONGEST
    while True:
        factor = (low + high) / 2
        found = compose(original, (factor * change + dither * (change != 0)).round(), budget_levels)
        excess = by.measure(original, found) - wanted
        if abs(excess) < by.tolerance or high - low < 1e-4:
            return to_pixels(found)
        low, high = (factor, high) if excess > 0 else (low, factor)
