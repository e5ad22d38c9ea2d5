"""SDS: AdvDM without a backward pass through the denoiser.

    grad of the error in x  ~  (dE/dx)^T (noise_pred(z_t, t, c) - noise)
The denoiser's Jacobian is taken as the identity; only the encoder is differentiated.

Source: Xue et al. 2024 (arXiv 2311.12832), score distillation as the gradient, the ascending variant SDS(+). Checked
against `pgd_sds` of xavihart/Diff-Protect d2413cb: no weight in t, start at x, step 1/16 of the budget, 100 steps,
no target.
"""

import torch
from torch import Tensor

from benchmarks.baselines.errors import denoising_loss, draw, noised, predict_noise
from benchmarks.baselines.pgd import LossOf, climb, publish, reaching
from benchmarks.world import World

STRIDE = 1 / 16


def objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return what the distilled gradient stands for: the denoising error under the class prompt."""
    del x
    return denoising_loss(world, world.unet, world.class_prompt, generator)


def distilled(world: World, generator: torch.Generator) -> LossOf:
    """Return a number without meaning whose gradient in the pictures is (dE/dx)^T (noise_pred - noise)."""
    condition = world.condition([world.class_prompt]).detach()  # a constant

    def loss_of(pictures: Tensor) -> Tensor:
        z_0 = world.encode(pictures)
        with torch.no_grad():
            t, noise = draw(world, z_0, generator)
            error = predict_noise(world, world.unet, noised(world, z_0, t, noise), t, condition) - noise
        return (z_0 * error).sum()

    return loss_of


def protect(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Follow the distilled gradient."""
    loss_of, stride = distilled(world, generator), reaching(STRIDE, steps)
    return publish(x, climb(x, loss_of, steps=steps, budget_levels=budget_levels, stride=stride), budget_levels)
