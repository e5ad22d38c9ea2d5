"""Plain loops around the demo world: two thieves, one pixel attack, one encoder attack and a sampler.

They are the field's standard procedures at the demo model's size, in diffusers and torch alone, and
serve to measure the world itself. Pictures are x: (n, 3, 128, 128) in [-1, 1].
"""

import copy
from dataclasses import dataclass, replace

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from demo.architecture import LATENT_SCALE, SCHEDULE, make_scheduler
from demo.fresh_vae import blocks_are_identities, quiet_blocks
from demo.pipeline import Pipeline, tokenize
from demo.train_unet import noise_level_weight

ALPHA_BAR = make_scheduler().alphas_cumprod
LEVEL = 2 / 255
PLACEHOLDER = "sks"
PROMPT = f"a photo of {PLACEHOLDER} person"
CLASS_PROMPT = "a photo of a person"
THIEF_BATCH = 8


@dataclass(frozen=True)
class Demo:
    """The models of the demo world, frozen."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text: CLIPTextModel
    tokenizer: CLIPTokenizer

    @classmethod
    def of(cls, pipeline: Pipeline) -> "Demo":
        """Take what `load_diffusers` returns."""
        vae, unet, text, tokenizer, _ = pipeline
        if blocks_are_identities(vae):
            quiet_blocks(vae)  # the same function at half the work
        return cls(vae, unet, text, tokenizer)

    def tokens(self, prompts: list[str]) -> Tensor:
        """Return token numbers (n, 77)."""
        return tokenize(self.tokenizer, prompts)

    def condition(self, prompts: list[str]) -> Tensor:
        """Return the text condition (n, 77, 128)."""
        return self.text(self.tokens(prompts)).last_hidden_state

    def encode(self, x: Tensor) -> Tensor:
        """Return the scaled latent mean."""
        return self.vae.encode(x).latent_dist.mean * LATENT_SCALE

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures of scaled latents."""
        return self.vae.decode(z / LATENT_SCALE).sample.clamp(-1, 1)


