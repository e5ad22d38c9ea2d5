"""Two of the field's methods as somebody would have them who doubts that they were given their best.

    sds_minus         SDS descending: x <- clip(x - alpha * sign((dE/dx)^T (noise_pred - noise))), as its authors'
                      code has it (d2413cb, configs/attack/base.yaml; `benchmarks.baselines.sds` ascends)
    fsmg_dreambooth   FSMG whose surrogate is a whole DreamBooth, text encoder and prior preservation included, with
                      the thief's own steps and rate (`benchmarks.baselines.surrogate` leaves both out)

Source: Xue et al. 2024 (arXiv 2311.12832), SDS(-); Van Le et al. 2023 (arXiv 2303.15433), "Fully-trained Surrogate
Model Guidance".
"""

from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.baselines import anti_dreambooth, sds
from benchmarks.baselines.errors import denoising_loss
from benchmarks.baselines.pgd import climb, publish, reaching
from benchmarks.baselines.surrogate import thief_of
from benchmarks.thieves import MARKER, dreambooth, prior_pictures
from benchmarks.world import World

PRIOR_PICTURES = 16


def sds_minus(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Go down the distilled gradient."""
    rising = sds.distilled(world, generator)
    stride = reaching(sds.STRIDE, steps)
    found = climb(x, lambda given: -rising(given), steps=steps, budget_levels=budget_levels, stride=stride)
    return publish(x, found, budget_levels)


def fsmg_dreambooth(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Raise the error of a whole DreamBooth of the clean pictures."""
    thief = replace(thief_of(world), prompt=world.personal_prompt("S*"))
    prior = prior_pictures(world, thief, PRIOR_PICTURES, generator=generator)
    theirs = dreambooth(world, x, prior, thief, generator=generator)
    loss_of = denoising_loss(theirs, theirs.unet, world.personal_prompt(MARKER), generator)
    stride = reaching(anti_dreambooth.STRIDE, steps)
    return publish(x, climb(x, loss_of, steps=steps, budget_levels=budget_levels, stride=stride), budget_levels)
