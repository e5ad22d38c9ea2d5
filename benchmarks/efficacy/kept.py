"""Results that are kept with the code, so that a long comparison can be put together in several sittings.

A line of `kept/SETUP.jsonl` is one cell's result under the name of its file, which holds the digests of checkpoint,
thieves, settings and methods' code: a line that code has left behind is never read, and what is measured anew of its
cell takes its place. Pictures are not kept, so the page of pictures shows what was run on this machine.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ldu.whole_file import written_whole

FOLDER = Path(__file__).parent / "kept"


def kept(setup: str) -> dict[str, dict[str, Any]]:
    """Return the results that are kept of a setup, each under the name of its file."""
    path = _file(setup)
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {line.pop("name"): line for line in map(json.loads, lines)}


def keep(setup: str, found: dict[str, dict[str, Any]]) -> int:
    """Add results to those of a setup and return how many are kept now; the file is written in one move."""
    anew = [result["cell"] for result in found.values()]
    results = {name: result for name, result in kept(setup).items() if result["cell"] not in anew} | found
    path = _file(setup)
    path.parent.mkdir(exist_ok=True)
    lines = (json.dumps({"name": name} | result) for name, result in sorted(results.items()))
    with written_whole(path, force=True) as part:
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return len(results)


def origins(results: Iterable[dict[str, Any]]) -> list[str]:
    """Say from which commits, and on which machines, results are, with how many of each."""
    made = Counter("commit {commit}, {day}, {machine}".format(**result["made"]) for result in results)
    return [f"cells: {count} of {said}" for said, count in sorted(made.items())]


def _file(setup: str) -> Path:
    return FOLDER / f"{setup}.jsonl"
