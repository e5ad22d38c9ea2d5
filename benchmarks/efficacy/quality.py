"""Measures of quality without a reference, of what a thief drew; for those who have installed pyiqa.

    CLIP-IQA   CLIP between a good and a bad photo, 0 to 1 = good    Wang et al. 2023
    LIQE       vision and language, 1 to 5 = good                    Zhang et al. 2023
pyiqa fetches the weights of what is asked for where they are missing. Its licence, PolyForm Noncommercial, is why
nothing else here uses it; BRISQUE comes from elsewhere (`natural`).
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

NAMES = {"clipiqa": "CLIP-IQA", "liqe": "LIQE"}
"""What they are called in the tables, by pyiqa's names."""
SMALLEST_OF_LIQE = 224  # pixels


def require(names: Sequence[str], *, side: int) -> None:
    """Refuse measures that cannot be taken of pictures with this side, and load the others.

    Raises:
        ValueError: an unknown name, no pyiqa, or pictures that are too small.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"There is no measure of quality named {unknown[0]!r}: choose from {', '.join(NAMES)}.")
    if names and find_spec("pyiqa") is None:
        raise ValueError("Measures of quality need pyiqa, which is not installed here: pip install pyiqa.")
    if "liqe" in names and side < SMALLEST_OF_LIQE:
        raise ValueError(f"LIQE needs pictures of {SMALLEST_OF_LIQE} pixels, and these have {side}: leave it out.")
    for name in names:
        _metric(name)


def measure(names: Sequence[str], x: Tensor) -> dict[str, float]:
    """Return the mean over pictures x (n, 3, h, w) in [-1, 1] of each measure, by its name in the tables."""
    with torch.autocast("cpu", enabled=False):
        return {NAMES[name]: _metric(name)((x + 1) / 2).mean().item() for name in names}


@cache
def _metric(name: str) -> Callable[[Tensor], Tensor]:
    library: Any = import_module("pyiqa")
    return library.create_metric(name, device=torch.device("cpu"))  # where the pictures are
