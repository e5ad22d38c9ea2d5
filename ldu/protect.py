"""Protect one picture with a trained rho: encode, invert, shift, denoise, decode, and carry the difference over.

    z_0 = E(x)                      encode, at the working size
    z_T, record = invert(z_0)       k + 1 evaluations
    z_0_protected = denoise(z_T + strength * rho(z_T), record)         k evaluations
    x_protected = fit_to_budget(x, D(z_0), D(z_0_protected))           two decodes
With `rounds` the middle two lines are repeated on z_0_protected: (2k + 1) * rounds evaluations in all.

Source: LDU (arXiv 2510.03089), the pipeline; the record and the residual are ours (see `trajectory` and `budget`).
"""

from dataclasses import dataclass

import torch

from .budget import clip, fit_to_budget, to_pixels, to_working_size
from .errors import BadValueError
from .model import Autoencoder, Denoiser
from .schedule import NoiseSchedule
from .shapes import Latent, Levels, Mask, Pixels, Resized
from .shift_unet import ShiftUNet
from .trajectory import Record, denoise, invert


@dataclass(frozen=True)
class WalkModels:
    """The frozen models that a picture is walked through.

    Args:
        walker: the denoiser of the walk, usually with the empty prompt.
        autoencoder: the checkpoint's VAE.
        schedule: the checkpoint's noise levels.
        resolution: its training resolution in pixels.
    """

    walker: Denoiser
    autoencoder: Autoencoder
    schedule: NoiseSchedule
    resolution: int


@dataclass(frozen=True)
class WalkConfig:
    """How a picture is protected; the same in training and afterwards.

    Args:
        budget_levels: largest change of a pixel value, in levels of 0..255.
        k_steps: steps of the walk.
        depth: where T lies, as a fraction of the training timesteps, in (0, 1].
        rounds: how often invert - shift - denoise is repeated.
    """

    budget_levels: float = 10.0
    k_steps: int = 2
    depth: float = 0.25
    rounds: int = 1

    def __post_init__(self) -> None:
        """Refuse a walk of no rounds."""
        if self.rounds < 1:
            raise BadValueError(f"The walk takes 1 or more rounds, but {self.rounds} came.")


@dataclass(frozen=True)
class Subject:
    """One picture, prepared: everything about it that does not depend on rho.

    Args:
        original: at its own size, (1, 3, H, W), on the CPU: it may be large.
        working: at working size, whole levels.
        mask: where to protect, at the original's size, on the CPU, or None for everywhere.
        decoded_clean: D(z_0).
        record: of the unshifted walk.
    """

    original: Levels
    working: Resized
    mask: Mask | None
    decoded_clean: Pixels
    record: Record


def protect(
    models: WalkModels,
    rho: ShiftUNet,
    original: Levels,
    config: WalkConfig,
    *,
    mask: Mask | None = None,
    strength: float = 1.0,
    seed: int = 0,
) -> Levels:
    """Return the protected picture at its own size, in whole levels within the budget, without gradient.

    Args:
        models: the checkpoint.
        rho: the trained shift, on the models' device.
        original: one picture, (1, 3, H, W) in whole levels, on the models' device.
        config: budget and walk; k and depth as rho was trained for.
        mask: where to protect, (1, 1, H, W) in [0, 1].
        strength: factor of the shift; 0 gives back the picture itself and evaluates nothing.
        seed: key of this picture's shift.
    """
    if strength == 0:
        return original.cpu()
    return publish(models, rho, prepare(models, original, mask, config), config, strength=strength, seed=seed)


def prepare(models: WalkModels, original: Levels, mask: Mask | None, config: WalkConfig) -> Subject:
    """Encode, invert and decode one picture (1, 3, H, W) without gradient; k + 1 evaluations."""
    working = to_working_size(original, models.resolution)
    with torch.no_grad():
        z_0 = models.autoencoder.encode(to_pixels(working))
        sigmas = models.schedule.grid(config.k_steps, config.depth)
        record = invert(models.walker, z_0, models.schedule, sigmas)
        return Subject(original.cpu(), working, mask, decode(models.autoencoder, z_0), record)


def publish(
    models: WalkModels, rho: ShiftUNet, subject: Subject, config: WalkConfig, *, strength: float = 1.0, seed: int = 0
) -> Levels:
    """Return a prepared picture as it would be saved, on the CPU, without gradient; the evaluations `prepare` left."""
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        z_0, _ = shifted_walk(models, rho, subject.record, config, generator, strength=strength)
        decoded = decode(models.autoencoder, z_0).cpu()
    return fit_to_budget(subject.original, subject.decoded_clean.cpu(), decoded, config.budget_levels, subject.mask)


def shifted_walk(
    models: WalkModels,
    rho: ShiftUNet,
    record: Record,
    config: WalkConfig,
    generator: torch.Generator,
    *,
    strength: float = 1.0,
    recompute: bool = False,
) -> tuple[Latent, Latent]:
    """Shift z_T and denoise, `rounds` times; return the protected latent and the last shift."""

    def once(record: Record) -> tuple[Latent, Latent]:
        sigma = record.z_T.new_full((record.z_T.shape[0],), record.sigmas[0])
        shift = strength * rho(record.z_T, sigma, rho.draw_key(record.z_T, generator=generator))
        z_T = record.z_T + shift
        z_0 = denoise(models.walker, z_T, models.schedule, record.sigmas, record=record, recompute=recompute)
        return z_0, shift

    z_0, shift = once(record)
    for _ in range(config.rounds - 1):
        z_0, shift = once(invert(models.walker, z_0, models.schedule, record.sigmas))
    return z_0, shift


def decode(autoencoder: Autoencoder, z_0: Latent) -> Pixels:
    """Decode and clamp as every host does; the gradient passes straight through."""
    return clip(autoencoder.decode(z_0), -1, 1)
