"""Draw a portrait: `render(identity, nuisance)` is one photo of one person, free of sensor noise.

Layers from back to front: background, hair behind the head, neck and clothes, ears, head, hair on the
head, face. Everything of the head lives in *face coordinates* (u, v): the picture's coordinates, moved
back by the pose, v downward, the head's middle at the origin. Features at depth d slide by d * yaw.
"""

import numpy as np
from numpy.typing import NDArray

from .canvas import Array, Canvas, Colour, ellipse, glow, rounded_box, smooth_noise
from .people import (
    BACKGROUNDS,
    CLOTHES,
    EYE_COLOURS,
    HAIR_COLOURS,
    SKINS,
    Identity,
    Nuisance,
)

NDArrayU8 = NDArray[np.uint8]

HEAD_MIDDLE = 0.02
YAW_SLIDE = 0.055
PITCH_SLIDE = 0.022
TEXTURE = 0.02
WARM_SHADOW = np.array((0.08, 0.15, 0.17), np.float32)


class Head:
    """The coordinates and colours that the layers of one portrait share."""

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


def _toned(colour: Colour, factor: float) -> Array:
    return np.clip(np.asarray(colour, np.float32) * np.float32(factor), 0, 1)


def _relief(colour: Colour, relief: Array) -> Array:
    return np.asarray(colour, np.float32) * (1 + relief[..., None])


# -- behind the head ---------------------------------------------------------------------------------


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


def _background(head: Head) -> None:
    canvas, nuisance = head.canvas, head.nuisance
    colour = np.asarray(BACKGROUNDS[nuisance.background], np.float32)
    relief = 0.055 * backdrop_relief(canvas, nuisance.backdrop, nuisance.seed)
    fall = 0.05 * (canvas.x * nuisance.light[0] * -1 - canvas.y * 0.8)
    canvas.picture[:] = np.clip(_relief(colour, relief + fall), 0, 1)


def _back_hair(head: Head) -> None:
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
    dark = _relief(_toned(head.hair, 0.82), 0.06 * head.hair_texture())
    canvas.paint(canvas.cover(distance), dark)


def _cloth_relief(head: Head) -> Array:
    seed, canvas = head.nuisance.seed, head.canvas
    weave = np.sin(60 * canvas.x) * np.sin(60 * canvas.y)
    return 0.012 * weave + 0.04 * smooth_noise(canvas.x, canvas.y, seed + 21, 4.0, 3)


def _body(head: Head) -> None:
    canvas, nuisance, shape = head.canvas, head.nuisance, head.shape
    u, v = head.at_depth(-0.2)
    chest = np.minimum(rounded_box(u, v, 0, 0.50, shape.neck, 0.30, 0.08), ellipse(u, v, 0, 1.16, 0.74, 0.56))
    bare = canvas.cover(chest)
    canvas.paint(bare, _toned(head.skin, 0.90))
    canvas.shade(-0.18 * glow(u, v, 0, 0.46, 0.26, 0.09) * bare)
    torso, opening = ellipse(u, v, 0, 1.19, 0.84, 0.62), _collar(nuisance.collar, u, v)
    colour = np.asarray(CLOTHES[nuisance.clothes], np.float32)
    garment = canvas.cover(np.maximum(torso, -opening))
    relief = _cloth_relief(head) + 0.10 * (v - 0.85)
    if nuisance.collar == "stripes":
        relief = relief + 0.16 * np.tanh(3 * np.sin(24 * v))
    canvas.paint(garment, _relief(colour, relief))
    band = canvas.cover(np.maximum(np.abs(opening - 0.022) - 0.022, torso))
    canvas.paint(band, _toned(colour, 0.84), 0.9)


def _collar(style: str, u: Array, v: Array) -> Array:
    """Return the signed distance to the neck opening of a garment."""
    if style == "v-neck":
        return np.maximum(np.abs(u) * 0.9 + (v - 0.86), -(v - 0.3)) * 0.7
    depth = 0.15 if style == "scoop" else 0.10
    return ellipse(u, v, 0, 0.60, 0.27, depth)


# -- the head ----------------------------------------------------------------------------------------


def _ears(head: Head) -> None:
    canvas, shape = head.canvas, head.shape
    u, v = head.at_depth(-0.25)
    for side in (-1, 1):
        centre = side * (shape.face_width + 0.008)
        outer = ellipse(u, v, centre, 0.02, 0.058 * shape.ear, 0.105 * shape.ear)
        canvas.paint(canvas.cover(outer), _toned(head.skin, 0.93))
        inner = ellipse(u, v, centre + side * 0.01, 0.02, 0.026 * shape.ear, 0.060 * shape.ear)
        canvas.paint(canvas.cover(inner, 0.03), _toned(head.skin, 0.76), 0.7)


