"""The models that a benchmark attacks and defends: a Stable Diffusion checkpoint in diffusers, frozen.

Pictures are x: (n, 3, h, w) in [-1, 1] and stay on the CPU, as all draws do, so that every device sees the same ones;
latents, in the model's own scale, lie where the models are.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from benchmarks import single_file
from demo import pipeline
from demo.architecture import RESOLUTION
from demo.fresh_vae import blocks_are_identities, quiet_blocks
from demo.train_unet import noise_level_weight
from ldu.backends.diffusers import DiffusersAutoencoder, DiffusersDenoiser, TextEncoder, bind_token, read_schedule
from ldu.model import BindToken
from ldu.protect import WalkModels
from ldu.schedule import NoiseSchedule

SAMPLER_STEPS = 20
LEVEL = 2 / 255  # one of 0..255 levels, in [-1, 1]


@dataclass(frozen=True)
class World:
    """One checkpoint.

    Args:
        vae, unet, text, tokenizer: its parts, frozen.
        schedule: its noise levels.
        scheduler: the configuration of its scheduler, from which samplers are made.
        resolution: its training resolution in pixels.
        emphasis: the weight of each noise level in the loss that it was trained with, beside the usual one.
        demo: whether it is a model of the demo world, on which thieves and surrogates work as is usual there.
        subject: the word for what the pictures show, in every prompt.
    """

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text: CLIPTextModel
    tokenizer: CLIPTokenizer
    schedule: NoiseSchedule
    scheduler: dict[str, Any]
    resolution: int
    emphasis: Callable[[Tensor], Tensor] = torch.ones_like
    demo: bool = False
    subject: str = "person"

    @property
    def class_prompt(self) -> str:
        """The prompt of the class that pictures belong to."""
        return f"a photo of {with_article(self.subject)}"

    def personal_prompt(self, word: str) -> str:
        """Return the prompt of one subject, whom a word names."""
        return f"a photo of {word} {self.subject}"

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return next(self.unet.parameters()).device

    @property
    def alpha_bar(self) -> Tensor:
        """The share of the picture's variance in z_t at each training timestep, (1000,)."""
        return (1 / (1 + self.schedule.table.square())).to(self.device)

    def encode(self, x: Tensor) -> Tensor:
        """Return the mode of the posterior."""
        return DiffusersAutoencoder(self.vae).encode(x.to(self.device))

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures, clamped."""
        return DiffusersAutoencoder(self.vae).decode(z).clamp(-1, 1).cpu()

    def tokens(self, prompts: list[str]) -> Tensor:
        """Return token numbers (n, 77)."""
        return pipeline.tokenize(self.tokenizer, prompts).to(self.device)

    def condition(self, prompts: list[str]) -> Tensor:
        """Return the text condition (n, 77, width)."""
        return self.text(self.tokens(prompts)).last_hidden_state

    def embedding(self, word: str) -> Tensor:
        """Return the token embedding (width,) of a word's first token."""
        return TextEncoder(self.text, self.tokenizer).initial(word)[0]

    def denoiser(self, condition: Tensor) -> DiffusersDenoiser:
        """Return D(z, sigma) under a condition (1 or batch, 77, width)."""
        return DiffusersDenoiser(self.unet, self.schedule, {"encoder_hidden_states": condition})

    def bind(self, prompt: str) -> BindToken:
        """Return what binds a prompt with S* to a token embedding."""
        return bind_token(self.unet, self.schedule, TextEncoder(self.text, self.tokenizer), prompt)

    def walk_models(self) -> WalkModels:
        """Return the models of the walk, with the empty prompt."""
        with torch.no_grad():
            empty = self.condition([""])
        return WalkModels(self.denoiser(empty), DiffusersAutoencoder(self.vae), self.schedule, self.resolution)

    def unfrozen(self) -> "World":
        """Return copies of UNet and text encoder that can be trained, beside the same VAE."""
        unet, text = copy.deepcopy(self.unet), copy.deepcopy(self.text)
        return replace(self, unet=unet.requires_grad_(True), text=text.requires_grad_(True))

    @torch.no_grad()  # sampling only
    def generate(
        self, condition: Tensor, *, generator: torch.Generator, steps: int = SAMPLER_STEPS, guidance: float = 5.0
    ) -> Tensor:
        """Draw a picture for each condition (n, 77, width) with deterministic DDIM and classifier-free guidance.

        Source: Song et al. 2021, eq. 12 with sigma = 0; Ho & Salimans 2022, eq. 6.
        """
        sampler: Any = DDIMScheduler.from_config(
            self.scheduler, set_alpha_to_one=False, steps_offset=1, clip_sample=False
        )
        sampler.set_timesteps(steps)
        side = self.resolution // 8
        both = torch.cat([self.condition([""]).expand_as(condition), condition])
        shape = (len(condition), self.unet.config["in_channels"], side, side)
        z = draw_noise(torch.empty(shape, device=self.device), generator)
        for t in sampler.timesteps:
            free, bound = self.unet(torch.cat([z, z]), t, both).sample.float().chunk(2)
            z = sampler.step(free + guidance * (bound - free), t, z).prev_sample
        return self.decode(z)


