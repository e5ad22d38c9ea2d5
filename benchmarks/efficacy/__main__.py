"""Measure what thieves learn from protected pictures, method against method.

    python -m benchmarks.efficacy --suite quick
    python -m benchmarks.efficacy --suite full --checkpoint sd15.safetensors --data folder_of_people

Every cell's result is a file: a run that was interrupted goes on where it stopped, and a second run prints the tables.
What is kept with the code need not be run again, and --suite kept prints all of it with what was asked of ours;
--keep adds what this machine has measured, --anew counts nothing that is kept.
"""

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.efficacy import natural, quality, targets
from benchmarks.efficacy.cells import (
    OF_FEW,
    OURS,
    Cell,
    at_equal_budget,
    at_equal_ssim,
    field,
    full,
    purified,
    quick,
    row,
    tuned,
)
from benchmarks.efficacy.kept import keep
from benchmarks.efficacy.lab import PIXELS, Lab, Setup
from benchmarks.efficacy.methods import METHODS
from benchmarks.efficacy.photographs import DEFAULT_PRESET, PRESETS, PhotoJudge
from benchmarks.efficacy.run import measure
from benchmarks.efficacy.show import show, show_repeats, show_sweep, show_targets
from benchmarks.efficacy.subjects import folders_of
from benchmarks.efficacy.tables import read
from benchmarks.table import provenance
from benchmarks.thieves import ELSEWHERE
from benchmarks.world import require_checkpoint
from demo.architecture import RESOLUTION
from demo.pipeline import WEIGHTS, is_demo
from ldu.attacks.purify.recipe import parse
from ldu.attacks.purify.registry import STRESS_SUITE
from ldu.errors import LduError

SUITES = ("row", "quick", "field", "purifiers", *OF_FEW, "tuned", "full", "kept")


def runnable(cells: list[Cell], setup: Setup) -> list[Cell]:
    """Leave out what cannot be run or would tell nothing, and say so."""
    if not setup.elsewhere:
        why = "for want of a second checkpoint (--other FILE)"
        cells = _without(cells, lambda cell: cell.thief.endswith(ELSEWHERE), why)
    if not is_demo(setup.checkpoint):
        why = "for want of a model of pixels beside this checkpoint"
        cells = _without(cells, lambda cell: bool(parse(cell.purifier)[0].needs & PIXELS), why)
    if not is_demo(setup.checkpoint) or setup.data or setup.use == "tuning":
        why = f"for the rho of {targets.TAUGHT} learns from the demo world's tuning people"
        cells = _without(cells, lambda cell: cell.method == targets.TAUGHT, why)
    return cells


def _without(cells: list[Cell], unwanted: Callable[[Cell], bool], why: str) -> list[Cell]:
    left = [cell for cell in cells if not unwanted(cell)]
    if len(left) < len(cells):
        print(f"- left out, {why}: {len(cells) - len(left)} cells")
    return left


def suite(name: str, people: int) -> list[Cell]:
    """Return a suite's cells."""
    if name == "full":
        return full(METHODS, STRESS_SUITE, people or 20)
    if name == "purifiers":
        return purified(STRESS_SUITE, people or 4)
    if name == "field":
        return field(METHODS, people or 4)
    if name in OF_FEW:
        return OF_FEW[name](people or 4)
    if name == "tuned":
        return tuned(people or 2)
    if name == "row":
        return row()
    return quick(people or 2)


def kept_suite(lab: Lab) -> list[Cell]:
    """Return the cells that are kept with the code, and say what code has left behind."""
    cells, left = lab.kept_cells()
    if not cells:
        print("- no result is kept of this checkpoint, these thieves, settings and kind of device")
    if left:
        print(f"- left out, for the code that decides them has changed: {left} kept results")
    return cells


def chosen(cells: list[Cell], options: argparse.Namespace) -> list[Cell]:
    """Return the cells of a suite that the command asks for, of people who are there."""
    if options.data:
        cells = [cell for cell in cells if cell.person < len(folders_of(options.data))]
    asked = {
        "method": {"clean", *options.methods.split(",")} if options.methods else None,
        "thief": re.split(",(?! )", options.thieves) if options.thieves else None,  # some names have ", " in them
        "purifier": options.purifiers.split(",") if options.purifiers else None,
    }
    for name, values in asked.items():
        there = {getattr(cell, name) for cell in cells}
        if unknown := set(values or ()) - there:
            lacking, offered = (", ".join(sorted(names)) for names in (unknown, there))
            raise SystemExit(f"Suite {options.suite} has no {name} {lacking}; it has {offered}.")
        cells = [cell for cell in cells if values is None or getattr(cell, name) in values]
    if options.levels:
        return at_equal_budget(cells, options.levels)
    return at_equal_ssim(cells, options.ssim) if options.ssim else cells


