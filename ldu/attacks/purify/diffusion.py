"""Diffuse and denoise: drown the perturbation in noise and let a diffusion model draw the picture again.

    z(sigma_t) = a_t z_0 + sigma_t n                                     (a = 1 for eps and v, 1 - sigma for flow)
    z(sigma_s) = a_s D + sqrt(sigma_s^2 - v) (z - a_t D) / sigma_t + sqrt(v) n',    D = D(z, sigma_t)
    v = eta^2 (sigma_s / sigma_t)^2 (sigma_t^2 - (a_t / a_s)^2 sigma_s^2)
eta = 1 are DDPM's ancestral steps, whose result is a draw from p(z_0 | z_t) as the steps become many; eta = 0 is DDIM.
One algorithm, many names: SDEdit and img2img (few steps, eta = 0), DiffPure (eta = 1), in latents or, with a model that
works on pixels, as published.

Source: SDEdit, Meng et al. 2022, algorithm 1; DiffPure, Nie et al. 2022, section 3.1; the step, DDIM, Song et al. 2021,
eq. 12 and 16.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from ...model import Autoencoder, Denoiser
from ...schedule import NoiseSchedule
from ...shapes import Latent, Pixels
from ...trajectory import recomputed
from .contract import DiffusionModel, Purify, no_report, on_grid

CELL = 8  # pixels: sides that a VAE of factor 8 takes are its multiples


@dataclass(frozen=True)
class VaeRoundTrip(Purify):
    """Encode and decode.

    Args:
        autoencoder: the VAE.
    """

    autoencoder: Autoencoder = field(repr=False)

    def __call__(self, x: Pixels, *, generator: torch.Generator) -> Pixels:
        """Return the decoded latents."""
        del generator
        return on_grid(through_latents(self.autoencoder, x, lambda z: z))


@dataclass(frozen=True)
class DiffuseAndDenoise(Purify):
    """Diffuse to a noise level and walk back.

    Args:
        model: latent or pixel model.
        depth: the noise level as a fraction of the training timesteps, 0 to 1; 0 is the autoencoder's round trip.
        steps: model evaluations on the way back; no more are made than there are timesteps below the depth.
        eta: share of fresh noise in each step: 1 ancestral, 0 deterministic.
        tick: called after each evaluation.
        recompute: evaluate the models again in the backward pass instead of keeping their activations.
    """

    model: DiffusionModel = field(repr=False)
    depth: float
    steps: int
    eta: float
    tick: Callable[[], None] = field(default=no_report, repr=False)
    recompute: bool = False

    @property
    def work(self) -> int:
        """The number of model evaluations."""
        return min(self.steps, max(1, int(self.depth * self.model.schedule.train_timesteps))) if self.depth else 0

    def __call__(self, x: Pixels, *, generator: torch.Generator) -> Pixels:
        """Return the pictures as the model draws them again."""
        again = through_latents(self.model.autoencoder, x, lambda z: self._again(z, generator), self.recompute)
        return on_grid(again)

    def _again(self, z_0: Latent, generator: torch.Generator) -> Latent:
        if not self.depth:
            return z_0
        schedule = self.model.schedule
        sigmas = schedule.grid(self.work, self.depth)
        noise = torch.randn(z_0.shape, generator=generator).to(z_0)
        z = schedule.add_noise(z_0, noise, z_0.new_full((len(z_0),), sigmas[0]))
        for high, low in pairwise(sigmas):
            D = _evaluate(self.model.denoiser, z, high, self.recompute)
            z = back_step(z, D, schedule, high, low, eta=self.eta, generator=generator)
            self.tick()
        return z


def back_step(
    z: Latent,
    D: Latent,
    schedule: NoiseSchedule,
    high: float,
    low: float,
    *,
    eta: float,
    generator: torch.Generator,
) -> Latent:
    """Return z at noise level `low`, given z at `high` and the model's estimate D of z_0."""
    a_high, a_low = schedule.signal(torch.tensor([high, low], dtype=torch.float64)).tolist()
    fresh = eta**2 * (low / high) ** 2 * max(0.0, high**2 - (a_high / a_low) ** 2 * low**2)
    kept = max(0.0, low**2 - fresh) ** 0.5 / high
    z = a_low * D + kept * (z - a_high * D)
    return z + fresh**0.5 * torch.randn(z.shape, generator=generator).to(z) if fresh else z


def through_latents(
    autoencoder: Autoencoder, x: Pixels, change: Callable[[Latent], Latent], recompute: bool = False
) -> Pixels:
    """Encode, change and decode pictures of any size; sides are filled up to multiples of 8 and cut again."""
    height, width = x.shape[-2:]
    padded = functional.pad(x, (0, -width % CELL, 0, -height % CELL), mode="replicate")
    z = change(_call(autoencoder.encode, padded, recompute))
    return _call(autoencoder.decode, z, recompute)[..., :height, :width].to(x)


def _evaluate(denoiser: Denoiser, z: Latent, sigma: float, recompute: bool) -> Latent:
    levels = z.new_full((len(z),), sigma)
    return recomputed(denoiser, z, levels) if recompute else denoiser(z, levels)


def _call(function: Callable[[Tensor], Tensor], value: Tensor, recompute: bool) -> Tensor:
    return recomputed(function, value) if recompute else function(value)