def _skin(head: Head) -> None:
    """Paint the head with soft light from one side, blush, freckles and pores."""
    canvas, shape, seed = head.canvas, head.shape, head.identity.seed
    u, v = head.at_depth(0.4)
    light_x, light_y = head.nuisance.light
    turn = 0.10 * (u * light_x / shape.face_width) + 0.06 * (v * light_y / shape.face_height)
    pores = TEXTURE * smooth_noise(u, v, seed + 31, 34.0, 6)
    face = _relief(head.skin, 0.03 + turn + pores)
    face *= 1 - np.exp(head.face / 0.06).clip(0, 1)[..., None] * WARM_SHADOW
    face += glow(np.abs(u), v, 0.21, 0.15, 0.085, 0.07)[..., None] * np.array((0.05, -0.035, -0.03), np.float32)
    spots = np.clip(smooth_noise(u, v, seed + 32, 52.0, 6) - 1.0, 0, 1) * glow(np.abs(u), v, 0.13, 0.1, 0.1, 0.06)
    face *= 1 - (0.4 * head.identity.freckles * spots)[..., None]
    canvas.paint(canvas.cover(head.face), np.clip(face, 0, 1))


def _beard(head: Head) -> None:
    canvas, shape, kind = head.canvas, head.shape, head.identity.traits.beard
    if kind == "none":
        return
    u, v = head.at_depth(0.7)
    mouth = shape.mouth_height
    texture = _relief(_toned(head.hair, 0.92), 0.12 * head.hair_texture())
    line = mouth - 0.068 - 0.03 * np.cos(np.pi * np.clip(u / 0.2, -1, 1))
    moustache = np.maximum(np.abs(v - line - 0.018) - 0.026, np.abs(u) - shape.mouth_width - 0.015)
    canvas.paint(canvas.cover(moustache, 0.02), texture, 0.92)
    if kind == "beard":
        jaw = np.maximum(head.face + 0.004, mouth - 0.14 - 0.55 * np.clip(np.abs(u) - 0.12, 0, 1) - v)
        jaw = np.maximum(jaw, -ellipse(u, v, 0, mouth - 0.012, shape.mouth_width + 0.035, 0.075))
        canvas.paint(canvas.cover(jaw, 0.03), texture, 0.92)


def _front_hair(head: Head) -> None:
    """Paint the hair over the forehead: inside the outline grown a little, above the hairline."""
    canvas, shape, style = head.canvas, head.shape, head.identity.traits.style
    u, v = head.at_depth(0.35)
    grow = {"short": 0.035, "long": 0.05, "curly": 0.07, "tied-up": 0.02}[style] * shape.volume
    away = u - np.float32(0.5 * shape.parting)
    hairline = -shape.hairline + {"short": 1.9, "long": 1.7, "curly": 1.5, "tied-up": 1.6}[style] * away**2
    if style == "short":
        hairline = hairline - 0.05 * np.tanh(14 * away)
    if style == "curly":
        hairline = hairline + 0.022 * np.sin(26 * u + head.identity.seed % 5)
    side = {"short": 0.02, "long": 0.5, "curly": 0.06, "tied-up": 0.0}[style]
    temple = np.maximum(hairline, 0) + np.minimum(hairline, side)
    cap = np.maximum(head.face - grow, v - temple)
    relief = 0.07 * head.hair_texture() + 0.12 * glow(u, v, 0.15 * head.nuisance.light[0], -0.42, 0.22, 0.09)
    shadow = canvas.cover(np.maximum(head.face, v - temple - 0.035), 0.05)
    canvas.shade(-0.12 * shadow)
    canvas.paint(canvas.cover(cap), np.clip(_relief(head.hair, relief), 0, 1))


# -- the face ----------------------------------------------------------------------------------------


def _eye(head: Head, side: int) -> None:
    canvas, shape, nuisance = head.canvas, head.shape, head.nuisance
    u, v = head.at_depth(0.85)
    dx, dy = (u - side * shape.eye_gap) * side, v - shape.eye_height
    dy = dy + shape.eye_tilt * 0.5 * dx
    tall = shape.eye_size * shape.eye_open * nuisance.blink
    lid = tall * (1 - (np.clip(dx / shape.eye_size, -1, 1)) ** 2)
    opening = np.maximum(np.abs(dy) - lid, np.abs(dx) - shape.eye_size)
    socket = canvas.cover(np.abs(dy) - lid - 0.02, 0.05) * glow(dx, dy, 0, 0, 0.09, 0.06)
    canvas.paint(socket, _toned(head.skin, 0.72), 0.6)
    white = canvas.cover(opening)
    canvas.paint(white, (0.97, 0.96, 0.95))
    gaze = side * (0.018 * nuisance.gaze + 0.012 * nuisance.yaw)
    iris = np.asarray(EYE_COLOURS[head.identity.eye_colour], np.float32)
    for size, colour in ((shape.iris, iris), (0.45 * shape.iris, (0.05, 0.04, 0.05))):
        canvas.paint(white * canvas.cover(ellipse(dx, dy, gaze, 0, size, size)), colour)
    glint = ellipse(dx, dy, gaze + side * 0.012 * np.sign(nuisance.light[0]), -0.014, 0.010, 0.010)
    canvas.paint(white * canvas.cover(glint), (1.0, 1.0, 1.0), 0.9)
    lash = np.maximum(np.abs(dy + lid) - 0.010, np.abs(dx) - shape.eye_size * 1.05)
    canvas.paint(canvas.cover(lash), _toned(head.skin, 0.22), 0.85)


