"""Print what thieves got from people of the demo world, before and after our protection and after each purifier.

    python -m benchmarks.stress_test --out FOLDER

Nobody chose the people: they are those of the seeds from FIRST on, whom no model was trained on, four photographs each.
A person is one `python run.py stress PHOTOS`, as a user would type it; FOLDER keeps each gallery and report, and the
numbers are those of the reports: the identity network's similarity to the person with the 95 % interval over the
pictures that the thief drew, and whether the protection held. Options after `--` go to run.py.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.table import ROOT, print_table, provenance
from demo.pipeline import WEIGHTS
from ldu.evidence.gallery import Attempt, Thief
from tools.draw_samples import PERSON_SIDE, save

FIRST = 20261200
HEAD = ("person", "thief", "given", "similarity [95 %]", "finding")
PHOTOS = 4


def draw_person(seed: int, folder: Path) -> list[Path]:
    """Write the photographs of one person and return their files."""
    files = [folder / f"{number}.png" for number in range(1, PHOTOS + 1)]
    for number, file in enumerate(files, 1):
        save(seed, seed * 10 + number, PERSON_SIDE, file)
    return files


def rows_of(person: int, report: dict[str, Any]) -> Iterator[Sequence[object]]:
    """Yield a row for each version that each thief was given; the finding stands once, beside the worst."""
    for told in report["thieves"]:
        attempts = [_attempt(each) for each in told["attempts"]]
        thief = Thief(told["name"], tuple(attempts))
        for attempt in attempts:
            finding = thief.finding if attempt == thief.worst else ""
            yield person, thief.name, attempt.version, attempt, finding


def _attempt(told: dict[str, Any]) -> Attempt:
    interval = told.pop("interval")
    return Attempt(**told, interval=None if interval is None else (interval[0], interval[1]))


def stress(seed: int, out: Path, options: Sequence[str]) -> dict[str, Any]:
    """Run `run.py stress` on one person and return its report."""
    with tempfile.TemporaryDirectory() as folder:
        photos = map(str, draw_person(seed, Path(folder)))
        command = [sys.executable, str(ROOT / "run.py"), "stress", *photos, "--out", str(out / str(seed)), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((out / str(seed) / "report.json").read_text("utf-8"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What thieves get from people of the demo world.")
    parser.add_argument("--people", type=int, default=3, help="how many (3)")
    parser.add_argument("--out", type=Path, required=True, help="folder for galleries and reports")
    parser.add_argument("options", nargs="*", help="of run.py stress, after --")
    asked = parser.parse_args()
    seeds = range(FIRST, FIRST + asked.people)
    if there := [str(asked.out / str(seed)) for seed in seeds if (asked.out / str(seed)).exists()]:
        parser.error(f"{', '.join(there)} is there already: remove it, or name another folder.")
    asked.out.mkdir(parents=True, exist_ok=True)
    told = provenance(WEIGHTS)
    print_table(HEAD, (row for seed in seeds for row in rows_of(seed, stress(seed, asked.out, asked.options))))
    print(told)


if __name__ == "__main__":
    main()
