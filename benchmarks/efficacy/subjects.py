"""The people whose pictures are protected and stolen, each with sets A, B and C of four photos.

As in Anti-DreamBooth: A is a clean reference, B gets protected and stolen, C stays clean and is mixed in. People of
the demo world are drawn by code; those of a folder lie as person/set_A, person/set_B, person/set_C.

Source: Le et al. 2023 (Anti-DreamBooth), section 5.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from demo.dataset import HELD_OUT
from demo.people import sample_identity, sample_nuisance
from demo.portraits import photograph
from demo.train_identity import to_batch
from ldu.attacks.thief import thief_view
from ldu.budget import to_pixels
from ldu.naming import is_picture
from ldu.picture import load_picture

PHOTOS = 4
FIRST = {"table": HELD_OUT + 500, "tuning": HELD_OUT + 800}
"""Where the demo people of the tables start, and those that methods and thieves are tuned on."""


@dataclass(frozen=True)
class Person:
    """One person's photos, each set (n, 3, h, w) in [-1, 1] on the 8-bit grid.

    Args:
        name: in the tables.
        reference, stolen, clean: sets A, B and C.
        seen: what generations are compared with: clean photos of the person, those of B and C among them.
    """

    name: str
    reference: Tensor
    stolen: Tensor
    clean: Tensor
    seen: Tensor


def drawn_people(count: int, *, use: str = "table", first: int = 0, seen: int = 48) -> Iterator[Person]:
    """Draw people whom no training has seen; those of `use` "table" and "tuning" are never the same."""
    for number in range(first, first + count):
        seed = FIRST[use] + number
        photos = _photos(seed, 3 * PHOTOS + seen)
        sets = photos[: 3 * PHOTOS].unflatten(0, (3, PHOTOS))
        yield Person(f"{use}-{number}", sets[0], sets[1], sets[2], photos[PHOTOS:])


def folders_of(data: Path) -> list[Path]:
    """Return the folder of each person in the layout of Anti-DreamBooth.

    Raises:
        ValueError: something else lies there; with what is missing.
    """
    people = [path for path in _shown(data) if path.is_dir()] if data.is_dir() else []
    if not people:
        raise ValueError(f"There is nobody in {data}: it should hold PERSON/set_A, set_B and set_C.")
    for folder in (person / f"set_{letter}" for person in people for letter in "ABC"):
        count = len(_pictures(folder)) if folder.is_dir() else 0
        if count < PHOTOS:
            raise ValueError(f"{folder} holds {count} pictures, and {PHOTOS} are needed.")
    return people


def people_of_folder(data: Path, resolution: int) -> Iterator[Person]:
    """Read people from a folder in the layout of Anti-DreamBooth, as a thief loads them."""
    for person in folders_of(data):
        reference, stolen, clean = (_read(person / f"set_{letter}", resolution) for letter in "ABC")
        yield Person(person.name, reference, stolen, clean, torch.cat([stolen, clean]))


def _photos(seed: int, count: int) -> Tensor:
    person = sample_identity(seed)
    nuisances = [sample_nuisance(HELD_OUT * 2 + seed * 1000 + number) for number in range(count)]
    return to_batch(np.stack([photograph(person, nuisance) for nuisance in nuisances]))


def _read(folder: Path, resolution: int) -> Tensor:
    views = [thief_view(load_picture(path).as_batch(), resolution) for path in _pictures(folder)[:PHOTOS]]
    return to_pixels(torch.cat(views).round())


def _pictures(folder: Path) -> list[Path]:
    return [path for path in _shown(folder) if is_picture(path.name)]


def _shown(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted, without what file managers and notebooks leave there."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__")))
