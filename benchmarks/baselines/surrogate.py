"""Surrogates: the thief's DreamBooth, run for a few steps on copies of the denoiser.

The thief here (`benchmarks.thieves.DEMO`) takes far fewer and longer steps than those of the papers, 1000 at 5e-7. So
that a surrogate goes as far towards the theft in one step as the papers' does, the rate of one of their steps is the
thief's, shortened by the ratio of the steps, and its batch 2 (there: one picture of the person and one of the class).
Unlike the thief's, the loss has no prior preservation and the text encoder stays frozen.
"""

import copy

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.utils import clip_grad_norm_

from benchmarks.baselines.errors import PROMPT, denoising_errors
from benchmarks.thieves import DEMO, LARGEST_GRADIENT
from benchmarks.world import World

THIEF = DEMO["DreamBooth"]
PAPER_STEPS = 1000
STEP_RATE = THIEF.learning_rate * THIEF.steps / PAPER_STEPS
STEP_BATCH = 2


def fine_tuned(
    world: World,
    unet: Module,
    x: Tensor,
    *,
    steps: int,
    rate: float,
    generator: torch.Generator,
    batch: int = THIEF.batch,
) -> Module:
    """Return a frozen copy of `unet` after some DreamBooth steps on pictures x in turn; `unet` stays as it is."""
    net = copy.deepcopy(unet).requires_grad_(True).train()
    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-2)
    with torch.no_grad():
        z_0, condition = world.encode(x), world.condition([PROMPT])
    for step in range(steps):
        chosen = (batch * step + torch.arange(batch)) % len(x)
        errors, t = denoising_errors(world, net, z_0[chosen], condition, generator)  # pyright: ignore
        loss = (world.emphasis(world.schedule.table[t].to(errors)) * errors).mean()
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
        optimizer.step()
    return net.eval().requires_grad_(False)
