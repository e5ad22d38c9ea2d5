"""Load an SD1.x or SD2.x checkpoint of one file into diffusers, with nothing fetched.

diffusers asks a hub for the configuration that belongs to such a file; what it needs to know of the two families is
said here. SD2.x comes with noise and with velocity prediction and its file does not say which: ComfyUI's rule is taken.

Source: CompVis stable-diffusion, v1-inference.yaml; Stability-AI stablediffusion, v2-inference(-v).yaml; the rule,
comfy/supported_models.py, SD20.model_type.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from safetensors import safe_open
from transformers import CLIPTokenizer

from demo.architecture import SCHEDULE
from demo.pipeline import find_tokenizer

PREFIX = "model.diffusion_model."
CONTEXT = PREFIX + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
TELLING = PREFIX + "output_blocks.11.1.transformer_blocks.0.norm1.bias"
LARGEST_OF_NOISE = 0.09
"""Standard deviation of TELLING, beyond which a model predicts velocity."""

_VAE = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
_TEXT = {
    "_class_name": "CLIPTextModel",
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}
_UNET = {
    "_class_name": "UNet2DConditionModel",
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": 2,
    "sample_size": 64,
}
FAMILIES: dict[int, dict[str, dict[str, Any]]] = {
    768: {
        "unet": _UNET | {"attention_head_dim": 8, "cross_attention_dim": 768},
        "vae": _VAE,
        "text_encoder": _TEXT
        | {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    },
    1024: {
        "unet": _UNET
        | {"attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024, "use_linear_projection": True},
        "vae": _VAE,
        "text_encoder": _TEXT
        | {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 23,
            "num_attention_heads": 16,
            "hidden_act": "gelu",
        },
    },
}
"""Configurations by the width of the text condition: SD1.x and SD2.x."""
_PADDING = {768: "<|endoftext|>", 1024: "!"}
_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "DDPMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
}


def load(path: Path) -> StableDiffusionPipeline:
    """Return the models of a checkpoint, float32.

    Raises:
        ValueError: the file is no SD1.x or SD2.x checkpoint.
    """
    width, velocity = look_into(path)
    configs, schedule = FAMILIES[width], dict[str, Any](SCHEDULE | {"steps_offset": 1})
    if velocity:
        configs = configs | {"unet": configs["unet"] | {"sample_size": 96}}
        schedule["prediction_type"] = "v_prediction"
    models: Any = StableDiffusionPipeline  # the library declares its arguments oddly
    with tempfile.TemporaryDirectory() as folder:
        for name, config in {"": _INDEX, **configs}.items():
            file = Path(folder) / name / ("config.json" if name else "model_index.json")
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(config), "utf-8")
        return models.from_single_file(
            str(path),
            config=folder,
            local_files_only=True,
            safety_checker=None,
            tokenizer=CLIPTokenizer.from_pretrained(
                str(find_tokenizer()), pad_token=_PADDING[width], model_max_length=77
            ),
            scheduler=DDPMScheduler(**schedule),
        )


def look_into(path: Path) -> tuple[int, bool]:
    """Return the width of a checkpoint's text condition, and whether it predicts velocity.

    Raises:
        ValueError: the file is no SD1.x or SD2.x checkpoint.
    """
    with safe_open(path, framework="pt") as file:
        there = set(file.keys())
        width = file.get_slice(CONTEXT).get_shape()[1] if CONTEXT in there else 0
        if width not in FAMILIES:
            raise ValueError(f"{path.name} is no checkpoint of SD1.x or SD2.x in one file: give one of those.")
        if width == min(FAMILIES) or TELLING not in there:
            return width, False
        return width, torch.std(file.get_tensor(TELLING).float(), unbiased=False).item() > LARGEST_OF_NOISE
