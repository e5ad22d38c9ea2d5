"""A spiral in the plane, and two models of it: the exact one, known in closed form, and a small trained one.

    spiral     (theta cos theta, theta sin theta), theta = 1.5 pi (1 + 2 u), u in [0, 1]; centred, unit variance
    exact      of data that is n equally likely points p_i:  D(z, sigma) = sum_i w_i p_i,
               w = softmax(-||z - p_i||^2 / (2 sigma^2))
    trained    D(z, sigma) = z / (1 + sigma^2) + sigma / sqrt(1 + sigma^2) F(z / sqrt(1 + sigma^2), log sigma),
               F an MLP; this is v prediction

A point is a latent of two channels and one place, (batch, 2, 1, 1).
Source: the exact denoiser, Karras et al. 2022, eq. 57; its form around F, the same, eq. 7 with sigma_data = 1.
"""

import math
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from ldu.schedule import NoiseSchedule
from ldu.shapes import Latent, PerSample

WIDTH, LAYERS, BATCH, LEARNING_RATE = 128, 3, 512, 5e-3
FREQUENCIES = (0.5, 1.0, 2.0, 4.0)


def spiral(u: Tensor) -> Latent:
    """Return the points of the spiral at the positions u in [0, 1], (b, 2, 1, 1), zero mean and unit variance."""
    centre, scale = _centre_and_scale()
    return ((_swiss_roll(u) - centre.to(u)) / scale)[:, :, None, None]


def _swiss_roll(u: Tensor) -> Tensor:
    theta = 1.5 * math.pi * (1 + 2 * u)
    return torch.stack([theta * theta.cos(), theta * theta.sin()], dim=1)


@cache
def _centre_and_scale() -> tuple[Tensor, float]:
    curve = _swiss_roll(torch.linspace(0, 1, 8193, dtype=torch.float64))
    centre = curve.mean(dim=0)
    return centre, (curve - centre).square().mean().sqrt().item()


def distance_to_spiral(z: Latent, positions: int = 4096) -> PerSample:
    """Return how far each point is from the curve, taken at that many positions on it."""
    curve = spiral(torch.linspace(0, 1, positions, dtype=z.dtype))
    return torch.cdist(z.flatten(1), curve.flatten(1)).amin(dim=1)


def noise_levels() -> NoiseSchedule:
    """Return Stable Diffusion's 1,000 noise levels, 0.03 to 14.6."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alpha_bar = (1 - betas).cumprod(0)
    return NoiseSchedule(tuple((1 / alpha_bar - 1).sqrt().tolist()), "v")


class ExactDenoiser:
    """The optimal denoiser of a data set of equally likely points, (n, 2, 1, 1)."""

    key = "exact"

    def __init__(self, points: Latent) -> None:
        self.points = points.flatten(1)

    def __call__(self, z: Latent, sigma: PerSample) -> Latent:
        """Return the posterior mean of the data set."""
        distances = torch.cdist(z.flatten(1), self.points)
        weights = torch.softmax(-(distances**2) / (2 * sigma[:, None] ** 2), dim=1)
        return (weights @ self.points)[:, :, None, None]


class TrainedDenoiser(nn.Module):
    """A multilayer perceptron as a denoiser of points."""

    def __init__(self, key: str = "trained") -> None:
        super().__init__()
        self.key = key
        widths = [2 + 1 + 2 * len(FREQUENCIES), *[WIDTH] * LAYERS]
        hidden = [layer for sides in pairwise(widths) for layer in (nn.Linear(*sides), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(WIDTH, 2))
        self._spread_weights()

    def _spread_weights(self) -> None:
        """Give each hidden layer full gain and bends all over; PyTorch's own start learns several times slower."""
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        for layer in linear:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.uniform_(layer.bias, -1, 1)
        nn.init.zeros_(linear[-1].weight)
        nn.init.zeros_(linear[-1].bias)

    def forward(self, z: Latent, sigma: PerSample) -> Latent:
        """Return the estimate of z_0."""
        spread = (1 + sigma**2).sqrt()
        unit = z.flatten(1) / spread[:, None]
        phases = sigma.log()[:, None] * torch.tensor(FREQUENCIES).to(z)
        features = torch.cat([unit, sigma.log()[:, None], phases.sin(), phases.cos()], dim=1)
        guess = unit / spread[:, None] + (sigma / spread)[:, None] * self.layers(features)
        return guess[:, :, None, None]


def train(schedule: NoiseSchedule, steps: int, *, generator: torch.Generator) -> TrainedDenoiser:
    """Train a denoiser on fresh points of the spiral, noise levels uniform over the training timesteps."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        denoiser = TrainedDenoiser()
    optimizer = torch.optim.Adam(denoiser.parameters(), LEARNING_RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        z_0 = spiral(torch.rand(BATCH, generator=generator))
        sigma = schedule.table[torch.randint(schedule.train_timesteps, (BATCH,), generator=generator)]
        z = schedule.add_noise(z_0, torch.randn(z_0.shape, generator=generator), sigma)
        errors = (denoiser(z, sigma) - z_0).square().flatten(1).mean(dim=1)
        optimizer.zero_grad()
        (schedule.loss_weight(sigma) * errors).mean().backward()
        optimizer.step()
        decay.step()
    return denoiser.requires_grad_(False)
