"""All methods of the comparison by name: the field's, the controls, ours."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks import baselines
from benchmarks.baselines import Method
from benchmarks.baselines.cost import Cost, counted
from benchmarks.efficacy import published
from benchmarks.efficacy.ours import Refined, Shift
from benchmarks.world import World
from ldu.refine import RefineConfig

NO_CONTRAST = RefineConfig(contrast=0, refine_steps=60, draws=2)
"""Without a contrast two draws a step do: the slope is one of a large part that all of them share."""

METHODS: dict[str, Method] = baselines.METHODS | {
    "ldu": Method(Shift(), 25),
    "ldu_protect": Method(Refined(), 25),
    "ldu_few_draws": Method(Refined(config=RefineConfig(refine_steps=60, draws=2)), 25),
    "ldu_no_contrast": Method(Refined(config=replace(NO_CONTRAST, flat=0.25)), 25),
    "ldu_refined": Method(Refined(config=replace(NO_CONTRAST, visibility=0)), 25),
    "ldu_pixels": Method(Refined(config=replace(NO_CONTRAST, refine_steps=100, visibility=0)), 0),
    "ldu_slope": Method(Refined(config=replace(NO_CONTRAST, refine_steps=100, visibility=0.4, flat=1)), 0),
    "ldu_published": Method(published.protect, 50),
}


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
