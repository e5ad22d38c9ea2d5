"""Paint what is behind a portrait's face: the backdrop, hanging hair, neck and clothes."""

import numpy as np

from .canvas import Array, Canvas, ellipse, glow, rounded_box, smooth_noise
from .head import Head, embossed, toned
from .people import BACKGROUNDS, CLOTHES


def backdrop_relief(canvas: Canvas, style: str, seed: int) -> Array:
    """Return the pattern of a background in [-1, 1] for one of `people.BACKDROPS`."""
    rng = np.random.default_rng((seed, 3))
    x, y = canvas.x, canvas.y
    angle, phase, speed = rng.uniform(0, np.pi), rng.uniform(0, 6.28), rng.uniform(6, 11)
    along = (np.cos(angle) * x + np.sin(angle) * y).astype(np.float32)
    if style == "striped":
        return np.tanh(3 * np.sin(speed * along + phase))
    if style == "dotted":
        return np.tanh(4 * (np.sin(speed * x + phase) * np.sin(speed * y + 2 * phase) - 0.35))
    if style == "wavy":
        return np.sin(speed * along + 1.5 * np.sin(3 * (x - y) + phase)).astype(np.float32)
    if style == "panelled":
        edge_x, edge_y = rng.uniform(-0.8, 0.8, 2)
        return np.tanh(30 * (x - edge_x)) * 0.6 + np.tanh(30 * (y - edge_y)) * 0.4
    return smooth_noise(x, y, seed + 5, 2.0, 3) * 0.5


def paint_background(head: Head) -> None:
    """Fill the picture with the backdrop, darker away from the light."""
    canvas, nuisance = head.canvas, head.nuisance
    colour = np.asarray(BACKGROUNDS[nuisance.background], np.float32)
    relief = 0.055 * backdrop_relief(canvas, nuisance.backdrop, nuisance.seed)
    fall = 0.05 * (canvas.x * nuisance.light[0] * -1 - canvas.y * 0.8)
    canvas.picture[:] = np.clip(embossed(colour, relief + fall), 0, 1)


def paint_back_hair(head: Head) -> None:
    """Paint the hair that hangs or stands behind the head; short hair has none."""
    canvas, shape, style = head.canvas, head.shape, head.identity.traits.style
    u, v = head.at_depth(-0.4)
    wide = shape.face_width + 0.055 * shape.volume
    if style == "long":
        spread = u / (1 + 0.16 * np.clip(v + 0.1, 0, 1))
        distance = rounded_box(spread, v, 0, 0.04, wide + 0.03, 0.68, 0.40 * shape.volume)
    elif style == "curly":
        bumps = 0.022 * np.sin(9 * np.arctan2(v + 0.15, u) + head.identity.seed % 7)
        distance = ellipse(u, v, 0, -0.16, wide + 0.10, 0.58 * shape.volume**0.5) + bumps
    elif style == "tied-up":
        distance = ellipse(u, v, 0.10 * np.sign(shape.parting), -0.66, 0.17 * shape.volume, 0.15)
    else:
        return
    dark = embossed(toned(head.hair, 0.82), 0.06 * head.hair_texture())
    canvas.paint(canvas.cover(distance), dark)


def _cloth_relief(head: Head) -> Array:
    seed, canvas = head.nuisance.seed, head.canvas
    weave = np.sin(60 * canvas.x) * np.sin(60 * canvas.y)
    return 0.012 * weave + 0.04 * smooth_noise(canvas.x, canvas.y, seed + 21, 4.0, 3)


def paint_body(head: Head) -> None:
    """Paint neck, chest and garment."""
    canvas, nuisance, shape = head.canvas, head.nuisance, head.shape
    u, v = head.at_depth(-0.2)
    chest = np.minimum(rounded_box(u, v, 0, 0.50, shape.neck, 0.30, 0.08), ellipse(u, v, 0, 1.16, 0.74, 0.56))
    bare = canvas.cover(chest)
    canvas.paint(bare, toned(head.skin, 0.90))
    canvas.shade(-0.18 * glow(u, v, 0, 0.46, 0.26, 0.09) * bare)
    torso, opening = ellipse(u, v, 0, 1.19, 0.84, 0.62), _collar(nuisance.collar, u, v)
    colour = np.asarray(CLOTHES[nuisance.clothes], np.float32)
    garment = canvas.cover(np.maximum(torso, -opening))
    relief = _cloth_relief(head) + 0.10 * (v - 0.85)
    if nuisance.collar == "stripes":
        relief = relief + 0.16 * np.tanh(3 * np.sin(24 * v))
    canvas.paint(garment, embossed(colour, relief))
    band = canvas.cover(np.maximum(np.abs(opening - 0.022) - 0.022, torso))
    canvas.paint(band, toned(colour, 0.84), 0.9)


def _collar(style: str, u: Array, v: Array) -> Array:
    """Return the signed distance to the neck opening of a garment."""
    if style == "v-neck":
        return np.maximum(np.abs(u) * 0.9 + (v - 0.86), -(v - 0.3)) * 0.7
    depth = 0.15 if style == "scoop" else 0.10
    return ellipse(u, v, 0, 0.60, 0.27, depth)
