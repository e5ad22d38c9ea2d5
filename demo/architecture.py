"""State the sizes of the demo world once, in the host's words, and build the diffusers models from them.

The configurations below travel inside the checkpoint file, so that a loader needs nothing but the file.
"""

from dataclasses import dataclass
from typing import Any

from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

LATENT_SCALE = 0.18215
RESOLUTION = 128

UNET: dict[str, Any] = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "num_res_blocks": [1, 1, 1],
    "channel_mult": [1, 2, 3],
    "transformer_depth": [1, 1, 0],
    "transformer_depth_output": [1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "context_dim": 128,
    "num_heads": 8,
    "use_spatial_transformer": True,
    "use_checkpoint": False,
    "legacy": False,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}
CLIP: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
}
VAE: dict[str, Any] = {
    "embed_dim": 4,
    "ddconfig": {
        "double_z": True,
        "z_channels": 4,
        "resolution": RESOLUTION,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 64,
        "ch_mult": [1, 1, 1, 2],
        "num_res_blocks": 1,
        "attn_resolutions": [],
        "dropout": 0.0,
    },
}
SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "clip_sample": False,
}
CONFIG: dict[str, Any] = {
    "unet": UNET,
    "clip": CLIP,
    "vae": VAE,
    "resolution": RESOLUTION,
    "note": "demo model, trained on portraits drawn by code; it protects nothing in the real world",
}


@dataclass(frozen=True)
class Student:
    """A model of the demo world that is to be trained.

    Args:
        config: its sizes.
        folder: of its training states within the cache of the demo world.
        seed: of its first weights and of all that its training draws.
        shares_text: takes the text encoder of the demo checkpoint and leaves it as it is.
    """

    config: dict[str, Any]
    folder: str = ""
    seed: int = 0
    shares_text: bool = False


FIRST = Student(CONFIG)
SECOND = Student(
    CONFIG
    | {
        "unet": UNET | {"channel_mult": [1, 2, 2]},
        "vae": VAE | {"ddconfig": VAE["ddconfig"] | {"ch_mult": [1, 1, 2, 2]}},
    },
    "second",
    seed=1_000_000,
    shares_text=True,
)
"""The thief's own model, which no protection sees: another seed, other widths and a VAE of its own. Both share the text
encoder, as versions of Stable Diffusion do."""


def make_vae(config: dict[str, Any] = VAE) -> AutoencoderKL:
    """Build the diffusers twin of the host's AutoencoderKL(**config)."""
    details = config["ddconfig"]
    widths = tuple(details["ch"] * factor for factor in details["ch_mult"])
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),  # pyright: ignore[reportArgumentType]
        up_block_types=("UpDecoderBlock2D",) * len(widths),  # pyright: ignore[reportArgumentType]
        layers_per_block=details["num_res_blocks"],
        latent_channels=config["embed_dim"],
        norm_num_groups=32,
        sample_size=details["resolution"],
        scaling_factor=LATENT_SCALE,
    )


def make_unet(config: dict[str, Any] = UNET) -> UNet2DConditionModel:
    """Build the diffusers twin of the host's UNetModel(**config)."""
    crossed = [bool(depth) for depth in config["transformer_depth"]]
    return UNet2DConditionModel(
        sample_size=RESOLUTION // 8,
        in_channels=config["in_channels"],
        out_channels=config["out_channels"],
        block_out_channels=tuple(config["model_channels"] * factor for factor in config["channel_mult"]),
        down_block_types=tuple("CrossAttnDownBlock2D" if c else "DownBlock2D" for c in crossed),
        up_block_types=tuple("CrossAttnUpBlock2D" if c else "UpBlock2D" for c in reversed(crossed)),
        layers_per_block=config["num_res_blocks"][0],
        cross_attention_dim=config["context_dim"],
        attention_head_dim=config["num_heads"],
    )


def make_text_encoder(config: dict[str, Any] = CLIP) -> CLIPTextModel:
    """Build a CLIP text model with the host's defaults for what `config` leaves out."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            max_position_embeddings=77,
            hidden_act="quick_gelu",
            bos_token_id=49406,
            eos_token_id=49407,
            pad_token_id=49407,
            **config,
        )
    )


def make_scheduler() -> DDPMScheduler:
    """Return Stable Diffusion's training schedule."""
    return DDPMScheduler(**SCHEDULE)
