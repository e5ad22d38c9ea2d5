"""The denoising error that most methods raise, with the draws of t and noise in the caller's hand.

z_t = sqrt(alpha_bar_t) z_0 + sqrt(1 - alpha_bar_t) noise
error = || noise_pred(z_t, t, c) - noise ||^2
"""

import torch
from torch import Tensor

from benchmarks.baselines.pgd import LossOf
from benchmarks.world import World, draw_noise


def draw(world: World, z_0: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw t (n,), uniform over the training timesteps, and noise like z_0."""
    t = torch.randint(world.schedule.train_timesteps, (len(z_0),), generator=generator)
    return t, draw_noise(z_0, generator)


def noised(world: World, z_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Return z_t for timesteps t: (n,)."""
    mix = world.alpha_bar[t][:, None, None, None]
    return mix.sqrt() * z_0 + (1 - mix).sqrt() * noise


def predict_noise(world: World, unet: torch.nn.Module, z_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
    """Return noise_pred (n, 4, h, w) in float32 under one condition (1, 77, width), by a network of this world.

    Of a velocity v it is sqrt(alpha_bar_t) v + sqrt(1 - alpha_bar_t) z_t (Salimans & Ho 2022, appendix D).
    """
    predicted = unet(z_t, t.to(z_t.device), condition.expand(len(z_t), -1, -1)).sample.float()
    if world.schedule.prediction != "v":
        return predicted
    mix = world.alpha_bar[t][:, None, None, None]
    return mix.sqrt() * predicted + (1 - mix).sqrt() * z_t


def denoising_errors(
    world: World, unet: torch.nn.Module, z_0: Tensor, condition: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the error of each latent, (n,), for one draw of t and noise each, and the timesteps."""
    t, noise = draw(world, z_0, generator)
    noise_pred = predict_noise(world, unet, noised(world, z_0, t, noise), t, condition)
    return (noise_pred - noise).square().mean((1, 2, 3)), t


def denoising_loss(world: World, unet: torch.nn.Module, prompt: str, generator: torch.Generator) -> LossOf:
    """Return the mean denoising error of pictures under a prompt; each call draws t and noise afresh."""
    condition = world.condition([prompt]).detach()  # a constant: nobody trains the text here

    def loss_of(pictures: Tensor) -> Tensor:
        return denoising_errors(world, unet, world.encode(pictures), condition, generator)[0].mean()  # pyright: ignore

    return loss_of
