"""Print what each lever and each walk is worth by the surrogate's loss; no thief is trained here.

    python -m benchmarks.levers                      both tables, about 40 minutes of one core
    python -m benchmarks.levers --table grid         one of them
    python -m benchmarks.levers --row                one row of each, in seconds, hardly trained
    python -m benchmarks.levers --show               what an interrupted run has left, without going on

Levers: our default with one thing switched (`switches`). Grid: the walk's k, depth and rounds at two budgets (`grid`).
Every result is a file under --out: a run that was interrupted goes on where it stopped. See `measures` for the columns.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.levers.bench import QUICK, Bench, Settings
from benchmarks.levers.grid import Cell, cells, default
from benchmarks.levers.switches import DEFAULT, LEVERS, alone
from benchmarks.levers.tables import GRID_HEAD, LEVER_HEAD, grid_row, lever_row
from benchmarks.table import print_table, provenance
from demo.pipeline import WEIGHTS

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


def _defaults(found: dict[Cell, dict[str, Any]], cell: Cell) -> list[dict[str, Any]]:
    usual = default(cell.budget_levels)
    return [found[usual]] if usual in found and usual != cell else []


def work(what: str, runs: Sequence[Run]) -> None:
    """Do all runs and say how far it is."""
    for number, run in enumerate(runs, start=1):
        found = run()
        print(
            f"{what} {number} of {len(runs)}: {found['name']}, {found['cpu_seconds']:.0f} s",
            file=sys.stderr,
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=("levers", "grid"), help="only this one")
    parser.add_argument("--row", action="store_true", help="one row of each beside the default's: quick")
    parser.add_argument("--show", action="store_true", help="measure nothing, print what is there")
    parser.add_argument("--people", type=int, default=2, help="of the table of levers (default 2)")
    parser.add_argument("--out", type=Path, default=Path("levers"), help="a folder for the results")
    parser.add_argument("--checkpoint", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    made_by = provenance(options.checkpoint)
    with tempfile.TemporaryDirectory(prefix="ldu-levers-") as temporary:
        folder = Path(temporary) if options.row else options.out
        settings = (QUICK, QUICK) if options.row else (Settings(), GRID)
        bench = [Bench(options.checkpoint, folder, each) for each in settings]
        if options.table != "grid":
            names, people = ([DEFAULT, QUICK_LEVER], 1) if options.row else (list(LEVERS), options.people)
            levers(bench[0], names, people, show=options.show)
        if options.table != "levers":
            grid(bench[1], [default(10.0), QUICK_CELL] if options.row else cells(), show=options.show)
    print(f"\n{made_by}")


if __name__ == "__main__":
    main()
