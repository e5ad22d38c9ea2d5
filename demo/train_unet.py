"""Train the UNet and the text encoder together on the VAE's latents, both from nothing.

    z_t = sqrt(alpha_bar_t) z_0 + sqrt(1 - alpha_bar_t) noise
    loss = min(1, 5 / snr_t) * alpha_bar_t^(-3/4) * || noise_pred(z_t, t, c) - noise ||^2

The first factor is the min-SNR weight of Hang et al. (2023). The second makes all noise levels cost about
the same: without it the highest ones, where a caption decides hair and background, were 6 % of the loss
and captions went unheard for 700 steps. Every tenth caption is left empty for guidance; a portrait is
captioned in several ways, so that its looks are learnt one by one. The trained VAE has to lie in
the cache (`train_vae` leaves it there).

    python -m demo.train_unet --minutes 50
    python -m demo.train_unet --minutes 60 --second
"""

import argparse
import copy
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from . import architecture
from .architecture import Student
from .captions import describe
from .dataset import PHOTOS_PER_IDENTITY, Dataset, cache_folder, load_dataset
from .fresh_vae import quiet_blocks
from .people import sample_identity, sample_nuisance
from .pipeline import WEIGHTS, load_diffusers, load_tokenizer, save_checkpoint, tokenize
from .precision import bfloat16_is_fast
from .train_identity import to_batch
from .training import Run, start_run, train_together

PEAK_RATE = 6e-4
BATCH = 24
EMPTY_SHARE = 0.1
SNR_LIMIT = 5.0
TEXT_FACTOR = 2.5
WORDINGS = 6


