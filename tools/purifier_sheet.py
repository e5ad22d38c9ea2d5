"""Show what every purifier does to a protected picture: a sheet to look at, and a table.

    python -m tools.purifier_sheet ORIGINAL PROTECTED SHEET [SIDE]

The two pictures are of one size; SIDE brings them to the square that a thief of that resolution loads.

Each cell is the protected picture after one purifier of the stress suite, with the demo checkpoint as its model. *left*
is the share of the perturbation that is still there: the slope of purify(protected) - purify(original), of the same
draws, on protected - original.
"""

import sys
import time

import torch
from PIL import Image, ImageDraw

from benchmarks.world import load_world
from ldu.attacks.purify.contract import DiffusionModel, Tools
from ldu.attacks.purify.recipe import Recipe, build, parse, stress_suite
from ldu.attacks.thief import thief_view
from ldu.budget import to_levels, to_pixels
from ldu.metrics import psnr_db
from ldu.picture import load_picture
from ldu.shapes import Pixels

COLUMNS, CELL, CAPTION = 6, 256, 34  # cells a row, pixels
FEWER = {"impress 3000": "impress 100"}  # what a CPU can wait for


def main(original: str, protected: str, sheet: str, side: str = "0") -> None:
    """Print the table and write the sheet."""
    before, after = (as_loaded(path, int(side)) for path in (original, protected))
    tools, cells = demo_tools(), [("protected", after)]
    print("| purifier | PSNR to the protected, dB | left | seconds |\n| --- | --- | --- | --- |")
    for recipe in stress_suite(tools):
        cells.append(measured(shortened(recipe), tools, before, after))
    draw(cells).save(sheet)


def as_loaded(path: str, side: int) -> Pixels:
    """Return a picture at its own size, or as a thief's square in whole levels."""
    levels = load_picture(path).as_batch()
    return to_pixels(thief_view(levels, side).round() if side else levels)


def measured(recipe: Recipe, tools: Tools, before: Pixels, after: Pixels) -> tuple[str, Pixels]:
    """Purify both pictures with the same draws and print a row; return the protected one with its caption."""
    start = time.perf_counter()
    clean, out = (build(recipe, tools)(x, generator=torch.Generator().manual_seed(0)) for x in (before, after))
    seconds = (time.perf_counter() - start) / 2
    change = after - before
    left = float(((out - clean) * change).sum() / change.square().sum())
    psnr = psnr_db(to_levels(after), to_levels(out))
    print(f"| {recipe} | {psnr:.1f} | {left:.2f} | {seconds:.2f} |", flush=True)
    return f"{recipe}\n{psnr:.1f} dB, left {left:.2f}", out


def demo_tools() -> Tools:
    """Return the demo checkpoint as tools, frozen."""
    models = load_world(device=torch.device("cpu")).walk_models()
    return Tools(models.autoencoder, DiffusionModel(models.walker, models.schedule, models.autoencoder))


def shortened(recipe: Recipe) -> Recipe:
    """Return the recipe, or one that ends sooner."""
    return parse(FEWER.get(str(recipe), str(recipe)))[0]


def draw(cells: list[tuple[str, Pixels]]) -> Image.Image:
    """Return the sheet of captioned pictures."""
    enlarged = max(1, CELL // cells[0][1].shape[-1])
    height, width = (enlarged * side for side in cells[0][1].shape[-2:])
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * (height + CAPTION)), "white")
    for number, (caption, x) in enumerate(cells):
        left, top = number % COLUMNS * width, number // COLUMNS * (height + CAPTION)
        picture = Image.fromarray(to_levels(x)[0].round().byte().movedim(0, -1).numpy())
        sheet.paste(picture.resize((width, height), Image.Resampling.NEAREST), (left, top + CAPTION))
        ImageDraw.Draw(sheet).text((left + 4, top + 2), caption, fill="black")
    return sheet


if __name__ == "__main__":
    main(*sys.argv[1:])
