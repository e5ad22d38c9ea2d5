"""A rho for everybody: trained on other people's photos, then applied to pictures that it has never seen.

It is trained against the pretrained model under "a photo of a person": a token for each of them would cost more than
the training. A picture then costs what the node "Apply ρ" costs: 2k + 1 evaluations, one encode and two decodes.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.baselines.cost import Cost, counted
from benchmarks.efficacy.ours import train_shift
from benchmarks.efficacy.subjects import drawn_people
from benchmarks.world import World
from ldu.budget import to_levels, to_pixels
from ldu.errors import BadFileError
from ldu.protect import WalkConfig, prepare, protect
from ldu.shift_unet import ShiftConfig, ShiftUNet, untrained_rho
from ldu.train import Surrogate, TrainConfig
from ldu.whole_file import written_whole

FIRST = 20
"""Number of the first of them among the tuning people; those whom the levers' table is about come before."""


@dataclass(frozen=True)
class TaughtByOthers:
    """A rho that other people taught, as a method of the bench.

    Args:
        others: people that it is trained on, a photo of each.
        train_steps: of its training.
        rho: once it is trained; None = each call trains one.
        once: what its training cost.
    """

    others: int = 64
    train_steps: int = 600
    rho: ShiftUNet | None = None
    once: Cost = field(default_factory=Cost)

    def __call__(
        self, world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator
    ) -> Tensor:
        """Return pictures x (n, 3, h, w) protected by it; nothing is optimised for them."""
        models, rho = world.walk_models(), self.rho or self.train(world, budget_levels)
        config, seed = WalkConfig(budget_levels), generator.initial_seed()
        photos = to_levels(x).round().to(world.device).split(1)
        return to_pixels(torch.cat([protect(models, rho, photo, config, seed=seed) for photo in photos]))

    def train(self, world: World, budget_levels: float) -> ShiftUNet:
        """Return a rho trained against the pretrained model on one photo each of other people."""
        models = world.walk_models()
        with torch.no_grad():
            adversary = world.denoiser(world.condition([world.class_prompt]))
        surrogate = Surrogate(models.walker, models.autoencoder, models.schedule, models.resolution, adversary)
        config = TrainConfig(budget_levels=budget_levels, train_steps=self.train_steps, evaluate_every=0)
        people = drawn_people(self.others, use="tuning", first=FIRST, seen=0)
        photos = [to_levels(person.stolen[:1]).round().to(world.device) for person in people]
        rho = untrained(world)
        train_shift(surrogate, [prepare(surrogate, photo, None, config) for photo in photos], rho, config)
        return rho

    def trained(self, world: World, budget_levels: float, file: Path) -> "TaughtByOthers":
        """Return it with its rho and what that cost, from the file if it is there, else trained now."""
        if not file.exists():
            with counted(world) as cost:
                rho = self.train(world, budget_levels)
            with suppress(BadFileError), written_whole(file) as part:  # of two workers the first counts
                save_file(rho.state_dict(), part, {"cost": json.dumps(asdict(cost))})
        rho = untrained(world)
        rho.load_state_dict(load_file(file))
        with safe_open(file, "pt") as opened:
            once = Cost(**json.loads(opened.metadata()["cost"]))
        return replace(self, rho=rho, once=once)


def untrained(world: World) -> ShiftUNet:
    """Return a rho that is always the same."""
    return untrained_rho(ShiftConfig(world.unet.config["in_channels"])).to(world.device)
