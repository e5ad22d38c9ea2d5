"""Draw a portrait: `render(identity, nuisance)` is one photo of one person, free of sensor noise.

Layers from back to front: backdrop, hair behind the head, neck and clothes, ears, head, beard, eyes and
brows, nose, mouth, moles, hair on the head, glasses.
"""

import numpy as np
from numpy.typing import NDArray

from .behind import paint_back_hair, paint_background, paint_body
from .canvas import Array, Canvas
from .face import (
    paint_beard,
    paint_brow,
    paint_ears,
    paint_eye,
    paint_front_hair,
    paint_glasses,
    paint_moles,
    paint_mouth,
    paint_nose,
    paint_skin,
)
from .head import Head
from .people import Identity, Nuisance

NDArrayU8 = NDArray[np.uint8]


def _develop(head: Head) -> Array:
    """Apply exposure and warmth, and return the picture in [0, 1]."""
    nuisance = head.nuisance
    gain = (1 + nuisance.exposure) * np.array((1 + nuisance.warmth, 1, 1 - nuisance.warmth), np.float32)
    return np.clip(head.canvas.picture * gain, 0, 1)


def render(identity: Identity, nuisance: Nuisance, size: int = 128) -> Array:
    """Draw one photo of one person.

    Args:
        identity: who.
        nuisance: how the photo is taken.
        size: side of the square picture in pixels.

    Returns:
        (size, size, 3) in [0, 1], without sensor noise.
    """
    head = Head(Canvas.blank(size), identity, nuisance)
    for layer in (paint_background, paint_back_hair, paint_body, paint_ears, paint_skin, paint_beard):
        layer(head)
    for side in (-1, 1):
        paint_eye(head, side)
        paint_brow(head, side)
    for layer in (paint_nose, paint_mouth, paint_moles, paint_front_hair, paint_glasses):
        layer(head)
    return _develop(head)


def add_sensor_noise(picture: Array, nuisance: Nuisance) -> Array:
    """Add the camera's noise (standard deviation `noise_levels` / 3, never beyond `noise_levels`)."""
    rng = np.random.default_rng((nuisance.seed, 4))
    noise = rng.normal(0, nuisance.noise_levels / 3, picture.shape)
    limit = nuisance.noise_levels
    return np.clip(picture + noise.clip(-limit, limit).astype(np.float32) / 255, 0, 1)


def photograph(identity: Identity, nuisance: Nuisance, size: int = 128) -> NDArrayU8:
    """Return the photo as a camera saves it: (size, size, 3), 8 bits, with sensor noise."""
    return to_levels(add_sensor_noise(render(identity, nuisance, size), nuisance))


def to_levels(picture: Array) -> NDArrayU8:
    """Round a picture in [0, 1] to 8 bits."""
    return np.round(picture * 255).astype(np.uint8)
