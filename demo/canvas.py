"""Draw soft shapes on a small float picture: the few primitives that the portraits are made of.

A canvas holds a picture in [0, 1] and the coordinates of its pixels in [-1, 1], y downward. Shapes are
signed distances d (negative inside); `cover(d)` turns them into antialiased masks, and every layer is
    picture <- picture + mask * (colour - picture).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Colour = tuple[float, float, float] | Array


@dataclass
class Canvas:
    """A picture under construction.

    Args:
        picture: (size, size, 3), in [0, 1].
        x, y: (size, size), pixel centres in [-1, 1].
    """

    picture: Array
    x: Array
    y: Array

    @classmethod
    def blank(cls, size: int) -> "Canvas":
        """Make a black square canvas of `size` pixels."""
        axis = ((np.arange(size, dtype=np.float32) + 0.5) / size) * 2 - 1
        x, y = np.meshgrid(axis, axis)
        return cls(np.zeros((size, size, 3), np.float32), x, y)

    @property
    def softness(self) -> float:
        """Width of an antialiased edge in canvas units: 1.6 pixels, at most 1/40 of the picture."""
        return min(2 / len(self.x) * 1.6, 0.05)

    def cover(self, distance: Array, blur: float = 0.0) -> Array:
        """Turn a signed distance into a mask in [0, 1] whose edge is `blur` wider than one pixel."""
        mask = 0.5 - distance / (self.softness + blur)
        return np.clip(mask, 0, 1, out=mask)

    def paint(self, mask: Array, colour: Colour, opacity: float = 1.0) -> None:
        """Blend `colour` (a triple or a picture of its own) over the picture where `mask` says."""
        target = np.asarray(colour, np.float32)
        self.picture += (mask * np.float32(opacity))[..., None] * (target - self.picture)

    def shade(self, amount: Array) -> None:
        """Multiply the picture by `1 + amount`."""
        self.picture *= 1 + amount[..., None]


def ellipse(x: Array, y: Array, cx: float, cy: float, rx: float, ry: float) -> Array:
    """Approximate the signed distance to an axis-aligned ellipse (exact for a circle)."""
    radius = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    return (radius - 1) * min(rx, ry)


def rounded_box(x: Array, y: Array, cx: float, cy: float, rx: float, ry: float, corner: float) -> Array:
    """Return the signed distance to a box with half sides `rx`, `ry` and rounded corners."""
    qx, qy = np.abs(x - cx) - rx + corner, np.abs(y - cy) - ry + corner
    outside = np.sqrt(np.maximum(qx, 0) ** 2 + np.maximum(qy, 0) ** 2)
    return outside + np.minimum(np.maximum(qx, qy), 0) - corner


def glow(x: Array, y: Array, cx: float, cy: float, rx: float, ry: float) -> Array:
    """Return a Gaussian blob of height 1 with standard deviations `rx`, `ry`."""
    return np.exp(-0.5 * (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2))


def smooth_noise(x: Array, y: Array, seed: int, frequency: float, waves: int = 5) -> Array:
    """Sum a few plane waves of random direction: smooth noise with unit variance, the same for a seed."""
    rng = np.random.default_rng(seed)
    angles, phases = rng.uniform(0, 2 * np.pi, (2, waves)).astype(np.float32)
    speeds = (frequency * rng.uniform(0.7, 1.4, waves)).astype(np.float32)
    total = np.zeros_like(x)
    for angle, phase, speed in zip(angles, phases, speeds, strict=True):
        total += np.sin(speed * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return total * np.float32((2 / waves) ** 0.5)
