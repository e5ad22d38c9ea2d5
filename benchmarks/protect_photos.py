"""Print what `run.py protect` does to three real photographs at several budgets, measured on the saved files.

    python -m benchmarks.protect_photos

The photographs are those that scikit-image brings: the astronaut as a PNG, a cup of coffee as a JPEG, and the cat with
an alpha channel. Every row is one `python run.py protect PHOTO --budget N`, as a newcomer would type it, and all of its
numbers are those of its report. "after - random" is the paired difference of the adversary's loss on the protected
picture and on random noise of equal PSNR, with the 95 % interval of its mean: above 0, ours beats noise.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from benchmarks.table import ROOT, print_table, provenance
from demo.pipeline import WEIGHTS
from launch.result import NFE

BUDGETS = (4.0, 8.0, 10.0, 16.0)
HEAD = (
    "photograph",
    "size",
    "budget",
    "max_abs_levels",
    "psnr_db",
    "ssim",
    "loss_before",
    "loss_after",
    "loss_random",
    "after - random [95 %]",
    "beats noise",
    "seconds",
    "nfe",
    "alpha",
)


def save_photographs(folder: Path) -> dict[str, Path]:
    """Write the three photographs and return their files by name."""
    files = {name: folder / name for name in ("astronaut.png", "coffee.jpg", "cat_alpha.png")}
    Image.fromarray(data.astronaut()).save(files["astronaut.png"])
    Image.fromarray(data.coffee()).save(files["coffee.jpg"], quality=90)
    Image.fromarray(with_alpha(data.chelsea())).save(files["cat_alpha.png"])
    return files


def with_alpha(picture: np.ndarray) -> np.ndarray:
    """Return an RGBA picture that fades out towards its corners."""
    rows, columns = (np.linspace(-1, 1, length) for length in picture.shape[:2])
    distance = np.hypot(rows[:, None], columns[None])
    alpha = (255 * np.clip((1.3 - distance) / 0.4, 0, 1)).round().astype(np.uint8)
    return np.dstack([picture, alpha])


def protect(photograph: Path, budget: float, folder: Path, extra: Sequence[str]) -> dict[str, Any]:
    """Run `run.py protect` and return its report; its progress and messages pass through.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    report, out = folder / "report.json", folder / f"{photograph.stem}_{budget:g}.png"
    command = [sys.executable, "run.py", "protect", str(photograph), "--budget", f"{budget:g}", "--force"]
    command += ["--out", str(out), "--json", str(report), *extra]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return json.loads(report.read_text("utf-8"))


def row(photograph: Path, report: dict[str, Any]) -> tuple[str, ...]:
    """Lay a report out for the table."""
    low, high = report.get("loss_gain_over_random") or (None, None)
    gain = report["loss_after"] - report["loss_random"]
    psnr = "same" if report["psnr_db"] is None else f"{report['psnr_db']:.2f}"
    return (
        photograph.name,
        f"{report['width']} x {report['height']}",
        f"{report['budget_levels']:g}",
        str(report["max_abs_levels"]),
        psnr,
        f"{report['ssim']:.4f}",
        *(f"{report[name]:.4f}" for name in ("loss_before", "loss_after", "loss_random")),
        f"{gain:+.4f}" + ("" if low is None else f" [{low:+.4f}, {high:+.4f}]"),
        verdict(low, high),
        f"{report['seconds']:.0f}",
        " + ".join(str(report["nfe"][kind]) for kind in NFE),
        alpha_kept(photograph, Path(report["output"])),
    )


def verdict(low: float | None, high: float | None) -> str:
    """Say what an interval shows."""
    if low is None or high is None:
        return "not told"
    return "yes" if low > 0 else "no" if high < 0 else "not shown"


def alpha_kept(original: Path, saved: Path) -> str:
    """Say whether the alpha channel came through bit for bit."""
    with Image.open(original) as before, Image.open(saved) as after:
        if "A" not in before.getbands():
            return "none"
        same = "A" in after.getbands() and np.array_equal(before.getchannel("A"), after.getchannel("A"))
    return "same" if same else "CHANGED"


def rows(files: dict[str, Path], options: argparse.Namespace, folder: Path, extra: list[str]) -> Iterator[tuple]:
    """Protect each photograph at each budget and give its row; a run that failed gets a row that says so."""
    for name in options.photographs:
        for budget in options.budgets:
            try:
                yield row(files[name], protect(files[name], budget, folder, extra))
            except subprocess.CalledProcessError as error:
                yield name, "", f"{budget:g}", f"failed with status {error.returncode}", *[""] * (len(HEAD) - 4)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line; options that are not known here go to run.py."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--budgets", type=float, nargs="+", default=BUDGETS, help="levels (default 4 8 10 16)")
    names = ("astronaut.png", "coffee.jpg", "cat_alpha.png")
    parser.add_argument("--photographs", nargs="+", choices=names, default=names)
    parser.add_argument("--keep", type=Path, help="a folder for the pictures and the last report, to look at")
    options, extra = parser.parse_known_args(arguments)
    made_by = provenance(WEIGHTS)
    with tempfile.TemporaryDirectory(prefix="ldu-photos-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print_table(HEAD, rows(save_photographs(folder), options, folder, extra))
    print(f"\n{made_by}\n- nfe: {' + '.join(NFE)}")


if __name__ == "__main__":
    main()
