"""All methods of the comparison by name: the field's, the controls, ours."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks import baselines
from benchmarks.baselines import Method
from benchmarks.baselines.cost import Cost, counted
from benchmarks.efficacy import contrasted, published, stronger
from benchmarks.efficacy.cells import FIELD, LONGER, TIMES
from benchmarks.efficacy.decoyed import Decoyed
from benchmarks.efficacy.general import TaughtByOthers
from benchmarks.efficacy.ours import Refined, Shift
from benchmarks.efficacy.targeted import Targeted
from benchmarks.world import World
from ldu.refine import RefineConfig

METHODS: dict[str, Method] = baselines.METHODS | {
    "ldu": Method(Shift(), 25),
    "ldu_forward": Method(TaughtByOthers(), 0),
    "ldu_protect": Method(Refined(), 25),
    "ldu_whole_budget": Method(Refined(config=RefineConfig(visibility=1)), 25),
    "ldu_no_contrast": Method(Refined(config=RefineConfig(flat=0.25, contrast=0)), 25),
    "ldu_refined": Method(Refined(config=RefineConfig(visibility=0, contrast=0)), 25),
    "ldu_pixels": Method(Refined(config=RefineConfig(refine_steps=100, visibility=0, contrast=0)), 0),
    "ldu_slope": Method(Refined(config=RefineConfig(refine_steps=100, visibility=0.4, flat=1, contrast=0)), 0),
    "ldu_contrast": Method(Refined(config=RefineConfig(refine_steps=40, draws=4)), 0),
    "ldu_decoy": Method(Decoyed(), 60),
    "ldu_target": Method(Targeted(), 60),
    "ldu_target_whole_budget": Method(Targeted(config=RefineConfig(visibility=1)), 60),
    "ldu_target_decoy": Method(Targeted(expected=True), 60),
    "ldu_target_word": Method(Targeted(away=True), 60),
    "ldu_published": Method(published.protect, 50),
    "z0_contrast_control": Method(contrasted.z0_contrast, 100),
    "sds_minus": Method(stronger.sds_minus, 100),
    "fsmg_dreambooth": Method(stronger.fsmg_dreambooth, 100, "a surrogate of 1000 steps, here 100"),
}

TUNED: dict[str, Method] = {name + LONGER: replace(METHODS[name], steps=TIMES * METHODS[name].steps) for name in FIELD}


@dataclass(frozen=True)
class Protected:
    """Protected pictures (n, 3, h, w), 8-bit, and what they cost."""

    x: Tensor
    cost: Cost


def protect(world: World, method: Method, x: Tensor, *, budget_levels: float, seed: int) -> Protected:
    """Protect pictures x (n, 3, h, w) of one person with a method's own number of steps."""
    with counted(world) as cost:
        generator = torch.Generator().manual_seed(seed)
        found = method.protect(world, x, budget_levels=budget_levels, steps=method.steps, generator=generator)
    return Protected(found, cost)
