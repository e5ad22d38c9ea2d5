"""Lay results out as rows: means over all pictures, and the paired difference to the default with its interval."""

from collections.abc import Sequence
from typing import Any

from benchmarks.levers.bench import Settings
from benchmarks.levers.grid import Cell
from benchmarks.table import with_interval

EQUAL = Settings.equal_db
COMMON = (
    "n",
    "max levels",
    "PSNR dB",
    "SSIM",
    "budget used %",
    "gain %",
    f"at {EQUAL:g} dB over noise %",
    "minus default [95 %]",
    f"at {EQUAL:g} dB after JPEG %",
    "minus default [95 %]",
    "forward",
    "backward",
    "VAE",
    "CPU s",
)
LEVER_HEAD = ("lever", *COMMON)
GRID_HEAD = ("k", "depth", "rounds", "budget", *COMMON)
STOLEN_HEAD = (
    "lever",
    "n",
    "PSNR dB",
    "loss over noise %",
    "identity (low = protected)",
    "minus clean's [95 %]",
    "minus default's [95 %]",
    "Fréchet (high = protected)",
    "no face %",
)
UNREACHED = 0.3  # dB

Result = dict[str, Any]


def lever_row(name: str, results: Sequence[Result], defaults: Sequence[Result]) -> tuple[object, ...]:
    """Return the row of a lever, from its results and the default's, person by person."""
    return name, *common(results, defaults)


def grid_row(cell: Cell, results: Sequence[Result], defaults: Sequence[Result]) -> tuple[object, ...]:
    """Return the row of a cell."""
    walk = (cell.k_steps, f"{cell.depth:g}", cell.rounds, f"{cell.budget_levels:g}")
    return *walk, *common(results, defaults)


def stolen_row(
    name: str, effects: Sequence[Result], made: Sequence[Result], clean: Sequence[Result], default: Sequence[Result]
) -> tuple[object, ...]:
    """Return the row of what a thief got after a lever.

    Args:
        name: of the lever.
        effects: what the thief got, person by person.
        made: the lever's own results, of the same people or none.
        clean, default: what the thief got from clean pictures, and after the default.
    """

    def minus(others: Sequence[Result]) -> str:
        known = {other["person"]: other["effect"]["identity"] for other in others}
        each = [e["effect"]["identity"] - known[e["person"]] for e in effects if e["person"] in known]
        return "-" if others is effects else with_interval(each, sign=True)

    pictures = _pictures(made)
    shown = [effect["psnr_db"] for effect in effects if effect["psnr_db"] is not None]
    return (
        name,
        len(effects),
        f"{_mean(shown):.1f}" if shown else "-",
        _average(pictures, "over_noise", "{:+.1f}"),
        with_interval([effect["effect"]["identity"] for effect in effects]),
        minus(clean),
        minus(default),
        with_interval([effect["effect"]["frechet"] for effect in effects], 0),
        f"{100 * _mean([effect['effect']['no_face'] for effect in effects]):.0f}",
    )


def common(results: Sequence[Result], defaults: Sequence[Result]) -> tuple[object, ...]:
    """Return the cells that all rows have; costs are those of one person's pictures."""
    pictures, own = _pictures(results), results is defaults
    known = {result["person"]: result for result in defaults}
    paired = [(each, known[each["person"]]) for each in results if each["person"] in known and not own]

    def minus_default(key: str) -> str:
        differences = [a[key] - b[key] for one, other in paired for a, b in _together(one, other)]
        return with_interval(differences, 1, sign=True)

    cost = {key: _mean([result["cost"][key] for result in results]) for key in results[0]["cost"]}
    return (
        len(pictures),
        max(picture["max_levels"] for picture in pictures),
        _average(pictures, "psnr_db", "{:.1f}"),
        _average(pictures, "ssim", "{:.3f}"),
        _average(pictures, "used", "{:.0%}").rstrip("%"),
        _average(pictures, "gain", "{:+.1f}"),
        _average(pictures, "over_noise", "{:+.1f}") + _unreached(pictures),
        minus_default("over_noise"),
        _average(pictures, "after_jpeg", "{:+.1f}"),
        minus_default("after_jpeg"),
        *(f"{cost[key]:.0f}" for key in ("forwards", "backwards")),
        f"{cost['encodes'] + cost['decodes']:.0f}",
        f"{_mean([result['cpu_seconds'] for result in results]):.0f}",
    )


def _together(one: Result, other: Result) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return list(zip(one["pictures"], other["pictures"], strict=True))


def _unreached(pictures: Sequence[dict[str, Any]]) -> str:
    """Say what PSNR was reached where a change is too faint, or too much at its limit, to be scaled to EQUAL."""
    reached = [picture["equal_db"] for picture in pictures if picture["equal_db"] is not None]
    if len(reached) == len(pictures) and all(abs(each - EQUAL) < UNREACHED for each in reached):
        return ""
    return f" ({max(reached):.1f} dB)" if reached else " (no change)"


def _pictures(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [picture for result in results for picture in result["pictures"]]


def _average(pictures: Sequence[dict[str, Any]], key: str, form: str) -> str:
    there = [picture[key] for picture in pictures if picture[key] is not None]
    return form.format(_mean(there)) if there else "-"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
