"""A Stable Diffusion of random weights, small enough to be walked through in milliseconds."""

import diffusers
import torch
import transformers

from benchmarks.world import World
from demo.architecture import make_scheduler
from ldu.backends.diffusers import read_schedule

from .tiny_tokenizer import WORDS, tiny_tokenizer


def tiny_vae(**changes):
    """An autoencoder; `changes` are of its configuration."""
    return diffusers.AutoencoderKL(
        block_out_channels=(32,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        **changes,
    )


def tiny_unet(latent_side):
    """A denoiser of latents."""
    return diffusers.UNet2DConditionModel(
        sample_size=latent_side,
        block_out_channels=(32, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=4,
    )


def tiny_text_encoder(layers, length):
    """A text encoder of prompts of at most `length` words of the tiny tokenizer."""
    config = transformers.CLIPTextConfig(
        vocab_size=len(WORDS), hidden_size=32, intermediate_size=64, num_hidden_layers=layers, num_attention_heads=4,
        max_position_embeddings=length, bos_token_id=6, eos_token_id=7, pad_token_id=7,
    )  # fmt: skip
    return transformers.CLIPTextModel(config)


def make_world(side):
    torch.manual_seed(0)
    vae, unet, text = tiny_vae(), tiny_unet(side // 8), tiny_text_encoder(layers=1, length=77)
    for net in (vae, unet, text):
        net.eval().requires_grad_(False)
    with torch.no_grad():  # an untrained VAE is nearly flat: let it answer to what it is given
        vae.decoder.conv_out.weight.mul_(4)
        vae.encoder.conv_out.weight.mul_(20)
    scheduler = make_scheduler()
    schedule = read_schedule(scheduler)
    return World(vae, unet, text, tiny_tokenizer(length=77), schedule, dict(scheduler.config), side, demo=True)
