"""A VAE of the host as the core's autoencoder port."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...ldu.errors import MismatchError
from ...ldu.shapes import Latent, Pixels

CELL = 8  # pixels a side


class HostAutoencoder:
    """A VAE as the core's autoencoder port, differentiable and without the host's silent fall-back to tiles."""

    def __init__(self, vae: Any, net: Any, model: Any, device: torch.device) -> None:  # noqa: ANN401
        """Compute with `net` in the place of the VAE's own module, in the latent scale and on the device of a model."""
        self._vae, self._net, self._model, self._device = vae, net, model, device

    def encode(self, x: Pixels) -> Latent:
        """Return the posterior's mode in the model's scale, float32."""
        pixels = self._vae.process_input((x + 1) / 2)
        samples = self._net.encode(pixels.to(self._vae.device, self._vae.vae_dtype)).to(self._device, torch.float32)
        self._keep_slopes(pixels, samples)
        return self._model.process_latent_in(samples)

    def decode(self, z: Latent) -> Pixels:
        """Return pixels in [-1, 1], not clamped, float32."""
        samples = self._model.process_latent_out(z)
        pixels = self._net.decode(samples.to(self._vae.device, self._vae.vae_dtype)).to(self._device, torch.float32)
        self._keep_slopes(samples, pixels)
        return pixels

    def _keep_slopes(self, given: Tensor, made: Tensor) -> None:
        """Bring slopes up to 1 for their way through a VAE in fp16, whose smallest numbers are larger than a loss's."""
        if self._vae.vae_dtype != torch.float16 or not made.requires_grad:
            return
        largest = made.new_ones(())

        def enlarge(slope: Tensor) -> Tensor:
            nonlocal largest
            largest = slope.abs().amax().clamp(min=torch.finfo(slope.dtype).tiny)
            return slope / largest

        made.register_hook(enlarge)
        given.register_hook(lambda slope: slope * largest)


def require_vae(vae: Any, model: Any = None) -> None:  # noqa: ANN401
    """Raise unless there is a VAE, and one whose latents the MODEL reads.

    Raises:
        MismatchError: there is none, or its latents have another number of channels or size.
    """
    if vae is None or vae.first_stage_model is None:
        raise MismatchError("This checkpoint holds no VAE: connect one from Load VAE that belongs to the model.")
    if (shrinks := vae.spacial_compression_encode()) != CELL:
        raise MismatchError(
            f"This VAE makes one latent cell of {shrinks} pixels a side, but this pack works with {CELL}, as Stable "
            "Diffusion, SDXL, SD3 and FLUX.1 have it: load such a checkpoint."
        )
    if model is None:
        return
    wanted = model.get_model_object("latent_format").latent_channels
    if vae.latent_channels != wanted:
        raise MismatchError(
            f"The model reads latents of {wanted} channels, but this VAE makes {vae.latent_channels}: connect the VAE "
            "of the same checkpoint."
        )


def training_room(vae: Any, shape: Sequence[int]) -> float:  # noqa: ANN401
    """Return the bytes to keep free for coding one picture with gradients, its latents being of this shape."""
    ratio = vae.spacial_compression_encode()
    pixels = (1, 3, shape[-2] * ratio, shape[-1] * ratio)
    encoding = vae.memory_used_encode(pixels, vae.vae_dtype)
    return 3 * max(encoding, vae.memory_used_decode((1, *shape[1:]), vae.vae_dtype))
