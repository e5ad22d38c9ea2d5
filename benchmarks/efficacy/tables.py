"""Tables and pictures of the results.

For each thief and purifier one row a method: mean over people with a 95 % bootstrap interval, and the paired
difference to one of our methods (above 0 for identity, below 0 for Fréchet: ours protects better).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch

from benchmarks.efficacy.cells import CLEAN, OURS, Cell
from benchmarks.efficacy.lab import Lab, write_json
from benchmarks.table import with_interval
from ldu.statistics import bootstrap_interval

HEAD = (
    "method",
    "n",
    "max levels",
    "PSNR dB",
    "SSIM",
    "identity (low = protected)",
    "identity minus ours",
    "Fréchet (high = protected)",
    "Fréchet minus ours",
    "no face %",
    "worst identity",
)


class Measure(NamedTuple):
    """One of the two effects: falling identity protects (-1), and a rising Fréchet distance (1)."""

    field: str
    name: str
    digits: int
    protects: int

    def effect(self, result: "Result", clean: "Result") -> float:
        """Return how far a result lies beside that of clean pictures, above 0 = protected."""
        return self.protects * (getattr(result, self.field) - getattr(clean, self.field))


LEARNT = 0.35
"""Identity above which a face is the person's: somebody else's has about 0, another photo of the same person .9."""
AS_VISIBLE = 0.3
"""Decibels within which two are as visible as each other."""
JUDGED = 4
"""People whom the judge is shown: drawing one takes seconds."""
MEASURES = (Measure("identity", "identity", 2, -1), Measure("frechet", "Fréchet", 0, 1))


@dataclass(frozen=True)
class Result:
    """One cell with what was measured."""

    cell: Cell
    found: dict[str, Any]

    @property
    def identity(self) -> float:
        """Mean cosine of the thief's generations with the person."""
        return self.found["effect"]["identity"]

    @property
    def frechet(self) -> float:
        """Distance of the thief's generations to the person's photos."""
        return self.found["effect"]["frechet"]


def read(lab: Lab, cells: Iterable[Cell]) -> list[Result]:
    """Return the results that are there."""
    return [Result(cell, found) for cell in cells if (found := lab.found(cell)) is not None]


def condition(cell: Cell) -> tuple[str, str, float]:
    """Return what the rows of one table share: thief, purifier, share of protected pictures."""
    return cell.thief, cell.purifier, cell.share


def tables(results: Sequence[Result], ours: str = OURS[0]) -> Iterator[tuple[str, list[list[str]]]]:
    """Return the title and the rows of every table; `ours` is the method that the others are compared with."""
    for shared, group in groupby(sorted(results, key=_order), key=lambda result: condition(result.cell)):
        thief, purifier, share = shared
        some = "" if share == 1 else f", {share:.0%} of the pictures protected"
        yield f"{thief}, purifier: {purifier}{some}", list(_rows(list(group), ours))


