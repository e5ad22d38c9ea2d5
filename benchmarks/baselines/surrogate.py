"""Surrogates: the thief's DreamBooth, run for a few steps on copies of the denoiser.

In the demo world the thief (`benchmarks.thieves.DEMO`) takes far fewer and longer steps than those of the papers, 1000
at 5e-7. So that a surrogate goes as far towards the theft in one step as the papers' does, the rate of one of their
steps is the thief's, shortened by the ratio of the steps, and its batch 2 (there: one picture of the person and one of
the class). On a real checkpoint the thief's steps are those of the papers. Unlike the thief's, the loss has no prior
preservation and the text encoder stays frozen.
"""

import copy

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.utils import clip_grad_norm_

from benchmarks.baselines.errors import denoising_errors
from benchmarks.thieves import LARGEST_GRADIENT, MARKER, Thief, thieves_for
from benchmarks.world import World

PAPER_STEPS = 1000
STEP_BATCH = 2


def thief_of(world: World) -> Thief:
    """Return the thief that surrogates stand for."""
    return thieves_for(demo=world.demo, subject=world.subject)["DreamBooth"]


def step_rate(world: World) -> float:
    """Return the learning rate of one of the papers' steps."""
    thief = thief_of(world)
    return thief.learning_rate * thief.steps / PAPER_STEPS


def fine_tuned(
    world: World,
    unet: Module,
    x: Tensor,
    *,
    steps: int,
    rate: float,
    generator: torch.Generator,
    batch: int | None = None,
) -> Module:
    """Return a frozen copy of `unet` after some DreamBooth steps on pictures x in turn; `unet` stays as it is.

    `batch` is the thief's own if it is left out.
    """
    batch = batch or thief_of(world).batch
    net = copy.deepcopy(unet).requires_grad_(True).train()
    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-2)
    with torch.no_grad():
        z_0, condition = world.encode(x), world.condition([world.personal_prompt(MARKER)])
    for step in range(steps):
        chosen = (batch * step + torch.arange(batch)) % len(x)
        errors, t = denoising_errors(world, net, z_0[chosen], condition, generator)  # pyright: ignore
        loss = (world.emphasis(world.schedule.table[t].to(errors)) * errors).mean()
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
        optimizer.step()
    return net.eval().requires_grad_(False)
