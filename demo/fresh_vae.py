"""Give a new VAE a running start: two measures that save most of its training on a small machine.

1. The residual blocks at full resolution stand aside while it trains (more than half of all the work) and
   come back as exact identities: their last convolution is zero.
2. Before the first step the encoder's last convolution is fitted, in closed form, to the four leading
   principal components of 8x8 patches, and the decoder's to the picture. From random weights the first
   thousand steps go into finding the mean colour, because GroupNorm hides it.
"""

from typing import Any

import torch
from diffusers import AutoencoderKL
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.nn.functional import unfold

WHISPER = 0.2
LOGVAR = -5.0


class PassOn(nn.Module):
    """Stand in for a residual block whose branch is zero."""

    def forward(self, x: Tensor, temb: Tensor | None = None) -> Tensor:
        """Return x: (b, c, h, w) as it is; `temb` is always None in a VAE."""
        return x


def _full_resolution(vae: Any) -> tuple[Any, Any]:  # noqa: ANN401  (an AutoencoderKL; torch types its parts as tensors)
    return vae.encoder.down_blocks[0].resnets, vae.decoder.up_blocks[-1].resnets


def quiet_blocks(vae: AutoencoderKL) -> None:
    """Take the full-resolution residual blocks out."""
    for blocks in _full_resolution(vae):
        for i in range(len(blocks)):
            blocks[i] = PassOn()


def restore_blocks(vae: AutoencoderKL) -> None:
    """Put full-resolution residual blocks back as identities."""
    width = vae.config["block_out_channels"][0]
    for blocks in _full_resolution(vae):
        for i in range(len(blocks)):
            block: Any = ResnetBlock2D(in_channels=width, out_channels=width, temb_channels=None, eps=1e-6)  # pyright: ignore
            nn.init.zeros_(block.conv2.weight)
            nn.init.zeros_(block.conv2.bias)
            blocks[i] = block


def blocks_are_identities(vae: AutoencoderKL) -> bool:
    """Say whether every full-resolution block adds exactly nothing."""
    last = [block.conv2 for blocks in _full_resolution(vae) for block in blocks]
    return not any(value.any() for layer in last for value in (layer.weight, layer.bias))


@torch.no_grad()  # weights are rewritten in place
def start_from_data(vae: AutoencoderKL, x: Tensor) -> None:
    """Set the weights of a new VAE so that it already codes pictures like x: (n, 3, h, w) coarsely."""
    for module in vae.modules():
        _calm(module)
    _start_posterior(vae)
    _fit_convolution(vae.encoder.conv_out, _inputs(vae.encoder, vae.encoder.conv_out, x), principal_patches(x))
    z = vae.encode(x).latent_dist.mean
    _fit_convolution(vae.decoder.conv_out, _inputs(vae.decoder, vae.decoder.conv_out, z), x)


def _calm(module: nn.Module) -> None:
    if isinstance(module, Downsample2D):
        _pass_channels(module.get_parameter("conv.weight"), ((0, 0), (0, 1), (1, 0), (1, 1)))
    elif isinstance(module, Upsample2D):
        _pass_channels(module.conv.weight, ((1, 1),))
    elif isinstance(module, ResnetBlock2D):
        module.conv2.weight.mul_(WHISPER)
        if module.conv_shortcut is not None:
            _pass_channels(module.conv_shortcut.weight, ((0, 0),))


def _pass_channels(weight: Tensor, taps: tuple[tuple[int, int], ...]) -> None:
    channels = range(min(weight.shape[:2]))
    weight.mul_(0.5)
    for row, column in taps:
        weight[channels, channels, row, column] += 1 / len(taps)


def _start_posterior(vae: AutoencoderKL) -> None:
    """Make the quantisation layers identities and the posterior narrow."""
    quant, post = vae.quant_conv, vae.post_quant_conv
    assert quant is not None
    assert post is not None
    channels = post.out_channels
    for layer in (quant, post):
        layer.weight.copy_(torch.eye(layer.out_channels)[..., None, None])
        layer.bias.zero_()
    quant.weight[channels:] = 0
    quant.bias[channels:] = LOGVAR


def principal_patches(x: Tensor, components: int = 4, side: int = 8) -> Tensor:
    """Return the leading principal components of the patches of x, each of unit variance, (n, 4, h/8, w/8)."""
    patches = unfold(x, side, stride=side)
    flat = patches.transpose(1, 2).flatten(0, 1)
    centred = flat - flat.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    codes = centred @ vectors[:, -components:]
    codes = codes / codes.std(0)
    return codes.unflatten(0, (len(x), -1)).transpose(1, 2).unflatten(2, (x.shape[2] // side, x.shape[3] // side))


def _inputs(network: nn.Module, layer: nn.Module, x: Tensor) -> Tensor:
    """Return what `layer` inside `network` is given when the network sees x."""
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    network(x)
    handle.remove()
    return seen[0]


def _fit_convolution(layer: nn.Conv2d, inputs: Tensor, target: Tensor, ridge: float = 1e-3) -> None:
    """Solve for the 3x3 layer that maps `inputs` to `target` best; outputs beyond the target's become zero."""
    count, size = target.shape[1], layer.weight.shape[1] * 9
    gram, mixed = torch.zeros(size + 1, size + 1), torch.zeros(size + 1, count)
    for one, wanted in zip(inputs, target, strict=True):
        taps = unfold(one[None], 3, padding=1)[0]
        design = torch.cat([taps, torch.ones(1, taps.shape[1])])
        gram += design @ design.T
        mixed += design @ wanted.flatten(1).T
    gram += ridge * gram.diagonal().mean() * torch.eye(size + 1)
    solution = torch.linalg.solve(gram, mixed)
    layer.weight.zero_()
    layer.bias.zero_()
    layer.weight[:count] = solution[:-1].T.unflatten(1, (-1, 3, 3))
    layer.bias[:count] = solution[-1]
