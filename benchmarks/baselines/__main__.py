"""Print what each baseline does to the picture and what it costs, one row a method.

    python -m benchmarks.baselines --budget 8 --subjects 1
    python -m benchmarks.baselines --methods advdm,mist --steps-share 0.2 --sheet sheet.png

Loss is the denoising error of the pretrained model under a condition that no method has seen, on the same draws
before and after. The sheet shows the first picture under each method, and its change eight times enlarged.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.baselines import METHODS, Method
from benchmarks.baselines.cost import Cost, counted
from benchmarks.baselines.errors import denoising_loss
from benchmarks.efficacy.subjects import drawn_people
from benchmarks.table import print_table, provenance
from benchmarks.world import World, compute_on, load_world, usual_device
from demo import pipeline
from ldu.budget import to_levels
from ldu.metrics import max_abs_levels, psnr_db

UNSEEN = "a photo of a person with a teal top, grey background"
DRAWS = 64
ENLARGED = 8
HEAD = (
    "method", "steps", "max, levels", "PSNR, dB", "loss before", "after", "forward", "backward", "encodes", "decodes",
    "seconds", "in its source",
)  # fmt: skip


def measure_loss(world: World, x: Tensor) -> float:
    """Return the mean error under the unseen condition on fixed draws."""
    loss_of = denoising_loss(world, world.unet, UNSEEN, torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.stack([loss_of(x) for _ in range(DRAWS)]).mean().item()


def run(method: Method, world: World, x: Tensor, *, budget_levels: float, steps: int, seed: int) -> tuple[Tensor, Cost]:
    """Return pictures protected by a method, and what that cost."""
    with counted(world) as cost:
        generator = torch.Generator().manual_seed(seed)
        protected = method.protect(world, x, budget_levels=budget_levels, steps=steps, generator=generator)
    return protected, cost


def row(name: str, steps: int, world: World, x: Tensor, protected: Tensor, cost: Cost) -> tuple[object, ...]:
    """Return a line of the table."""
    before, after = to_levels(x).round(), to_levels(protected).round()
    spent = (cost.forwards, cost.backwards, cost.encodes, cost.decodes, f"{cost.seconds:.1f}")
    losses = (f"{measure_loss(world, pictures):.4f}" for pictures in (x, protected))
    return (
        name, steps, max_abs_levels(before, after), f"{psnr_db(before, after):.2f}", *losses, *spent,
        METHODS[name].instead or "-",
    )  # fmt: skip


def save_sheet(path: Path, original: Tensor, found: list[Tensor], columns: int = 4) -> None:
    """Write the original and each protected picture beside its enlarged change, in the table's order."""
    tiles = [torch.cat([p, ((p - original) * ENLARGED).clamp(-1, 1)], -1) for p in (original, *found)]
    tiles += [torch.ones_like(tiles[0])] * (-len(tiles) % columns)
    lines = [torch.cat(tiles[i : i + columns], -1) for i in range(0, len(tiles), columns)]
    levels = to_levels(torch.cat(lines, -2)).round().byte()
    Image.fromarray(levels.permute(1, 2, 0).numpy()).save(path)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=8, help="levels of 0..255")
    parser.add_argument("--subjects", type=int, default=1, help="unseen people")
    parser.add_argument("--pictures", type=int, default=1, help="pictures a person")
    parser.add_argument("--methods", default=",".join(METHODS), help="some of them")
    parser.add_argument(
        "--steps-share", type=float, default=1.0, help="factor of each method's steps, for a quick look"
    )
    parser.add_argument("--sheet", type=Path, help="write the first picture under each method here")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--checkpoint", type=Path, default=pipeline.WEIGHTS)
    options = parser.parse_args()
    compute_on(usual_device(), bf16=options.bf16)
    world = load_world(options.checkpoint)
    print(provenance(options.checkpoint) + "\n")
    sheets: dict[int, list[Tensor]] = {}

    def rows() -> Iterator[tuple[object, ...]]:
        for subject in range(options.subjects):
            (person,) = drawn_people(1, first=subject, seen=0)
            x = person.stolen[: options.pictures]
            for name in options.methods.split(","):
                steps = round(METHODS[name].steps * options.steps_share)
                protected, cost = run(METHODS[name], world, x, budget_levels=options.budget, steps=steps, seed=subject)
                sheets.setdefault(subject, []).append(protected[0])
                yield row(name, steps, world, x, protected, cost)

    print_table(HEAD, rows())
    if options.sheet:
        (person,) = drawn_people(1, seen=0)
        save_sheet(options.sheet, person.stolen[0], sheets[0])


if __name__ == "__main__":
    main()