def draw_noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw noise of a tensor's shape, on the CPU wherever that tensor is."""
    return torch.randn(like.shape, generator=generator).to(like)


def usual_device() -> torch.device:
    """Return the accelerator if this machine has one, or the CPU."""
    there = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return there or torch.device("cpu")


def compute_on(device: torch.device, *, bf16: bool) -> None:
    """Set the process to compute in bfloat16 where autocast allows it, or not to."""
    torch.set_autocast_enabled(device.type, bf16)
    torch.set_autocast_dtype(device.type, torch.bfloat16)
    torch.set_autocast_cache_enabled(False)  # no context ends here: kept casts would go stale while a thief trains


def with_article(word: str) -> str:
    """Return "a" or "an" and the word."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def require_checkpoint(path: Path) -> None:
    """Refuse a file that `load_world` could not load, without loading it.

    Raises:
        ValueError: with what it is.
    """
    if not path.is_file():
        raise ValueError(f"There is no checkpoint at {path}.")
    try:
        if not pipeline.is_demo(path):
            single_file.look_into(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path.name} is no safetensors file: give an SD1.x or SD2.x checkpoint of one file."
        ) from error


def load_world(
    checkpoint: Path = pipeline.WEIGHTS, device: torch.device | None = None, *, subject: str = "person"
) -> World:
    """Load the demo checkpoint, or any SD1.x or SD2.x checkpoint in one safetensors file; None = `usual_device`."""
    emphasis: Callable[[Tensor], Tensor] = torch.ones_like
    demo = pipeline.is_demo(checkpoint)
    if demo:
        vae, unet, text, tokenizer, scheduler = pipeline.load_diffusers(checkpoint)
        resolution, emphasis = RESOLUTION, _demo_emphasis
        if blocks_are_identities(vae):
            quiet_blocks(vae)  # the same function at half the work
    else:
        parts: Any = single_file.load(checkpoint)
        vae, unet, text, tokenizer, scheduler = (
            parts.vae,
            parts.unet,
            parts.text_encoder,
            parts.tokenizer,
            parts.scheduler,
        )
        resolution = unet.config.sample_size * 8
    models: list[Any] = [vae, unet, text]  # the library declares `to` oddly
    for model in models:
        model.to(device or usual_device()).eval().requires_grad_(False)
    config: dict[str, Any] = dict(scheduler.config)
    schedule = read_schedule(scheduler)
    return World(vae, unet, text, tokenizer, schedule, config, resolution, emphasis, demo, subject)


def _demo_emphasis(sigma: Tensor) -> Tensor:
    return noise_level_weight(1 / (1 + sigma.square()))
