"""Print how exactly the unshifted walk comes back, and how far a small shift of z_T moves the latent.

    python -m benchmarks.inversion             the whole table
    python -m benchmarks.inversion --row       one row of it, in seconds

On portraits of people whom the demo checkpoint has never seen, walked with the empty prompt. Per row:
    NFE                 evaluations of the walk up
    miss                largest |z - stored point| of any downward step with the record, over all pictures
    error               ||z_0 walked back - z_0|| / ||z_0|| without the record (0 = it came back)
    PSNR                of the decoded walk without the record against D(z_0), dB
    gain                ||dz_0|| / ||dz_T|| of a random shift of 0.01, z_T in unit variance, with and without the record
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from benchmarks.table import print_table, provenance
from benchmarks.world import load_world
from demo.dataset import HELD_OUT
from demo.people import sample_identity, sample_nuisance
from demo.pipeline import WEIGHTS
from demo.portraits import photograph
from ldu.protect import WalkModels
from ldu.trajectory import Record, denoise, invert, slope

K_STEPS, DEPTHS, REFINEMENTS = (1, 2, 4, 8), (0.25, 0.5, 1.0), (0, 5, 10)
ONE_ROW = (4, 0.5, 0)
SHIFT = 0.01
FIRST_PERSON = HELD_OUT + 900
HEAD = ("k", "depth", "refine", "NFE", "miss, record", "error, none", "PSNR, none", "gain, record", "gain, none")


@dataclass(frozen=True)
class Measured:
    """What one grid and refinement did to the pictures; see the module's text."""

    evaluations: int
    miss: float
    error: float
    psnr_db: float
    gain_record: float
    gain_plain: float

    def cells(self) -> tuple[str, ...]:
        """Lay out for the table."""
        return (
            str(self.evaluations),
            f"{self.miss:.1e}",
            f"{self.error:.2e}",
            f"{self.psnr_db:.1f}",
            f"{self.gain_record:.4f}",
            f"{self.gain_plain:.4f}",
        )


def unseen_portraits(count: int) -> Tensor:
    """Return portraits of people outside the training data, (count, 3, 128, 128) in [-1, 1]."""
    seeds = range(FIRST_PERSON, FIRST_PERSON + count)
    photos = np.stack([photograph(sample_identity(seed), sample_nuisance(seed)) for seed in seeds])
    return torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 127.5 - 1


def measure(models: WalkModels, z_0: Tensor, k_steps: int, depth: float, refine: int) -> Measured:
    """Walk latents up and back in all the ways of one row."""
    sigmas = models.schedule.grid(k_steps, depth)
    record = invert(models.walker, z_0, models.schedule, sigmas, refine=refine)
    shift = SHIFT * torch.randn(z_0.shape, generator=torch.Generator().manual_seed(0))
    z_T = record.z_T + shift
    back = denoise(models.walker, record.z_T, models.schedule, sigmas)
    moved = denoise(models.walker, z_T, models.schedule, sigmas) - back
    moved_record = denoise(models.walker, z_T, models.schedule, sigmas, record=record) - z_0
    return Measured(
        evaluations=k_steps + 1 + refine * k_steps,
        miss=largest_miss(models, record),
        error=fmean(relative(back - z_0, z_0)),
        psnr_db=fmean(shown_psnr(models.autoencoder.decode(back), models.autoencoder.decode(z_0))),
        gain_record=fmean(relative(moved_record, shift)),
        gain_plain=fmean(relative(moved, shift)),
    )


def largest_miss(models: WalkModels, record: Record) -> float:
    """Walk the unshifted z_T down with the record and return the largest distance from a stored point."""
    rising, points = record.sigmas[::-1], record.points
    z, misses = points[-1], []
    for i in reversed(range(len(record.corrections))):
        down = slope(models.walker, z, rising[i + 1], models.schedule.sigma_min)
        z = z + (rising[i] - rising[i + 1]) * down + record.corrections[i]
        misses.append((z - points[i]).abs().max().item())
    return max(misses)


def relative(change: Tensor, z: Tensor) -> list[float]:
    """Return ||change|| / ||z|| of each picture of a batch."""
    return (change.flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)).tolist()


def shown_psnr(decoded: Tensor, wanted: Tensor) -> list[float]:
    """Return the PSNR in dB of each picture of a batch, both as they would be shown."""
    error = (decoded.clamp(-1, 1) - wanted.clamp(-1, 1)).square().mean(dim=(1, 2, 3))
    return (10 * torch.log10(4 / error)).tolist()


def rows(models: WalkModels, z_0: Tensor, settings: Sequence[tuple[int, float, int]]) -> Iterator[tuple[object, ...]]:
    """Measure each setting and give its row."""
    for setting in settings:
        yield (*setting, *measure(models, z_0, *setting).cells())


@torch.no_grad()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="store_true", help="one row, two portraits: quick")
    parser.add_argument("--portraits", type=int, default=8, help="how many pictures (default 8)")
    parser.add_argument("--checkpoint", type=Path, default=WEIGHTS, help="a checkpoint in the demo's layout")
    options = parser.parse_args(arguments)
    made_by = provenance(options.checkpoint)
    models = load_world(options.checkpoint, torch.device("cpu")).walk_models()
    z_0 = models.autoencoder.encode(unseen_portraits(2 if options.row else options.portraits))
    every = [(k, depth, refine) for depth in DEPTHS for k in K_STEPS for refine in REFINEMENTS]
    print_table(HEAD, rows(models, z_0, [ONE_ROW] if options.row else every))
    print(f"\n{made_by}\n- {len(z_0)} portraits, latents of standard deviation {z_0.std():.2f}")


if __name__ == "__main__":
    main()
