"""Steps on the pixels towards a decoy (`benchmarks.decoy`): no word is learnt, no rho trained, nothing shifted."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from benchmarks.decoy import in_the_place_of
from benchmarks.efficacy.ours import refined
from benchmarks.world import World
from ldu.budget import to_levels, to_pixels
from ldu.refine import RefineConfig
from ldu.train import Surrogate

DECOY = (
    "a photo of a person with short black hair, square glasses, a beard, dark skin, grey eyes, a mole on the right "
    "chin, very wide face, very short face, pointed jaw, full cheeks, very distant eyes"
)
"""Drawn once; none of the people of tables and tuning was looked at for it."""


@dataclass(frozen=True)
class Decoyed:
    """A method of the bench.

    Args:
        decoy: the prompt that describes it.
        config: of the refinement; its budget and seed are those of the call.
    """

    decoy: str = DECOY
    config: RefineConfig = field(default_factory=RefineConfig)

    def __call__(
        self, world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator
    ) -> Tensor:
        """Return pictures x (n, 3, h, w) protected in `steps` steps each, 8-bit."""
        models = world.walk_models()
        with torch.no_grad():
            decoy = world.denoiser(world.condition([self.decoy]))
        plain = Surrogate(models.walker, models.autoencoder, models.schedule, models.resolution, decoy)
        surrogate, seed = in_the_place_of(plain, decoy), generator.initial_seed()
        config = replace(self.config, budget_levels=budget_levels, refine_steps=steps, seed=seed)
        photos = to_levels(x).round().to(world.device).split(1)
        return to_pixels(torch.cat([refined(surrogate, photo, photo, config) for photo in photos]))
