"""A page of pictures: clean | protected | difference x 10 | what each thief learns, a row a method."""

import html
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.efficacy.lab import KEPT, Lab, to_bytes
from benchmarks.efficacy.tables import Result

GAP = 6


def write_page(lab: Lab, results: Sequence[Result], folder: Path, tables: Sequence[str]) -> Path:
    """Write index.html and, of what was run on this machine, a sheet a person and purifier; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    results = [result for result in results if lab.pictures(result.cell)]
    body = [
        "<!doctype html><meta charset=utf-8><title>LDU efficacy</title>",
        "<style>body{font:16px sans-serif}</style>",
    ]
    key = lambda r: (r.cell.person, r.cell.purifier)  # noqa: E731
    for (person, purifier), group in groupby(sorted(results, key=key), key=key):
        rows = sheet_rows(lab, list(group))
        file = folder / f"person_{person}_{purifier.replace(' ', '').replace('+', '-')}.png"
        Image.fromarray(np.concatenate([picture for _, picture in rows])).save(file)
        names = " · ".join(html.escape(name) for name, _ in rows)
        body.append(f"<h2>Person {person}, purifier: {html.escape(purifier)}</h2><p>Rows: {names}</p>")
        body.append("<p>clean | protected | difference x 10 | 3 of each thief</p>")
        body.append(f'<img src="{file.name}">')
    body += [f"<pre>{html.escape(table)}</pre>" for table in tables]
    page = folder / "index.html"
    page.write_text("\n".join(body), "utf-8")
    return page


def sheet_rows(lab: Lab, group: Sequence[Result]) -> list[tuple[str, np.ndarray]]:
    """Return each method's label and its row of pictures (h, w, 3)."""
    ordered = sorted(group, key=lambda r: (r.cell.budget_levels, r.cell.visibility, r.cell.method))
    thieves = sorted({r.cell.thief for r in group}, reverse=True)
    return [(label, _row(lab, list(rows), thieves)) for label, rows in groupby(ordered, key=lambda r: r.cell.label)]


def _row(lab: Lab, results: Sequence[Result], thieves: Sequence[str]) -> np.ndarray:
    """Return a method's row; where a thief's pictures are not on this machine they stay white."""
    clean = to_bytes(lab.person(results[0].cell.person).stolen[:1])[0]
    by_thief = {r.cell.thief: np.load(file) for r in results if (file := lab.pictures(r.cell))}
    protected = next(iter(by_thief.values()))["published"][0]
    difference = np.clip(128 + 10 * (protected.astype(int) - clean), 0, 255).astype(np.uint8)
    none = np.full((KEPT, *clean.shape), 255, np.uint8)
    drawn = np.concatenate([by_thief[thief]["drawn"] if thief in by_thief else none for thief in thieves])
    pictures = [picture.transpose(1, 2, 0) for picture in (clean, protected, difference, *drawn)]
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    row = np.concatenate([part for picture in pictures for part in (picture, gap)], axis=1)
    return np.concatenate([row, np.full((GAP, row.shape[1], 3), 255, np.uint8)])
