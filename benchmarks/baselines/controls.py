"""Controls for our own method: its objective without its parts, so that what the parts bring can be seen.

Both raise `ldu.train`'s loss, the noise-prediction error of a fixed Textual Inversion of the person on the encoding of
the 8-bit picture (rounding is straight-through):
    pixel   over the pixels, by signed gradient steps
    z_0     over a shift of z_0, decoded and composed as in `ldu.budget`, by Adam; no walk, no rho. The residual's RMS
            is held at the target of `ldu.train` by shrinking the shift, not by a price: over a free shift the price
            swung for hundreds of steps
With DRAWS draws of t and noise a picture and step, as `ldu.train`. Its step at k = 2 evaluates the denoiser 6 times, 4
of them with a backward pass, so 100 of its steps cost as many backward passes as 200 steps here.
"""

import torch
from torch import Tensor

from benchmarks.baselines.pgd import LossOf, climb, publish, reaching
from benchmarks.world import World
from ldu.attacks.textual_inversion import InversionConfig, fit_token
from ldu.backends.diffusers import TextEncoder
from ldu.budget import compose, quantise, residual_levels, to_levels, to_pixels
from ldu.lagrangian import root_mean_square
from ldu.losses import noise_prediction_loss
from ldu.model import Denoiser
from ldu.train import TrainConfig

INVERSION = InversionConfig()
DRAWS = TrainConfig.draws
STRIDE = 1 / 16
RATE = 2e-2  # of Adam, in units of the latent's standard deviation


def personalizer(
    world: World, x: Tensor, generator: torch.Generator, config: InversionConfig | None = None
) -> Denoiser:
    """Return the denoiser under "a photo of S* person", S* fitted to the clean pictures (None = INVERSION)."""
    encoder = TextEncoder(world.text, world.tokenizer)
    bind = world.bind(world.personal_prompt("S*"))
    with torch.no_grad():
        latents = [world.encode(one[None]).float() for one in x]
    token = fit_token(
        bind, latents, world.schedule, encoder.initial(world.subject), config or INVERSION, generator=generator
    )
    with torch.no_grad():
        return bind(token)


def error_of_file(world: World, adversary: Denoiser, pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return the personalizer's mean error on pictures as they would be saved, each with its own draws."""
    z_0 = world.encode(to_pixels(quantise(to_levels(pictures)))).float()
    losses = [
        noise_prediction_loss(adversary, one.expand(DRAWS, -1, -1, -1), world.schedule, generator=generator)
        for one in z_0.split(1)
    ]
    return torch.cat(losses).mean()


def objective(world: World, x: Tensor, generator: torch.Generator) -> LossOf:
    """Return the error of a personalizer fitted to x; fits it."""
    adversary = personalizer(world, x, generator)
    return lambda pictures: error_of_file(world, adversary, pictures, generator)


def pixel_control(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Raise our objective over the pixels."""
    loss_of, stride = objective(world, x, generator), reaching(STRIDE, steps)
    return publish(x, climb(x, loss_of, steps=steps, budget_levels=budget_levels, stride=stride), budget_levels)


def z0_control(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Raise our objective over a free shift of z_0, picture by picture."""
    loss_of = objective(world, x, generator)
    return torch.cat([_shifted(world, one, loss_of, budget_levels, steps) for one in x.split(1)])


def _shifted(world: World, x: Tensor, loss_of: LossOf, budget_levels: float, steps: int) -> Tensor:
    """Return one picture after the shift of its latent, (1, 3, h, w), 8-bit."""
    with torch.no_grad():
        z_0 = world.encode(x).float()
        clean = world.decode(z_0)
    shift = torch.zeros_like(z_0, requires_grad=True)
    optimizer = torch.optim.Adam([shift], RATE)
    for _ in range(steps):
        residual = residual_levels(clean, world.decode(z_0 + shift))
        loss = loss_of(to_pixels(compose(to_levels(x), residual, budget_levels)))
        optimizer.zero_grad()
        (-loss).backward()
        optimizer.step()
        used = root_mean_square(residual.detach(), budget_levels) / TrainConfig.visibility_target  # a measurement
        shift.data /= used.clamp(min=1)
    with torch.no_grad():
        return to_pixels(compose(to_levels(x), residual_levels(clean, world.decode(z_0 + shift)), budget_levels))
