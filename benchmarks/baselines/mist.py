"""Mist: AdvDM's error and a targeted encoder attack in one loss (the "fused" mode).

    max  w * || noise_pred(z_t, t, c) - noise ||^2 - || E(x + delta) - E(y) ||^2      y: the target picture
The first term is called semantic, the second textural.

Source: Liang & Wu 2023 (arXiv 2305.12683), section 3. Checked against the "mist" mode of xavihart/Diff-Protect 59d7ca0:
rate 1e4 for the mean denoising error beside the distance summed over 4 x 64 x 64 latent values, hence WEIGHT beside
their mean; random start, step 1/16 of the budget, 100 steps.
"""

import torch
from torch import Tensor

from benchmarks.baselines.errors import denoising_errors
from benchmarks.baselines.pgd import LossOf, climb, publish, random_start, reaching
from benchmarks.baselines.target import target_picture
from benchmarks.world import World

STRIDE = 1 / 16
WEIGHT = 1e4 / (4 * 64 * 64)


def objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return the fused loss."""
    condition = world.condition([world.class_prompt]).detach()  # a constant
    with torch.no_grad():
        target = world.encode(target_picture(x))

    def loss_of(pictures: Tensor) -> Tensor:
        z = world.encode(pictures)
        semantic = denoising_errors(world, world.unet, z, condition, generator)[0].mean()
        return WEIGHT * semantic - (z - target).float().square().mean()

    return loss_of


def protect(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Raise the denoising error while the latent moves to the target's."""
    start, loss_of = random_start(x, budget_levels, generator), objective(world, x, generator)
    stride = reaching(STRIDE, steps)
    return publish(
        x, climb(x, loss_of, steps=steps, budget_levels=budget_levels, stride=stride, start=start), budget_levels
    )
