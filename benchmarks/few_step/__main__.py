"""Print what distillation changes: in theory, samples, the walk and protection with the base and its few-step sibling.

    python -m benchmarks.few_step                        all four tables and docs/pictures/few_step.png
    python -m benchmarks.few_step --parts walk --k 1 2   one of them, and some of its rows
    python -m benchmarks.few_step --row                  two rows of the third, in seconds

The parts say in `benchmarks/few_step/*.py` what they measure. Samples and protection are computed in bfloat16
where the processor has it.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.efficacy.measures import Judge
from benchmarks.few_step import exact, protection, samples, walk
from benchmarks.few_step.pair import Pair, load_pair
from benchmarks.few_step.picture import draw
from benchmarks.inversion import unseen_portraits
from benchmarks.table import ROOT, digest, print_table, provenance
from benchmarks.world import compute_on
from demo.pipeline import WEIGHTS
from demo.precision import bfloat16_is_fast
from demo.train_sibling import SIBLING

PICTURE = ROOT / "docs" / "pictures" / "few_step.png"
PARTS = ("exact", "samples", "walk", "protection")


@torch.no_grad()  # a measurement
def print_samples(pair: Pair, count: int, picture: Path | None) -> None:
    """Print the second table and draw the first columns of its pictures."""
    compute_on(torch.device("cpu"), bf16=bfloat16_is_fast())
    print(f"\nSamples from noise, {count} captions:\n")
    drawn, other = samples.study(pair, count)
    print_table(samples.HEAD, samples.rows(drawn, other, samples.renders(count), Judge()))
    if picture is not None:
        draw(drawn).save(picture, optimize=True)


@torch.no_grad()  # a measurement
def print_walk(pair: Pair, count: int, k_steps: Sequence[int], depths: Sequence[float]) -> None:
    """Print the third table."""
    compute_on(torch.device("cpu"), bf16=False)
    print(f"\nThe walk, {count} portraits:\n")
    print_table(walk.HEAD, walk.rows(pair, unseen_portraits(count), k_steps, depths))


def print_protection(pair: Pair, options: argparse.Namespace) -> None:
    """Print the fourth table."""
    compute_on(torch.device("cpu"), bf16=bfloat16_is_fast())
    print(f"\nProtection, {options.people} people with {options.pictures} pictures each, {options.steps} steps:\n")
    people = protection.make_people(pair, options.people, options.pictures)
    settings = [setting for setting in protection.SETTINGS if setting[0] in options.k]
    print_table(protection.HEAD, protection.rows(people, pair, settings, options.steps))


def arguments_of(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="store_true", help="one walk of two portraits: quick")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--k", type=int, nargs="+", default=walk.K_STEPS, help="steps of the walks (default 1 2 4 8)")
    parser.add_argument("--samples", type=int, default=16, help="captions (default 16)")
    parser.add_argument("--portraits", type=int, default=8, help="that are walked (default 8)")
    parser.add_argument("--people", type=int, default=2, help="who are protected (default 2)")
    parser.add_argument("--pictures", type=int, default=2, help="of each (default 2)")
    parser.add_argument("--steps", type=int, default=protection.STEPS, help=f"of training ρ ({protection.STEPS})")
    parser.add_argument("--lora", type=Path, default=SIBLING, help="the sibling")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where to draw the samples")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options, started = arguments_of(given), time.monotonic()
    made_by, pair = provenance(WEIGHTS), load_pair(options.lora)
    if options.row:
        print_walk(pair, 2, (2,), (0.25,))
    else:
        if "exact" in options.parts:
            print(f"\nGaussian data of standard deviation {exact.SPREAD}:\n")
            print_table(exact.HEAD, exact.rows(pair.base.schedule))
        if "samples" in options.parts:
            print_samples(pair, options.samples, options.picture)
        if "walk" in options.parts:
            print_walk(pair, options.portraits, options.k, walk.DEPTHS)
        if "protection" in options.parts:
            print_protection(pair, options)
    print(f"\n{made_by}\n- sibling {options.lora.name}, SHA-256 {digest(options.lora)[:16]}")
    print(f"- samples and protection in {'bfloat16' if bfloat16_is_fast() else 'float32'}")
    print(f"- {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
