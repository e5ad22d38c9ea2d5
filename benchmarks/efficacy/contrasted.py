"""A control for Protect as it is shipped: its loss with its contrast over a free shift of z_0, with no walk and no rho.

    slope_z <- d loss(z, S*) / dz - c * d loss(z, empty) / dz          as `ldu.refine` has it, at a contrast of 1
    shift   <- Adam(dz/d shift applied to slope_z), shrunk as the control of `ldu`'s loss shrinks it
with z the encoding of the 8-bit picture that is composed of the original and the shift's residual. The control over
pixels is the refinement itself with no shift before it (`ldu_contrast`).

Source: `benchmarks.baselines.controls` and `ldu.refine`.
"""

import torch
from torch import Tensor

from benchmarks.baselines.controls import RATE
from benchmarks.efficacy.ours import Shift
from benchmarks.world import World
from ldu.budget import compose, residual_levels, to_levels, to_pixels
from ldu.lagrangian import root_mean_square
from ldu.model import Denoiser
from ldu.refine import RefineConfig
from ldu.shapes import Latent
from ldu.train import Surrogate, TrainConfig, mean_loss, published_latent

TINY = 1e-20  # a picture without any slope stays where it is


def z0_contrast(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Return pictures x (n, 3, h, w) after shifts of their latents, 8-bit."""
    surrogate = Shift().surrogate(world, x, generator)
    return torch.cat([_shifted(world, surrogate, one, budget_levels, steps, generator) for one in x.split(1)])


def _shifted(
    world: World, surrogate: Surrogate, x: Tensor, budget_levels: float, steps: int, generator: torch.Generator
) -> Tensor:
    with torch.no_grad():
        z_0 = world.encode(x).float()
        clean = world.decode(z_0)
    original = to_levels(x).round()
    shift = torch.zeros_like(z_0, requires_grad=True)
    optimizer = torch.optim.Adam([shift], RATE)
    for _ in range(steps):
        residual = residual_levels(clean, world.decode(z_0 + shift))
        published = published_latent(surrogate, compose(original, residual, budget_levels).to(z_0), (), generator)
        optimizer.zero_grad()
        published.backward(-_slope(surrogate, published.detach(), generator))
        optimizer.step()
        used = root_mean_square(residual.detach(), budget_levels) / TrainConfig.visibility_target  # a measurement
        shift.data /= used.clamp(min=1)
    with torch.no_grad():
        residual = residual_levels(clean, world.decode(z_0 + shift))
        return to_pixels(compose(original, residual, budget_levels)).cpu()


def _slope(surrogate: Surrogate, z_0: Latent, generator: torch.Generator) -> Latent:
    """Return the slope of the personalizer's loss, without what it shares with that under the empty prompt."""
    drawn = generator.get_state()
    slope = _gradient(surrogate, surrogate.adversary, z_0, generator)
    generator.set_state(drawn)
    common = _gradient(surrogate, surrogate.walker, z_0, generator)
    return slope - (slope * common).sum() / common.square().sum().clamp(min=TINY) * common


def _gradient(surrogate: Surrogate, denoiser: Denoiser, z_0: Latent, generator: torch.Generator) -> Latent:
    z_0 = z_0.clone().requires_grad_()
    settings = RefineConfig()
    loss = mean_loss(
        denoiser,
        z_0,
        surrogate.schedule,
        draws=settings.draws,
        weighting=settings.weighting,
        generator=generator,
    )
    return torch.autograd.grad(loss, z_0)[0]
