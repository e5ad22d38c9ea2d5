"""rho: a lightweight UNet that shifts z_T,  z_T_shifted = z_T + strength * rho(z_T, log sigma, key).

It sees z_T in unit variance, so its bound is in those units at every depth. It is the identity at initialisation (its
last convolution is zero), its output is bounded by `bound * tanh(. / bound)`, and it normalises within one picture
(GroupNorm), so that a picture's shift never depends on its neighbours in a batch, but with a key on its place there.

Source: LDU (arXiv 2510.03089), the trajectory-shifted perturbation; the blocks follow Ho et al. 2020, app. B.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import BadValueError
from .shapes import Latent, PerSample

_GROUPS = 8


@dataclass(frozen=True)
class ShiftConfig:
    """The architecture of rho.

    Args:
        latent_channels: channels of the model's latents.
        width: channels at full latent size, a multiple of 8; doubled at each level.
        levels: resolutions, at least 1.
        bound: largest shift of one latent value, in units of the standard deviation of z_T.
        key_channels: planes of seeded noise beside z_T that make the shift differ from picture to picture; 0 = none.
    """

    latent_channels: int
    width: int = 48
    levels: int = 3
    bound: float = 1.0
    key_channels: int = 1

    def __post_init__(self) -> None:
        if any(type(n) is not int for n in (self.latent_channels, self.width, self.levels, self.key_channels)):
            raise BadValueError("The channels, the width and the levels of rho must be whole numbers.")
        if not 1 <= self.latent_channels <= 256 or not 0 <= self.key_channels <= 16:
            raise BadValueError(
                f"rho takes 1 to 256 latent and 0 to 16 key channels, "
                f"but {self.latent_channels} and {self.key_channels} came."
            )
        if not (8 <= self.width <= 512 and self.width % _GROUPS == 0 and 1 <= self.levels <= 6):
            raise BadValueError(
                f"rho takes a width of 8 to 512 in steps of 8 and 1 to 6 levels, but {self.width}, {self.levels} came."
            )
        if not (math.isfinite(self.bound) and 0 < self.bound <= 100):
            raise BadValueError(f"The bound of rho must lie above 0 and at most at 100, but {self.bound} came.")


class ResidualBlock(nn.Module):
    """Two convolutions around a residual, scaled and shifted by the noise level."""

    def __init__(self, channels_in: int, channels: int, embedding: int) -> None:
        super().__init__()
        self.norm_1 = nn.GroupNorm(_GROUPS, channels_in)
        self.conv_1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * channels)
        self.norm_2 = nn.GroupNorm(_GROUPS, channels)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.skip = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Return the block's output, same height and width."""
        scale, offset = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        inner = self.conv_1(functional.silu(self.norm_1(h)))
        inner = self.norm_2(inner) * (1 + scale) + offset
        return self.skip(h) + self.conv_2(functional.silu(inner))


class ShiftUNet(nn.Module):
    """rho, the trained shift."""

    def __init__(self, config: ShiftConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(config.levels)]
        embedding = 4 * config.width
        self.embed_sigma = nn.Sequential(nn.Linear(1, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU())
        self.conv_in = nn.Conv2d(config.latent_channels + config.key_channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            ResidualBlock(a, b, embedding) for a, b in zip([widths[0], *widths[:-1]], widths, strict=True)
        )
        self.middle = ResidualBlock(widths[-1], widths[-1], embedding)
        self.up = nn.ModuleList(
            ResidualBlock(2 * a, b, embedding) for a, b in zip(widths[::-1], [*widths[-2::-1], widths[0]], strict=True)
        )
        self.norm_out = nn.GroupNorm(_GROUPS, widths[0])
        self.conv_out = nn.Conv2d(widths[0], config.latent_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)  # pyright: ignore[reportArgumentType]  (a bias is there by default)

    def forward(self, z_T: Latent, sigma: PerSample, key: Tensor | None = None) -> Latent:
        """Return the shift of z_T, same shape, each value within +-bound.

        Args:
            z_T: latents at noise level sigma in unit variance.
            sigma: the noise level of each sample.
            key: noise planes (b, key_channels, h, w) from `draw_key`; None if rho has no key channels.
        """
        embedding = self.embed_sigma(sigma.log()[:, None])
        h = self.conv_in(z_T if key is None else torch.cat([z_T, key], dim=1))
        skips = []
        for level, block in enumerate(self.down):
            h = block(h if level == 0 else functional.avg_pool2d(h, 2, ceil_mode=True), embedding)
            skips.append(h)
        h = self.middle(h, embedding)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            h = functional.interpolate(h, size=skip.shape[-2:], mode="nearest")  # odd sizes come back exactly
            h = block(torch.cat([h, skip], dim=1), embedding)
        raw = self.conv_out(functional.silu(self.norm_out(h)))
        return self.config.bound * torch.tanh(raw / self.config.bound)

    def draw_key(self, z_T: Latent, *, generator: torch.Generator) -> Tensor | None:
        """Return fresh key planes for z_T, drawn on the CPU so that a seed gives the same key on every device."""
        if self.config.key_channels == 0:
            return None
        shape = (z_T.shape[0], self.config.key_channels, *z_T.shape[-2:])
        return torch.randn(shape, generator=generator).to(z_T)


def untrained_rho(config: ShiftConfig, *, seed: int = 0) -> ShiftUNet:
    """Return a rho on the CPU as training starts with it; the global random state stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ShiftUNet(config)
