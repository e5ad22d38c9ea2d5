"""Models of full size, built of the host's own classes.

Their weights are random: what is measured on them is time and memory, not pictures.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.hosting import Host
from demo.pipeline import WEIGHTS

GiB = 2**30
UNET = {
    "use_checkpoint": False,
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "use_spatial_transformer": True,
    "legacy": False,
    "model_channels": 320,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}
SD15 = UNET | {
    "adm_in_channels": None,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "use_linear_in_transformer": False,
    "context_dim": 768,
    "num_heads": 8,
}
SDXL = UNET | {
    "num_classes": "sequential",
    "adm_in_channels": 2816,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "transformer_depth_middle": 10,
    "use_linear_in_transformer": True,
    "context_dim": 2048,
    "num_head_channels": 64,
}
VAE = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 128,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "dropout": 0.0,
}


@dataclass(frozen=True)
class Loaded:
    """One size's models in the host.

    Args:
        model: MODEL.
        vae: VAE.
        conditioning: CONDITIONING of the empty prompt, or random of its shape.
        side: the pictures' sides in pixels.
    """

    model: Any
    vae: Any
    conditioning: list[Any]
    side: int


def load(host: Host, size: str) -> Loaded:
    """Load or build the models of one size: demo, sd15 or sdxl."""
    return _demo(host) if size == "demo" else _random(size)


def _demo(host: Host) -> Loaded:
    model, clip, vae = host.module("nodes.weights").load_demo(WEIGHTS)
    return Loaded(model, vae, host.classes["CLIPTextEncode"]().encode(clip, "")[0], 128)


def _random(size: str) -> Loaded:
    import comfy.ldm.models.autoencoder as autoencoder
    import comfy.model_management as mm
    import comfy.sd
    import comfy.supported_models as families
    from comfy.model_patcher import CoreModelPatcher

    kind, config, side = {"sd15": (families.SD15, SD15, 512), "sdxl": (families.SDXL, SDXL, 1024)}[size]
    family = kind(dict(config))
    dtype = torch.float32 if mm.get_torch_device().type == "cpu" else torch.float16
    family.set_inference_dtype(dtype, None)
    net = family.get_model({}, "")
    _randomise(net.diffusion_model)
    model = CoreModelPatcher(net, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device())
    coder = autoencoder.AutoencoderKL(ddconfig=VAE, embed_dim=4)
    _randomise(coder)
    extra = {"pooled_output": torch.randn(1, 1280)} if size == "sdxl" else {}
    return Loaded(
        model, comfy.sd.VAE(sd=coder.state_dict()), [[torch.randn(1, 77, config["context_dim"]), extra]], side
    )


@torch.no_grad()
def _randomise(net: torch.nn.Module) -> None:
    """Give every weight a random value of sensible size, in place."""
    torch.manual_seed(0)
    for name, weight in net.named_parameters():
        if weight.ndim == 1:
            weight.fill_(1.0 if name.endswith("weight") else 0.0)
        else:
            reach = (3 / weight[0].numel()) ** 0.5 * (0.02 if name == "out.2.weight" else 1.0)
            weight.uniform_(-reach, reach)


def picture(side: int) -> Tensor:
    """Return a random smooth IMAGE, (1, side, side, 3)."""
    coarse = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return ((smooth * 255).round() / 255).movedim(1, -1).contiguous()
