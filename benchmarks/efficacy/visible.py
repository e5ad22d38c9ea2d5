"""Methods compared at equal visibility: a change is scaled until it has the wanted PSNR."""

import torch
from torch import Tensor

from ldu.budget import compose, to_levels, to_pixels
from ldu.metrics import psnr_db

TOLERANCE = 0.05  # dB
STRONGEST = 8.0  # times a method's own change


def as_visible_as(x: Tensor, protected: Tensor, wanted_db: float, budget_levels: float) -> Tensor:
    """Return the protected pictures with their change scaled to a PSNR over the set, within the budget.

    The factor is found by bisection; a change so small that STRONGEST times it does not reach the PSNR stays above it.
    Levels are rounded up or down at random, the same for every factor: a change of the same size everywhere would
    otherwise jump from one whole level to the next.
    """
    original, change = to_levels(x), to_levels(protected) - to_levels(x)
    dither = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    low, high = 0.0, STRONGEST
    while True:
        factor = (low + high) / 2
        found = compose(original, (factor * change + dither * (change != 0)).round(), budget_levels)
        excess = psnr_db(original, found) - wanted_db
        if abs(excess) < TOLERANCE or high - low < 1e-4:
            return to_pixels(found)
        low, high = (factor, high) if excess > 0 else (low, factor)
