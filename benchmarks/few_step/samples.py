"""Does the sibling work: pictures drawn from noise in few steps, by the base and by the sibling.

All rows draw the same captions from the same noise, without guidance. Per row:
    from the end    ||z - z_0|| / ||z_0||, z_0 where the base's ODE ends in FINE steps: 0 = the same picture
    Fréchet, base   distance of `Judge` to as many pictures of the base in FINE steps from other noise
    Fréchet, real   the same to renders of other people under the same captions' distribution
    no face         share in which the detector finds no portrait
"DDIM" is the walk's own step; "LCM" puts fresh noise on each estimate, as a consistency model's sampler does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from diffusers import LCMScheduler
from torch import Tensor

from benchmarks.efficacy.measures import Judge
from benchmarks.few_step.pair import Pair
from benchmarks.inversion import relative
from benchmarks.table import with_interval
from benchmarks.world import World
from demo.architecture import SCHEDULE
from demo.captions import describe
from demo.dataset import HELD_OUT
from demo.people import sample_identity, sample_nuisance
from demo.portraits import photograph
from demo.train_identity import to_batch
from ldu.shapes import Latent
from ldu.trajectory import denoise

FIRST_PERSON = HELD_OUT + 1200
FINE = 25
K_STEPS = (1, 2, 4, 8)
HEAD = ("model", "sampler", "steps", "from the end", "Fréchet, base", "Fréchet, real", "no face")


@dataclass(frozen=True)
class Drawn:
    """Pictures of one row.

    Args:
        model, sampler, steps: what drew them.
        z: latents (n, 4, h, w).
        x: the decoded pictures (n, 3, H, W).
    """

    model: str
    sampler: str
    steps: int
    z: Latent
    x: Tensor = field(repr=False)


def captions(count: int, first: int = FIRST_PERSON) -> list[str]:
    """Return captions of portraits that no training has seen."""
    seeds = range(first, first + count)
    return [describe(sample_identity(s), sample_nuisance(s), np.random.default_rng(s)) for s in seeds]


def renders(count: int, first: int = FIRST_PERSON + 500) -> Tensor:
    """Return portraits of people whom no training has seen, (n, 3, 128, 128)."""
    seeds = range(first, first + count)
    return to_batch(np.stack([photograph(sample_identity(seed), sample_nuisance(seed)) for seed in seeds]))


def draw_noise(world: World, count: int, *, generator: torch.Generator) -> Latent:
    """Return z_T of unit variance."""
    side = world.resolution // 8
    return torch.randn(count, 4, side, side, generator=generator)


def draw_ddim(world: World, z_T: Latent, condition: Tensor, steps: int) -> Latent:
    """Walk noise down in few steps of the walk, full depth."""
    return denoise(world.denoiser(condition), z_T, world.schedule, world.schedule.grid(steps))


def draw_lcm(world: World, z_T: Latent, condition: Tensor, steps: int, *, generator: torch.Generator) -> Latent:
    """Draw as a consistency model does: estimate the end, put fresh noise on it, estimate again.

    Source: Luo et al. 2023, algorithm 3.
    """
    sampler, z = LCMScheduler(**SCHEDULE), z_T
    sampler.set_timesteps(steps)
    for t in sampler.timesteps:
        noise_pred = world.unet(z, t, condition).sample
        z = sampler.step(noise_pred, int(t), z, generator=generator, return_dict=False)[0]
    return z


def draw_all(pair: Pair, z_T: Latent, condition: Tensor) -> Iterator[Drawn]:
    """Draw by both models with both samplers; the base's end first."""
    settings = [("base", "DDIM", FINE), *((m, "DDIM", k) for m in ("base", "sibling") for k in K_STEPS)]
    settings += [("sibling", "LCM", k) for k in K_STEPS if k > 1]
    for model, sampler, steps in settings:
        world: World = getattr(pair, model)
        if sampler == "DDIM":
            z = draw_ddim(world, z_T, condition, steps)
        else:
            z = draw_lcm(world, z_T, condition, steps, generator=torch.Generator().manual_seed(2))
        yield Drawn(model, sampler, steps, z, world.decode(z))


def rows(drawn: list[Drawn], other: Tensor, real: Tensor, judge: Judge) -> Iterator[tuple[object, ...]]:
    """Judge each set against the first one's latents, the base's `other` pictures and `real` ones."""
    for one in drawn:
        seen = [f"{judge.frechet(one.x, like):.0f}" for like in (other, real)]
        no_face = 1 - judge.faces(one.x).float().mean().item()
        end = drawn[0].z
        distance = with_interval(relative(one.z - end, end)) if one is not drawn[0] else "0"
        yield one.model, one.sampler, one.steps, distance, *seen, f"{no_face:.0%}"
    floor = (f"{judge.frechet(other, real):.0f}", f"{1 - judge.faces(other).float().mean().item():.0%}")
    yield "base, other noise", "DDIM", FINE, "", "0", *floor
    yield "real portraits", "", "", "", f"{judge.frechet(real, other):.0f}", "0", ""


def study(pair: Pair, count: int) -> tuple[list[Drawn], Tensor]:
    """Return all rows' pictures and the base's from other noise."""
    generator = torch.Generator().manual_seed(1)
    condition = pair.base.condition(captions(count))
    drawn = list(draw_all(pair, draw_noise(pair.base, count, generator=generator), condition))
    z = draw_ddim(pair.base, draw_noise(pair.base, count, generator=generator), condition, FINE)
    return drawn, pair.base.decode(z)
