"""Train rho so that a personalizer fails on the published file while the eye sees no difference.

One step, for each picture of the batch:
    z_T_shifted = z_T + rho(z_T)                      shift
    x_protected = compose(x, D(denoise(z_T_shifted)) - D(z_0))   publish: clipped to the budget and rounded to 8 bits
    loss        = loss_personalize(E(purify(x_protected)))        attack: on what the thief will load
    minimise    - loss + price * (visibility - target)            descend, then the price rises or falls
Every walk step is evaluated again in the backward pass, so memory does not grow with k.

Source: LDU (arXiv 2510.03089), training objective.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from .attacks.thief import thief_view
from .budget import clipped_share, compose, residual_levels, resize_mask, to_pixels
from .errors import BadImageError, BadValueError
from .lagrangian import DualVariable, VisibilityMeasure, root_mean_square
from .losses import expected_loss, noise_prediction_loss, require_finite
from .model import Denoiser
from .protect import Subject, WalkConfig, WalkModels, decode, publish, shifted_walk
from .schedule import NoiseSchedule, Weighting
from .shapes import LatentOfAnySize, Levels, Pixels
from .shift_unet import ShiftUNet
from .training_state import TrainingState, load_training, save_training
from .trajectory import recomputed

_WARM_UP = 15  # steps: Adam's first ones are of full size, overshoot the target and drive the price up for long
_EVALUATED = 4  # pictures of a large set that are evaluated: enough to see it settle, cheap beside the steps between

Purifier = Callable[[Pixels, torch.Generator], Pixels]
"""What a thief may do to a picture first; differentiable, drawn once per step."""

Refit = Callable[[Sequence[LatentOfAnySize]], Denoiser]
"""Fits the personalizer to the current protected pictures and returns it as a denoiser."""


@dataclass(frozen=True)
class Surrogate(WalkModels):
    """The frozen models that rho is trained against.

    Args:
        adversary: the personalizer: the denoiser with the condition "a photo of S* ...".
    """

    adversary: Denoiser


@dataclass(frozen=True)
class TrainConfig(WalkConfig):
    """How rho is trained: budget and walk, and the following.

    Args:
        train_steps: optimiser steps.
        learning_rate: of Adam.
        batch: pictures per optimiser step, one after the other (memory stays that of one).
        draws: draws of t and noise per picture and step.
        weighting: how much each noise level counts in the loss.
        visibility_target: the RMS of the residual before clipping, as a share of the budget.
        price: the starting price of visibility.
        price_rate: its rate of ascent.
        evaluate_every: steps between evaluations of the full-size picture; 0 = never.
        patience: stop after this many evaluations without a gain of 1 %; 0 = never.
        refit_every: steps between re-fits of the personalizer; 0 = never.
        seed: of all draws.
    """

    train_steps: int = 100
    learning_rate: float = 2e-3
    batch: int = 1
    draws: int = 2
    weighting: Weighting = "own"
    visibility_target: float = 0.5
    price: float = 0.0
    price_rate: float = 0.01
    evaluate_every: int = 10
    patience: int = 0
    refit_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = (self.batch, self.draws)
        optional = (self.train_steps, self.evaluate_every, self.patience, self.refit_every, self.price, self.price_rate)
        if min(counts) < 1 or min(optional) < 0 or not (self.learning_rate > 0 and self.visibility_target > 0):
            raise BadValueError(
                "Training takes batch and draws of at least 1, other counts of at least 0, and a positive "
                f"learning rate and visibility target, but {self} came."
            )


@dataclass(frozen=True)
class StepReport:
    """What one training step measured.

    Args:
        step: its number, from 1.
        loss: loss_personalize, higher = better protected.
        visibility: RMS of the residual before clipping, as a share of the budget.
        price: the dual variable after the step.
        clipped_share: share of residual values beyond the budget.
        bound_share: mean |shift| as a share of rho's bound.
        evaluation: loss of the full-size picture as a thief loads it, on fixed draws; None between evaluations.
    """

    step: int
    loss: float
    visibility: float
    price: float
    clipped_share: float
    bound_share: float
    evaluation: float | None = None


class ShiftTraining:
    """A training of rho that can be watched, interrupted, saved and resumed."""

    def __init__(
        self,
        surrogate: Surrogate,
        subjects: Sequence[Subject],
        rho: ShiftUNet,
        config: TrainConfig,
        *,
        refit: Refit | None = None,
        purifiers: Sequence[Purifier] = (),
        visibility: VisibilityMeasure = root_mean_square,
    ) -> None:
        if not subjects:
            raise BadImageError("Training needs at least one picture, but none came.")
        self.surrogate, self.subjects, self.rho, self.config = surrogate, subjects, rho, config
        self.refit, self.purifiers, self.visibility = refit, purifiers, visibility
        self.optimizer = torch.optim.Adam(rho.parameters(), lr=config.learning_rate)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.dual = DualVariable(config.price, rate=config.price_rate)
        self.state = TrainingState(price=config.price)
        self.last: StepReport | None = None
        self._random_state = self.generator.get_state()
        self.fingerprint = self._fingerprint()

    def run(self) -> Iterator[StepReport]:
        """Train to the last step, or until `patience` evaluations brought nothing, and report each step."""
        self._evaluate_if_due()  # an interrupt may have come between a step and its evaluation
        while self.state.step < self.config.train_steps and not self._settled():
            report = self.step()
            yield replace(report, evaluation=self._evaluate_if_due())

    def step(self) -> StepReport:
        """Do one optimiser step."""
        if (
            self.refit
            and self.state.step
            and self.config.refit_every
            and self.state.step % self.config.refit_every == 0
        ):
            self._refit_personalizer(self.refit)
        self.optimizer.param_groups[0]["lr"] = self.config.learning_rate * min(1.0, (self.state.step + 1) / _WARM_UP)
        self.optimizer.zero_grad(set_to_none=True)
        first = self.state.step * self.config.batch
        chosen = [self.subjects[(first + i) % len(self.subjects)] for i in range(self.config.batch)]
        measured = torch.tensor([self._accumulate(subject) for subject in chosen]).mean(dim=0).tolist()
        self.optimizer.step()
        loss, visibility, clipped, bound_share = measured
        self.dual.update(visibility, self.config.visibility_target)
        self.last = StepReport(self.state.step + 1, loss, visibility, self.dual.price, clipped, bound_share)
        self.state.step, self.state.price = self.last.step, self.dual.price
        self.state.losses.append(loss)
        self._random_state = self.generator.get_state()  # of whole steps: an interrupted one is done again
        return self.last

    def _accumulate(self, subject: Subject) -> tuple[float, float, float, float]:
        """Add one picture's gradient and return its loss, visibility, clipped share and used share of the bound."""
        z_0, shift = shifted_walk(self.surrogate, self.rho, subject.record, self.config, self.generator, recompute=True)
        decoded = recomputed(decode, self.surrogate.autoencoder, z_0)
        residual = residual_levels(subject.decoded_clean, decoded)
        mask = None if subject.mask is None else resize_mask(subject.mask, residual)
        published = compose(subject.working, residual, self.config.budget_levels, mask)
        z_0 = published_latent(self.surrogate, published, self.purifiers, self.generator)
        loss = mean_loss(
            self.surrogate.adversary,
            z_0,
            self.surrogate.schedule,
            draws=self.config.draws,
            weighting=self.config.weighting,
            generator=self.generator,
        )
        residual = residual if mask is None else residual[:, :, mask[0, 0] > 0].unsqueeze(2)  # what will be published
        visibility = self.visibility(residual, self.config.budget_levels)
        objective = -loss + self.dual.price * (visibility - self.config.visibility_target)
        require_finite(objective, "training objective", self.state.step)
        (objective / self.config.batch).backward()
        beyond = clipped_share(residual, self.config.budget_levels)
        used = shift.detach().abs().mean().item() / self.rho.config.bound
        return loss.item(), visibility.item(), float(beyond), used

    def _refit_personalizer(self, refit: Refit) -> None:
        with torch.no_grad():
            views = [thief_view(self.protected(s), self.surrogate.resolution) for s in self.subjects]
            latents = [self.surrogate.autoencoder.encode(to_pixels(view)) for view in views]
        self.surrogate = replace(self.surrogate, adversary=refit(latents))

    def protected(self, subject: Subject) -> Levels:
        """Return the picture as it would be saved now, at its own size, without gradient."""
        return publish(self.surrogate, self.rho, subject, self.config, seed=self.config.seed)

    def evaluate(self, draws: int = 16) -> float:
        """Return the mean personalization loss of the first pictures as a thief loads them, on fixed draws."""
        chosen = self.subjects[:_EVALUATED]
        losses = [thief_loss(self.surrogate, self.protected(subject), draws=draws) for subject in chosen]
        return sum(map(sum, losses)) / (len(losses) * draws)

    def _evaluate_if_due(self) -> float | None:
        step, every, done = self.state.step, self.config.evaluate_every, self.state.evaluations
        due = every and step and (step % every == 0 or step == self.config.train_steps)
        if not due or (done and done[-1][0] == step):
            return None
        done.append((step, self.evaluate()))
        return done[-1][1]

    def _settled(self) -> bool:
        values = [value for _, value in self.state.evaluations]
        patience = self.config.patience
        if not patience or len(values) <= patience:
            return False
        return max(values[-patience:]) < 1.01 * max(values[:-patience])

    def save(self, path: Path) -> None:
        """Write the state of the training to a file."""
        save_training(path, self.state, self.rho, self.optimizer, self._random_state, self.fingerprint)

    def resume(self, path: Path) -> None:
        """Continue from a file written by `save` in a training with the same inputs.

        Raises:
            BadFileError: the file is not a complete training state.
            MismatchError: it belongs to other pictures or settings.
        """
        self.state = load_training(path, self.rho, self.optimizer, self.generator, self.fingerprint)
        self.dual.price = self.state.price
        self._random_state = self.generator.get_state()
        if self.refit and self.state.step > self.config.refit_every > 0:
            self._refit_personalizer(self.refit)  # the fitted personalizer is not kept on disk: it may be a face

    def _fingerprint(self) -> str:
        """Return a digest of all that the training starts from; more steps may be asked for later."""
        digest = hashlib.sha256(repr((self.rho.config, replace(self.config, train_steps=0))).encode())
        digest.update(f"{self.surrogate.walker.key} {self.surrogate.adversary.key}".encode())
        schedule = self.surrogate.schedule  # which a MODEL can have of its own, beside its weights
        digest.update(repr((schedule.prediction, schedule.sigmas, self.subjects[0].record.sigmas)).encode())
        named = [getattr(purifier, "__qualname__", repr(purifier)) for purifier in self.purifiers]
        digest.update(f"{named} {self.refit is not None}".encode())
        for weight in self.rho.state_dict().values():
            digest.update(weight.cpu().numpy().tobytes())
        for subject in self.subjects:
            for part in (subject.working, subject.decoded_clean, subject.mask):
                digest.update(b"-" if part is None else part.cpu().numpy().tobytes())
        return digest.hexdigest()


