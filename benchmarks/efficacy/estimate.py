"""How long a run will take, from the time of one evaluation here and the number of them in the missing cells.

A gradient costs three evaluations, one forward and two backward, a decoding as much as an encoding. How many of them a
method takes is known where results of it are kept, with a gradient through every encoding and decoding at worst, else
guessed from its steps; purifiers are not counted.
"""

import time
from collections.abc import Callable, Sequence

import torch

from benchmarks.efficacy.cells import Cell
from benchmarks.efficacy.general import TaughtByOthers
from benchmarks.efficacy.lab import GENERATIONS, Lab, method_of, protections
from benchmarks.efficacy.subjects import PHOTOS
from benchmarks.thieves import Thief
from benchmarks.world import SAMPLER_STEPS

BATCH = 4
GRADIENT = 3
DRAWS = 2
TRIALS = 3


def estimated_seconds(lab: Lab, cells: Sequence[Cell], workers: int) -> float:
    """Return the seconds that the cells and their protections will take, shared by `workers` processes."""
    forward, encode = _probe(lab)
    made, step = protections(cells), GRADIENT * (DRAWS * forward + encode)
    protecting = sum(_protection(lab, method, step, forward, encode) for method, _, _ in made)
    stealing = sum(_theft(lab.setup.thieves[cell.thief], forward, encode) for cell in cells)
    for_everybody = [method_of(method).protect for method, _ in {(method, budget) for method, budget, _ in made}]
    training = step * sum(each.train_steps for each in for_everybody if isinstance(each, TaughtByOthers))
    return (protecting + stealing) / workers + training  # by every worker that needs it


def _protection(lab: Lab, method: str, step: float, forward: float, encode: float) -> float:
    cost = lab.kept_cost(method)
    if cost is None:
        return step * method_of(method).steps * PHOTOS
    denoising = cost["forwards"] + (GRADIENT - 1) * cost["backwards"]
    return denoising * forward + GRADIENT * (cost["encodes"] + cost["decodes"]) * encode


def _theft(thief: Thief, forward: float, encode: float) -> float:
    samples = thief.batch + (thief.prior_batch if thief.kind == "DreamBooth" else 0)
    drawing = GENERATIONS * (SAMPLER_STEPS * 2 * forward + encode)
    return thief.steps * samples * GRADIENT * forward + drawing


def _probe(lab: Lab) -> tuple[float, float]:
    """Return the seconds of one evaluation of the denoiser and of one encoding."""
    world, side = lab.world, lab.world.resolution
    x, sigma = torch.zeros(BATCH, 3, side, side), torch.ones(BATCH)
    with torch.no_grad():
        z_0, denoiser = world.encode(x), world.denoiser(world.condition([""]))
        return _timed(lambda: denoiser(z_0, sigma)) / BATCH, _timed(lambda: world.encode(x)) / BATCH


def _timed(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some calls: other programs can only add to them."""
    seconds: list[float] = []
    for _ in range(TRIALS):
        started = time.monotonic()
        work()
        seconds.append(time.monotonic() - started)
    return min(seconds)
