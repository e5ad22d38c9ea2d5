"""Print a table as Markdown, with all that is needed to print it again: command, machine, commit, checkpoint."""

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import torch

from ldu.statistics import bootstrap_interval

ROOT = Path(__file__).resolve().parent.parent


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table, row by row as they come."""
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def with_interval(values: Sequence[float], digits: int = 2, *, sign: bool = False, resamples: int = 4000) -> str:
    """Write the mean with its 95 % bootstrap interval; one value has none, and nothing is "-".

    Args:
        values: what was measured, for paired data its differences.
        digits: after the point.
        sign: whether a plus is written too.
        resamples: of the bootstrap.
    """
    if not values:
        return "-"
    form = f"{'+' if sign else ''}.{digits}f"
    mean = f"{sum(values) / len(values):{form}}"
    if len(values) == 1:
        return mean
    low, high = bootstrap_interval(values, resamples=resamples)
    return f"{mean} [{low:{form}}, {high:{form}}]"


def coverage(count: int, *, trials: int = 400, resamples: int = 500) -> float:
    """Return how often the 95 % interval of a mean holds the true one, for `count` values of a normal distribution."""
    values = torch.randn(trials, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64).tolist()
    intervals = (bootstrap_interval(each, resamples=resamples) for each in values)
    return sum(low <= 0 <= high for low, high in intervals) / trials


def provenance(checkpoint: Path | None = None, *, device: str | None = None) -> str:
    """Describe what makes a table, as a Markdown list; to be asked before measuring, since files and load change."""
    used = device or f"{machine()}, {torch.get_num_threads()} threads"
    lines = [
        f"- command: `{command()}`",
        f"- machine: {used}; Python {platform.python_version()}, PyTorch {torch.__version__}",
        f"- commit {commit()}, {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
    ]
    if checkpoint is not None:
        lines.append(f"- checkpoint {checkpoint.name}, SHA-256 {digest(checkpoint)[:16]}")
    return "\n".join(lines)


def origin() -> dict[str, str]:
    """Return what a single result is from: commit, day and processor."""
    return {"commit": commit(), "day": f"{datetime.now(timezone.utc):%Y-%m-%d}", "machine": processor()}


def command() -> str:
    """Return the command line that is running, as one would type it."""
    script = Path(sys.argv[0])
    named = script.parent if script.name == "__main__.py" else script
    module = f"-m benchmarks.{named.stem}" if named.parent.name == "benchmarks" else script.name
    return " ".join(["python", module, *map(shlex.quote, sys.argv[1:])])


def machine() -> str:
    """Return the processor, how many of its cores are ours, and how busy they were."""
    busy = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{processor()}, {os.cpu_count()} cores{busy}"


def processor() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return models[0] if models else platform.processor() or platform.machine()


def commit() -> str:
    """Return the commit of this checkout, marked if tracked files differ from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name.stdout.strip() + (" with changes" if changed.stdout.strip() else "")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; a large one is read once, unless it changes."""
    now = path.stat()
    return _digest(path, now.st_mtime_ns, now.st_size)


@cache
def _digest(path: Path, *_: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