def published_latent(
    surrogate: Surrogate, published: Levels, purifiers: Sequence[Purifier], generator: torch.Generator
) -> LatentOfAnySize:
    """Return what a thief trains on: a published picture (1, 3, h, w), purified and encoded; differentiable."""
    x = to_pixels(published)
    if purifiers:
        x = purifiers[int(torch.randint(len(purifiers), (1,), generator=generator))](x, generator)
    return recomputed(surrogate.autoencoder.encode, x)


def mean_loss(
    denoiser: Denoiser,
    z_0: LatentOfAnySize,
    schedule: NoiseSchedule,
    *,
    draws: int,
    weighting: Weighting,
    generator: torch.Generator,
) -> Tensor:
    """Return a denoiser's mean loss over `draws` of t and noise on one latent (1, c, h, w); differentiable."""
    drawn = z_0.expand(draws, -1, -1, -1)
    return noise_prediction_loss(denoiser, drawn, schedule, generator=generator, weighting=weighting).mean()


def thief_loss(surrogate: Surrogate, levels: Levels, *, draws: int, seed: int = 0) -> list[float]:
    """Return `draws` values of the personalization loss of one picture as a thief loads it.

    The draws of t and noise depend on the seed alone, so that pictures can be compared in pairs.
    """
    view = thief_view(levels, surrogate.resolution)
    with torch.no_grad():
        z_0 = surrogate.autoencoder.encode(to_pixels(view))
        generator = torch.Generator().manual_seed(seed)
        return expected_loss(surrogate.adversary, z_0, surrogate.schedule, draws=draws, generator=generator)
