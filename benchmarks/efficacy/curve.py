"""The DiffPure sweep as a table and a picture: what is left of each method, the further the pictures were diffused."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import fmean

from PIL import Image

from benchmarks.efficacy.cells import CLEAN, SWEEP
from benchmarks.efficacy.tables import MEASURES, Result
from benchmarks.plot import Axis, Colour, Panel, Sheet
from benchmarks.table import with_interval

SIZE = (1040, 420)
COLOURS: tuple[Colour, ...] = ((0, 114, 178), (110, 110, 110), (213, 94, 0), (0, 158, 115), (204, 121, 167))
BOXES = {"identity": (60, 80, 500, 360), "frechet": (590, 80, 1020, 360)}
TITLES = {"identity": "identity, low = protected", "frechet": "Frechet distance, high = protected"}
"""Pillow's own font, which draws them, has no é."""
HEAD = ("method", "effect on", "not purified", *(f"DiffPure {timestep}" for timestep in SWEEP))
TIMESTEPS = Axis(0, max(SWEEP), (0, *SWEEP[1:]))


def effect_rows(results: Sequence[Result]) -> Iterator[list[str]]:
    """Give, a method and measure, the effect beside clean pictures that went through the same purifier.

    Identity lost and Fréchet distance gained, so above 0 means protected; mean over people with a 95 % interval.
    """
    clean = {(r.cell.purifier, r.cell.person): r for r in results if r.cell.method == CLEAN}
    for label, rows in _curves([r for r in results if r.cell.method != CLEAN]).items():
        for measure in MEASURES:
            effects: dict[int, list[float]] = {step: [] for step in (0, *SWEEP)}
            for r in rows:
                same = clean[r.cell.purifier, r.cell.person]
                effects[timestep(r.cell.purifier)].append(measure.effect(r, same))
            yield [label, measure.name, *(with_interval(values, measure.digits) for values in effects.values())]


def draw_sweep(results: Sequence[Result]) -> Image.Image:
    """Draw a curve a method in two panels; timestep 0 stands for pictures that were not purified."""
    sheet, found = Sheet(*SIZE), _curves(results)
    colours = {label: COLOURS[number % len(COLOURS)] for number, label in enumerate(found)}
    for number, (label, colour) in enumerate(colours.items()):
        left = 60 + (SIZE[0] - 80) // len(colours) * number
        sheet.line([(left, 25), (left + 24, 25)], colour)
        sheet.text((left + 30, 25), label, anchor="lm")
    for measure, box in BOXES.items():
        highest = max(getattr(each, measure) for rows in found.values() for each in rows)
        step = 0.2 if highest <= 1 else 50
        ticks = [step * number for number in range(int(highest / step) + 2)]
        panel = Panel(sheet, box, TIMESTEPS, Axis(0, ticks[-1], tuple(ticks)))
        panel.frame(TITLES[measure])
        for label, rows in found.items():
            panel.curve(_means(rows, measure), colours[label])
    sheet.text((SIZE[0] / 2, 405), "timesteps diffused, of 1000; 0 = not purified", anchor="mm")
    return sheet.finished()


def timestep(purifier: str) -> int:
    """Return how far a purifier of the sweep diffuses; 0 for none."""
    return 0 if purifier == "none" else int(purifier.rpartition(" ")[2])


def _curves(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the results of each label, clean first."""
    ordered = sorted(results, key=lambda r: (r.cell.budget_levels, r.cell.method))
    return {label: list(rows) for label, rows in groupby(ordered, key=lambda r: r.cell.label)}


def _means(rows: Sequence[Result], measure: str) -> list[tuple[float, float]]:
    """Return timestep and mean over people, in the order of timesteps."""
    by_step = lambda r: timestep(r.cell.purifier)  # noqa: E731
    steps = groupby(sorted(rows, key=by_step), key=by_step)
    return [(step, fmean(getattr(each, measure) for each in group)) for step, group in steps]
