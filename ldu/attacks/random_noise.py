"""Random noise of a given visibility: what a protection must beat to be worth anything."""

import torch
from torch import Tensor

from ..shapes import Levels


def noise_at_equal_psnr(original: Levels, protected: Levels, *, generator: torch.Generator) -> Levels:
    """Return the originals plus white noise with the protected pictures' mean square difference, in whole levels.

    Args:
        original: pictures in 0..255.
        protected: the same pictures, protected.
        generator: a CPU generator.
    """
    noise = torch.randn(original.shape, generator=generator).to(original)
    wanted = _root_mean_square(protected - original)
    noisy, scale = original, wanted
    for _ in range(20):  # rounding and clamping change the size a little; the fixed point is reached in a few rounds
        noisy = (original + scale * noise).round().clamp(0, 255)
        reached = _root_mean_square(noisy - original)
        scale = scale * torch.where(reached > 0, wanted / reached.clamp(min=1e-6), torch.full_like(wanted, 1.5))
    return noisy


def _root_mean_square(difference: Levels) -> Tensor:
    return difference.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
