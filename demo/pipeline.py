"""Save the demo world as one ComfyUI-style file, and load diffusers models from that same file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from launch.setup import present_host
from ldu.whole_file import written_whole

from . import architecture, convert

WEIGHTS = Path(__file__).parent / "weights" / "ldu_demo.safetensors"
SECOND = WEIGHTS.with_name("ldu_demo_second.safetensors")
"""The thief's own model: a UNet and a VAE; its text encoder is that of WEIGHTS."""
CONFIG_KEY = "ldu_demo_config"

Pipeline = tuple[AutoencoderKL, UNet2DConditionModel, CLIPTextModel, CLIPTokenizer, DDPMScheduler]


def key_maps(
    config: dict[str, Any], vae: nn.Module, unet: nn.Module, text: nn.Module | None
) -> Iterator[tuple[nn.Module, dict[str, str]]]:
    """Pair each model with its map from single-file keys to its own keys."""
    yield vae, convert.vae_keys(vae.state_dict(), config["vae"])
    yield unet, convert.unet_keys(unet.state_dict(), config["unet"])
    if text is not None:
        yield text, convert.clip_keys(key for key in text.state_dict() if not key.endswith("position_ids"))


def save_checkpoint(
    path: Path,
    vae: nn.Module,
    unet: nn.Module,
    text: nn.Module | None,
    config: dict[str, Any] = architecture.CONFIG,
) -> None:
    """Write the models in fp16 to one safetensors file, with their configurations as metadata.

    Without a text encoder, loading the file takes that of WEIGHTS.
    """
    weights: dict[str, Tensor] = {}
    for model, names in key_maps(config, vae, unet, text):
        weights |= convert.to_single_file(names, dict(model.state_dict()))
    halves = {key: value.detach().to(torch.float16).contiguous() for key, value in weights.items()}
    with written_whole(path, force=True) as part:
        save_file(halves, part, metadata={CONFIG_KEY: json.dumps(config)})


def is_demo(path: Path) -> bool:
    """Tell whether a safetensors file is a demo checkpoint."""
    with safe_open(path, "pt") as file:
        return CONFIG_KEY in (file.metadata() or {})


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the configuration and the weights of a demo checkpoint."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if CONFIG_KEY not in metadata:
            raise ValueError(f"{path.name} is no demo checkpoint: its metadata has no {CONFIG_KEY}")
        return json.loads(metadata[CONFIG_KEY]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def find_tokenizer() -> Path:
    """Return the folder of CLIP's tokenizer in the ComfyUI that tools and tests work in."""
    folder = present_host().comfyui / "comfy" / "sd1_tokenizer"
    if not folder.is_dir():
        raise FileNotFoundError(f"no CLIP tokenizer at {folder}: set COMFYUI_DIR to a checkout of ComfyUI")
    return folder


def load_tokenizer() -> CLIPTokenizer:
    """Load the host's tokenizer (49408 tokens, 77 a prompt, padded with the end token)."""
    return CLIPTokenizer.from_pretrained(str(find_tokenizer()), pad_token="<|endoftext|>", model_max_length=77)


def load_diffusers(path: Path | str = WEIGHTS) -> Pipeline:
    """Build (vae, unet, text_encoder, tokenizer, scheduler) from the file, float32, frozen, in eval mode."""
    config, weights = read_checkpoint(Path(path))
    vae = architecture.make_vae(config["vae"])
    unet = architecture.make_unet(config["unet"])
    text = architecture.make_text_encoder(config["clip"])
    if not any(key.startswith(convert.CLIP_PREFIX) for key in weights):
        weights = read_checkpoint(WEIGHTS)[1] | weights
    for model, names in key_maps(config, vae, unet, text):
        model.load_state_dict(convert.to_diffusers(names, weights, model.state_dict()), strict=False)
        model.eval().requires_grad_(False)
    return vae, unet, text, load_tokenizer(), architecture.make_scheduler()


def tokenize(tokenizer: CLIPTokenizer, prompts: list[str]) -> Tensor:
    """Return the token numbers (n, 77) of `prompts`."""
    return tokenizer(prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
