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
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

from benchmarks.efficacy import costs, curve, natural, order, perceptual, quality, survival, targets, transferred
from benchmarks.efficacy.cells import (
    OF_FEW,
    OURS,
    SWEPT,
    Cell,
    at_equal_budget,
    at_equal_ssim,
    field,
    full,
    purified,
    quick,
    row,
)
from benchmarks.efficacy.kept import keep, kept, origins
from benchmarks.efficacy.lab import PIXELS, Lab, Setup
from benchmarks.efficacy.methods import METHODS
from benchmarks.efficacy.page import write_page
from benchmarks.efficacy.photographs import DEFAULT_PRESET, PRESETS, PhotoJudge
from benchmarks.efficacy.run import measure
from benchmarks.efficacy.subjects import folders_of
from benchmarks.efficacy.tables import HEAD, Result, judge_checks, more_rows, read, self_checks, tables, write_results
from benchmarks.table import coverage, print_table, provenance
from benchmarks.thieves import ELSEWHERE
from benchmarks.world import require_checkpoint
from demo.architecture import RESOLUTION
from demo.pipeline import WEIGHTS, is_demo
from ldu.attacks.purify.recipe import parse
from ldu.attacks.purify.registry import STRESS_SUITE
from ldu.errors import LduError

SAME = 0.02
"""By how much two runs of a cell with one seed may differ in identity: another number of threads or processor rounds
otherwise, and a hundred steps of training carry that on."""
SUITES = ("row", "quick", "field", "purifiers", *OF_FEW, "full", "kept")


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


def show(lab: Lab, results: list[Result], about: str, ours: str) -> None:
    """Print the tables and write JSON and the page of pictures, with what they are about."""
    folder, texts = lab.setup.results, [about]
    for title, rows in tables(results, ours):
        print(f"\n**{title}**\n")
        print_table(HEAD, rows)
        texts.append("\n".join([title, *(" | ".join(row) for row in rows)]))
    show_survival(results, ours)
    show_mixtures(results, ours)
    show_transfer(results)
    show_order(results)
    head, more = more_rows(results)
    if more:
        print("\n**Other measures of what thieves drew**\n")
        print_table(head, more)
    show_quality(results)
    show_costs(results)
    print(f"\n- judged by {lab.judge.name}")
    for sentence, holds in [*judge_checks(lab, results), *self_checks(results)]:
        print(f"- {'holds' if holds else 'FAILS'}: {sentence}")
    show_visibility(lab, results)
    print("\n".join(f"- {said}" for said in origins(result.found for result in results)))
    write_results(results, about, folder / "results.json")
    print(f"\nPictures: {write_page(lab, results, folder / 'page', texts)}")


def show_survival(results: list[Result], ours: str) -> None:
    """Print, where there are purifiers, ours beside each other method after every one of them."""
    whole = [r for r in results if r.cell.share == 1]
    for thief in sorted({r.cell.thief for r in whole if r.cell.purifier != "none"}):
        of_thief = [r for r in whole if r.cell.thief == thief]
        print(f"\n**{thief} after every purifier, {ours} and each other method**\n")
        print_table(survival.HEAD, survival.rows(of_thief, ours))
        print("\n".join(["", *(f"- {sentence}" for sentence in survival.verdicts(of_thief, ours))]))
        print(f"\n**{thief}: each person after the purifier that helped the thief most, of those that both met**\n")
        print_table(survival.WORST_HEAD, survival.worst_rows(of_thief, ours))
        print(f"\n**{thief}: what {ours} takes beside clean pictures, and of whom**\n")
        print_table(survival.EFFECT_HEAD, survival.effect_rows(of_thief, ours))


def show_mixtures(results: list[Result], ours: str) -> None:
    """Print, where thieves also had pictures that nobody protected, what is left with how many."""
    plain = [r for r in results if r.cell.purifier == "none"]
    for thief in sorted({r.cell.thief for r in plain if r.cell.share < 1}):
        if rows := list(survival.mixed_rows([r for r in plain if r.cell.thief == thief], ours)):
            print(f"\n**{thief}, some of whose pictures nobody protected**\n")
            print_table(survival.MIXED_HEAD, rows)