def more_rows(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of other measures of what thieves drew, as far as they were taken."""
    names = sorted({name for r in results for name in r.found["effect"].get("more", ())})
    key = lambda r: (*condition(r.cell), r.cell.budget_levels, r.cell.label)  # noqa: E731
    rows = []
    for (thief, purifier, _, _, label), group in groupby(sorted(results, key=key), key=key):
        taken = [r.found["effect"].get("more", {}) for r in group]
        values = (with_interval([more[name] for more in taken if name in more]) for name in names)
        rows.append([thief, purifier, label, str(len(taken)), *values])
    return ["thief", "purifier", "method", "n", *names], rows if names else []


def _order(result: Result) -> tuple[Any, ...]:
    cell = result.cell
    return (*condition(cell), cell.budget_levels, cell.visibility, cell.method, cell.person)


def _rows(group: Sequence[Result], ours: str) -> Iterator[list[str]]:
    for _, rows in groupby(group, key=lambda r: (r.cell.budget_levels, r.cell.visibility, r.cell.method)):
        yield _row(list(rows), [r for r in group if r.cell.method == ours])


def _row(rows: Sequence[Result], ours: Sequence[Result]) -> list[str]:
    cell = rows[0].cell
    same = {r.cell.person: r for r in ours if r.cell.visibility == cell.visibility}
    paired = [(r, same[r.cell.person]) for r in rows if r.cell.person in same and r not in ours]
    identity, frechet = [r.identity for r in rows], [r.frechet for r in rows]
    no_face = [None if share is None else 100 * share for share in (r.found["effect"]["no_face"] for r in rows)]
    return [
        cell.label,
        str(len(rows)),
        str(max(r.found["visibility"]["max_abs_levels"] for r in rows)),
        _average([r.found["visibility"]["psnr_db"] for r in rows]),
        _average([r.found["visibility"]["ssim"] for r in rows], 3),
        with_interval(identity),
        with_interval([a.identity - b.identity for a, b in paired]),
        with_interval(frechet, 0),
        with_interval([a.frechet - b.frechet for a, b in paired], 0),
        _average(no_face, 0),
        f"{max(identity):.2f}",
    ]


def _average(values: Sequence[float | None], digits: int = 1) -> str:
    there = [value for value in values if value is not None]
    return f"{sum(there) / len(there):.{digits}f}" if there else "-"


def judge_checks(lab: Lab, results: Sequence[Result]) -> list[tuple[str, bool]]:
    """Say whether the judge takes photos of a few for their own, and neither grey pictures nor other people's."""
    people = [lab.person(number) for number in sorted({r.cell.person for r in results})[:JUDGED]]
    if len(people) < 2 or any(r.found["effect"]["no_face"] is None for r in results):
        return []
    identities = []
    for own, other in zip(people, [*people[1:], people[0]], strict=True):
        given = own.reference, torch.zeros_like(own.reference), other.reference  # set A is in no reference
        identities.append([lab.judge.effect(x, own.seen).identity for x in given])
    own, grey, other = map(fmean, zip(*identities, strict=True))
    said = f"own {own:.2f} above {LEARNT}, grey {grey:.2f} and others' {other:.2f} below"
    return [(f"the judge finds the person in photos: {said}", max(grey, other) < LEARNT < own)]


def self_checks(results: Sequence[Result]) -> list[tuple[str, bool]]:
    """Say what the instrument must fulfil and whether it does, as far as the cells allow.

    The limits: a thief succeeds on clean pictures (identity of faces above LEARNT on average), and random noise does
    nothing that the interval of its paired difference to clean could tell.
    """
    checks = []
    for thief in sorted({r.cell.thief for r in results}):
        plain = [r for r in results if r.cell.thief == thief and r.cell.purifier == "none" and r.cell.share == 1]
        clean = {r.cell.person: r for r in plain if r.cell.method == CLEAN}
        noises: dict[str, list[tuple[Result, Result]]] = {}
        for r in plain:
            if r.cell.method.startswith("noise") and r.cell.person in clean:
                noises.setdefault(r.cell.label, []).append((r, clean[r.cell.person]))
        faces = all(r.found["effect"]["no_face"] is not None for r in plain)
        if clean and faces:  # what CLIP calls alike may be any two pictures
            identities = [r.identity for r in clean.values()]
            mean, learnt = fmean(identities), sum(identity > LEARNT for identity in identities)
            said = f"identity {mean:.2f} above {LEARNT}, of {learnt} of {len(clean)} people"
            checks.append((f"{thief} succeeds on clean pictures: {said}", mean > LEARNT))
        for (label, pairs), measure in product(noises.items(), MEASURES):
            if len(pairs) > 1:
                low, high = bootstrap_interval([measure.effect(*pair) for pair in pairs])
                said = f"{label}, effect by {measure.name} [{low:.{measure.digits}f}, {high:.{measure.digits}f}]"
                checks.append((f"{thief}: {said} holds 0", low <= 0 <= high))
        checks += [(f"{thief}: {sentence}", holds) for sentence, holds in _rises(plain)]
    return checks


def _rises(plain: Sequence[Result]) -> Iterator[tuple[str, bool]]:
    """Say of each method at several visibilities whether it does more where it is seen more, to people met at all."""
    by_method: dict[str, dict[str, dict[int, Result]]] = {}
    for r in plain:
        if r.cell.method != CLEAN and not r.cell.method.startswith("noise"):
            by_method.setdefault(r.cell.method, {}).setdefault(r.cell.label, {})[r.cell.person] = r
    for found in by_method.values():
        people = set.intersection(*map(set, found.values()))
        if len(found) > 1 and people:
            same = {label: [results[person] for person in people] for label, results in found.items()}
            psnr = {label: fmean(r.found["visibility"]["psnr_db"] for r in rows) for label, rows in same.items()}
            faint_first = sorted(same, key=lambda label: psnr[label], reverse=True)
            if psnr[faint_first[0]] - psnr[faint_first[-1]] < AS_VISIBLE:
                continue
            kept = {label: fmean(r.identity for r in same[label]) for label in faint_first}
            said = ", ".join(f"{label} {identity:.2f}" for label, identity in kept.items())
            yield f"more is done where more is seen: identity {said}", kept[faint_first[-1]] < kept[faint_first[0]]


def write_results(results: Sequence[Result], about: str, path: Path) -> None:
    """Write all results to one file, each with its own commit, under the command, checkpoint and thieves."""
    write_json(path, {"about": about.splitlines(), "results": [result.found for result in results]})
