"""What the walk makes of a consistency model's answer, which is an end and no slope, where all is known exactly.

For data z_0 ~ N(0, SPREAD^2) the path of the ODE that ends at z_0 is z(sigma) = z_0 sqrt(1 + sigma^2 / SPREAD^2). At z
    the exact model answers     z SPREAD^2 / (SPREAD^2 + sigma^2)      the mean of the z_0 that may have become z
    its perfect sibling         z SPREAD / sqrt(SPREAD^2 + sigma^2)    where the path through z ends
and the walk takes either for a direction. Per row and k: how far off it ends from an exact z_T, as a share of z_0.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from ldu.schedule import NoiseSchedule

SPREAD = 0.7
K_STEPS, DEPTHS = (1, 2, 4, 8), (0.25, 1.0)
HEAD = ("depth", "walks down by", *(f"k = {k}" for k in K_STEPS))
ANSWERS: dict[str, Callable[[float], float]] = {
    "the exact model": lambda sigma: SPREAD**2 / (SPREAD**2 + sigma**2),
    "its perfect sibling": lambda sigma: SPREAD / math.hypot(SPREAD, sigma),
}
"""What a model answers at z = 1."""


def excess(answer: Callable[[float], float], sigmas: Sequence[float]) -> float:
    """Return z / z_0 - 1 where the walk over the falling sigmas ends; 0 = where the path leads."""
    z = math.hypot(SPREAD, sigmas[0]) / SPREAD
    for high, low in pairwise(sigmas):
        z += (low - high) * (z - z * answer(high)) / high
    return z - 1


def rows(schedule: NoiseSchedule) -> Iterator[tuple[object, ...]]:
    """Walk in every way and give its row."""
    for depth in DEPTHS:
        for name, answer in ANSWERS.items():
            yield depth, name, *(f"{excess(answer, schedule.grid(k, depth)):+.0%}" for k in K_STEPS)
