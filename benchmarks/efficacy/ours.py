"""Our method as a method of the bench: a Textual Inversion on the clean set, one rho for it, the set published.

`Shift` is what the node "Train ρ" does by default, `Refined` adds "Refine in Pixels" as the workflow Protect does, with
no rho at all if it is given 0 steps; `published` holds the paper's own reading.

Source: LDU (arXiv 2510.03089), training objective and pipeline.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.baselines.controls import INVERSION, personalizer
from benchmarks.world import World
from ldu.attacks.textual_inversion import InversionConfig
from ldu.budget import to_levels, to_pixels
from ldu.protect import Subject, prepare
from ldu.refine import RefineConfig, Refinement
from ldu.shapes import Levels
from ldu.shift_unet import ShiftConfig, ShiftUNet, untrained_rho
from ldu.train import ShiftTraining, Surrogate, TrainConfig


@dataclass(frozen=True)
class Shift:
    """Our method with its settings.

    Args:
        bound: of rho.
        inversion: how the surrogate's token is fitted.
        changes: settings of the training that differ from its defaults.
    """

    bound: float = ShiftConfig.bound
    inversion: InversionConfig = INVERSION
    changes: tuple[tuple[str, float], ...] = ()

    def __call__(
        self, world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator
    ) -> Tensor:
        """Return pictures x (n, 3, h, w) protected by one rho trained on all of them for `steps` steps a picture."""
        seed, surrogate = generator.initial_seed(), self.surrogate(world, x, generator)
        return to_pixels(torch.cat(self.shifted(surrogate, _photos(world, x), budget_levels, steps, seed)))

    def surrogate(self, world: World, x: Tensor, generator: torch.Generator) -> Surrogate:
        """Return the models to train against, a Textual Inversion of x among them."""
        models, adversary = world.walk_models(), personalizer(world, x, generator, self.inversion)
        return Surrogate(models.walker, models.autoencoder, models.schedule, models.resolution, adversary)

    def shifted(
        self, surrogate: Surrogate, photos: list[Levels], budget_levels: float, steps: int, seed: int
    ) -> list[Levels]:
        """Return each photo as the trained rho leaves it, on the CPU."""
        config = TrainConfig(budget_levels=budget_levels, train_steps=steps * len(photos), evaluate_every=0, seed=seed)
        config = replace(config, **dict(self.changes))
        subjects = [prepare(surrogate, photo, None, config) for photo in photos]
        training = train_shift(surrogate, subjects, fresh_rho(subjects[0], seed, bound=self.bound), config)
        return [training.protected(subject) for subject in subjects]


@dataclass(frozen=True)
class Refined:
    """Our method, and steps on the pixels afterwards (`ldu.refine`).

    Args:
        shift: the method.
        config: of the refinement; its budget and seed are those of the call.
    """

    shift: Shift = field(default_factory=Shift)
    config: RefineConfig = field(default_factory=RefineConfig)

    def __call__(
        self, world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator
    ) -> Tensor:
        """Return pictures x (n, 3, h, w) protected, with `steps` steps a picture for rho; 0 = pixels alone."""
        seed, surrogate = generator.initial_seed(), self.shift.surrogate(world, x, generator)
        config = replace(self.config, budget_levels=budget_levels, seed=seed)
        photos = _photos(world, x)
        shifted = self.shift.shifted(surrogate, photos, budget_levels, steps, seed) if steps else photos
        return to_pixels(torch.cat([refined(surrogate, *pair, config) for pair in zip(photos, shifted, strict=True)]))


def fresh_rho(subject: Subject, seed: int, **changes: Any) -> ShiftUNet:  # noqa: ANN401
    """Return an untrained rho where the subject is; `changes` are of its architecture."""
    z_T = subject.record.z_T
    return untrained_rho(ShiftConfig(z_T.shape[1], **changes), seed=seed).to(z_T.device)


def train_shift(
    surrogate: Surrogate,
    subjects: Sequence[Subject],
    rho: ShiftUNet,
    config: TrainConfig,
    **options: Any,  # noqa: ANN401
) -> ShiftTraining:
    """Train rho on all subjects to the end; `options` are of `ShiftTraining`."""
    training = ShiftTraining(surrogate, subjects, rho, config, **options)
    for _ in training.run():
        pass
    return training


def _photos(world: World, x: Tensor) -> list[Levels]:
    """Return pictures x (n, 3, h, w) in whole levels, one by one, where the models are."""
    return list(to_levels(x).round().to(world.device).split(1))


def refined(surrogate: Surrogate, photo: Levels, shifted: Levels, config: RefineConfig) -> Levels:
    """Return one photo after all steps of the refinement, on the CPU."""
    refinement = Refinement(surrogate, photo, shifted.to(photo.device), config)
    for _ in refinement.run():
        pass
    return refinement.refined
