"""The demo checkpoint as the host's MODEL, CLIP and VAE."""

import json
from pathlib import Path
from typing import Any

import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.supported_models_base
import folder_paths
import torch
from comfy.ldm.modules.diffusionmodules.model import ResnetBlock

from ...ldu.checkpoint import read_safetensors
from ...ldu.errors import BadFileError
from .memory import new_patcher

_AGAIN = "It belongs to this pack: install the pack again."


def load_demo(path: Path, disable_dynamic: bool = False) -> tuple[Any, Any, Any]:
    """Build the host's MODEL, CLIP and VAE from the demo checkpoint, a single file in the layout of SD1.x.

    Args:
        path: the file; its metadata holds the three architectures.
        disable_dynamic: keep the weights out of dynamic memory management.

    Raises:
        BadFileError: if the file is missing, damaged or another one.
    """
    weights, config = _read(path)
    model = new_patcher(_demo_model(weights, config), disable_dynamic)
    model.model_options["ldu_resolution"] = config["resolution"]
    clip, vae = _demo_clip(weights, config, disable_dynamic), _demo_vae(weights, config)
    for index, patcher in enumerate((model, clip.patcher, vae.patcher)):
        patcher.cached_patcher_init = (_reload, (path, index))
    return model, clip, vae


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        weights, metadata = read_safetensors(path)
        return weights, json.loads(metadata["ldu_demo_config"])
    except BadFileError as error:
        raise BadFileError(f"{error} {_AGAIN}") from error
    except (KeyError, ValueError) as error:
        raise BadFileError(f"{path.name} does not describe itself as the demo checkpoint does. {_AGAIN}") from error


def is_demo(model: Any) -> bool:  # noqa: ANN401
    """Tell whether a MODEL, or what it was cloned from, is the demo checkpoint's."""
    loader = getattr(model, "cached_patcher_init", None)
    return loader is not None and loader[0] is _reload


def _reload(path: Path, index: int, disable_dynamic: bool = False) -> Any:  # noqa: ANN401
    """Load one part anew, as the host asks for when a model must be copied."""
    part = load_demo(path, disable_dynamic)[index]
    return part if index == 0 else part.patcher


def _demo_model(weights: dict[str, torch.Tensor], config: dict[str, Any]) -> Any:  # noqa: ANN401
    unet = comfy.supported_models.SD15(config["unet"])
    unet.set_inference_dtype(torch.float32, None)
    model = unet.get_model({}, "")
    model.load_model_weights(dict(weights), "model.diffusion_model.")
    return model


def _demo_clip(weights: dict[str, torch.Tensor], config: dict[str, Any], disable_dynamic: bool) -> Any:  # noqa: ANN401
    target = comfy.supported_models_base.ClipTarget(comfy.sd1_clip.SD1Tokenizer, comfy.sd1_clip.SD1ClipModel)
    prefix = "cond_stage_model."
    text = {f"clip_l.{name.removeprefix(prefix)}": w for name, w in weights.items() if name.startswith(prefix)}
    clip = comfy.sd.CLIP(
        target,
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        state_dict=[],
        model_options={"clip_l_model_config": config["clip"], "dtype": torch.float32},
        disable_dynamic=disable_dynamic,
    )
    clip.cond_stage_model.load_state_dict(text, strict=False)
    clip.tokenizer.clip_l.embedding_size = config["clip"]["hidden_size"]
    return clip


def _demo_vae(weights: dict[str, torch.Tensor], config: dict[str, Any]) -> Any:  # noqa: ANN401
    prefix = "first_stage_model."
    parts = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
    vae = comfy.sd.VAE(sd=parts, config={"params": config["vae"]}, dtype=torch.float32)
    for name, block in vae.first_stage_model.named_modules():
        if isinstance(block, ResnetBlock) and not any(
            parts[f"{name}.conv2.{part}"].any() for part in ("weight", "bias")
        ):
            block.forward = _pass_on  # it adds nothing, and at full resolution that is half of the VAE's work
    return vae


def _pass_on(x: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
    """Return what came, in the place of a residual block."""
    return x
