"""Steps on the pixels towards the same pictures with somebody else in them (`ldu.target`), with a word or without."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from benchmarks.efficacy.ours import Shift
from benchmarks.world import World
from ldu.budget import to_levels, to_pixels
from ldu.refine import RefineConfig
from ldu.target import DECOYS, TowardsTarget, farthest_edits
from ldu.train import Surrogate
from ldu.trajectory import invert


@dataclass(frozen=True)
class Targeted:
    """A method of the bench.

    Args:
        decoys: the prompts of which the farthest is taken.
        k_steps, depth: of the walk.
        away: whether to go away from a word that is learnt of the person, too.
        expected: whether the model shall also expect who is in the target.
        config: of the refinement; its budget and seed are those of the call.
    """

    decoys: Sequence[str] = DECOYS
    k_steps: int = 8
    depth: float = 0.6
    away: bool = False
    expected: bool = False
    config: RefineConfig = field(default_factory=RefineConfig)

    def __call__(
        self, world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator
    ) -> Tensor:
        """Return pictures x (n, 3, h, w) protected in `steps` steps each, 8-bit."""
        models = world.walk_models()
        photos = to_levels(x).round().to(world.device)
        with torch.no_grad():
            decoys = [world.denoiser(world.condition([prompt])) for prompt in self.decoys]
            grid = models.schedule.grid(self.k_steps, self.depth)
            record = invert(models.walker, models.autoencoder.encode(to_pixels(photos)), models.schedule, grid)
            number, (targets,) = farthest_edits([record], decoys, models.schedule)
        decoy = decoys[number] if self.expected else None
        plain = Surrogate(models.walker, models.autoencoder, models.schedule, models.resolution, models.walker)
        surrogate = Shift().surrogate(world, x, generator) if self.away else plain
        config = replace(self.config, budget_levels=budget_levels, refine_steps=steps, seed=generator.initial_seed())
        made: list[Tensor] = []
        for photo, target in zip(photos.split(1), targets.split(1), strict=True):
            refinement = TowardsTarget(surrogate, photo, photo, config, target=target, away=self.away, decoy=decoy)
            for _ in refinement.run():
                pass
            made.append(refinement.refined)
        return to_pixels(torch.cat(made))
