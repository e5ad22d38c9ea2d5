"""Steps on the pixels towards the same pictures with somebody else in them (`ldu.target`), with prompts or without.

With prompts, where the latent shall go is
    unit(goal - z) + unit(contrasted(S*)) - unit(contrasted(decoy))
with contrasted(prompt) = d loss(z, prompt) / dz - contrast * c * d loss(z, empty) / dz as `ldu.refine` has it, so that
there the model expects less of the person and more of the decoy. Either of the two can be left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.efficacy.ours import Shift
from benchmarks.world import World
from ldu.budget import to_levels, to_pixels
from ldu.model import Denoiser
from ldu.refine import TINY, RefineConfig
from ldu.shapes import Latent
from ldu.target import DECOYS, TowardsTarget, farthest_edits
from ldu.train import Surrogate
from ldu.trajectory import invert


class ByPromptsToo(TowardsTarget):
    """Steps towards a target and along the losses under some prompts."""

    def __init__(self, *given: Any, prompts: Sequence[tuple[float, Denoiser]], **options: Any) -> None:  # noqa: ANN401
        """Prepare a picture; of each prompt 1.0 = away from it, or -1.0 = towards it, and the denoiser under it."""
        super().__init__(*given, **options)
        self._prompts = prompts

    def _wanted(self, z: Latent, gone: Latent) -> Latent:
        way = super()._wanted(z, gone)
        if not self._prompts:
            return way
        return _unit(way) + sum(sign * _unit(self._contrasted(each, z)[1]) for sign, each in self._prompts)


def _unit(slope: Latent) -> Latent:
    return slope / slope.norm().clamp(min=TINY)


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
        plain = Surrogate(models.walker, models.autoencoder, models.schedule, models.resolution, models.walker)
        surrogate = Shift().surrogate(world, x, generator) if self.away else plain
        config = replace(self.config, budget_levels=budget_levels, refine_steps=steps, seed=generator.initial_seed())
        away = [(1.0, surrogate.adversary)] if self.away else []
        prompts = [*away, *([(-1.0, decoys[number])] if self.expected else [])]
        made: list[Tensor] = []
        for photo, target in zip(photos.split(1), targets.split(1), strict=True):
            refinement = ByPromptsToo(surrogate, photo, photo, config, prompts=prompts, target=target)
            for _ in refinement.run():
                pass
            made.append(refinement.refined)
        return to_pixels(torch.cat(made))
