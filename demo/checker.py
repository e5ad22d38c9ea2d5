"""Read hair colour and background colour off a portrait, to see whether a prompt was obeyed.

Two ridge regressions from the picture shrunk to 16x16 onto one-hot answers, fitted in closed form on
freshly drawn portraits; their own accuracy on other portraits is kept beside them. All in
float64, which autocast leaves alone: in bfloat16 the closed form is noise.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, one_hot

from .people import BACKGROUNDS, HAIR_COLOURS, sample_identity, sample_nuisance
from .portraits import render

HAIRS, BACKS = list(HAIR_COLOURS), list(BACKGROUNDS)
FIRST_SEED = 30_000_000
SIDE = 16


@dataclass(frozen=True)
class Checker:
    """The fitted regressions and, on unseen renders, whether each answer was right."""

    hair: Tensor
    background: Tensor
    hair_hits: Tensor
    background_hits: Tensor

    def read(self, x: Tensor) -> tuple[list[str], list[str]]:
        """Name hair colour and background of portraits x: (n, 3, s, s) in [-1, 1]."""
        design = _design(x)
        hair, background = (design @ self.hair).argmax(1), (design @ self.background).argmax(1)
        return [HAIRS[i] for i in hair.tolist()], [BACKS[i] for i in background.tolist()]


def _design(x: Tensor) -> Tensor:
    """Return (n, 1 + 6 * SIDE^2): a constant, the small picture and its squares."""
    small = interpolate(x.double(), size=(SIDE, SIDE), mode="area").flatten(1)
    return torch.cat([torch.ones(len(x), 1, dtype=small.dtype), small, small.square()], dim=1)


def _labelled(first: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw `count` portraits at 64 pixels: x, hair number, background number."""
    people = [(sample_identity(first + i), sample_nuisance(first + i)) for i in range(count)]
    x = torch.from_numpy(np.stack([render(*pair, size=64) for pair in people])) * 2 - 1
    hair = torch.tensor([HAIRS.index(person.traits.hair) for person, _ in people])
    background = torch.tensor([BACKS.index(nuisance.background) for _, nuisance in people])
    return x.permute(0, 3, 1, 2), hair, background


def _ridge(design: Tensor, answers: Tensor, classes: int) -> Tensor:
    gram = design.T @ design + 5.0 * torch.eye(design.shape[1], dtype=design.dtype)
    return torch.linalg.solve(gram, design.T @ one_hot(answers, classes).to(design.dtype))


def fit_checker(count: int = 2400) -> Checker:
    """Fit on `count` renders and test on a quarter as many others."""
    x, hair, background = _labelled(FIRST_SEED, count)
    design = _design(x)
    to_hair, to_back = _ridge(design, hair, len(HAIRS)), _ridge(design, background, len(BACKS))
    x, hair, background = _labelled(FIRST_SEED + count, count // 4)
    design = _design(x)
    return Checker(to_hair, to_back, (design @ to_hair).argmax(1) == hair, (design @ to_back).argmax(1) == background)
