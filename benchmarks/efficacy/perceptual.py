"""More measures of visibility, each left out with a word where pictures are too small or weights are missing.

    MS-SSIM   several scales of SSIM, 1 = the same              Wang et al. 2003
    LPIPS     distance in AlexNet's features, 0 = the same      Zhang et al. 2018
    DISTS     of structure and texture in VGG, 0 = the same     Ding et al. 2020

They are taken from the pictures that a cell's file keeps, so they can be printed later than a cell was run, on the
machine that ran it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.efficacy.cells import CLEAN
from benchmarks.efficacy.lab import Lab
from benchmarks.efficacy.tables import Result
from benchmarks.table import with_interval
from ldu.budget import to_pixels

FIVE_SCALES = 176
"""Pixels that the smaller side of a picture must have for MS-SSIM."""


Measure = Callable[[Tensor, Tensor], float]
"""Takes protected and original pictures, (n, 3, h, w) in [-1, 1], and gives the mean over them."""


def available(side: int) -> tuple[dict[str, Measure], list[str]]:
    """Return the measures that can be taken of pictures with this smaller side, and a sentence on each other one."""
    found: dict[str, Measure] = {}
    lacking = []
    for name, (measure, needs) in _ALL.items():
        if reason := needs(side):
            lacking.append(f"{name} is left out: {reason}.")
        else:
            found[name] = measure
    return found, lacking


def rows(lab: Lab, results: Sequence[Result], measures: dict[str, Measure]) -> Iterator[list[str]]:
    """Give a row a method: its mean over people, whatever thief came then, with a 95 % bootstrap interval."""
    files = {(r.cell.label, r.cell.person): lab.pictures(r.cell) for r in results if r.cell.method != CLEAN}
    seen = {key: file for key, file in sorted(files.items()) if file}
    for label in dict.fromkeys(label for label, _ in seen):
        pairs = [_pair(lab, person, file) for (own, person), file in seen.items() if own == label]
        values = (with_interval([measure(*pair) for pair in pairs], 3) for measure in measures.values())
        yield [label, str(len(pairs)), *values]


def _pair(lab: Lab, person: int, pictures: Path) -> tuple[Tensor, Tensor]:
    """Return what was published of a person and the originals."""
    with np.load(pictures) as file:
        published = to_pixels(torch.from_numpy(file["published"]).float())
    return published, lab.person(person).stolen


def _ms_ssim(protected: Tensor, original: Tensor) -> float:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measure

    value: Any = measure(protected, original, data_range=2.0)
    return value.item()


def _lpips(protected: Tensor, original: Tensor) -> float:
    from torchmetrics.functional.image import learned_perceptual_image_patch_similarity as measure

    return measure(protected, original, net_type="alex").item()


def _dists(protected: Tensor, original: Tensor) -> float:
    from torchmetrics.functional.image import deep_image_structure_and_texture_similarity as measure

    return measure((protected + 1) / 2, (original + 1) / 2, reduction="mean").item()


def _needs_size(side: int) -> str:
    return "" if side >= FIVE_SCALES else f"it needs pictures of {FIVE_SCALES} pixels, and these have {side}"


def _needs_weights(network: str, _: int) -> str:
    """Say which file is missing where PyTorch looks for it; nothing is fetched here."""
    from torchvision.models import get_model_weights

    weights: Any = get_model_weights(network)
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.IMAGENET1K_V1.url).name
    return "" if path.is_file() else f"{path.name} is not in {path.parent}"


_ALL: dict[str, tuple[Measure, Callable[[int], str]]] = {
    "MS-SSIM": (_ms_ssim, _needs_size),
    "LPIPS": (_lpips, partial(_needs_weights, "alexnet")),
    "DISTS": (_dists, partial(_needs_weights, "vgg16")),
}
