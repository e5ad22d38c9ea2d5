"""LDU as published, as far as its text goes: what our changes are measured against.

    x_protected = D(denoise(invert(E(x)) + rho))          no record, no residual: the decoded picture is published
    minimise  - loss_personalize(z_0_protected) + WEIGHT * max(0, mean (x_protected - x)^2 - budget^2)
on the latent before decoding, with a hand-set weight and k = 4 from full depth. The file is clipped to the budget
around the original as every method's is.

Source: LDU (arXiv 2510.03089), pipeline and training objective; the weight and the learning rate are not given there.
"""

import torch
from torch import Tensor

from benchmarks.baselines.controls import personalizer
from benchmarks.baselines.pgd import publish
from benchmarks.world import World
from ldu.losses import noise_prediction_loss
from ldu.model import Autoencoder, Denoiser
from ldu.protect import WalkModels
from ldu.shift_unet import ShiftConfig, ShiftUNet, untrained_rho
from ldu.trajectory import denoise, invert

K_STEPS, DEPTH = 4, 1.0
DRAWS = 2
RATE = 2e-3
WEIGHT = 10.0


def protect(world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator) -> Tensor:
    """Return pictures x (n, 3, h, w) protected by one rho trained on all of them for `steps` steps a picture."""
    models, adversary = world.walk_models(), personalizer(world, x, generator)
    sigmas = models.schedule.grid(K_STEPS, DEPTH)
    with torch.no_grad():
        starts = [invert(models.walker, world.encode(one[None]), models.schedule, sigmas).z_T for one in x]
    rho = untrained_rho(ShiftConfig(starts[0].shape[1], key_channels=0), seed=generator.initial_seed())
    optimizer = torch.optim.Adam(rho.parameters(), RATE)
    for step in range(steps * len(x)):
        number = step % len(x)
        z_0 = _walked(models, rho, starts[number], sigmas)
        loss = _objective(models.autoencoder, adversary, models, z_0, x[number, None].to(z_0), budget_levels, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        decoded = torch.cat([world.decode(_walked(models, rho, z_T, sigmas)) for z_T in starts])
    return publish(x, decoded, budget_levels)


def _walked(models: WalkModels, rho: ShiftUNet, z_T: Tensor, sigmas: tuple[float, ...]) -> Tensor:
    shifted = z_T + rho(z_T, z_T.new_full((len(z_T),), sigmas[0]), None)
    return denoise(models.walker, shifted, models.schedule, sigmas, recompute=True)


def _objective(
    autoencoder: Autoencoder,
    adversary: Denoiser,
    models: WalkModels,
    z_0: Tensor,
    x: Tensor,
    budget_levels: float,
    generator: torch.Generator,
) -> Tensor:
    attack = noise_prediction_loss(adversary, z_0.expand(DRAWS, -1, -1, -1), models.schedule, generator=generator)
    excess = (autoencoder.decode(z_0) - x).square().mean() - (budget_levels / 127.5) ** 2
    return WEIGHT * excess.clamp(min=0) - attack.mean()
