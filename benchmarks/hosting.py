"""Bring up the real ComfyUI in this process with the pack loaded as the host loads it, and models of full size.

The host's own classes build the models, with random weights: what is measured is time and memory, not pictures.
"""

import asyncio
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmarks.table import ROOT
from demo.pipeline import WEIGHTS

CACHE = Path(os.environ.get("LDU_CACHE") or Path.home() / ".cache" / "comfyui-ldu")
COMFYUI = Path(os.environ.get("COMFYUI_DIR") or CACHE / "ComfyUI")
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


@dataclass(frozen=True)
class Host:
    """A running ComfyUI."""

    nodes: ModuleType

    @property
    def classes(self) -> dict[str, Any]:
        """Return all node classes by id."""
        return self.nodes.NODE_CLASS_MAPPINGS

    def module(self, name: str) -> ModuleType:
        """Return a module of the pack as the host loaded it."""
        return importlib.import_module(f"{str(ROOT).replace('.', '_x_')}.{name}")


@contextmanager
def running(*, cpu: bool) -> Iterator[Host]:
    """Boot ComfyUI with a base directory that is gone afterwards."""
    if not (COMFYUI / "main.py").is_file():
        sys.exit(f"There is no ComfyUI at {COMFYUI}: set COMFYUI_DIR, or run `python run.py test` once.")
    with tempfile.TemporaryDirectory(prefix="ldu-speed-") as base:
        for folder in ("models/checkpoints", "models/embeddings", "custom_nodes", "input", "output", "temp", "user"):
            (Path(base) / folder).mkdir(parents=True)
        yield Host(_boot(Path(base), cpu))


def _boot(base: Path, cpu: bool) -> ModuleType:
    sys.path.insert(0, str(COMFYUI))
    argv = sys.argv
    sys.argv = ["main.py", "--base-directory", str(base), *(["--cpu"] if cpu else [])]
    options = importlib.import_module("comfy.options")
    options.enable_args_parsing()
    importlib.import_module("comfy.cli_args")  # reads sys.argv once
    sys.argv = argv
    nodes = importlib.import_module("nodes")
    importlib.import_module("comfy.utils").set_progress_bar_enabled(False)
    asyncio.run(nodes.init_builtin_extra_nodes())
    if not asyncio.run(nodes.load_custom_node(str(ROOT), module_parent="custom_nodes")):
        sys.exit("ComfyUI refused to load the pack; its message stands above.")
    return nodes


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
