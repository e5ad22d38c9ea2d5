"""BRISQUE of what was published and of what thieves drew, where the package brisque is installed; low = a clean photo.

Brightnesses of a photo, normalised by their neighbourhood, are spread in one way; noise, blur and compression change
it, and a support vector machine that learnt from people's judgements says how bad that looks.

It is taken of the pictures that a cell's file keeps, those published and the first few drawn, and written into the
cell's result: once, on the machine that ran the cell, however long ago.

Source: Mittal, Moorthy & Bovik 2012.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import groupby
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.efficacy.cells import CLEAN, Cell
from benchmarks.efficacy.lab import Lab, write_json
from benchmarks.efficacy.tables import Result, condition
from benchmarks.table import with_interval

NAME = "brisque"
"""Of the package and of what it found in a cell's result."""
HEAD = ("thief", "purifier", "method", "n", "published", "drawn by the thief", "drawn, minus clean's")


def take(lab: Lab, cells: Sequence[Cell]) -> str:
    """Write it into every result that lacks it and whose pictures are on this machine.

    Returns:
        A sentence on why nothing was done, or "".
    """
    there = ((cell, lab.pictures(cell), lab.found(cell)) for cell in cells)
    lacking = [(cell, file, found) for cell, file, found in there if file and found and NAME not in found]
    if lacking and find_spec(NAME) is None:
        return f"BRISQUE of {len(lacking)} cells is left out: the package brisque is not installed (extra: quality)."
    for cell, file, found in lacking:
        with np.load(file) as pictures:
            taken = {kind: brisque(pictures[kind]) for kind in ("published", "drawn")}
        write_json(lab.path(cell), found | {NAME: taken | {"version": version(NAME)}})
    return ""


def brisque(levels: np.ndarray) -> float:
    """Return the mean over 8-bit pictures (n, 3, h, w), about 0 to 100, more where the package extrapolates."""
    return fmean(_score()(np.ascontiguousarray(picture.transpose(1, 2, 0))) for picture in levels)


def rows(results: Sequence[Result]) -> Iterator[list[str]]:
    """Give a row a thief, purifier and method: means over people with a 95 % bootstrap interval."""
    taken = [r for r in results if NAME in r.found]
    clean = {(condition(r.cell), r.cell.person): r for r in taken if r.cell.method == CLEAN}
    key = lambda r: (condition(r.cell), r.cell.budget_levels, r.cell.visibility, r.cell.label)  # noqa: E731
    for ((thief, purifier, share), *_, label), group in groupby(sorted(taken, key=key), key=key):
        of_method = list(group)
        pairs = [(r, clean.get((condition(r.cell), r.cell.person))) for r in of_method if r.cell.method != CLEAN]
        yield [
            thief,
            purifier,
            label if share == 1 else f"{label}, {share:.0%} of the pictures",
            str(len(of_method)),
            f"{fmean(r.found[NAME]['published'] for r in of_method):.0f}",
            with_interval([r.found[NAME]["drawn"] for r in of_method], 0),
            with_interval([r.found[NAME]["drawn"] - its.found[NAME]["drawn"] for r, its in pairs if its], 0),
        ]


@cache
def _score() -> Callable[[np.ndarray], float]:
    library: Any = import_module(NAME)

    class Brisque(library.BRISQUE):
        """Takes numbers out of the arrays of one that SciPy's root finder returns; NumPy 2.4 no longer does."""

        def scale_features(self, features: Sequence[Any]) -> np.ndarray:
            return super().scale_features([np.ravel(feature)[0] for feature in features])

    return Brisque(url=False).score
