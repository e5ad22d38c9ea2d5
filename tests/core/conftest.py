"""Models whose denoiser is known in closed form."""

import pytest
import torch

from ldu.schedule import NoiseSchedule


class GaussianDenoiser:
    """The exact D of data z_0 ~ N(mean, spread^2): a straight-line posterior mean, in float64 if asked."""

    def __init__(self, schedule, mean=0.3, spread=0.7, key="gaussian"):
        self.schedule, self.mean, self.spread, self.key = schedule, mean, spread, key

    def __call__(self, z, sigma):
        signal = self.schedule.signal(sigma)[:, None, None, None]
        sigma = sigma[:, None, None, None]
        variance = self.spread**2
        gain = signal * variance / (signal**2 * variance + sigma**2)
        return self.mean + gain * (z - signal * self.mean)


def stable_diffusion_sigmas():
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alpha_bar = (1 - betas).cumprod(0)
    return tuple(((1 - alpha_bar) / alpha_bar).sqrt().tolist())


@pytest.fixture(params=["eps", "v", "flow"])
def schedule(request):
    if request.param == "flow":
        return NoiseSchedule(tuple((torch.arange(1, 1001, dtype=torch.float64) / 1000).tolist()), "flow")
    return NoiseSchedule(stable_diffusion_sigmas(), request.param)


@pytest.fixture
def eps_schedule():
    return NoiseSchedule(stable_diffusion_sigmas(), "eps")


@pytest.fixture
def denoiser(schedule):
    return GaussianDenoiser(schedule)


class CurvedDenoiser:
    """A smooth nonlinear D with weights, so that the walk bends and gradients have somewhere to go."""

    key = "curved"

    def __init__(self, channels=4, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.mix = torch.randn(channels, channels, 3, 3, generator=generator) * 0.15

    def __call__(self, z, sigma):
        s = sigma[:, None, None, None]
        unit = z / (1 + s**2).sqrt()
        noise = unit + 0.5 * torch.tanh(torch.nn.functional.conv2d(unit, self.mix.to(z), padding=1))
        return z - s * noise / (1 + 0.2 / (s + 0.05))


@pytest.fixture
def curved():
    return CurvedDenoiser()


class TinyAutoencoder:
    """A linear pixel-shuffle pair, 8x8 pixels to 4 channels, the same at every place."""

    def __init__(self):
        basis = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        self.basis = basis / basis.flatten(1).norm(dim=1)[:, None, None, None]

    def encode(self, x):
        return torch.nn.functional.conv2d(x, self.basis, stride=8) / 8

    def decode(self, z):
        return torch.nn.functional.conv_transpose2d(z * 8, self.basis, stride=8)


@pytest.fixture
def autoencoder():
    return TinyAutoencoder()


@pytest.fixture
def picture():
    return (torch.rand(1, 3, 80, 100, generator=torch.Generator().manual_seed(2)) * 255).round()