def _brow(head: Head, side: int) -> None:
    canvas, shape = head.canvas, head.shape
    u, v = head.at_depth(0.85)
    dx = (u - side * shape.eye_gap) * side
    along = np.clip(dx / 0.115, -1, 1)
    line = shape.eye_height - shape.brow_height - head.nuisance.brow_lift
    line = line - shape.brow_tilt * dx + shape.brow_arch * (along**2 - 0.5)
    thick = shape.brow_thickness * (1.05 - 0.45 * along)
    stroke = np.maximum(np.abs(v - line) - thick, np.abs(dx) - 0.115)
    canvas.paint(canvas.cover(stroke, 0.012), _toned(head.hair, 0.72), 0.92)


def _nose(head: Head) -> None:
    canvas, shape = head.canvas, head.shape
    u, v = head.at_depth(1.35)
    tip = shape.eye_height + 0.05 + shape.nose_length
    lit = 0.018 * np.sign(head.nuisance.light[0])
    canvas.shade(0.10 * glow(u, v, lit, tip - 0.09, 0.022, 0.09))
    canvas.shade(-0.09 * glow(u, v, -2.2 * lit, tip - 0.06, 0.022, 0.08))
    canvas.shade(0.10 * glow(u, v, lit, tip - 0.015, 0.030, 0.025))
    for side in (-1, 1):
        nostril = ellipse(u, v, side * shape.nose_width * 0.62, tip + 0.024, shape.nose_width * 0.42, 0.014)
        canvas.paint(canvas.cover(nostril, 0.014), _toned(head.skin, 0.50), 0.8)
    under = np.maximum(np.abs(v - tip - 0.036 + 1.6 * u**2) - 0.006, np.abs(u) - shape.nose_width)
    canvas.paint(canvas.cover(under, 0.02), _toned(head.skin, 0.62), 0.7)


def _mouth(head: Head) -> None:
    canvas, shape, smile = head.canvas, head.shape, head.nuisance.smile
    u, v = head.at_depth(1.0)
    wide = shape.mouth_width * (1 + 0.08 * smile)
    along = np.clip(u / wide, -1, 1)
    middle = shape.mouth_height + 0.045 * smile * (0.5 - along**2)
    full = np.clip(1 - along**2, 0, 1) ** 0.7
    dip = shape.cupid * np.exp(-((u / 0.022) ** 2))
    lips = np.clip(np.add((0.78, 0.40, 0.38), 0.25 * (head.skin - 0.6)), 0, 1)
    upper = np.maximum(np.maximum(middle - shape.lip * full + dip - v, v - middle), np.abs(u) - wide)
    lower = np.maximum(np.maximum(middle - v, v - middle - 1.35 * shape.lip * full), np.abs(u) - wide)
    canvas.paint(canvas.cover(upper), _toned(lips, 0.86))
    canvas.paint(canvas.cover(lower), lips)
    canvas.shade(0.12 * glow(u, v, 0, shape.mouth_height + 0.02 + 0.6 * shape.lip, 0.05, 0.012))
    seam = np.maximum(np.abs(v - middle) - 0.006, np.abs(u) - wide)
    canvas.paint(canvas.cover(seam), _toned(lips, 0.42), 0.9)
    chin = glow(u, v, 0, shape.mouth_height + 0.10, 0.09, 0.018)
    canvas.shade(-0.07 * chin)


def _moles(head: Head) -> None:
    u, v = head.at_depth(0.8)
    for x, y, radius in head.identity.moles:
        mask = head.canvas.cover(np.maximum(ellipse(u, v, x, y, radius, radius), head.face + 0.02))
        head.canvas.paint(mask, _toned(head.skin, 0.36), 0.9)


def _glasses(head: Head) -> None:
    canvas, shape, kind = head.canvas, head.shape, head.identity.traits.glasses
    if kind == "none":
        return
    u, v = head.at_depth(1.0)
    middle, size = shape.eye_height + 0.008, 0.118
    frame = (0.14, 0.13, 0.16)
    for side in (-1, 1):
        centre = side * max(shape.eye_gap, size + 0.022)
        if kind == "round":
            lens = ellipse(u, v, centre, middle, size, size)
        else:
            lens = rounded_box(u, v, centre, middle, size, 0.088, 0.03)
        canvas.paint(canvas.cover(lens), (0.90, 0.95, 1.0), 0.10)
        canvas.paint(canvas.cover(np.abs(lens) - 0.011), frame, 0.95)
    inner = max(shape.eye_gap, size + 0.022) - size
    bridge = np.maximum(np.abs(v - middle + 0.02 - 1.5 * u**2) - 0.009, np.abs(u) - inner)
    canvas.paint(canvas.cover(bridge), frame, 0.95)


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
    for layer in (_background, _back_hair, _body, _ears, _skin, _beard):
        layer(head)
    for side in (-1, 1):
        _eye(head, side)
        _brow(head, side)
    for layer in (_nose, _mouth, _moles, _front_hair, _glasses):
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
