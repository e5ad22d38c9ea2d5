"""Draw the samples: a row for each model, sampler and number of steps, the same caption and noise in each column."""

from collections.abc import Sequence

from PIL import Image

from benchmarks.efficacy.lab import to_bytes
from benchmarks.few_step.samples import Drawn
from benchmarks.plot import Sheet

COLUMNS, TILE, GAP, MARGIN = 8, 96, 4, 150


def draw(drawn: Sequence[Drawn]) -> Image.Image:
    """Return the sheet."""
    sheet = Sheet(MARGIN + COLUMNS * (TILE + GAP), len(drawn) * (TILE + GAP) + GAP)
    for row, one in enumerate(drawn):
        middle = GAP + row * (TILE + GAP) + TILE / 2
        sheet.text((MARGIN - 10, middle), _label(one), anchor="rm")
    page = sheet.finished()
    for row, one in enumerate(drawn):
        for column, picture in enumerate(to_bytes(one.x[:COLUMNS])):
            tile = Image.fromarray(picture.transpose(1, 2, 0)).resize((TILE, TILE), Image.Resampling.LANCZOS)
            page.paste(tile, (MARGIN + column * (TILE + GAP), GAP + row * (TILE + GAP)))
    return page


def _label(one: Drawn) -> str:
    return f"{one.model}, {one.sampler}, {one.steps} step{'s' * (one.steps > 1)}"
