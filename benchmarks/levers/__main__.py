"""Print what each lever and each walk is worth by the surrogate's loss, and what thieves make of each lever.

    python -m benchmarks.levers                      all three tables, hours of one core
    python -m benchmarks.levers --table grid         one of them
    python -m benchmarks.levers --row                one row of each, hardly trained: minutes
    python -m benchmarks.levers --show               what an interrupted run has left, without going on

Levers: our default with one thing switched (`switches`). Grid: the walk's k, depth and rounds at two budgets (`grid`).
Thieves: the levers again, and the field's two best (`field`), as plainly visible as it takes for thieves to fail, and
what a thief learns (`stolen`).
Every result is a file under --out: a run that was interrupted goes on where it stopped. See `measures` for the columns.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.efficacy.cells import FINE_TUNED
from benchmarks.levers.bench import QUICK, QUICK_THIEVES, THIEVES, Bench, Settings
from benchmarks.levers.grid import Cell, cells, default
from benchmarks.levers.stolen import CLEAN, MET, Thieves
from benchmarks.levers.switches import DEFAULT, LEVERS, STARTS_FROM, alone
from benchmarks.levers.tables import GRID_HEAD, LEVER_HEAD, STOLEN_HEAD, grid_row, lever_row, stolen_row
from benchmarks.table import print_table, provenance
from demo.pipeline import WEIGHTS

TABLES = ("levers", "grid", "thieves")
GRID = Settings(pictures=1, steps=20)
QUICK_LEVER, QUICK_CELL = "no record", Cell(1, 0.25)

Run = Callable[[], dict[str, Any]]


def levers(bench: Bench, names: Sequence[str], people: int, *, show: bool) -> None:
    """Measure what is missing, person by person, unless it is only to be shown, and print the table."""
    runs = [lambda name=name, n=n: bench.run(name, n, LEVERS[name]) for n in range(people) for name in names]
    work("levers", [] if show else runs)
    found = {name: [r for n in range(people) if (r := bench.found(name, n))] for name in names}
    print(f"\n**Levers** ({bench.settings})\n")
    print_table(LEVER_HEAD, [lever_row(name, each, found[DEFAULT]) for name, each in found.items() if each])


def grid(bench: Bench, chosen: Sequence[Cell], *, show: bool) -> None:
    """Measure what is missing of one person's grid, unless it is only to be shown, and print it."""
    runs = [lambda cell=cell: bench.run(cell.name, 0, alone(**cell.changes), **cell.changes) for cell in chosen]
    work("grid", [] if show else runs)
    found = {cell: result for cell in chosen if (result := bench.found(cell.name, 0))}
    print(f"\n**Grid** ({bench.settings})\n")
    ordered = sorted(found, key=lambda cell: (cell.budget_levels, cell.rounds, cell.k_steps, cell.depth))
    print_table(GRID_HEAD, [grid_row(cell, [found[cell]], _defaults(found, cell)) for cell in ordered])


def thieves(bench: Bench, thief: str, names: Sequence[str], people: int, *, show: bool) -> None:
    """Let a thief loose on what each lever makes, where that was not done, unless it is only to be shown; print it."""
    at_work, met = Thieves(bench), [CLEAN, *names]
    runs = [lambda name=name, n=n: at_work.run(thief, name, n) for n in range(people) for name in met]
    work(thief, [] if show else runs)
    found = {name: [r for n in range(people) if (r := at_work.found(thief, name, n))] for name in met}
    made = {name: [r for n in range(people) if (r := bench.found(name, n))] for name in met}
    print(f"\n**What {thief} makes of each lever** ({bench.settings})\n")
    beside = found[CLEAN], found[DEFAULT]
    print_table(STOLEN_HEAD, [stolen_row(name, each, made[name], *beside) for name, each in found.items() if each])


def _defaults(found: dict[Cell, dict[str, Any]], cell: Cell) -> list[dict[str, Any]]:
    usual = default(cell.budget_levels)
    return [found[usual]] if usual in found and usual != cell else []


def asked_for(levers: str | None) -> list[str]:
    """Return the names of the levers that the command asks for, with what they start from; all if it names none."""
    names = {name.strip() for name in levers.split(";")} if levers else set(MET)
    if unknown := names - set(MET):
        raise SystemExit(f"There is no lever {'; '.join(sorted(unknown))}; there are {'; '.join(MET)}.")
    starts = {STARTS_FROM[name] for name in names & set(STARTS_FROM)}  # measured first, so that no cost counts them
    return [name for name in MET if name in {DEFAULT, *starts, *names}]


def work(what: str, runs: Sequence[Run]) -> None:
    """Do all runs and say how far it is."""
    for number, run in enumerate(runs, start=1):
        found = run()
        print(
            f"{what} {number} of {len(runs)}: {found['name']}, person {found['person']}",
            file=sys.stderr,
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=TABLES, help="only this one")
    parser.add_argument("--row", action="store_true", help="one row of each, whatever else is asked for: minutes")
    parser.add_argument("--show", action="store_true", help="measure nothing, print what is there")
    parser.add_argument("--people", type=int, default=2, help="of the tables of levers and thieves (default 2)")
    parser.add_argument("--levers", help="only these, separated by semicolons; the field's meet thieves alone")
    parser.add_argument("--thief", choices=FINE_TUNED, default=FINE_TUNED[0], help="of the table of thieves")
    parser.add_argument("--out", type=Path, default=Path("levers"), help="a folder for the results")
    parser.add_argument("--checkpoint", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    made_by = provenance(options.checkpoint)
    with tempfile.TemporaryDirectory(prefix="ldu-levers-") as temporary:
        folder = Path(temporary) if options.row else options.out
        settings = (QUICK, QUICK, QUICK_THIEVES) if options.row else (Settings(), GRID, THIEVES)
        of_levers, of_grid, of_thieves = (Bench(options.checkpoint, folder, each) for each in settings)
        names, people = ([DEFAULT, QUICK_LEVER], 1) if options.row else (asked_for(options.levers), options.people)
        if options.table in (None, "levers"):
            levers(of_levers, [name for name in names if name in LEVERS], people, show=options.show)
        if options.table in (None, "grid"):
            grid(of_grid, [default(10.0), QUICK_CELL] if options.row else cells(), show=options.show)
        if options.table in (None, "thieves"):
            thieves(of_thieves, options.thief, names, people, show=options.show)
    print(f"\n{made_by}")


if __name__ == "__main__":
    main()
