"""Textual Inversion: learn the embedding of a new word S* from a few pictures, everything else frozen.

    v* = argmin_v E_{z, t, noise} || prediction(z_t, t, c(prompt with v in the place of S*)) - target ||^2

Source: Gal et al. 2023, section 3.2 and eq. 2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ..errors import BadImageError, BadValueError
from ..losses import noise_prediction_loss, require_finite
from ..model import BindToken
from ..schedule import NoiseSchedule
from ..shapes import LatentOfAnySize, TokenEmbedding


@dataclass(frozen=True)
class InversionConfig:
    """How the token is fitted.

    Args:
        ti_steps: optimiser steps, 0 or more.
        learning_rate: of Adam, in units of the token embedding.
        draws: draws of t and noise per step, all on one picture.
    """

    ti_steps: int = 150
    learning_rate: float = 5e-3
    draws: int = 4

    def __post_init__(self) -> None:
        if self.ti_steps < 0 or self.draws < 1 or not self.learning_rate > 0:
            raise BadValueError(
                "Textual Inversion takes 0 or more steps, 1 or more draws and a positive learning rate, "
                f"but {self.ti_steps}, {self.draws} and {self.learning_rate} came."
            )


def fit_token(
    bind: BindToken,
    latents: Sequence[LatentOfAnySize],
    schedule: NoiseSchedule,
    initial: TokenEmbedding,
    config: InversionConfig,
    *,
    generator: torch.Generator,
    on_step: Callable[[int, float], None] | None = None,
) -> TokenEmbedding:
    """Return the learnt token embedding (vectors, width), detached; `initial` is left as it is.

    Args:
        bind: gives the denoiser whose prompt holds a token embedding; gradients flow through it.
        latents: the pictures, each (1, c, h, w) in the model's scale; sizes may differ.
        schedule: the model's noise levels.
        initial: where to start, usually the embedding of a coarse word such as "person".
        config: steps, learning rate and draws.
        generator: a CPU generator.
        on_step: called after each step with its number (from 1) and its loss.

    Raises:
        BadImageError: no pictures.
        NonFiniteError: the loss diverged.
    """
    if not latents:
        raise BadImageError("Textual Inversion needs at least one picture, but none came.")
    token = initial.detach().clone().requires_grad_()  # a copy: the caller's embedding stays as it is
    optimizer = torch.optim.Adam([token], lr=config.learning_rate)
    for step in range(config.ti_steps):
        z_0 = latents[step % len(latents)].expand(config.draws, -1, -1, -1)
        loss = noise_prediction_loss(bind(token), z_0, schedule, generator=generator).mean()
        require_finite(loss, "Textual Inversion loss", step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, loss.item())
    return token.detach()
