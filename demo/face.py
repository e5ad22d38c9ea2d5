"""Paint a portrait's head and face: ears, skin, beard, hair, eyes, brows, nose, mouth, moles, glasses."""

import numpy as np

from .canvas import ellipse, glow, rounded_box, smooth_noise
from .head import Head, embossed, toned
from .people import EYE_COLOURS

PORES = 0.02
WARM_SHADOW = np.array((0.08, 0.15, 0.17), np.float32)


def paint_ears(head: Head) -> None:
    """Paint both ears."""
    canvas, shape = head.canvas, head.shape
    u, v = head.at_depth(-0.25)
    for side in (-1, 1):
        centre = side * (shape.face_width + 0.008)
        outer = ellipse(u, v, centre, 0.02, 0.058 * shape.ear, 0.105 * shape.ear)
        canvas.paint(canvas.cover(outer), toned(head.skin, 0.93))
        inner = ellipse(u, v, centre + side * 0.01, 0.02, 0.026 * shape.ear, 0.060 * shape.ear)
        canvas.paint(canvas.cover(inner, 0.03), toned(head.skin, 0.76), 0.7)


def paint_skin(head: Head) -> None:
    """Paint the head with soft light from one side, blush, freckles and pores."""
    canvas, shape, seed = head.canvas, head.shape, head.identity.seed
    u, v = head.at_depth(0.4)
    light_x, light_y = head.nuisance.light
    turn = 0.10 * (u * light_x / shape.face_width) + 0.06 * (v * light_y / shape.face_height)
    pores = PORES * smooth_noise(u, v, seed + 31, 34.0, 6)
    face = embossed(head.skin, 0.03 + turn + pores)
    face *= 1 - np.exp(head.face / 0.06).clip(0, 1)[..., None] * WARM_SHADOW
    face += glow(np.abs(u), v, 0.21, 0.15, 0.085, 0.07)[..., None] * np.array((0.05, -0.035, -0.03), np.float32)
    spots = np.clip(smooth_noise(u, v, seed + 32, 52.0, 6) - 1.0, 0, 1) * glow(np.abs(u), v, 0.13, 0.1, 0.1, 0.06)
    face *= 1 - (0.4 * head.identity.freckles * spots)[..., None]
    canvas.paint(canvas.cover(head.face), np.clip(face, 0, 1))


def paint_beard(head: Head) -> None:
    """Paint a moustache, and the beard along the jaw if there is one."""
    canvas, shape, kind = head.canvas, head.shape, head.identity.traits.beard
    if kind == "none":
        return
    u, v = head.at_depth(0.7)
    mouth = shape.mouth_height
    texture = embossed(toned(head.hair, 0.92), 0.12 * head.hair_texture())
    line = mouth - 0.068 - 0.03 * np.cos(np.pi * np.clip(u / 0.2, -1, 1))
    moustache = np.maximum(np.abs(v - line - 0.018) - 0.026, np.abs(u) - shape.mouth_width - 0.015)
    canvas.paint(canvas.cover(moustache, 0.02), texture, 0.92)
    if kind == "beard":
        jaw = np.maximum(head.face + 0.004, mouth - 0.14 - 0.55 * np.clip(np.abs(u) - 0.12, 0, 1) - v)
        jaw = np.maximum(jaw, -ellipse(u, v, 0, mouth - 0.012, shape.mouth_width + 0.035, 0.075))
        canvas.paint(canvas.cover(jaw, 0.03), texture, 0.92)


def paint_front_hair(head: Head) -> None:
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
    canvas.paint(canvas.cover(cap), np.clip(embossed(head.hair, relief), 0, 1))


