"""PhotoGuard: make the picture look grey to the encoder, or make the result of an edit grey.

    encoder attack     min || E(x + delta) - z_targ ||^2        z_targ: the latent of a grey picture
    diffusion attack   min || f(x + delta) - x_targ ||^2        f: the whole edit, x_targ: grey
both over || delta ||_inf <= budget. The edit here is SDEdit: noise to STRENGTH, EDIT_STEPS steps of DDIM with the
empty prompt, decode; its noise is drawn afresh for every gradient.

Source: Salman et al. 2023 (arXiv 2302.06588), equations 4 and 5 and table 9 (16/255, step 2/255, 200 steps, both
attacks; "we backpropagate through only a few steps of the diffusion process"). Checked against MadryLab/photoguard
686bea7: its encoder attack starts at a random point of the box and lets the step fall to a hundredth (as here); its
diffusion attack uses 4 steps of inpainting, an L2 ball and the mean of ten gradients a step (here: L-infinity as in
the paper, one gradient a step).
"""

import torch
from torch import Tensor

from benchmarks.baselines.errors import noised, predict_noise
from benchmarks.baselines.pgd import LossOf, climb, publish, random_start, reaching
from benchmarks.world import World, draw_noise

STRIDE = 2 / 16
EDIT_STEPS = 4
STRENGTH = 0.7


def encoder_objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return minus the mean squared distance to the latent of a grey picture."""
    del generator
    with torch.no_grad():
        grey = world.encode(torch.zeros_like(x[:1]))

    def loss_of(pictures: Tensor) -> Tensor:
        return -(world.encode(pictures) - grey).float().square().mean()

    return loss_of


def edit(world: World, x: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
    """Return x after SDEdit with a few differentiable DDIM steps, [-1, 1]."""
    z_0 = world.encode(x).float()
    times = [round(STRENGTH * len(world.alpha_bar) * (EDIT_STEPS - i) / EDIT_STEPS) - 1 for i in range(EDIT_STEPS)]
    z = noised(world, z_0, torch.tensor(times[:1]).expand(len(x)), draw_noise(z_0, generator))
    for t, alpha_bar in zip(times, [*world.alpha_bar[times[1:]], torch.tensor(1.0)], strict=True):
        noise_pred = predict_noise(world, world.unet, z, torch.tensor([t]).expand(len(x)), condition)
        estimate = (z - (1 - world.alpha_bar[t]).sqrt() * noise_pred) / world.alpha_bar[t].sqrt()
        z = alpha_bar.sqrt() * estimate + (1 - alpha_bar).sqrt() * noise_pred
    return world.decode(z)


def diffusion_objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return minus the mean squared distance of the edited picture to grey."""
    del x
    condition = world.condition([""]).detach()  # a constant

    def loss_of(pictures: Tensor) -> Tensor:
        return -edit(world, pictures, condition, generator).float().square().mean()

    return loss_of


def encoder_attack(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Pull the latent to that of a grey picture."""
    start, loss_of = random_start(x, budget_levels, generator), encoder_objective(world, x, generator)
    stride = reaching(STRIDE, steps)
    found = climb(x, loss_of, steps=steps, budget_levels=budget_levels, stride=stride, start=start, decay=True)
    return publish(x, found, budget_levels)


def diffusion_attack(
    world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator
) -> Tensor:
    """Pull the edited picture to grey, through encoder, denoiser and decoder."""
    loss_of, stride = diffusion_objective(world, x, generator), reaching(STRIDE, steps)
    return publish(x, climb(x, loss_of, steps=steps, budget_levels=budget_levels, stride=stride), budget_levels)
