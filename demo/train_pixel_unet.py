"""Train the UNet of pixels on squares of portraits, half of them with a low resolution beside them.

    x_t  = sqrt(alpha_bar_t) x + sqrt(1 - alpha_bar_t) noise
    loss = || noise_pred(x_t, t, low resolution or zeros) - noise ||^2

Squares without a low resolution come from the demo world's own pictures and from the timesteps below REACH, as far as
DiffPure diffuses: at more noise a square tells too little. Those with one come from portraits twice as large and from
all timesteps; their low resolution is reduced and carries noise of a strength between none and NOISE.

    python -m demo.train_pixel_unet --minutes 60
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .dataset import SIZE, cache_folder, load_dataset
from .people import sample_identity, sample_nuisance
from .pixel_unet import PIXEL_UNET, SCALE, SQUARE, PixelUNet, enlarge, make_scheduler, save
from .portraits import photograph
from .precision import bfloat16_is_fast
from .train_identity import to_batch
from .training import Run, start_run, train_together

PEAK_RATE = 1e-3
BATCH = 16
REACH = 400
NOISE = 0.2  # standard deviation as a share of the range
LARGE = 1500
FIRST_LARGE = 2_000_000  # seeds that no other picture has


class SquareFeed:
    """Draw squares, and low resolutions for half of them."""

    def __init__(self, pictures: NDArray[np.uint8], large: NDArray[np.uint8], seed: int) -> None:
        """Keep pictures (n, 128, 128, 3) and portraits of twice that size."""
        self.pictures, self.large = pictures, large
        self.rng = np.random.default_rng(seed)

    def _squares(self, pictures: NDArray[np.uint8], count: int) -> Tensor:
        rows = self.rng.integers(len(pictures), size=count)
        places = self.rng.integers((pictures.shape[1] - SQUARE) // SCALE + 1, size=(count, 2)) * SCALE
        return to_batch(
            np.stack([pictures[r, y : y + SQUARE, x : x + SQUARE] for r, (y, x) in zip(rows, places, strict=True)])
        )

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return squares and what stands beside them, (count, 3, 64, 64) each, and timesteps (count,)."""
        half = count // 2
        plain, detailed = self._squares(self.pictures, count - half), self._squares(self.large, half)
        low = functional.avg_pool2d(detailed, SCALE)
        strength = 2 * NOISE * torch.rand(half, 1, 1, 1)  # the range is 2
        low = (low + strength * torch.randn_like(low)).clamp(-1, 1)
        t = torch.cat([torch.randint(REACH, (count - half,)), torch.randint(1000, (half,))])
        return torch.cat([plain, detailed]), torch.cat([torch.zeros_like(plain), enlarge(low)]), t


def large_portrait(number: int) -> NDArray[np.uint8]:
    """Draw a portrait of twice the demo world's size."""
    seed = FIRST_LARGE + number
    return photograph(sample_identity(seed), sample_nuisance(seed), SCALE * SIZE)


def load_large(folder: Path) -> NDArray[np.uint8]:
    """Return LARGE portraits (n, 256, 256, 3), drawn once."""
    path = folder / "large.npy"
    if not path.exists():
        with ProcessPoolExecutor() as pool:
            np.save(path, np.stack(list(pool.map(large_portrait, range(LARGE), chunksize=50))))
    return np.load(path, mmap_mode="r")


def train(run: Run, feed: SquareFeed) -> None:
    """Train until the run's time is up."""
    alphas = make_scheduler().alphas_cumprod

    def loss_of_batch() -> Tensor:
        x, beside, t = feed.batch(BATCH)
        noise, alpha_bar = torch.randn_like(x), alphas[t][:, None, None, None]
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            (noise_pred,) = run.model(alpha_bar.sqrt() * x + (1 - alpha_bar).sqrt() * noise, t, beside)
        return (noise_pred.float() - noise).square().mean()

    run.train(loss_of_batch, PEAK_RATE)


def work(rank: int, compiled: Event, net: PixelUNet, minutes: float) -> None:
    """Train as one of several workers."""
    folder = cache_folder()
    run = start_run(net, folder / "pixel_unet_state.pt", minutes, 0.999, rank=rank, compiled=compiled)
    data = load_dataset(folder)
    portraits = data.pictures[np.flatnonzero(data.identities >= 0)[::2]]  # all of them would be 0.6 GB of memory
    train(run, SquareFeed(portraits, load_large(folder), run.draw_seed))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--publish", type=Path, default=PIXEL_UNET, help="where the weights go")
    options = parser.parse_args()
    torch.manual_seed(0)
    load_large(cache_folder())
    train_together(work, PixelUNet(), options.minutes, workers=options.workers)
    net = PixelUNet()
    net.load_state_dict(torch.load(cache_folder() / "pixel_unet_state.pt", weights_only=True)["average"])
    save(net, options.publish)


if __name__ == "__main__":
    main()
