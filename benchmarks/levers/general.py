"""A rho for everybody: trained on other people's photos, then applied to somebody it has never seen.

It is trained against the pretrained model under "a photo of a person": a token for each of them would cost more than
the training.
"""

import torch

from benchmarks.efficacy.ours import train_shift
from benchmarks.efficacy.subjects import drawn_people
from benchmarks.world import World
from ldu.budget import to_levels
from ldu.protect import prepare
from ldu.shift_unet import ShiftConfig, ShiftUNet, untrained_rho
from ldu.train import Surrogate, TrainConfig

FIRST = 20
"""Number of the first of them among the tuning people; those whom the table is about come before."""


def untrained(world: World) -> ShiftUNet:
    """Return a rho that is always the same."""
    return untrained_rho(ShiftConfig(world.unet.config["in_channels"])).to(world.device)


def train_on_others(world: World, rho: ShiftUNet, config: TrainConfig, count: int) -> None:
    """Train rho on one photo each of `count` people."""
    models = world.walk_models()
    with torch.no_grad():
        adversary = world.denoiser(world.condition([world.class_prompt]))
    surrogate = Surrogate(models.walker, models.autoencoder, models.schedule, models.resolution, adversary)
    people = drawn_people(count, use="tuning", first=FIRST, seen=0)
    photos = [to_levels(person.stolen[:1]).round().to(world.device) for person in people]
    subjects = [prepare(surrogate, photo, None, config) for photo in photos]
    train_shift(surrogate, subjects, rho, config)