def paint_eye(head: Head, side: int) -> None:
    """Paint the eye on one side (-1 left, 1 right)."""
    canvas, shape, nuisance = head.canvas, head.shape, head.nuisance
    u, v = head.at_depth(0.85)
    dx, dy = (u - side * shape.eye_gap) * side, v - shape.eye_height
    dy = dy + shape.eye_tilt * 0.5 * dx
    tall = shape.eye_size * shape.eye_open * nuisance.blink
    lid = tall * (1 - (np.clip(dx / shape.eye_size, -1, 1)) ** 2)
    opening = np.maximum(np.abs(dy) - lid, np.abs(dx) - shape.eye_size)
    socket = canvas.cover(np.abs(dy) - lid - 0.02, 0.05) * glow(dx, dy, 0, 0, 0.09, 0.06)
    canvas.paint(socket, toned(head.skin, 0.72), 0.6)
    white = canvas.cover(opening)
    canvas.paint(white, (0.97, 0.96, 0.95))
    gaze = side * (0.018 * nuisance.gaze + 0.012 * nuisance.yaw)
    iris = np.asarray(EYE_COLOURS[head.identity.eye_colour], np.float32)
    for size, colour in ((shape.iris, iris), (0.45 * shape.iris, (0.05, 0.04, 0.05))):
        canvas.paint(white * canvas.cover(ellipse(dx, dy, gaze, 0, size, size)), colour)
    glint = ellipse(dx, dy, gaze + side * 0.012 * np.sign(nuisance.light[0]), -0.014, 0.010, 0.010)
    canvas.paint(white * canvas.cover(glint), (1.0, 1.0, 1.0), 0.9)
    lash = np.maximum(np.abs(dy + lid) - 0.010, np.abs(dx) - shape.eye_size * 1.05)
    canvas.paint(canvas.cover(lash), toned(head.skin, 0.22), 0.85)


def paint_brow(head: Head, side: int) -> None:
    """Paint the brow on one side (-1 left, 1 right)."""
    canvas, shape = head.canvas, head.shape
    u, v = head.at_depth(0.85)
    dx = (u - side * shape.eye_gap) * side
    along = np.clip(dx / 0.115, -1, 1)
    line = shape.eye_height - shape.brow_height - head.nuisance.brow_lift
    line = line - shape.brow_tilt * dx + shape.brow_arch * (along**2 - 0.5)
    thick = shape.brow_thickness * (1.05 - 0.45 * along)
    stroke = np.maximum(np.abs(v - line) - thick, np.abs(dx) - 0.115)
    canvas.paint(canvas.cover(stroke, 0.012), toned(head.hair, 0.72), 0.92)


def paint_nose(head: Head) -> None:
    """Shade the bridge and the tip, and paint the nostrils."""
    canvas, shape = head.canvas, head.shape
    u, v = head.at_depth(1.35)
    tip = shape.eye_height + 0.05 + shape.nose_length
    lit = 0.018 * np.sign(head.nuisance.light[0])
    canvas.shade(0.10 * glow(u, v, lit, tip - 0.09, 0.022, 0.09))
    canvas.shade(-0.09 * glow(u, v, -2.2 * lit, tip - 0.06, 0.022, 0.08))
    canvas.shade(0.10 * glow(u, v, lit, tip - 0.015, 0.030, 0.025))
    for side in (-1, 1):
        nostril = ellipse(u, v, side * shape.nose_width * 0.62, tip + 0.024, shape.nose_width * 0.42, 0.014)
        canvas.paint(canvas.cover(nostril, 0.014), toned(head.skin, 0.50), 0.8)
    under = np.maximum(np.abs(v - tip - 0.036 + 1.6 * u**2) - 0.006, np.abs(u) - shape.nose_width)
    canvas.paint(canvas.cover(under, 0.02), toned(head.skin, 0.62), 0.7)


def paint_mouth(head: Head) -> None:
    """Paint the lips, bent by the smile."""
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
    canvas.paint(canvas.cover(upper), toned(lips, 0.86))
    canvas.paint(canvas.cover(lower), lips)
    canvas.shade(0.12 * glow(u, v, 0, shape.mouth_height + 0.02 + 0.6 * shape.lip, 0.05, 0.012))
    seam = np.maximum(np.abs(v - middle) - 0.006, np.abs(u) - wide)
    canvas.paint(canvas.cover(seam), toned(lips, 0.42), 0.9)
    chin = glow(u, v, 0, shape.mouth_height + 0.10, 0.09, 0.018)
    canvas.shade(-0.07 * chin)


def paint_moles(head: Head) -> None:
    """Paint the moles."""
    u, v = head.at_depth(0.8)
    for x, y, radius in head.identity.moles:
        mask = head.canvas.cover(np.maximum(ellipse(u, v, x, y, radius, radius), head.face + 0.02))
        head.canvas.paint(mask, toned(head.skin, 0.36), 0.9)


def paint_glasses(head: Head) -> None:
    """Paint frames, bridge and a faint reflection."""
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
