"""One walk, two directions: invert a latent to z_T, and denoise a (shifted) z_T in few steps.

Both walk dz/dsigma = (z - D(z, sigma)) / sigma by Euler steps on the same grid, which is DDIM with eta = 0:
    z(sigma') = z + (sigma' - sigma) * slope(z, sigma)
Few steps do not retrace themselves, so `invert` also keeps a record: the points z_i of the upward walk and, per step,
the correction c_i = z_i - [z_(i+1) + (sigma_i - sigma_(i+1)) * slope(z_(i+1))] with which the downward walk lands on
every stored point again. The corrections are constants along a shifted walk: the shift itself goes through the model.

Source: DDIM inversion, Song et al. 2021, section 4.3; the stored gap, Direct Inversion, Ju et al. 2024, section 3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .errors import BadValueError, MismatchError
from .model import Denoiser
from .schedule import NoiseSchedule
from .shapes import Latent


@dataclass(frozen=True)
class Record:
    """What the upward walk saw.

    Args:
        z_T: where it ended, divided by the schedule's spread (unit variance), (b, c, h, w).
        points: the k + 1 latents at rising noise level; points[0] is z_0.
        corrections: the k constants that make each unshifted downward step land on its point.
        sigmas: the k + 1 falling noise levels of the grid, 0 last.
        denoiser_key: the denoiser (weights and condition) the corrections belong to.
    """

    z_T: Latent
    points: tuple[Latent, ...]
    corrections: tuple[Latent, ...]
    sigmas: tuple[float, ...]
    denoiser_key: str

    @property
    def z_0(self) -> Latent:
        """The latent that was inverted."""
        return self.points[0]


def slope(denoiser: Denoiser, z: Latent, sigma: float, sigma_min: float) -> Latent:
    """Return dz/dsigma at noise level sigma; at 0 it is 0/0, so it is taken at the smallest level the model knows."""
    sigma = max(sigma, sigma_min)
    return (z - denoiser(z, z.new_full((z.shape[0],), sigma))) / sigma


def invert(
    denoiser: Denoiser, z_0: Latent, schedule: NoiseSchedule, sigmas: tuple[float, ...], *, refine: int = 0
) -> Record:
    """Walk z_0 up to the grid's highest noise level and keep the record; k + 1 + refine * k evaluations.

    Args:
        denoiser: the model with its condition bound.
        z_0: clean latents in the model's scale.
        schedule: the model's noise levels.
        sigmas: the grid, falling, 0 last.
        refine: fixed-point iterations per step towards the exact inverse of the downward step; a plain sampler can
            replay the z_T of a refined walk without its record.

    Source: fixed-point refinement, AIDI, Pan et al. 2023, eq. 8.
    """
    if refine < 0:
        raise BadValueError(f"The number of fixed-point iterations must be 0 or more, but {refine} came.")
    rising = sigmas[::-1]
    points, slopes = [z_0], [slope(denoiser, z_0, rising[0], schedule.sigma_min)]
    for low, high in pairwise(rising):
        upward = slopes[-1]
        for _ in range(refine):
            upward = slope(denoiser, points[-1] + (high - low) * upward, high, schedule.sigma_min)
        points.append(points[-1] + (high - low) * upward)
        slopes.append(slope(denoiser, points[-1], high, schedule.sigma_min))
    return Record(
        z_T=points[-1] / schedule.spread(sigmas[0]),
        points=tuple(points),
        corrections=_corrections(points, slopes[1:], rising),
        sigmas=sigmas,
        denoiser_key=denoiser.key,
    )


def _corrections(points: list[Latent], slopes: list[Latent], rising: tuple[float, ...]) -> tuple[Latent, ...]:
    """Return point - (downward step from the point above) for every step; `slopes` start at points[1]."""
    return tuple(
        (points[i] - (points[i + 1] + (rising[i] - rising[i + 1]) * slopes[i])).detach()  # constants by definition
        for i in range(len(slopes))
    )


def for_denoiser(record: Record, denoiser: Denoiser, schedule: NoiseSchedule) -> Record:
    """Return the record with corrections for this denoiser; k evaluations if it is not the one that made it."""
    if record.denoiser_key == denoiser.key:
        return record
    rising = record.sigmas[::-1]
    slopes = [slope(denoiser, z, s, schedule.sigma_min) for z, s in zip(record.points[1:], rising[1:], strict=True)]
    corrections = _corrections(list(record.points), slopes, rising)
    return Record(record.z_T, record.points, corrections, record.sigmas, denoiser.key)


def denoise(
    denoiser: Denoiser,
    z_T: Latent,
    schedule: NoiseSchedule,
    sigmas: tuple[float, ...],
    *,
    record: Record | None = None,
    recompute: bool = False,
) -> Latent:
    """Walk z_T (unit variance) down the grid to z_0; k evaluations, none if z_T is bit-equal to the record's.

    Args:
        denoiser: the model with its condition bound.
        z_T: latents at the grid's highest noise level, divided by the schedule's spread.
        schedule: the model's noise levels.
        sigmas: the grid, falling, 0 last.
        record: makes the walk exact: with it, an unshifted z_T gives back the record's z_0.
        recompute: keep only the latents for the backward pass and evaluate each step again (gradient checkpointing).

    Raises:
        MismatchError: the record belongs to another grid or size.
    """
    if record is None:
        return _walk_down(denoiser, z_T * schedule.spread(sigmas[0]), schedule, sigmas, (), recompute)
    if record.sigmas != sigmas:
        raise MismatchError(
            "The record was made on another grid of noise levels: use the same k and depth, or no record."
        )
    if record.z_T.shape != z_T.shape:
        raise MismatchError(
            f"The record holds latents of {tuple(record.z_T.shape)}, but z_T is {tuple(z_T.shape)}: "
            "take both from the same Invert to z_T."
        )
    if not z_T.requires_grad and torch.equal(z_T, record.z_T):
        return record.z_0
    record = for_denoiser(record, denoiser, schedule)
    start = record.points[-1] + schedule.spread(sigmas[0]) * (z_T - record.z_T)
    return _walk_down(denoiser, start, schedule, sigmas, record.corrections, recompute)


def _walk_down(
    denoiser: Denoiser,
    z: Latent,
    schedule: NoiseSchedule,
    sigmas: tuple[float, ...],
    corrections: tuple[Latent, ...],
    recompute: bool,
) -> Latent:
    for i, (high, low) in enumerate(pairwise(sigmas)):
        step = (denoiser, z, high, schedule.sigma_min)
        down = recomputed(slope, *step) if recompute else slope(*step)
        z = z + (low - high) * down
        if corrections:
            z = z + corrections[-1 - i]
    return z


def recomputed(function: Callable[..., Tensor], *inputs: Any) -> Tensor:  # noqa: ANN401  (whatever the function takes)
    """Call a function and keep only its inputs for the backward pass, which calls it again (gradient checkpointing)."""
    result = checkpoint(function, *inputs, use_reentrant=False)
    assert isinstance(result, Tensor)  # the library declares nothing
    return result
