"""Passes everything that must hold before a change is shared: style, types, import direction, tests.

The tests' arrays are tiny and the rows of tables short, so that more threads only wait for each other: several
processes of one thread each work at once instead.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from launch import PACK, LaunchError
from launch.console import say
from launch.host import UTF8, Host, own_host
from launch.server import WAIT_QUIETLY
from launch.setup import prepare

STATIC = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("pyright",),
    ("lint-imports",),
)
ROWS = (  # of each table in docs, so that a number that has changed is seen; those that take long first
    ("benchmarks.efficacy", "--suite", "row", "--workers", "1"),
    ("benchmarks.levers", "--row"),
    ("benchmarks.protect_photos", "--photographs", "coffee.jpg", "--budgets", "10"),
    ("benchmarks.demo_world", "--row", "vae,identity"),
    ("benchmarks.inversion", "--row"),
    ("benchmarks.folder_memory", "--counts", "10", "--side", "256"),
    ("benchmarks.folder_memory", "--counts", "10", "--side", "256", "--way", "number"),
    ("benchmarks.spiral", "--quick"),
    ("benchmarks.few_step", "--row"),
    ("benchmarks.baselines", "--methods", "advdm", "--steps-share", "0.1"),
    ("benchmarks.efficacy", "--suite", "kept"),
)
TIMED = ("benchmarks.speed", "--repeats", "3")  # by itself: its ratio is one of times
AT_ONCE = min(4, os.cpu_count() or 1)  # each boots a ComfyUI and holds models: 2 GB
SHARED = ("--numprocesses", str(AT_ONCE), "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "20")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def run_checks(*, fast: bool, pytest_options: list[str]) -> int:
    """Set up what the checks need, run them in order until one fails, and return its exit status.

    Raises:
        LaunchError: A test that is named is not there, or the user's own ComfyUI is none.
    """
    _require_tests(pytest_options)
    if own := os.environ.get("COMFYUI_DIR"):
        own_host(Path(own))
    host = prepare(for_tests=True)
    for command in STATIC:
        if status := _call(host, str(host.python.parent / command[0]), *command[1:]):
            return status
    if not fast and find_chromium() is None:
        say("No Chromium on the PATH: the browser tests will be skipped.")
    if not fast and not pytest_options and (status := _call(host, *_module(host, *TIMED)) or _print_rows(host)):
        return status
    at_once = () if pytest_options else SHARED
    return _call(host, *_module(host, "pytest"), *at_once, *(["tests/core"] if fast else []), *pytest_options)


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _require_tests(pytest_options: list[str]) -> None:
    """Refuse the name of a test file that is not there; pytest would say so at the end of all other checks."""
    named = [option.partition("::")[0] for option in pytest_options if not option.startswith("-")]
    for name in named:
        if name.endswith(".py") and not (PACK / name).is_file():
            raise LaunchError(f"There is no test at {name}: check the name.")


def _print_rows(host: Host) -> int:
    """Print a row of each table, and return the status of the first that failed."""
    say(f"{len(ROWS)} rows of tables, {AT_ONCE} at once.")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = {pool.submit(_run, host, *_module(host, *row), stdout=subprocess.PIPE): row for row in ROWS}
        try:
            for done in as_completed(rows):
                made = done.result()
                sys.stdout.write(made.stdout)
                sys.stdout.flush()
                if made.returncode:
                    say(f"python -m {' '.join(rows[done])} failed.")
                    return made.returncode
        finally:
            pool.shutdown(cancel_futures=True)  # also at Ctrl-C no further one starts
    return 0


def _module(host: Host, *arguments: str) -> list[str]:
    return [str(host.python), *UTF8, "-m", *arguments]


def _call(host: Host, *command: str) -> int:
    return _run(host, *command).returncode


def _run(host: Host, *command: str, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
    comfyui = os.environ.get("COMFYUI_DIR") or str(host.comfyui)
    here = {**WAIT_QUIETLY, "OMP_NUM_THREADS": "1", **os.environ, "COMFYUI_DIR": comfyui}
    path = os.pathsep.join([str(host.python.parent), here.get("PATH", os.defpath)])
    return subprocess.run(command, cwd=PACK, env={**here, "PATH": path}, check=False, stdout=stdout, encoding="utf-8")
