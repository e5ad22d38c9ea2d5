"""SimAC: ASPL at the timesteps where a picture's gradient is large, with deep features pushed apart.

1. Timesteps, per picture and before the attack: of five drawn from those still allowed, the one of the smallest
   sum |grad of the error in x| loses its neighbourhood (20 to each side), and one gradient step is made at the one of
   the largest; until at most 100 are left.
2. ASPL's rounds with t drawn from those left and
       loss = error + || features(z_t) - features(z_t of the clean picture) ||^2
   the features being what the second convolutions of the decoder's last block give (its layers 9, 10 and 11).

Source: Wang et al. 2024 (arXiv 2312.07865): "lower time steps can give much more contributions to adversarial noises.
This inspires us to propose an adaptive greedy search for optimal time steps", "a sophisticated feature-based
optimization framework" (abstract). Checked against somuchtome/SimAC b0c69ad, attacks/time_feature.py: numbers as
there. There the feature term is added as `.detach().item()` and so has no gradient; here it has, as in the paper.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Module

from benchmarks.baselines.anti_dreambooth import STRIDE, alternate, aspl_objective
from benchmarks.baselines.errors import noised, predict_noise
from benchmarks.baselines.pgd import LossOf, within
from benchmarks.thieves import MARKER
from benchmarks.world import LEVEL, World, draw_noise

TRIES, NEIGHBOURHOOD, KEPT, ROUNDS = 5, 20, 100, 50
FEATURE_WEIGHT = 1.0

objective = aspl_objective


def protect(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Choose the timesteps, then alternate as ASPL does."""
    allowed = choose_timesteps(world, x, budget_levels=budget_levels, generator=generator)

    def of_surrogate(unet: Module) -> LossOf:
        return interference(world, unet, x, allowed, generator)

    return alternate(world, x, of_surrogate, budget_levels=budget_levels, steps=steps, generator=generator)


def choose_timesteps(world: World, x: Tensor, *, budget_levels: float, generator: torch.Generator) -> Tensor:
    """Return which timesteps each picture keeps, (n, 1000) booleans."""
    count = world.schedule.train_timesteps
    allowed = torch.ones(len(x), count, dtype=torch.bool)
    condition, pictures, limit = world.condition([world.personal_prompt(MARKER)]).detach(), x, budget_levels * LEVEL
    for _ in range(ROUNDS):
        if not (crowded := allowed.sum(1) > KEPT).any():
            break
        tried = torch.stack([_pick(allowed, generator) for _ in range(TRIES)])
        scores = torch.stack([_slope(world, pictures, t, condition, generator).abs().sum((1, 2, 3)) for t in tried])
        worst, best = (tried.gather(0, place[None])[0] for place in (scores.argmin(0), scores.argmax(0)))
        near = (
            torch.arange(len(world.alpha_bar))
            - worst.clamp(NEIGHBOURHOOD, len(world.alpha_bar) - NEIGHBOURHOOD)[:, None]
        ).abs()
        allowed &= ~((near <= NEIGHBOURHOOD) & crowded[:, None])
        step = STRIDE * limit * _slope(world, pictures, best, condition, generator).sign()
        pictures = within(x, pictures + step - x, limit)
    return allowed


def _pick(allowed: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(allowed.float(), 1, generator=generator)[:, 0]


def _slope(world: World, x: Tensor, t: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
    """Return each picture's own gradient of its error at its timestep."""
    x = x.detach().requires_grad_()  # a fresh leaf: the slope is taken here alone
    z_0 = world.encode(x)
    noise = draw_noise(z_0, generator)
    error = (
        (predict_noise(world, world.unet, noised(world, z_0, t, noise), t, condition) - noise).square().mean((1, 2, 3))
    )
    return torch.autograd.grad(error.sum(), x)[0]


def interference(world: World, unet: Module, x: Tensor, allowed: Tensor, generator: torch.Generator) -> LossOf:
    """Return error and feature distance of a surrogate; each call draws t of those allowed, and noise."""
    condition = world.condition([world.personal_prompt(MARKER)]).detach()  # a constant
    with torch.no_grad():
        clean = world.encode(x)

    def loss_of(pictures: Tensor) -> Tensor:
        t, noise = _pick(allowed, generator), draw_noise(clean, generator)
        with torch.no_grad(), recorded(unet) as wanted:
            predict_noise(world, unet, noised(world, clean, t, noise), t, condition)
        with recorded(unet) as found:
            noise_pred = predict_noise(world, unet, noised(world, world.encode(pictures), t, noise), t, condition)
        apart = torch.stack([(a - b).float().square().mean() for a, b in zip(found, wanted, strict=True)]).mean()
        return (noise_pred - noise).square().mean() + FEATURE_WEIGHT * apart

    return loss_of


@contextmanager
def recorded(unet: Module) -> Iterator[list[Tensor]]:
    """Collect what the second convolutions of the decoder's last block give inside the block."""
    features: list[Tensor] = []
    layers = [resnet.conv2 for resnet in unet.up_blocks[-1].resnets]  # pyright: ignore
    handles = [layer.register_forward_hook(lambda _net, _inputs, output: features.append(output)) for layer in layers]
    try:
        yield features
    finally:
        for handle in handles:
            handle.remove()
