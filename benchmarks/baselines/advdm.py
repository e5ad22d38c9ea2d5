"""AdvDM: raise the denoising error of the pretrained model, one draw of t and noise a step.

    x <- clip(x + alpha * sign(grad of || noise_pred(z_t, t, c) - noise ||^2))

Source: Liang et al. 2023 (arXiv 2302.04578), algorithm 1: "a Monte-Carlo estimation of adversarial examples for DMs
by optimizing upon different latent variables sampled from the reverse process" (abstract). Step 1/16 of the budget
and 100 steps as in xavihart/Diff-Protect 59d7ca0 and in DiffAdvPerturbationBench; condition "a photo of a person".
"""

import torch
from torch import Tensor

from benchmarks.baselines.errors import denoising_loss
from benchmarks.baselines.pgd import LossOf, climb, publish, reaching
from benchmarks.world import World

STRIDE = 1 / 16


def objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return the denoising error under the class prompt."""
    del x
    return denoising_loss(world, world.unet, world.class_prompt, generator)


def protect(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Raise the denoising error."""
    loss_of, stride = objective(world, x, generator), reaching(STRIDE, steps)
    return publish(x, climb(x, loss_of, steps=steps, budget_levels=budget_levels, stride=stride), budget_levels)
