"""MetaCloak, in outline: an ensemble of surrogates from different stages of a theft, behind random transformations.

    pool: the denoiser after 0, 1/5, ... 5/5 of a DreamBooth on the clean pictures
    for each trial, for each member f of the pool, TURNS times:
        x <- 6 gradient steps that raise the error of f on g(x)       g: blur, flip and crop, drawn anew for each
        f <- 2 more DreamBooth steps on the protected pictures
Every trial starts again from the members as they stand in the pool.

Source: Liu et al. 2024 (arXiv 2311.13127): a pool of surrogates, expectation over transformations and a loss that
maximises the denoising error. Checked against liuyixin-louis/MetaCloak 294c68e, attacks/algs/metacloak.py,
worker/robust_pgd_worker.py and script/: 4 trials, members every 200 of 1000 steps, turns of 6 + 2, a draw of g a step,
blur of 7 pixels and flips, step 1/10 of the budget, inner attack off; all as here. There a member has 100 turns, until
it has caught up with the next one (14,400 gradient steps on the pictures), here TURNS (288). Crops are ours.
"""

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import interpolate

from benchmarks.baselines.blur import gaussian_blur
from benchmarks.baselines.errors import denoising_loss
from benchmarks.baselines.pgd import LossOf, climb, publish, reaching
from benchmarks.baselines.surrogate import STEP_BATCH, fine_tuned, thief_of
from benchmarks.thieves import MARKER
from benchmarks.world import World

STRIDE = 1 / 10
MEMBERS, TURNS, PICTURE_STEPS, TRAIN_STEPS = 6, 2, 6, 2
BLUR_WIDTH, SMALLEST_CROP = 7, 0.85


def transformed(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return x blurred (sigma 0.1 to 2 pixels), cropped and resized, and flipped half of the time."""
    sigma, share, left, top, mirror = torch.rand(5, generator=generator).tolist()
    x = gaussian_blur(x, torch.full((len(x),), 0.1 + 1.9 * sigma), BLUR_WIDTH)
    height, width = x.shape[-2:]
    kept = SMALLEST_CROP + (1 - SMALLEST_CROP) * share
    h, w = round(kept * height), round(kept * width)
    first_row, first_column = int(top * (height - h + 1)), int(left * (width - w + 1))
    cut = x[..., first_row : first_row + h, first_column : first_column + w]
    x = interpolate(cut, size=(height, width), mode="bilinear", antialias=True)
    return x.flip(-1) if mirror < 0.5 else x


def robust_loss(world: World, unet: Module, generator: torch.Generator) -> LossOf:
    """Return the error of a surrogate on transformed pictures; each call draws the transformation."""
    loss_of = denoising_loss(world, unet, world.personal_prompt(MARKER), generator)
    return lambda pictures: loss_of(transformed(pictures, generator))


def objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return the robust error of the pretrained model."""
    del x
    return robust_loss(world, world.unet, generator)


def stages(world: World, x: Tensor, generator: torch.Generator) -> list[Module]:
    """Return the pool of surrogates, the pretrained model first."""
    pool: list[Module] = [world.unet]
    thief = thief_of(world)
    steps, rate = thief.steps // (MEMBERS - 1), thief.learning_rate
    for _ in range(MEMBERS - 1):
        pool.append(fine_tuned(world, pool[-1], x, steps=steps, rate=rate, generator=generator))
    return pool


def protect(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Raise the robust error of each member in turn, and let it adapt."""
    pool, pictures, stride = stages(world, x, generator), x, reaching(STRIDE, steps)
    unet, rate = pool[0], thief_of(world).learning_rate
    for turn, done in enumerate(range(0, steps, PICTURE_STEPS)):
        if turn % TURNS == 0:
            unet = pool[turn // TURNS % MEMBERS]
        loss_of, count = robust_loss(world, unet, generator), min(PICTURE_STEPS, steps - done)
        pictures = climb(x, loss_of, steps=count, budget_levels=budget_levels, stride=stride, start=pictures)
        if turn % TURNS < TURNS - 1:  # the last turn's training would be thrown away
            unet = fine_tuned(
                world, unet, pictures, steps=TRAIN_STEPS, rate=rate, batch=STEP_BATCH, generator=generator
            )
    return publish(x, pictures, budget_levels)