def denoising_errors(
    unet: UNet2DConditionModel, z_0: Tensor, condition: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return || noise_pred(z_t, t, c) - noise ||^2 (b,) for one draw of t and noise a latent, and alpha_bar (b,)."""
    t = torch.randint(0, 1000, (len(z_0),), generator=generator)
    noise = torch.randn(z_0.shape, generator=generator)
    mix = ALPHA_BAR[t][:, None, None, None]
    noise_pred = unet(mix.sqrt() * z_0 + (1 - mix).sqrt() * noise, t, condition.expand(len(z_0), -1, -1)).sample
    return (noise_pred.float() - noise).square().mean((1, 2, 3)), ALPHA_BAR[t]


def thief_loss(unet: UNet2DConditionModel, z_0: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
    """Return the loss that the world was trained with, on a batch of THIEF_BATCH latents drawn in turn from z_0.

    The unweighted error, at rates where DreamBooth learns at all, ruins this small model's high noise levels.
    """
    repeated = z_0.repeat(-(-THIEF_BATCH // len(z_0)), 1, 1, 1)[:THIEF_BATCH]
    errors, alpha_bar = denoising_errors(unet, repeated, condition, generator)
    return (noise_level_weight(alpha_bar) * errors).mean()


@torch.no_grad()  # sampling only
def generate(
    demo: Demo, prompts: list[str], *, generator: torch.Generator, steps: int = 25, guidance: float = 2.5
) -> Tensor:
    """Draw one picture a prompt with deterministic DDIM and classifier-free guidance."""
    scheduler = DDIMScheduler(**SCHEDULE, set_alpha_to_one=False, steps_offset=1)
    scheduler.set_timesteps(steps)
    condition = torch.cat([demo.condition([""]).expand(len(prompts), -1, -1), demo.condition(prompts)])
    z = torch.randn(len(prompts), 4, 16, 16, generator=generator)
    for t in scheduler.timesteps:
        free, bound = demo.unet(torch.cat([z, z]), t, condition).sample.chunk(2)
        z = scheduler.step(free + guidance * (bound - free), t, z).prev_sample  # pyright: ignore
    return demo.decode(z)


def textual_inversion(demo: Demo, x: Tensor, *, steps: int, seed: int, rate: float = 1e-2) -> Demo:
    """Learn the placeholder's embedding on pictures x, starting from "person"; return the world that knows it."""
    generator = torch.Generator().manual_seed(seed)
    text = copy.deepcopy(demo.text)
    table = text.get_input_embeddings().weight
    ours, start = (int(demo.tokens([word])[0, 1]) for word in (PLACEHOLDER, "person"))
    vector = table[start].clone().requires_grad_()
    optimizer, z_0 = torch.optim.AdamW([vector], rate, weight_decay=0), demo.encode(x)
    tokens = demo.tokens([PROMPT])
    at_placeholder = (torch.arange(len(table)) == ours)[:, None]
    for _ in range(steps):
        learnt = torch.where(at_placeholder, vector, table)
        names = {"text_model.embeddings.token_embedding.weight", "embeddings.token_embedding.weight"}
        name = next(n for n, _ in text.named_parameters() if n in names)
        condition = torch.func.functional_call(text, {name: learnt}, (tokens,)).last_hidden_state
        loss = thief_loss(demo.unet, z_0, condition, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    table.data[ours] = vector.detach()
    return replace(demo, text=text)


def dreambooth(demo: Demo, x: Tensor, *, steps: int, seed: int, rate: float = 5e-5) -> Demo:
    """Fine-tune a copy of the UNet on pictures x under the placeholder's prompt."""
    generator = torch.Generator().manual_seed(seed)
    unet = copy.deepcopy(demo.unet).requires_grad_(True).train()
    optimizer = torch.optim.AdamW(unet.parameters(), rate, weight_decay=1e-2)
    z_0, condition = demo.encode(x), demo.condition([PROMPT])
    for _ in range(steps):
        loss = thief_loss(unet, z_0, condition, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return replace(demo, unet=unet.eval().requires_grad_(False))


def quantise(x: Tensor) -> Tensor:
    """Round to 8-bit levels."""
    return (x.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1


def ascend(x: Tensor, loss_of, *, steps: int, budget_levels: float, start: Tensor) -> Tensor:  # noqa: ANN001
    """Climb `loss_of(x)` by signed gradient steps inside +- budget_levels; return 8-bit pictures."""
    limit, stride = budget_levels * LEVEL, max(budget_levels / 10, 0.5) * LEVEL
    delta = start.clone()
    for _ in range(steps):
        delta.requires_grad_()
        (slope,) = torch.autograd.grad(loss_of(x + delta), delta)
        delta = (delta.detach() + stride * slope.sign()).clamp(-limit, limit)
        delta = (x + delta).clamp(-1, 1) - x
    return quantise(x + delta)


def advdm(demo: Demo, x: Tensor, *, budget_levels: float, seed: int, steps: int = 100) -> Tensor:
    """AdvDM (Liang et al., 2023): raise the denoising loss of the pictures by PGD through the encoder."""
    generator = torch.Generator().manual_seed(seed)
    condition = demo.condition([CLASS_PROMPT])

    def loss_of(pictures: Tensor) -> Tensor:
        return denoising_errors(demo.unet, demo.encode(pictures), condition, generator)[0].mean()

    return ascend(x, loss_of, steps=steps, budget_levels=budget_levels, start=torch.zeros_like(x))


def encoder_attack(demo: Demo, x: Tensor, *, budget_levels: float, seed: int, steps: int = 30) -> Tensor:
    """Move the latent as far as possible by PGD."""
    z = demo.encode(x)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1

    def loss_of(pictures: Tensor) -> Tensor:
        return (demo.encode(pictures) - z).square().sum()

    return ascend(x, loss_of, steps=steps, budget_levels=budget_levels, start=noise * budget_levels * LEVEL)


def noise_like(x: Tensor, attacked: Tensor, seed: int) -> Tensor:
    """Return x under Gaussian noise of the same root mean square as `attacked - x`, 8-bit."""
    rms = (attacked - x).square().mean((1, 2, 3), keepdim=True).sqrt()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return quantise(x + rms * noise)
