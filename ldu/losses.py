"""The personalizer's own training loss, which the protection makes large.

    loss_personalize = E_{t, noise} || prediction(z_t, t, c(S*)) - target ||^2
in the variant that the model was trained with: eps, v or flow. Through the denoised estimate D all three are
w(sigma) * || D - z_0 ||^2 (`NoiseSchedule.loss_weight`).

Source: Textual Inversion, Gal et al. 2023, eq. 2; DreamBooth, Ruiz et al. 2023, eq. 2 (prior preservation).
"""

import torch
from torch import Tensor

from .errors import NonFiniteError
from .model import Denoiser
from .schedule import NoiseSchedule, Weighting
from .shapes import Latent, PerSample


def draw_sigmas(
    schedule: NoiseSchedule, count: int, *, generator: torch.Generator, t_range: tuple[float, float] = (0.0, 1.0)
) -> PerSample:
    """Draw noise levels uniformly over the training timesteps, stratified so that few draws cover them evenly.

    Args:
        schedule: the model's noise levels.
        count: how many.
        generator: a CPU generator.
        t_range: the part of the timesteps to draw from, as fractions.
    """
    first, last = (fraction * schedule.train_timesteps for fraction in t_range)
    position = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    t = (first + position * (last - first)).long().clamp(max=schedule.train_timesteps - 1)
    return schedule.table[t]


def noise_prediction_loss(
    denoiser: Denoiser,
    z_0: Latent,
    schedule: NoiseSchedule,
    *,
    generator: torch.Generator,
    t_range: tuple[float, float] = (0.0, 1.0),
    weighting: Weighting = "own",
) -> Tensor:
    """Return the personalization loss of each sample, (b,), for one draw of t and noise per sample."""
    sigma = draw_sigmas(schedule, z_0.shape[0], generator=generator, t_range=t_range).to(z_0)
    noise = torch.randn(z_0.shape, generator=generator).to(z_0)
    estimate = denoiser(schedule.add_noise(z_0, noise, sigma), sigma)
    return schedule.loss_weight(sigma, weighting) * (estimate - z_0).square().mean(dim=(1, 2, 3))


def expected_loss(
    denoiser: Denoiser,
    z_0: Latent,
    schedule: NoiseSchedule,
    *,
    draws: int,
    generator: torch.Generator,
    batch: int = 8,
) -> list[float]:
    """Return `draws` values of the personalization loss of one latent (1, c, h, w), without gradient.

    The same generator state gives the same draws of t and noise, so that two pictures can be compared in pairs.
    """
    values: list[float] = []
    while len(values) < draws:
        count = min(batch, draws - len(values))
        loss = noise_prediction_loss(denoiser, z_0.expand(count, -1, -1, -1), schedule, generator=generator)
        values += loss.detach().tolist()  # a measurement: nothing learns from it
    return values


def with_prior(loss_instance: Tensor, loss_prior: Tensor, prior_weight: float) -> Tensor:
    """Return DreamBooth's loss: the subject's plus the weighted class prior's."""
    return loss_instance.mean() + prior_weight * loss_prior.mean()


def require_finite(loss: Tensor, what: str, step: int) -> None:
    """Raise if a loss is infinite or not a number.

    Raises:
        NonFiniteError: with the name of the loss and the step.
    """
    if not torch.isfinite(loss).all():
        raise NonFiniteError(
            f"The {what} became {loss.tolist()} at step {step}: lower the learning rate or use float32."
        )
