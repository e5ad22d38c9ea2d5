"""Noise levels: which sigma belongs to which training timestep, and which of them a walk visits.

eps and v prediction:  z_sigma = z_0 + sigma * noise,               sigma = sqrt(1 / alpha_bar - 1)
flow:                  z_sigma = (1 - sigma) * z_0 + sigma * noise
In all three, with D = D(z_sigma, sigma) the estimate of z_0, the probability-flow ODE is
dz/dsigma = (z - D) / sigma (Karras et al. 2022, eq. 1 and 3; for flow it is noise - z_0).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

from .errors import BadValueError
from .shapes import Latent, PerSample

Prediction = Literal["eps", "v", "flow"]
Weighting = Literal["own", "velocity"]
"""How much each noise level counts in a loss: as the model was trained, or as a v-prediction model is."""


@dataclass(frozen=True)
class NoiseSchedule:
    """The training noise levels of a model, and what it predicts.

    Args:
        sigmas: rising noise levels; the index is the training timestep.
        prediction: the target the model was trained on.
    """

    sigmas: tuple[float, ...]
    prediction: Prediction

    @property
    def train_timesteps(self) -> int:
        """How many noise levels the model was trained on."""
        return len(self.sigmas)

    @property
    def sigma_min(self) -> float:
        """The smallest noise level that the model knows."""
        return self.sigmas[0]

    def grid(self, k_steps: int, depth: float = 1.0) -> tuple[float, ...]:
        """Return the k + 1 falling noise levels of a walk: trailing timesteps up to `depth`, then 0.

        Args:
            k_steps: number of steps, at least 1.
            depth: where T lies, as a fraction of the training timesteps, in (0, 1].

        Raises:
            BadValueError: the grid would visit a timestep twice or none.

        Source: trailing spacing, Lin et al. 2024 (Common Diffusion Noise Schedules), table 2.
        """
        if not 0 < depth <= 1:
            raise BadValueError(f"The depth must lie above 0 and at most at 1, but {depth} came.")
        reach = depth * self.train_timesteps
        if not 1 <= k_steps <= reach:
            raise BadValueError(
                f"At depth {depth} between 1 and {int(reach)} steps fit, but k = {k_steps} came: change one."
            )
        timesteps = [round(reach * (k_steps - i) / k_steps) - 1 for i in range(k_steps)]
        return (*(self.sigmas[max(t, 0)] for t in timesteps), 0.0)

    def signal(self, sigma: PerSample) -> PerSample:
        """Return the factor of z_0 in z_sigma: 1 for eps and v, 1 - sigma for flow."""
        return 1 - sigma if self.prediction == "flow" else torch.ones_like(sigma)

    def add_noise(self, z_0: Latent, noise: Latent, sigma: PerSample) -> Latent:
        """Return z_sigma."""
        return _per_sample(self.signal(sigma)) * z_0 + _per_sample(sigma) * noise

    def spread(self, sigma: float) -> float:
        """Return the standard deviation of z_sigma for unit-variance data: z_sigma / spread is z_T as stored."""
        return math.hypot(1 - sigma if self.prediction == "flow" else 1.0, sigma)

    def loss_weight(self, sigma: PerSample, weighting: Weighting = "own") -> PerSample:
        """Return w with || prediction - target ||^2 = w * || D - z_0 ||^2 for what the model predicts.

        eps: noise_pred - noise = (z_0 - D) / sigma. v: v_pred - v = (z_0 - D) * sqrt(1 + sigma^2) / sigma.
        flow: v_pred - v = (z_0 - D) / sigma. With the weighting "velocity" an eps model's levels count as those of v,
        SNR + 1 in the place of SNR, so that high noise, where a picture's structure is decided, counts too.

        Source: Salimans & Ho 2022 (Progressive Distillation), section 4, "SNR + 1 weighting".
        """
        weight = sigma**-2
        as_v = self.prediction == "v" or (self.prediction == "eps" and weighting == "velocity")
        return weight + 1 if as_v else weight

    @cached_property
    def table(self) -> torch.Tensor:
        """The noise levels as a float32 tensor, timestep first."""
        return torch.tensor(self.sigmas, dtype=torch.float32)


def _per_sample(values: PerSample) -> torch.Tensor:
    return values[:, None, None, None]
