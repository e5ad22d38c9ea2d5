"""The field's protections on one bench, each written from its paper on one loop (`pgd`), and two controls.

Every method takes pictures (n, 3, h, w) in [-1, 1] on the 8-bit grid and gives protected ones on that grid, at most
floor(budget_levels) true 0..255 levels away. `cost.counted` counts what it spends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from benchmarks.baselines import (
    ace,
    advdm,
    anti_dreambooth,
    blurguard,
    controls,
    metacloak,
    mist,
    noise,
    photoguard,
    sds,
    simac,
)
from benchmarks.baselines.pgd import LossOf
from benchmarks.world import World


class Protect(Protocol):
    """What a method is."""

    def __call__(
        self, world: World, x: Tensor, *, budget_levels: float, steps: int, generator: torch.Generator
    ) -> Tensor:
        """Return x protected.

        Args:
            world: the models; they stay as they are.
            x: pictures of one person, (n, 3, h, w) in [-1, 1], on the 8-bit grid.
            budget_levels: largest change, true 0..255 levels; rounded down in the end.
            steps: gradient steps on the pictures.
            generator: of all draws, on the CPU.
        """
        ...


@dataclass(frozen=True)
class Method:
    """A protection with its settings.

    Args:
        protect: the method.
        steps: gradient steps by default.
        instead: what its source does where this was scaled to two cores or left out; empty = as in the source.
        objective: what it raises, for given models and clean pictures; None where it optimises nothing.
    """

    protect: Protect
    steps: int
    instead: str = ""
    objective: Callable[[World, Tensor, torch.Generator], LossOf] | None = None


METHODS: dict[str, Method] = {
    "noise_sign": Method(noise.sign_noise, 0),
    "noise_gauss": Method(noise.gauss_noise, 0),
    "photoguard": Method(photoguard.encoder_attack, 200, objective=photoguard.encoder_objective),
    "photoguard_diffusion": Method(
        photoguard.diffusion_attack, 40, "200 steps of ten gradients each", photoguard.diffusion_objective
    ),
    "advdm": Method(advdm.protect, 100, objective=advdm.objective),
    "mist": Method(mist.protect, 100, objective=mist.objective),
    "ace": Method(ace.protect, 250, "a LoRA epoch between every 50 steps", ace.objective),
    "sds": Method(sds.protect, 100, objective=sds.objective),
    "fsmg": Method(anti_dreambooth.fsmg, 100, "a surrogate of 1000 steps, here 100", anti_dreambooth.fsmg_objective),
    "aspl": Method(anti_dreambooth.aspl, 300, "surrogate at 5e-7, here 3e-5", anti_dreambooth.aspl_objective),
    "simac": Method(simac.protect, 300, "surrogate at 5e-7, here 3e-5", simac.objective),
    "metacloak": Method(metacloak.protect, 288, "14400 steps", metacloak.objective),
    "blurguard": Method(blurguard.protect, 100, "regions by Segment Anything", blurguard.objective),
    "pixel_control": Method(controls.pixel_control, 200, objective=controls.objective),
    "z0_control": Method(controls.z0_control, 200, objective=controls.objective),
}
