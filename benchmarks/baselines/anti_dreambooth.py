"""Anti-DreamBooth: raise the denoising error under the thief's prompt, in the eyes of a surrogate thief.

    FSMG   the surrogate is a DreamBooth trained on clean pictures of the person to the end
    ASPL   surrogate and picture in turns; each round, with f the pretrained model at first:
               f' <- a copy of f, 3 training steps on the clean pictures
               x  <- 6 gradient steps that raise the error of f'
               f  <- 3 training steps on the protected pictures

Source: Van Le et al. 2023 (arXiv 2303.15433), "Fully-trained Surrogate Model Guidance" and "Alternating Surrogate and
Perturbation Learning". Checked against VinAIResearch/Anti-DreamBooth, scripts/attack_with_fsmg.sh (100 steps) and
attack_with_aspl.sh (50 rounds of 3 + 6 + 3; both 5e-3 in a budget of 5e-2) and attacks/aspl.py 039aab9.
Here: the clean pictures that the surrogate learns are x itself (there: four others of the same person); `surrogate`
says how the training was scaled. Steps are gradient steps on the pictures: 300 for ASPL's 50 rounds.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import Module

from benchmarks.baselines.errors import denoising_loss
from benchmarks.baselines.pgd import LossOf, climb, publish, reaching
from benchmarks.baselines.surrogate import STEP_BATCH, fine_tuned, step_rate, thief_of
from benchmarks.thieves import MARKER
from benchmarks.world import World

STRIDE = 5e-3 / 5e-2
TRAIN_STEPS, PICTURE_STEPS = 3, 6

Objective = Callable[[Module], LossOf]
"""What is to rise in the eyes of a surrogate."""


def fsmg_objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return the denoising error of a fully trained surrogate; trains it."""
    thief = thief_of(world)
    unet = fine_tuned(world, world.unet, x, steps=thief.steps, rate=thief.learning_rate, generator=generator)
    return denoising_loss(world, unet, world.personal_prompt(MARKER), generator)


def fsmg(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Raise the error of a DreamBooth of the clean pictures."""
    loss_of, stride = fsmg_objective(world, x, generator), reaching(STRIDE, steps)
    return publish(x, climb(x, loss_of, steps=steps, budget_levels=budget_levels, stride=stride), budget_levels)


def aspl_objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return the denoising error under the thief's prompt, of the pretrained model."""
    del x
    return denoising_loss(world, world.unet, world.personal_prompt(MARKER), generator)


def aspl(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Train the surrogate and raise its error in turns."""

    def objective(unet: Module) -> LossOf:
        return denoising_loss(world, unet, world.personal_prompt(MARKER), generator)

    return alternate(world, x, objective, budget_levels=budget_levels, steps=steps, generator=generator)


def alternate(
    world: World, x: Tensor, objective: Objective, *, budget_levels: float, steps: int, generator: torch.Generator
) -> Tensor:
    """Return the pictures after ASPL's rounds with any objective of the surrogate."""
    unet, pictures, stride, rate = world.unet, x, reaching(STRIDE, steps), step_rate(world)

    def trained(start: Module, seen: Tensor) -> Module:
        return fine_tuned(world, start, seen, steps=TRAIN_STEPS, rate=rate, batch=STEP_BATCH, generator=generator)

    for done in range(0, steps, PICTURE_STEPS):
        count = min(PICTURE_STEPS, steps - done)
        loss_of = objective(trained(unet, x))  # pyright: ignore
        pictures = climb(x, loss_of, steps=count, budget_levels=budget_levels, stride=stride, start=pictures)
        unet = trained(unet, pictures)  # pyright: ignore
    return publish(x, pictures, budget_levels)
