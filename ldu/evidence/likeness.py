"""How alike the pictures of a thief's model are to a person, seen by an identity network.

e = embedding of one picture, a unit vector; none where the network finds no face
person = normalise(sum of e over the person's photographs)
similarity = mean of <e, person> over the thief's pictures with a face

Source: Van Le et al. 2023, Anti-DreamBooth, section 5.1 (identity score matching, face detection failure rate).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import BadImageError
from ..shapes import Levels
from ..statistics import bootstrap_interval

ENOUGH = 4  # pictures with a face; the bootstrap of fewer says next to nothing
Embed: TypeAlias = Callable[[Levels], Tensor | None]


@dataclass(frozen=True)
class Likeness:
    """How alike some pictures are to a person.

    Attributes:
        similarity: Cosine, -1..1, over the pictures with a face; None if no picture has one.
        faces: Number of pictures with a face.
        pictures: Number of pictures.
        interval: 95 % bootstrap interval of the similarity over those with a face; None below ENOUGH.
    """

    similarity: float | None
    faces: int
    pictures: int
    interval: tuple[float, float] | None = None


def find_person(embed: Embed, photographs: Sequence[Levels]) -> Tensor:
    """Return the unit vector of the person in some photographs, each (1, 3, h, w).

    Raises:
        BadImageError: if no photograph has a face.
    """
    found = [vector for photograph in photographs if (vector := embed(photograph)) is not None]
    if not found:
        raise BadImageError(
            f"The identity network finds no face in any of the {len(photographs)} photographs of the person: "
            "give photographs that show the face, or compare without an identity network."
        )
    return normalize(torch.stack(found).sum(0), dim=0)


def measure_likeness(embed: Embed, person: Tensor, pictures: Sequence[Levels]) -> Likeness:
    """Compare pictures, each (1, 3, h, w), with the unit vector of a person."""
    cosines = [(vector @ person).item() for picture in pictures if (vector := embed(picture)) is not None]
    mean = sum(cosines) / len(cosines) if cosines else None
    interval = bootstrap_interval(cosines) if len(cosines) >= ENOUGH else None
    return Likeness(mean, len(cosines), len(pictures), interval)
