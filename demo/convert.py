"""Rename weights between diffusers' layout and the single-file layout that ComfyUI loads.

Every function returns {single-file key: diffusers key}; a file is written through that map and read back
through its inverse. The host's prefixes: model.diffusion_model, first_stage_model,
cond_stage_model.transformer.
"""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
CLIP_PREFIX = "cond_stage_model.transformer."

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
UNET_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
    "middle_block.0": "mid_block.resnets.0",
    "middle_block.1": "mid_block.attentions.0",
    "middle_block.2": "mid_block.resnets.1",
}
VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def unet_modules(config: dict[str, Any]) -> dict[str, str]:
    """Map the host's block names to diffusers' for a UNet of this host configuration."""
    blocks: list[int] = config["num_res_blocks"]
    crossed_down = [bool(depth) for depth in config["transformer_depth"]]
    crossed_up = [bool(depth) for depth in config["transformer_depth_output"]]
    return {**UNET_ENDS, **_down_modules(blocks, crossed_down), **_up_modules(blocks, crossed_up)}


def _down_modules(blocks: list[int], crossed: list[bool]) -> dict[str, str]:
    names, position, queue = {}, 1, list(crossed)
    for level, count in enumerate(blocks):
        for i in range(count):
            names[f"input_blocks.{position}.0"] = f"down_blocks.{level}.resnets.{i}"
            if queue.pop(0):
                names[f"input_blocks.{position}.1"] = f"down_blocks.{level}.attentions.{i}"
            position += 1
        if level < len(blocks) - 1:
            names[f"input_blocks.{position}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
            position += 1
    return names


def _up_modules(blocks: list[int], crossed: list[bool]) -> dict[str, str]:
    names, position, queue = {}, 0, list(crossed)
    for level, count in enumerate(reversed(blocks)):
        for i in range(count + 1):
            names[f"output_blocks.{position}.0"] = f"up_blocks.{level}.resnets.{i}"
            attended = queue.pop()
            if attended:
                names[f"output_blocks.{position}.1"] = f"up_blocks.{level}.attentions.{i}"
            if i == count and level < len(blocks) - 1:
                names[f"output_blocks.{position}.{1 + attended}.conv"] = f"up_blocks.{level}.upsamplers.0.conv"
            position += 1
    return names


def _longest_prefix(key: str, names: dict[str, str]) -> str:
    fitting = [name for name in names if key.startswith(name + ".")]
    if not fitting:
        raise KeyError(f"no rule renames {key}")
    return max(fitting, key=len)


def unet_keys(keys: Iterable[str], config: dict[str, Any]) -> dict[str, str]:
    """Map single-file keys to the given diffusers UNet `keys`."""
    to_host = {theirs: ours for ours, theirs in unet_modules(config).items()}
    resnet = {theirs: ours for ours, theirs in RESNET.items()}
    renamed = {}
    for key in keys:
        block = _longest_prefix(key, to_host)
        rest = key.removeprefix(block + ".")
        if ".resnets." in key:
            part, _, kind = rest.rpartition(".")
            rest = f"{resnet[part]}.{kind}"
        renamed[f"{UNET_PREFIX}{to_host[block]}.{rest}"] = key
    return renamed


def vae_modules(levels: int, blocks: int) -> dict[str, str]:
    """Map the host's block names to diffusers' for a VAE of `levels` and `blocks` per level."""
    names = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for side in ("encoder", "decoder"):
        for end, theirs in {"conv_in": "conv_in", "conv_out": "conv_out", "norm_out": "conv_norm_out"}.items():
            names[f"{side}.{end}"] = f"{side}.{theirs}"
        for i in (0, 1):
            names[f"{side}.mid.block_{i + 1}"] = f"{side}.mid_block.resnets.{i}"
        for ours, theirs in VAE_ATTENTION.items():
            names[f"{side}.mid.attn_1.{ours}"] = f"{side}.mid_block.attentions.0.{theirs}"
    for level in range(levels):
        mirrored = levels - 1 - level
        for i in range(blocks):
            names[f"encoder.down.{level}.block.{i}"] = f"encoder.down_blocks.{level}.resnets.{i}"
        for i in range(blocks + 1):
            names[f"decoder.up.{mirrored}.block.{i}"] = f"decoder.up_blocks.{level}.resnets.{i}"
        names[f"encoder.down.{level}.downsample"] = f"encoder.down_blocks.{level}.downsamplers.0"
        names[f"decoder.up.{mirrored}.upsample"] = f"decoder.up_blocks.{level}.upsamplers.0"
    return names


def vae_keys(keys: Iterable[str], config: dict[str, Any]) -> dict[str, str]:
    """Map single-file keys to the given diffusers VAE `keys`."""
    details = config["ddconfig"]
    modules = vae_modules(len(details["ch_mult"]), details["num_res_blocks"])
    to_host = {theirs: ours for ours, theirs in modules.items()}
    renamed = {}
    for key in keys:
        block = _longest_prefix(key, to_host)
        rest = key.removeprefix(block + ".").replace("conv_shortcut", "nin_shortcut")
        renamed[f"{VAE_PREFIX}{to_host[block]}.{rest}"] = key
    return renamed


def clip_keys(keys: Iterable[str]) -> dict[str, str]:
    """Map single-file keys to the given transformers text-model `keys`, whatever prefix those carry."""
    return {f"{CLIP_PREFIX}text_model.{key.removeprefix('text_model.')}": key for key in keys}


def _reshape_attention(key: str, value: Tensor) -> Tensor:
    """Turn the VAE attention's linear weight (o, i) into the host's 1x1 convolution (o, i, 1, 1)."""
    linear = ".mid.attn_1." in key and key.endswith("weight") and value.ndim == 2
    return value[..., None, None] if linear else value


def to_single_file(names: dict[str, str], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename diffusers `weights` to single-file keys."""
    return {ours: _reshape_attention(ours, weights[theirs]) for ours, theirs in names.items()}


def to_diffusers(names: dict[str, str], weights: dict[str, Tensor], like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename single-file `weights` to diffusers keys, in the shapes of the model's own state `like`."""
    return {theirs: weights[ours].float().reshape(like[theirs].shape) for ours, theirs in names.items()}
