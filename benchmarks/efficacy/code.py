"""Digests of code, so that results are never mixed with those of other code; comments and layout do not count."""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from benchmarks.table import ROOT

BENCH = (
    *("benchmarks/thieves.py", "benchmarks/world.py", "benchmarks/efficacy/measures.py"),
    *("benchmarks/efficacy/subjects.py", "ldu/attacks/purify", "ldu/backends", "ldu/losses.py", "ldu/schedule.py"),
    *("demo/people.py", "demo/portraits.py", "demo/face.py", "demo/head.py", "demo/canvas.py", "demo/behind.py"),
)
"""What decides what a thief makes of given pictures."""
METHODS = (
    *("ldu", "benchmarks/baselines", "benchmarks/efficacy/methods.py"),
    *("benchmarks/efficacy/ours.py", "benchmarks/efficacy/published.py"),
)
"""What decides how a picture is protected."""
ELSEWHERE = (
    *("ldu/evidence", "ldu/picture.py", "ldu/report.py", "ldu/wording.py", "ldu/saved_file.py", "ldu/naming.py"),
    *("ldu/flatness.py", "ldu/platform_check.py", "ldu/whole_file.py"),
)
"""What lies among it and decides nothing."""


@cache
def digest_of(parts: tuple[str, ...], root: Path = ROOT) -> str:
    """Return eight hexadecimal digits of the Python files and folders `parts` under `root`."""
    found = hashlib.sha256()
    for file in _files(parts, root):
        found.update(ast.dump(ast.parse(file.read_text("utf-8"))).encode())
    return found.hexdigest()[:8]


def _files(parts: Iterable[str], root: Path) -> list[Path]:
    left_out = [root / name for name in ELSEWHERE]
    there = [
        file for part in parts for file in ([root / part] if part.endswith(".py") else (root / part).rglob("*.py"))
    ]
    return sorted(file for file in there if not any(file.is_relative_to(folder) for folder in left_out))