def read_options() -> argparse.Namespace:
    """Read the command line and refuse what cannot be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=SUITES, default="quick")
    parser.add_argument("--people", type=int, default=0, help="fewer or more people than the suite has")
    parser.add_argument("--checkpoint", type=Path, default=WEIGHTS)
    parser.add_argument("--other", type=Path, help="the checkpoint of thieves who have another model")
    parser.add_argument("--data", type=Path, help="people as PERSON/set_A, set_B, set_C")
    parser.add_argument("--preset", choices=PRESETS, default=DEFAULT_PRESET, help="what the pictures of --data show")
    parser.add_argument("--quality", default="", help=f"also {','.join(quality.NAMES)}, some of them; needs pyiqa")
    parser.add_argument("--tuning", action="store_true", help="the people that no table uses")
    parser.add_argument("--methods", help="only these, separated by commas; clean is always there")
    parser.add_argument("--ours", choices=OURS, default=OURS[0], help="which of ours the others are compared with")
    parser.add_argument("--thieves", help="only these, separated by commas")
    parser.add_argument("--purifiers", help="only these, separated by commas; none = no purifier")
    visibility = parser.add_mutually_exclusive_group()
    visibility.add_argument("--ssim", type=float, default=0.0, help="equal visibility is this SSIM, not 26 dB of PSNR")
    visibility.add_argument("--levels", type=float, default=0.0, help="equal is the budget alone, in levels of 255")
    parser.add_argument("--out", type=Path, default=Path("efficacy"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fp32", action="store_true", help="in float32, a bench of its own")
    parser.add_argument("--keep", action="store_true", help="keep the results with the code, for other machines")
    parser.add_argument("--anew", action="store_true", help="measure what is kept with the code, too")
    options = parser.parse_args()
    options.quality = tuple(sorted(set(filter(None, options.quality.split(",")))))
    try:
        _require(options)
    except (LduError, ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    return options


def _require(options: argparse.Namespace) -> None:
    """Refuse what could not be run to its end, before any work is done."""
    for checkpoint in filter(None, (options.checkpoint, options.other)):
        require_checkpoint(checkpoint)
    quality.require(options.quality, side=RESOLUTION if is_demo(options.checkpoint) else 512)
    if options.suite == "kept" and (options.levels or options.ssim or options.anew or options.people):
        raise ValueError("--suite kept prints what there is: leave --levels, --ssim, --people and --anew out.")
    if options.data:
        folders_of(options.data)
        PhotoJudge(PRESETS[options.preset].faces).require()
    elif options.preset != DEFAULT_PRESET:
        raise ValueError("--preset says what the pictures of --data show: give both.")


def main() -> None:
    """Run from the command line."""
    options = read_options()
    setup = Setup(
        options.checkpoint,
        options.out,
        options.data,
        "tuning" if options.tuning or options.suite == "tuned" else "table",
        options.seed,
        not options.fp32,
        other=options.other,
        preset=options.preset,
        quality=options.quality,
        kept=not options.anew and options.suite != "row",  # which is there to see whether a number has changed
    )
    lab = Lab(setup)
    cells = kept_suite(lab) if options.suite == "kept" else suite(options.suite, options.people)
    cells = runnable(chosen(cells, options), setup) if cells else []
    if not cells:
        return
    about = "\n".join([provenance(options.checkpoint), *lab.about()])
    print(about)
    anew = measure(setup, cells, options.workers)
    if left_out := natural.take(lab, cells):
        print(f"- {left_out}")
    results = read(lab, cells)
    show(lab, results, about, options.ours)
    if not setup.kept:
        show_repeats(lab, [result for result in results if result.cell in anew])
    if options.keep:
        found = {lab.path(result.cell).stem: result.found for result in results}
        print(f"{keep(setup.results.name, found)} results are kept with the code now")
    if options.suite in {"full", "kept"} and setup.use == "table":
        show_targets(results, options.ours)
    if options.suite == "diffpure":
        show_sweep(results, setup.results)


if __name__ == "__main__":
    main()
