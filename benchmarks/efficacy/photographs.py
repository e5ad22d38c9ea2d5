"""What is read off what a thief draws after learning photographs, for those who have the weights.

    identity    cosine of ArcFace's embedding of g and the mean one of p, over those with a face (the field's ISM; 0
                where none has one); mean cosine of CLIP's where the pictures show no persons (CLIP-I)
    no face     share of g in which SCRFD finds no face                               (the field's FDFR)
    face score  mean confidence of SCRFD in the largest face, 0 where there is none   (the field's SDS)
    Fréchet     distance of diagonal Gaussians over CLIP's embeddings, times SCALE, between g and p
with g the thief's pictures and p the subject's clean photos. The identity network of the demo world knows drawn people
only and can say nothing of these. Nothing is fetched: what is missing is named.

Source: ISM and FDFR, Le et al. 2023 (Anti-DreamBooth), section 5.1; CLIP-I, Ruiz et al. 2023 (DreamBooth), section 4.1;
a Fréchet distance of CLIP's features, Kynkäänniemi et al. 2023.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.efficacy.measures import Effect, diagonal_frechet
from ldu.backends.insightface import NAME, FaceIdentity
from ldu.budget import to_levels

CLIP = "openai/clip-vit-base-patch32"
SCALE = 10
"""Embeddings are of unit length: so their distances are read as easily as those of the demo world."""


@dataclass(frozen=True)
class Preset:
    """What the pictures of a data set show.

    Args:
        subject: the word for it in all prompts.
        faces: whether it has one.
    """

    subject: str = "person"
    faces: bool = True


PRESETS = {
    "celeba-hq": Preset(),
    "vggface2": Preset(),
    "dreambooth": Preset("object", faces=False),
    "wikiart": Preset("painting", faces=False),
}

DEFAULT_PRESET = "celeba-hq"


@dataclass
class PhotoJudge:
    """Judges photographs.

    Args:
        faces: whether they show persons.
        insightface: folder that holds models/buffalo_l.
        clip: name or folder of CLIP's weights.
    """

    faces: bool
    insightface: Path = field(default_factory=lambda: Path.home() / ".insightface")
    clip: str = CLIP

    @property
    def name(self) -> str:
        """What judges, in words."""
        return f"{NAME}, and CLIP ({self.clip})" if self.faces else f"CLIP ({self.clip})"

    def require(self) -> None:
        """Refuse to judge without the weights, before any work is done.

        Raises:
            LduError, FileNotFoundError: with what is missing and where it belongs.
        """
        _ = self._vision
        if self.faces:
            _ = self._arcface

    @cached_property
    def _arcface(self) -> FaceIdentity:
        return FaceIdentity(self.insightface)

    @cached_property
    def _vision(self) -> Any:  # noqa: ANN401  (the library declares its models oddly)
        from transformers import CLIPVisionModelWithProjection

        try:
            return CLIPVisionModelWithProjection.from_pretrained(self.clip, local_files_only=True).eval()
        except OSError as error:
            raise FileNotFoundError(
                f"Judging photographs needs CLIP's weights, but {self.clip} is not in the cache of Hugging Face: fetch "
                f"them once with `hf download {self.clip}`."
            ) from error

    @torch.no_grad()  # a measurement
    def features(self, x: Tensor) -> Tensor:
        """Return CLIP's embeddings of pictures (n, 3, h, w) in [-1, 1], of unit length, (n, width)."""
        vision = self._vision
        side = vision.config.image_size
        small = functional.interpolate(x, size=(side, side), mode="bicubic", antialias=True).clamp(-1, 1)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
        with torch.autocast("cpu", enabled=False):
            parts = [vision(((part + 1) / 2 - mean) / std).image_embeds for part in small.split(8)]
        return functional.normalize(torch.cat(parts), dim=1)

    def effect(self, generations: Tensor, seen: Tensor) -> Effect:
        """Measure what a thief drew against clean photos of the subject."""
        drawn, clean = self.features(generations), self.features(seen)
        frechet = diagonal_frechet(SCALE * drawn, SCALE * clean)
        if not self.faces:
            return Effect((drawn @ clean.T).mean().item(), None, frechet)
        found, photos = self._faces(generations), [vector for vector, _ in self._faces(seen)]
        if not photos:
            raise ValueError("No face is found in the clean photos: choose --preset dreambooth for what is no person.")
        person = functional.normalize(torch.stack(photos).mean(0), dim=0)
        identity = sum((person @ vector).item() for vector, _ in found) / max(1, len(found))
        score = sum(confidence for _, confidence in found) / len(generations)
        return Effect(identity, 1 - len(found) / len(generations), frechet, {"face score": score})

    def _faces(self, x: Tensor) -> list[tuple[Tensor, float]]:
        """Return embedding and confidence of the largest face of each picture that has one."""
        seen = (self._arcface.largest(picture) for picture in to_levels(x).split(1))
        return [face for face in seen if face is not None]


_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of CLIP's training pictures
