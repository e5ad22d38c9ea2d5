"""All methods of the comparison by name: the field's, the controls, ours."""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks import baselines
from benchmarks.baselines import Method
from benchmarks.baselines.cost import Cost, counted
from benchmarks.efficacy import published
from benchmarks.efficacy.ours import Refined, Shift
from benchmarks.world import World
from ldu.budget import compose, to_levels, to_pixels
from ldu.metrics import psnr_db
from ldu.refine import RefineConfig

METHODS: dict[str, Method] = baselines.METHODS | {
    "ldu": Method(Shift(), 25),
    "ldu_protect": Method(Refined(), 25),
    "ldu_refined": Method(Refined(config=RefineConfig(visibility=0)), 25),
    "ldu_pixels": Method(Refined(config=RefineConfig(refine_steps=100, visibility=0)), 0),
    "ldu_slope": Method(Refined(config=RefineConfig(refine_steps=100, visibility=0.4, flat=1)), 0),
    "ldu_published": Method(published.protect, 50),
}
TOLERANCE = 0.05  # dB
STRONGEST = 8.0  # times a method's own change


@dataclass(frozen=True)
class Protected:
    """Protected pictures (n, 3, h, w), 8-bit, and what they cost."""

    x: Tensor
    cost: Cost


def protect(world: World, name: str, x: Tensor, *, budget_levels: float, seed: int) -> Protected:
    """Protect pictures x (n, 3, h, w) of one person with a method's own number of steps."""
    method = METHODS[name]
    with counted(world) as cost:
        generator = torch.Generator().manual_seed(seed)
        found = method.protect(world, x, budget_levels=budget_levels, steps=method.steps, generator=generator)
    return Protected(found, cost)


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
