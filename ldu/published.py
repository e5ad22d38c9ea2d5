"""Train rho as its paper has it, as far as the text goes; what `train` changed is measured against this.

    x_protected = D(denoise(z_T + rho(z_T)))        no record, no residual: the decoded picture itself is published
    minimise    - loss_personalize(z_0_protected) + WEIGHT * max(0, mean (x_protected - x)^2 - budget^2)
on the latent before decoding, with a weight that is set by hand. The file is clipped to the budget all the same.
In the paper k is 4 and the depth 1.

Source: LDU (arXiv 2510.03089), pipeline and training objective; the weight is not given there.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .budget import WHITE, clipped_share, residual_levels, to_pixels
from .errors import BadValueError
from .losses import require_finite
from .protect import Subject, shifted_walk
from .shapes import Levels
from .shift_unet import ShiftUNet
from .train import ShiftTraining, Surrogate, TrainConfig, mean_loss
from .trajectory import recomputed

WEIGHT = 10.0


def without_record(subject: Subject) -> Subject:
    """Return the subject with no corrections on its way down: a shifted z_T is denoised as a plain sampler does."""
    nothing = tuple(map(torch.zeros_like, subject.record.corrections))
    return replace(subject, record=replace(subject.record, corrections=nothing))


def plain_decode(subject: Subject) -> Subject:
    """Return the subject so that the decoded picture itself is published, the VAE's error with it."""
    return replace(subject, decoded_clean=to_pixels(subject.working))


def require_no_purifiers(purifiers: Sequence[object]) -> None:
    """Refuse purifiers, which need a file.

    Raises:
        BadValueError: some came.
    """
    if purifiers:
        raise BadValueError(
            "As published, ρ is trained on the latent before it is decoded, which no purifier can touch, but purifiers "
            "are connected: disconnect them, or turn as_published off."
        )


class PublishedTraining(ShiftTraining):
    """The training of the paper; watched, interrupted, saved and resumed as ours is."""

    def __init__(
        self,
        surrogate: Surrogate,
        subjects: Sequence[Subject],
        rho: ShiftUNet,
        config: TrainConfig,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Take what `ShiftTraining` takes but purifiers; visibility has no price, a mask counts in the file alone."""
        require_no_purifiers(options.get("purifiers", ()))
        plain = [plain_decode(without_record(subject)) for subject in subjects]
        super().__init__(surrogate, plain, rho, replace(config, price=0.0, price_rate=0.0), **options)

    def _accumulate(self, subject: Subject) -> tuple[float, float, float, float]:
        """Add one picture's gradient and return its loss, visibility, clipped share and used share of the bound."""
        surrogate, config = self.surrogate, self.config
        z_0, shift = shifted_walk(surrogate, self.rho, subject.record, config, self.generator, recompute=True)
        loss = mean_loss(
            surrogate.adversary,
            z_0,
            surrogate.schedule,
            draws=config.draws,
            weighting=config.weighting,
            generator=self.generator,
        )
        decoded = recomputed(surrogate.autoencoder.decode, z_0)
        change = residual_levels(subject.decoded_clean, decoded)
        objective = WEIGHT * excess(change, config.budget_levels) - loss
        require_finite(objective, "training objective", self.state.step)
        (objective / config.batch).backward()
        visibility = self.visibility(change.detach(), config.budget_levels).item()  # a measurement
        used = shift.detach().abs().mean().item() / self.rho.config.bound
        return loss.item(), visibility, float(clipped_share(change, config.budget_levels)), used


def excess(change: Levels, budget_levels: float) -> Tensor:
    """Return by how much the mean square of a change exceeds the budget's, both on the scale of [-1, 1]."""
    return (change.square().mean() - budget_levels**2).clamp(min=0) / (WHITE / 2) ** 2
