"""A page of pictures: clean | protected | difference x 10 | what each thief learns, a row a method."""

import html
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.efficacy.lab import KEPT, Lab, to_bytes
from benchmarks.efficacy.tables import Result
from benchmarks.plot import INK

GAP, HEAD_HEIGHT, TEXT = 6, 24, 14
BESIDE = ("original", "published", "difference x 10")


def write_page(lab: Lab, results: Sequence[Result], folder: Path, tables: Sequence[str]) -> Path:
    """Write index.html and, of what was run here with all pictures protected, a sheet a person and purifier."""
    folder.mkdir(parents=True, exist_ok=True)
    results = [result for result in results if result.cell.share == 1 and lab.pictures(result.cell)]
    body = [
        "<!doctype html><meta charset=utf-8><title>LDU efficacy</title>",
        "<style>body{font:16px sans-serif}</style>",
    ]
    key = lambda r: (r.cell.person, r.cell.purifier)  # noqa: E731
    for (person, purifier), group in groupby(sorted(results, key=key), key=key):
        file = folder / f"person_{person}_{purifier.replace(' ', '').replace('+', '-')}.png"
        draw_sheet(lab, list(group)).save(file)
        body.append(f"<h2>Person {person}, purifier: {html.escape(purifier)}</h2>")
        body.append(f'<img src="{file.name}">')
    body += [f"<pre>{html.escape(table)}</pre>" for table in tables]
    page = folder / "index.html"
    page.write_text("\n".join(body), "utf-8")
    return page


def draw_sheet(lab: Lab, group: Sequence[Result]) -> Image.Image:
    """Draw what one person's pictures look like and what thieves learn of them, a named row a method."""
    ordered = sorted(group, key=lambda r: (r.cell.budget_levels, r.cell.visibility, r.cell.method))
    thieves = sorted({r.cell.thief for r in group}, reverse=True)
    rows = [(label, _row(lab, list(rows), thieves)) for label, rows in groupby(ordered, key=lambda r: r.cell.label)]
    (height, width), font = rows[0][1].shape[:2], ImageFont.load_default(TEXT)
    left = GAP + max(round(font.getlength(label)) for label, _ in rows) + GAP
    sheet = Image.new("RGB", (left + width, HEAD_HEIGHT + len(rows) * height), "white")
    draw, step = ImageDraw.Draw(sheet), width // (len(BESIDE) + KEPT * len(thieves))
    for column, name in [*enumerate(BESIDE), *((len(BESIDE) + KEPT * n, name) for n, name in enumerate(thieves))]:
        draw.text((left + step * column, HEAD_HEIGHT / 2), name, fill=INK, font=font, anchor="lm")
    for number, (label, row) in enumerate(rows):
        top = HEAD_HEIGHT + number * height
        draw.text((GAP, top + height / 2), label, fill=INK, font=font, anchor="lm")
        sheet.paste(Image.fromarray(row), (left, top))
    return sheet


def _row(lab: Lab, results: Sequence[Result], thieves: Sequence[str]) -> np.ndarray:
    """Return a method's row (h, w, 3); where a thief's pictures are not on this machine they stay white."""
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
