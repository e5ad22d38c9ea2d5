"""A rho for everybody: trained on other people's photos, then applied to pictures that it has never seen.

It is trained against the pretrained model under "a photo of a person": a token for each of them would cost more than
the training. A picture then costs what the node "Apply ρ" costs: 2k + 1 evaluations, one encode and two decodes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.baselines.cost import counted
from benchmarks.efficacy.ours import train_shift
from benchmarks.efficacy.subjects import drawn_people
from benchmarks.world import World
from ldu.budget import to_levels, to_pixels
from ldu.protect import WalkConfig, prepare, protect
from ldu.shift_unet import ShiftConfig, ShiftUNet, untrained_rho
from ldu.train import Surrogate, TrainConfig
from ldu.whole_file import written_whole

FIRST = 20
"""Number of the first of them among the tuning people; those whom the levers' table is about come before."""


@dataclass(frozen=True)
class FedForward:
    """A rho that other people taught, as a method of the bench.

    Args:
        others: people that it is trained on, a photo of each.
        train_steps: of its training.
        rho: once it is trained; None = each call trains one.
    """

    others: int = 64
    train_steps: int = 600
    rho: ShiftUNet | None = None

    def __call__(
        self, world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator
    ) -> Tensor:
        """Return pictures x (n, 3, h, w) protected by it; nothing is optimised for them."""
        models, rho = world.walk_models(), self.rho or self._train(world, budget_levels)
        config, seed = WalkConfig(budget_levels), generator.initial_seed()
        photos = to_levels(x).round().to(world.device).split(1)
        return to_pixels(torch.cat([protect(models, rho, photo, config, seed=seed) for photo in photos]))

    def trained(self, world: World, budget_levels: float, file: Path) -> "FedForward":
        """Return it with its rho, from the file if it is there; else train one, say what that cost, and write it."""
        if not file.exists():
            with counted(world) as cost:
                rho = self._train(world, budget_levels)
            print(f"a rho of {self.others} other people in {self.train_steps} steps: {cost}", flush=True)
            with written_whole(file, force=True) as part:  # another worker may have been as fast
                save_file(rho.state_dict(), part)
        rho = untrained(world)
        rho.load_state_dict(load_file(file))
        return replace(self, rho=rho)

    def _train(self, world: World, budget_levels: float) -> ShiftUNet:
        rho = untrained(world)
        config = TrainConfig(budget_levels=budget_levels, train_steps=self.train_steps, evaluate_every=0)
        train_on_others(world, rho, config, self.others)
        return rho


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
    train_shift(surrogate, [prepare(surrogate, photo, None, config) for photo in photos], rho, config)
