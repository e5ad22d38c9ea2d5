"""What a lever is given: one person's pictures, the models, a token, and how long it may train."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.efficacy.ours import fresh_rho, train_shift
from benchmarks.world import World
from ldu.protect import Subject, prepare, publish
from ldu.shapes import Levels, TokenEmbedding
from ldu.shift_unet import ShiftUNet
from ldu.train import Surrogate, TrainConfig


@dataclass(frozen=True)
class Case:
    """One person.

    Args:
        world: the models.
        surrogate: those that are trained against, the personalizer with its token among them.
        token: that token.
        photos: (1, 3, h, w) each, in whole levels.
        config: of the training of one rho on all photos.
        alone: optimiser steps of whatever is trained for one picture alone.
        general: gives a rho that was trained on other people.
        made: gives what another lever made of the photos, by its name.
    """

    world: World
    surrogate: Surrogate
    token: TokenEmbedding
    photos: list[Levels]
    config: TrainConfig
    alone: int
    general: Callable[[], ShiftUNet]
    made: Callable[[str], list[Levels]]

    def prepared(self, **changes: Any) -> list[Subject]:  # noqa: ANN401  (any of the configuration's)
        """Return the photos, inverted on the grid of the configuration with these changes."""
        config = replace(self.config, **changes)
        return [prepare(self.surrogate, photo, None, config) for photo in self.photos]

    def by_rho(
        self,
        subjects: list[Subject],
        *,
        rho: ShiftUNet | None = None,
        against: Surrogate | None = None,
        changes: dict[str, Any] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> list[Levels]:
        """Train a shift on all subjects and return what it makes of each.

        Args:
            subjects: prepared photos.
            rho: where to start; None = a fresh one.
            against: the models of the training where they are not those of the case.
            changes: of the training's configuration.
            options: of `ShiftTraining`.
        """
        config = replace(self.config, **(changes or {}))
        rho = rho or fresh_rho(subjects[0], config.seed)
        train_shift(against or self.surrogate, subjects, rho, config, **options)
        return [publish(self.surrogate, rho, subject, config, seed=config.seed) for subject in subjects]
