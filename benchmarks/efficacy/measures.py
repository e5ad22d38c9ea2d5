"""What is read off a protected picture and off what a thief draws after learning it, in the demo world.

Visibility, from the 8-bit picture: max|delta| in levels, PSNR, SSIM (`ldu.metrics`).
Effect, on generations g of a person whose clean photos are p:
    identity    mean cosine of the identity network's embeddings of g and p      (akin to the field's ISM)
    no face     share of g in which a linear detector finds no portrait           (the field's FDFR)
    Fréchet     distance of diagonal Gaussians over the network's pooled features, each divided by its spread
                over clean portraits, between g and p                             (the field's FID)
A full covariance of 200 features from 16 pictures would mostly measure the sample size, hence the diagonal.

Source: ISM and FDFR, Le et al. 2023 (Anti-DreamBooth), section 5.1; Fréchet, Heusel et al. 2017, eq. 6.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from benchmarks.efficacy.subjects import drawn_people
from demo.identity import load_identity
from demo.spoilt import draw_pattern
from demo.train_identity import to_batch

DETECTOR_PEOPLE, PHOTOS_EACH = 24, 12
RIDGE = 1.0
FACE = 0.5  # the detector's answer is 1 on a portrait and 0 on a pattern


@dataclass(frozen=True)
class Effect:
    """What the thief got.

    Args:
        identity: mean cosine with the subject, 1 = the same; of faces about 0 = somebody else.
        no_face: share of generations without a face, 0 to 1; None where nobody looked for faces.
        frechet: distance to the person's clean photos, 0 or more.
        more: other measures that could be taken, by name.
    """

    identity: float
    no_face: float | None
    frechet: float
    more: dict[str, float] = field(default_factory=dict)


class Judge:
    """The identity network and the face detector on its features; both frozen."""

    name = "the identity network of the demo world"

    @cached_property
    def net(self):  # noqa: ANN201  (IdentityNet; a cached property hides it)
        """The identity network."""
        return load_identity()

    @cached_property
    def _portraits(self) -> Tensor:
        people = drawn_people(DETECTOR_PEOPLE, use="tuning", first=100, seen=PHOTOS_EACH)
        return self.features(torch.cat([person.seen for person in people]))

    @cached_property
    def _spread(self) -> Tensor:
        """Return each feature's standard deviation over clean portraits."""
        return self._portraits.std(0) + 1e-4

    @cached_property
    def _detector(self) -> Tensor:
        """Fit 1 on portraits and 0 on patterns by ridge regression, in closed form."""
        rng = np.random.default_rng(7)
        patterns = [(draw_pattern(rng, 128)[0] * 255).round().astype(np.uint8) for _ in range(len(self._portraits))]
        design = _with_constant(torch.cat([self._portraits, self.features(to_batch(np.stack(patterns)))]))
        answers = torch.arange(len(design)).lt(len(self._portraits)).double()
        gram = design.T @ design + RIDGE * torch.eye(design.shape[1], dtype=torch.float64)
        return torch.linalg.solve(gram, design.T @ answers)

    @torch.no_grad()  # a measurement
    def features(self, x: Tensor) -> Tensor:
        """Return the network's pooled features (n, 200)."""
        with torch.autocast("cpu", enabled=False):
            return torch.cat([self.net.features(part) for part in x.split(32)])

    @torch.no_grad()  # a measurement
    def similarity(self, x: Tensor, photos: Tensor) -> Tensor:
        """Return each picture's mean cosine with the photos, (n,)."""
        with torch.autocast("cpu", enabled=False):
            return (self.net(x) @ self.net(photos).T).mean(1)

    def faces(self, x: Tensor) -> Tensor:
        """Say in which pictures there is a face, (n,) of bool."""
        return _with_constant(self.features(x)) @ self._detector > FACE

    def frechet(self, x: Tensor, photos: Tensor) -> float:
        """Return the diagonal Fréchet distance of two sets of pictures."""
        return diagonal_frechet(self.features(x) / self._spread, self.features(photos) / self._spread)

    def effect(self, generations: Tensor, seen: Tensor) -> Effect:
        """Measure what a thief drew against clean photos of the person."""
        no_face = 1 - self.faces(generations).float().mean().item()
        return Effect(self.similarity(generations, seen).mean().item(), no_face, self.frechet(generations, seen))


def diagonal_frechet(a: Tensor, b: Tensor) -> float:
    """Return the Fréchet distance of two sets of features (n, d) and (m, d), each seen as a diagonal Gaussian."""
    return ((a.mean(0) - b.mean(0)).square() + (a.std(0) - b.std(0)).square()).sum().item()


def _with_constant(features: Tensor) -> Tensor:
    return torch.cat([torch.ones(len(features), 1), features], dim=1).double()
