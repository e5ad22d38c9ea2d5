"""ACE: make the predicted noise the same fixed pattern at every timestep, so that a thief learns one bias.

    min || noise_pred(z_t, t, c) - E(y) ||^2 over t and noise         y: the target picture

Source: Zheng et al. 2023 (arXiv 2310.04687v3): "ACE unifies the pattern of the extra error added to the predicted
score function. This induces the finetuned LDM to learn the same pattern as a bias" (abstract). Checked against mode
"lunet" of psyker-team/mist-v2 0984ba3: loss = - mse(noise_pred, E(y)), 5 x 50 steps of 5e-3 in a budget of 8/255, both
in [-1, 1]. Left out: one LoRA epoch before each fifty.
"""

import torch
from torch import Tensor

from benchmarks.baselines.errors import draw, noised, predict_noise
from benchmarks.baselines.pgd import LossOf, climb, publish, reaching
from benchmarks.baselines.target import target_picture
from benchmarks.thieves import MARKER
from benchmarks.world import World

STRIDE = 5e-3 / (8 / 255)


def objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return minus the distance of noise_pred to the target's latent."""
    condition = world.condition([world.personal_prompt(MARKER)]).detach()  # a constant
    with torch.no_grad():
        target = world.encode(target_picture(x)).float()

    def loss_of(pictures: Tensor) -> Tensor:
        z_0 = world.encode(pictures)
        t, noise = draw(world, z_0, generator)
        return -(predict_noise(world, world.unet, noised(world, z_0, t, noise), t, condition) - target).square().mean()

    return loss_of


def protect(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Pull the predicted noise to the target's latent."""
    loss_of, stride = objective(world, x, generator), reaching(STRIDE, steps)
    return publish(x, climb(x, loss_of, steps=steps, budget_levels=budget_levels, stride=stride), budget_levels)
