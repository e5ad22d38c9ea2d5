"""A small diffusion model of pixels for the purifiers that need one: DiffPure in pixels, GrIDPure, noisy upscaling.

One UNet sees the noisy picture and, beside it, a low-resolution one enlarged to the same size; zeros stand for none. It
has no attention, so it takes any size of which 8 divides the sides, and DDPM's own schedule, in which the published
purifiers count their timesteps.

Source: DDPM, Ho et al. 2020, section 4 (schedule); the low resolution beside the noise, SR3, Saharia et al. 2021,
section 2.3, with noise of its own, CDM, Ho et al. 2022, section 4; the start from the enlarged picture, Chung et al.
2022 (Come-Closer-Diffuse-Faster).
"""

from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from ldu.attacks.purify.contract import DiffusionModel, PixelSpace, Tools
from ldu.attacks.purify.diffusion import back_step
from ldu.backends.diffusers import DiffusersDenoiser, read_schedule

from .pipeline import WEIGHTS

PIXEL_UNET = WEIGHTS.with_name("ldu_demo_pixel_unet.safetensors")
SQUARE = 64
"""Side of the squares that it learnt from."""
SCALE = 2
"""How much it enlarges."""
DEPTH, STEPS = 0.2, 10
"""Where enlarging starts, as a share of the timesteps, and its model evaluations."""
WIDTHS = (48, 96, 128, 128)


class PixelUNet(nn.Module):
    """The UNet as diffusers calls one."""

    def __init__(self) -> None:
        """Make it, untrained."""
        super().__init__()
        self.net = UNet2DModel(
            in_channels=6,
            out_channels=3,
            block_out_channels=WIDTHS,
            layers_per_block=1,
            down_block_types=("DownBlock2D",) * len(WIDTHS),
            up_block_types=("UpBlock2D",) * len(WIDTHS),
            norm_num_groups=16,
            add_attention=False,
        )

    def forward(
        self, sample: Tensor, timestep: Tensor, low_resolution: Tensor | None = None, *, return_dict: bool = False
    ) -> tuple[Tensor]:
        """Predict the noise.

        Args:
            sample: (b, 3, h, w), the noisy pictures.
            timestep: (b,).
            low_resolution: (b, 3, h, w) in [-1, 1], already enlarged (`enlarge`); None = there is none.
            return_dict: for callers of diffusers' models; a tuple comes either way.

        Returns:
            The noise (b, 3, h, w), alone in a tuple.
        """
        del return_dict
        beside = torch.zeros_like(sample) if low_resolution is None else low_resolution
        return self.net(torch.cat([sample, beside], 1), timestep, return_dict=False)


def make_scheduler() -> DDPMScheduler:
    """Return DDPM's schedule, which is that of the published pixel models."""
    return DDPMScheduler(1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear", clip_sample=False)


def enlarge(x: Tensor) -> Tensor:
    """Return pictures (n, 3, h, w) at SCALE times their size, as the UNet takes its low resolution."""
    return functional.interpolate(x, scale_factor=SCALE, mode="bicubic")


def save(net: PixelUNet, path: Path) -> None:
    """Write the weights in fp16."""
    part = path.with_suffix(".part")
    save_file({name: value.detach().half().contiguous() for name, value in net.net.state_dict().items()}, part)
    part.replace(path)


@cache
def load(path: Path = PIXEL_UNET) -> PixelUNet:
    """Return the trained UNet, float32, frozen."""
    net = PixelUNet()
    net.net.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return net.eval().requires_grad_(False)


def pixel_model(net: PixelUNet) -> DiffusionModel:
    """Return it as purifiers use a diffusion model."""
    schedule = read_schedule(make_scheduler())
    return DiffusionModel(DiffusersDenoiser(net, schedule, {}), schedule, PixelSpace())


def with_pixels(tools: Tools, net: PixelUNet) -> Tools:
    """Return tools with which purifiers work on pixels as well."""
    return replace(tools, pixel=pixel_model(net), upscale=partial(upscale, net))


def upscale(net: PixelUNet, x: Tensor, *, seed: int = 0) -> Tensor:
    """Return pictures (n, 3, h, w) in [-1, 1] at SCALE times their size, free of noise that they may carry.

    DDIM's walk begins at the bicubic picture with noise that the seed draws: from noise alone this UNet gets shapes
    right and colours wrong, since its error in them grows with the noise level.
    """
    schedule = read_schedule(make_scheduler())
    generator = torch.Generator().manual_seed(seed)
    large = enlarge(x)
    denoiser = DiffusersDenoiser(net, schedule, {"low_resolution": large})
    sigmas = schedule.grid(STEPS, DEPTH)
    z = large + sigmas[0] * torch.randn(large.shape, generator=generator).to(large)
    for high, low in pairwise(sigmas):
        D = denoiser(z, z.new_full((len(z),), high)).clamp(-1, 1)
        z = back_step(z, D, schedule, high, low, eta=0.0, generator=generator)
    return z
