"""Steps on the pixels towards a decoy that is chosen by the pictures: `decoyed` after the choice of `ldu.target`."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.efficacy.decoyed import Decoyed
from benchmarks.world import World
from ldu.budget import to_levels, to_pixels
from ldu.target import DECOYS, farthest_edit
from ldu.trajectory import invert


@dataclass(frozen=True)
class Chosen:
    """A method of the bench.

    Args:
        decoys: the prompts of which the farthest is taken.
        k_steps, depth: of the walk that tells.
    """

    decoys: Sequence[str] = DECOYS
    k_steps: int = 8
    depth: float = 0.6

    def __call__(
        self, world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator
    ) -> Tensor:
        """Return pictures x (n, 3, h, w) protected in `steps` steps each, 8-bit."""
        models = world.walk_models()
        photos = to_pixels(to_levels(x).round().to(world.device))
        with torch.no_grad():
            decoys = [world.denoiser(world.condition([prompt])) for prompt in self.decoys]
            grid = models.schedule.grid(self.k_steps, self.depth)
            record = invert(models.walker, models.autoencoder.encode(photos), models.schedule, grid)
            number, _ = farthest_edit(record, decoys, models.schedule)
        towards = Decoyed(self.decoys[number])
        return towards(world, x, budget_levels=budget_levels, steps=steps, generator=generator)
