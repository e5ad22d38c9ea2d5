"""The coordinates and colours that the layers of one portrait share.

Everything of the head lives in *face coordinates* (u, v): the picture's coordinates, moved back by the
pose, v downward, the head's middle at the origin. Features at depth d slide by d * yaw.
"""

import numpy as np

from .canvas import Array, Canvas, Colour, smooth_noise
from .people import HAIR_COLOURS, SKINS, Identity, Nuisance

HEAD_MIDDLE = 0.02
YAW_SLIDE = 0.055
PITCH_SLIDE = 0.022


class Head:
    """One head in one pose on a canvas."""

    def __init__(self, canvas: Canvas, identity: Identity, nuisance: Nuisance) -> None:
        """Place this person's head, in this pose, on the canvas."""
        self.canvas, self.identity, self.nuisance = canvas, identity, nuisance
        self.shape = identity.shape
        cos, sin = np.cos(nuisance.roll), np.sin(nuisance.roll)
        x = (canvas.x - nuisance.shift[0]) / nuisance.scale
        y = (canvas.y - nuisance.shift[1] - HEAD_MIDDLE) / nuisance.scale
        self.u = (cos * x + sin * y).astype(np.float32)
        self.v = (cos * y - sin * x).astype(np.float32)
        self.skin = np.clip(np.add(SKINS[identity.traits.skin], identity.skin_shift), 0, 1).astype(np.float32)
        self.hair = np.clip(np.add(HAIR_COLOURS[identity.traits.hair], identity.hair_shift), 0.02, 1).astype(np.float32)
        self.face = self._face_distance()

    def at_depth(self, depth: float) -> tuple[Array, Array]:
        """Return (u, v) as seen by a feature `depth` in front of the head's axis."""
        return (
            self.u - np.float32(YAW_SLIDE * depth * self.nuisance.yaw),
            self.v - np.float32(PITCH_SLIDE * depth * self.nuisance.pitch),
        )

    def _face_distance(self) -> Array:
        """Return the signed distance to the outline: an ellipse whose lower half narrows to the chin."""
        shape = self.shape
        u, v = self.at_depth(0.3)
        low = np.clip(v / shape.face_height, 0, 1)
        width = shape.face_width * (1 - shape.jaw * low**2 + 0.05 * shape.cheek * np.sin(np.pi * low))
        radius = np.sqrt((np.abs(u) / width) ** 2.2 + (np.abs(v) / shape.face_height) ** 2.2 + 1e-6)
        return (radius ** (1 / 1.1) - 1) * shape.face_width

    def hair_texture(self) -> Array:
        """Return the strands' relief, of unit order: waves along the hair, bent by slow noise."""
        seed = self.identity.seed
        bend = smooth_noise(self.u, self.v, seed + 11, 5.0, 3)
        fine = np.sin(self.identity.strands * self.u * (1.2 - 0.4 * self.v) + 2.2 * bend)
        return 0.75 * fine + 0.5 * smooth_noise(self.u, self.v, seed + 12, 26.0, 4)


def toned(colour: Colour, factor: float) -> Array:
    """Return `colour` times `factor`, kept in [0, 1]."""
    return np.clip(np.asarray(colour, np.float32) * np.float32(factor), 0, 1)


def embossed(colour: Colour, relief: Array) -> Array:
    """Return a picture of `colour` times one plus the relief, (h, w, 3)."""
    return np.asarray(colour, np.float32) * (1 + relief[..., None])