class World(nn.Module):
    """The two networks that learn together; the text encoder of the second student is the first one's, frozen."""

    def __init__(self, student: Student) -> None:
        """Make both networks, untrained."""
        super().__init__()
        self.unet = architecture.make_unet(student.config["unet"])
        self.text = load_diffusers()[2] if student.shares_text else architecture.make_text_encoder()

    def groups(self) -> list[dict[str, Any]]:
        """Return the optimizer's groups: the text encoder learns faster, its gradients being rare."""
        unet, text = list(self.unet.parameters()), [p for p in self.text.parameters() if p.requires_grad]
        return [{"params": unet}, *([{"params": text, "factor": TEXT_FACTOR}] if text else [])]

    def forward(self, z_t: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """Predict the noise in z_t: (b, 4, h, w) at timesteps t: (b,) under captions (b, 77)."""
        return self.unet(z_t, t, self.text(tokens).last_hidden_state).sample


@torch.no_grad()  # a frozen encoder
def encode_pictures(vae: AutoencoderKL, data: Dataset, path: Path) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of every picture's scaled latent, (n, 4, 16, 16) fp16; keep them at `path`."""
    if path.exists():
        kept = torch.load(path, weights_only=True)
        return kept["mean"], kept["std"]
    means, stds = [], []
    encoder = copy.deepcopy(vae)
    quiet_blocks(encoder)  # identities still, and half the work
    for start in range(0, len(data.pictures), 20):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            posterior = encoder.encode(to_batch(data.pictures[start : start + 20])).latent_dist
        means.append((posterior.mean.float() * architecture.LATENT_SCALE).half())
        stds.append((posterior.std.float() * architecture.LATENT_SCALE).half())
    mean, std = torch.cat(means), torch.cat(stds)
    torch.save({"mean": mean, "std": std}, path)
    return mean, std


def load_vae(student: Student) -> AutoencoderKL:
    """Load the VAE that `train_vae` left, its scale folded in."""
    vae = architecture.make_vae(student.config["vae"])
    vae.load_state_dict(torch.load(cache_folder(student.folder) / "vae.pt", weights_only=True))
    return vae.eval().requires_grad_(False)


class LatentFeed:
    """Draw (z_0, tokens): posterior samples and their captions, some left empty."""

    def __init__(self, latents: tuple[Tensor, Tensor], tokens: Tensor, empty: Tensor, seed: int) -> None:
        """Keep means and standard deviations (n, 4, h, w), tokens (n, wordings, 77) and the empty prompt's (77,)."""
        self.mean, self.std = latents
        self.tokens, self.empty = tokens, empty
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Return z_0 (count, 4, 16, 16) and tokens (count, 77)."""
        rows = torch.randint(len(self.mean), (count,), generator=self.generator)
        mean, std = self.mean[rows].float(), self.std[rows].float()
        z_0 = mean + std * torch.randn(mean.shape, generator=self.generator)
        tokens = self.tokens[rows, torch.randint(self.tokens.shape[1], (count,), generator=self.generator)]
        tokens[torch.rand(count, generator=self.generator) < EMPTY_SHARE] = self.empty
        return z_0, tokens


def wordings(data: Dataset, count: int = WORDINGS) -> list[str]:
    """Return `count` captions for each picture in turn; what is no clean portrait keeps its one."""
    said = []
    for index, (caption, person) in enumerate(zip(data.captions, data.identities, strict=True)):
        if person < 0:
            said += [caption] * count
            continue
        identity, nuisance = sample_identity(index // PHOTOS_PER_IDENTITY), sample_nuisance(index)
        said += [describe(identity, nuisance, np.random.default_rng((index, 7, wording))) for wording in range(count)]
    return said


def noise_level_weight(alpha_bar: Tensor) -> Tensor:
    """Return the weight of the squared noise error at each alpha_bar."""
    snr = alpha_bar / (1 - alpha_bar)
    return (SNR_LIMIT / snr).clamp(max=1) * alpha_bar**-0.75


def denoising_loss(noise_pred: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """Return the weighted mean squared error; `alpha_bar` (b,)."""
    return (noise_level_weight(alpha_bar) * (noise_pred - noise).square().mean((1, 2, 3))).mean()


def train(run: Run, feed: LatentFeed, forward: Callable[..., Tensor]) -> None:
    """Train until the run's time is up."""
    alphas = architecture.make_scheduler().alphas_cumprod

    def loss_of_batch() -> Tensor:
        z_0, tokens = feed.batch(BATCH)
        t = torch.randint(0, 1000, (BATCH,))
        noise, alpha_bar = torch.randn_like(z_0), alphas[t]
        mix = alpha_bar[:, None, None, None]
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            noise_pred = forward(mix.sqrt() * z_0 + (1 - mix).sqrt() * noise, t, tokens)
        return denoising_loss(noise_pred.float(), noise, alpha_bar)

    run.train(loss_of_batch, PEAK_RATE)


def publish(student: Student, path: Path) -> None:
    """Write the averaged weights of the last saved state as a checkpoint; a shared text encoder is left out."""
    state = torch.load(state_file(student), weights_only=True)
    world = World(student)
    world.load_state_dict(state["average"])
    config = student.config | {"training": f"{state['step']} steps of 2 x {BATCH} in {state['spent'] / 60:.0f} minutes"}
    save_checkpoint(path, load_vae(student), world.unet, None if student.shares_text else world.text, config)


def state_file(student: Student) -> Path:
    """Return where the training keeps its state."""
    return cache_folder(student.folder) / "unet_state.pt"


def work(
    rank: int,
    compiled: Event,
    world: World,
    minutes: float,
    student: Student,
    latents: tuple[Tensor, Tensor],
    captions: list[str],
) -> None:
    """Train as one of several workers."""
    groups, seed = world.groups(), student.seed
    run = start_run(world, state_file(student), minutes, 0.999, rank=rank, compiled=compiled, groups=groups, seed=seed)
    tokenizer = load_tokenizer()
    tokens = tokenize(tokenizer, captions).unflatten(0, (-1, WORDINGS))
    feed = LatentFeed(latents, tokens, tokenize(tokenizer, [""])[0], run.draw_seed)
    train(run, feed, torch.compile(world, dynamic=False))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--second", action="store_true", help="the thief's own model")
    parser.add_argument("--publish", type=Path, help="write the last state's average there and stop")
    options = parser.parse_args()
    student = architecture.SECOND if options.second else architecture.FIRST
    torch.manual_seed(student.seed)
    if options.publish is None:
        data = load_dataset(cache_folder())
        latents = encode_pictures(load_vae(student), data, cache_folder(student.folder) / "latents.pt")
        train_together(work, World(student), options.minutes, student, latents, wordings(data))
    publish(student, options.publish or cache_folder(student.folder) / WEIGHTS.name)


if __name__ == "__main__":
    main()