def show_transfer(results: list[Result]) -> None:
    """Print, where thieves worked on a model that no protection knows, how much of each effect was left there."""
    if rows := list(transferred.rows(results)):
        print("\n**What is left of the effect where the thief has another model**\n")
        print_table(transferred.HEAD, rows)


def show_order(results: list[Result]) -> None:
    """Print the order of the field's methods beside the published one, where there are enough of them."""
    if found := order.found_here(results):
        print(f"\n**The published order beside this one ({order.THIEF}; in brackets the rank)**\n")
        print_table(order.HEAD, order.rows(found))
        print(f"\n- {order.agreement(found)}")


def show_quality(results: list[Result]) -> None:
    """Print BRISQUE as far as it was taken."""
    if rows := list(natural.rows(results)):
        print("\n**BRISQUE (low = a clean photo)**\n")
        print_table(natural.HEAD, rows)


def show_costs(results: list[Result]) -> None:
    """Print what protections cost."""
    if rows := list(costs.rows(results)):
        print(f"\n**{costs.TITLE}**\n")
        print_table(costs.HEAD, rows)


def show_repeats(lab: Lab, results: list[Result]) -> None:
    """Print what was measured anew beside what is kept of it: with one seed both should agree."""
    before = kept(lab.setup.results.name)
    if lacking := sum(lab.path(result.cell).stem not in before for result in results):
        print(f"- of {lacking} of these cells nothing is kept with this code, these settings and this precision")
    for anew in results:
        cell = anew.cell
        if found := before.get(lab.path(cell).stem):
            then = Result(cell, found).identity
            said = (
                f"{cell.thief}, {cell.label}, {cell.purifier}, person {cell.person}: identity {anew.identity:.4f} anew"
            )
            agree = "holds" if abs(anew.identity - then) < SAME else "FAILS"
            print(f"- {agree}: {said} is {then:.4f} as kept of commit {found['made']['commit']}")


def show_visibility(lab: Lab, results: list[Result]) -> None:
    """Print the measures of visibility that can be taken here, and say which cannot."""
    measures, lacking = perceptual.available(min(lab.person(results[0].cell.person).stolen.shape[-2:]))
    if measures:
        print("\n**More measures of visibility**\n")
        print_table(("method", "n", *measures), perceptual.rows(lab, results, measures))
    print("\n".join(["", *(f"- {sentence}" for sentence in lacking)]))


def show_targets(results: list[Result], ours: str) -> None:
    """Print what was asked of ours and what came of it."""
    print("\n**What was asked of ours**\n")
    print_table(targets.HEAD, targets.rows(results, ours))
    people = Counter((r.cell.thief, r.cell.label, r.cell.purifier, r.cell.share) for r in results)
    counts = set(people.values()) - {1}
    if said := ", ".join(f"{coverage(people):.0%} of trials over {people}" for people in sorted(counts)):
        print(
            f"\n- where people are normally distributed, 95 % intervals hold the truth in {said}: they are too narrow"
        )


def show_sweep(results: list[Result], folder: Path) -> None:
    """Print, a thief and kind of DiffPure, what is left of each method and draw it."""
    for thief, purifier in product(sorted({r.cell.thief for r in results}), SWEPT):
        swept = [r for r in results if r.cell.thief == thief and r.cell.purifier.startswith(("none", f"{purifier} "))]
        if all(r.cell.purifier == "none" for r in swept):
            continue
        print(f"\n**{thief} after {purifier}: what is left of the effect**\n")
        print_table(curve.HEAD, curve.effect_rows(swept))
        picture = folder / f"{purifier}_{thief.replace(' ', '')}.png"
        curve.draw_sweep(swept).save(picture)
        print(f"\nCurves: {picture}")


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
        "tuning" if options.tuning else "table",
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
    if options.suite in {"full", "kept"}:
        show_targets(results, options.ours)
    if options.suite == "diffpure":
        show_sweep(results, setup.results)


if __name__ == "__main__":
    main()
