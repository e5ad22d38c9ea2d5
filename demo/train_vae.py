"""Train the VAE: pictures to 4-channel latents of an eighth of their side, and back.

    loss = |x' - x| + 4 (x' - x)^2 + |grad x' - grad x| + 2e-4 KL

Clean portraits make three quarters of a batch.

    python -m demo.train_vae --minutes 38
    python -m demo.train_vae --minutes 20 --second
"""

import argparse
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Event

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn.functional import interpolate, l1_loss, mse_loss

from .architecture import FIRST, LATENT_SCALE, SECOND, Student, make_vae
from .dataset import HELD_OUT, Dataset, cache_folder, load_dataset
from .fresh_vae import quiet_blocks, restore_blocks, start_from_data
from .people import sample_identity, sample_nuisance
from .portraits import photograph, render
from .precision import bfloat16_is_fast
from .training import Run, log, start_run, train_together

PEAK_RATE = 5e-4
BATCH = 4
KL_WEIGHT = 2e-4
CLEAN_SHARE = 0.76


class Feed:
    """Draw training batches in [-1, 1]: mostly clean portraits, flipped at random."""

    def __init__(self, data: Dataset, seed: int) -> None:
        """Sort the data into clean portraits and the rest."""
        self.data, self.rng = data, np.random.default_rng(seed)
        self.clean = np.flatnonzero(data.identities >= 0)
        self.other = np.flatnonzero(data.identities < 0)

    def batch(self, count: int) -> Tensor:
        """Return (count, 3, size, size)."""
        clean = self.rng.choice(self.clean, int(count * CLEAN_SHARE))
        rows = np.concatenate([clean, self.rng.choice(self.other, count - len(clean))])
        pictures = np.stack([self.data.pictures[row] for row in rows])
        flipped = pictures[:, :, ::-1] if self.rng.random() < 0.5 else pictures
        return torch.from_numpy(flipped.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


def gradient_loss(x: Tensor, y: Tensor) -> Tensor:
    """Compare the horizontal and vertical differences of two batches, at full and half size."""
    total = x.new_zeros(())
    for scale in (1.0, 0.5):
        a = x if scale == 1 else interpolate(x, scale_factor=scale, mode="area")
        b = y if scale == 1 else interpolate(y, scale_factor=scale, mode="area")
        total = total + l1_loss(a.diff(dim=-1), b.diff(dim=-1)) + l1_loss(a.diff(dim=-2), b.diff(dim=-2))
    return total


def reconstruct(vae: AutoencoderKL, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Encode, sample and decode; return the picture and the posterior's mean and log variance."""
    posterior = vae.encode(x).latent_dist
    return vae.decode(posterior.sample()).sample, posterior.mean, posterior.logvar


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return the mean KL divergence per latent value from the unit Gaussian."""
    return 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()


def held_out_batch(count: int, start: int = HELD_OUT) -> tuple[Tensor, Tensor]:
    """Return `count` photos of people never trained on, with noise and without, (count, 3, s, s) in [-1, 1]."""
    people = [(sample_identity(start + i), sample_nuisance(start + i)) for i in range(count)]
    noisy = np.stack([photograph(*pair).astype(np.float32) / 255 for pair in people])
    clean = np.stack([render(*pair) for pair in people])
    return tuple(torch.from_numpy(p * 2 - 1).permute(0, 3, 1, 2) for p in (noisy, clean))  # pyright: ignore


@torch.no_grad()  # a report, nothing learns from it
def psnr_against_render(vae: AutoencoderKL, count: int = 64) -> Tensor:
    """Return (count,) PSNR in dB of decoded means of unseen noisy photos against the noise-free render."""
    noisy, clean = held_out_batch(count)
    decoded = vae.decode(vae.encode(noisy).latent_dist.mean).sample.clamp(-1, 1)
    return -10 * torch.log10(((decoded - clean) / 2).square().mean((1, 2, 3)))


@torch.no_grad()  # weights are rewritten in place
def fold_scale(vae: AutoencoderKL, x: Tensor) -> float:
    """Rescale the quantisation layers so that LATENT_SCALE * latent has unit variance on `x`; return the factor."""
    quant, post = vae.quant_conv, vae.post_quant_conv
    assert quant is not None and post is not None
    factor = 1 / (LATENT_SCALE * vae.encode(x).latent_dist.mean.std().item())
    channels = quant.weight.shape[0] // 2
    quant.weight[:channels] *= factor
    quant.bias[:channels] *= factor
    quant.bias[channels:] += 2 * float(np.log(factor))
    post.weight /= factor
    return factor


def train(run: Run, feed: Feed, forward: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]) -> None:
    """Train until the run's time is up."""

    def loss_of_batch() -> Tensor:
        x = feed.batch(BATCH)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            decoded, mean, logvar = forward(x)
        y = decoded.float()
        loss = l1_loss(y, x) + 4 * mse_loss(y, x) + gradient_loss(y, x)
        return loss + KL_WEIGHT * divergence(mean.float(), logvar.float())

    run.train(loss_of_batch, PEAK_RATE, report=50)


def work(rank: int, compiled: Event, vae: AutoencoderKL, minutes: float, student: Student) -> None:
    """Train as one of several workers."""
    folder = cache_folder(student.folder)
    run = start_run(vae, folder / "vae_state.pt", minutes, 0.998, rank=rank, compiled=compiled, seed=student.seed)
    feed = Feed(load_dataset(cache_folder()), run.draw_seed)
    train(run, feed, torch.compile(partial(reconstruct, vae), dynamic=False))
    if rank == 0:
        vae.load_state_dict(run.average.state())
        restore_blocks(vae)
        fold_scale(vae, torch.cat([feed.batch(BATCH) for _ in range(64)]))
        torch.save(vae.state_dict(), folder / "vae.pt")
        log.info("PSNR on unseen portraits %.2f dB", psnr_against_render(vae).mean())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=38)
    parser.add_argument("--second", action="store_true", help="the thief's own model")
    options = parser.parse_args()
    student = SECOND if options.second else FIRST
    torch.manual_seed(student.seed)
    vae = make_vae(student.config["vae"])
    quiet_blocks(vae)
    start_from_data(vae, Feed(load_dataset(cache_folder()), student.seed).batch(40))
    train_together(work, vae, options.minutes, student)


if __name__ == "__main__":
    main()
