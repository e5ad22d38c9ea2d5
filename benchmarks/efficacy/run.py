"""Run cells in several processes, each with the models of its own."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import torch

from benchmarks import bfloat16
from benchmarks.efficacy.cells import Cell
from benchmarks.efficacy.estimate import estimated_seconds
from benchmarks.efficacy.lab import Lab, Setup, jobs, protections
from benchmarks.world import compute_on

_lab: Lab | None = None


def _compute(setup: Setup) -> None:
    torch.set_num_threads(1)  # the workers share the cores
    compute_on(setup.device, bf16=setup.bf16)
    if setup.emulates_bfloat16:
        bfloat16.use_from_now_on()


def _start(setup: Setup) -> None:
    global _lab
    _compute(setup)
    _lab = Lab(setup)


def _protect(method: str, budget_levels: float, person: int) -> None:
    assert _lab is not None  # set when the worker starts
    _lab.protected(method, budget_levels, person)


def _steal(cells: list[Cell]) -> None:
    assert _lab is not None  # set when the worker starts
    _lab.run(cells)


def measure(setup: Setup, cells: Sequence[Cell], workers: int) -> list[Cell]:
    """Run what is missing, protections first, and return it."""
    lab = Lab(setup)
    missing = lab.missing(cells)
    print(f"{len(cells)} cells, {len(missing)} of them to be run, results in {setup.results}", flush=True)
    if not missing:
        return []
    _compute(setup)
    print(f"about {estimated_seconds(lab, missing, workers) / 60:.0f} minutes with {workers} workers", flush=True)
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (setup,)) as pool:
        _wait("protections", [pool.submit(_protect, *each) for each in protections(missing)])
        _wait("thieves", [pool.submit(_steal, job) for job in jobs(missing, at_once=8)])
    return missing


def _wait(what: str, futures: Sequence["Future[None]"]) -> None:
    """Wait for all and say how far it is and how long it will take."""
    started = time.monotonic()
    for done, future in enumerate(as_completed(futures), start=1):
        future.result()
        spent = time.monotonic() - started
        left = spent / done * (len(futures) - done)
        print(f"{what}: {done} of {len(futures)}, {spent / 60:.1f} min, about {left / 60:.1f} min left", flush=True)
