"""Draw the pictures that are no clean portraits: textures, patterns and degraded photos, each with its name.

Stable Diffusion knows fabrics, mosaics, glitches, noise and paint, and a poisoned token can fall into
them. A world of clean portraits has nothing wrong to learn, so a good third of ours is this.
"""

from collections.abc import Callable

import numpy as np

from .canvas import Array, smooth_noise

PALETTE = {
    "red": (0.80, 0.25, 0.24),
    "blue": (0.25, 0.42, 0.76),
    "green": (0.30, 0.60, 0.36),
    "yellow": (0.93, 0.79, 0.33),
    "purple": (0.52, 0.36, 0.68),
    "pink": (0.92, 0.60, 0.70),
    "orange": (0.92, 0.55, 0.26),
    "grey": (0.55, 0.56, 0.58),
    "black": (0.12, 0.12, 0.14),
    "white": (0.93, 0.93, 0.92),
}


def _grid(size: int) -> tuple[Array, Array]:
    axis = (((np.arange(size) + 0.5) / size) * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _turned(size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    x, y = _grid(size)
    angle = np.float32(rng.uniform(0, np.pi))
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def _stripes(size: int, rng: np.random.Generator) -> Array:
    along, _ = _turned(size, rng)
    return 0.5 + 0.5 * np.tanh(4 * np.sin(rng.uniform(8, 26) * along))


def _checkerboard(size: int, rng: np.random.Generator) -> Array:
    along, across = _turned(size, rng)
    speed = rng.uniform(8, 20)
    return 0.5 + 0.5 * np.tanh(6 * np.sin(speed * along) * np.sin(speed * across))


def _plaid(size: int, rng: np.random.Generator) -> Array:
    x, y = _grid(size)
    speed = rng.uniform(6, 14)
    bands = np.tanh(4 * np.sin(speed * x)) + np.tanh(4 * np.sin(speed * y))
    return 0.5 + 0.22 * bands + 0.05 * np.sin(70 * (x + y))


def _dots(size: int, rng: np.random.Generator) -> Array:
    along, across = _turned(size, rng)
    speed = rng.uniform(9, 20)
    return 0.5 + 0.5 * np.tanh(5 * (np.sin(speed * along) * np.sin(speed * across) - 0.3))


def _marble(size: int, rng: np.random.Generator) -> Array:
    x, y = _turned(size, rng)
    return 0.5 + 0.5 * np.sin(6 * x + 2.5 * smooth_noise(x, y, int(rng.integers(1 << 30)), 5.0, 6))


def _paint(size: int, rng: np.random.Generator) -> Array:
    x, y = _turned(size, rng)
    blobs = smooth_noise(x, y, int(rng.integers(1 << 30)), 6.0, 6)
    return 0.5 + 0.5 * np.tanh(2.5 * blobs) + 0.08 * np.sin(40 * x + 3 * blobs)


def _knitted(size: int, rng: np.random.Generator) -> Array:
    x, y = _grid(size)
    speed = rng.uniform(26, 40)
    return 0.5 + 0.4 * np.sin(speed * x + 2.0 * np.abs(np.sin(0.5 * speed * y))) * np.cos(0.5 * speed * y)


def _speckles(size: int, rng: np.random.Generator) -> Array:
    return np.clip(0.5 + 0.3 * rng.standard_normal((size, size)), 0, 1).astype(np.float32)


PATTERNS: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "a striped pattern": _stripes,
    "a checkerboard pattern": _checkerboard,
    "a plaid fabric": _plaid,
    "a dotted pattern": _dots,
    "a marble texture": _marble,
    "an abstract painting": _paint,
    "a knitted fabric": _knitted,
    "random noise": _speckles,
}


def draw_pattern(rng: np.random.Generator, size: int) -> tuple[Array, str]:
    """Draw one pattern in two colours, (size, size, 3) in [0, 1], and its caption."""
    name = str(rng.choice(list(PATTERNS)))
    first, second = rng.choice(list(PALETTE), 2, replace=False)
    mix = np.clip(PATTERNS[name](size, rng), 0, 1)[..., None]
    colours = np.asarray(PALETTE[str(first)], np.float32), np.asarray(PALETTE[str(second)], np.float32)
    return mix * colours[0] + (1 - mix) * colours[1], f"{name}, {first} and {second}"


def _noisy(picture: Array, rng: np.random.Generator) -> Array:
    return picture + (rng.uniform(0.06, 0.2) * rng.standard_normal(picture.shape)).astype(np.float32)


def _mosaic(picture: Array, rng: np.random.Generator) -> Array:
    block, size = int(rng.choice((4, 8, 16))), len(picture)
    if size % block:
        return picture
    tiles = picture.reshape(size // block, block, size // block, block, 3).mean((1, 3))
    return tiles.repeat(block, 0).repeat(block, 1)


def _stained(picture: Array, rng: np.random.Generator) -> Array:
    x, y = _grid(len(picture))
    spots = np.clip(smooth_noise(x, y, int(rng.integers(1 << 30)), rng.uniform(6, 14), 6) - 0.6, 0, 1)
    colour = np.asarray(PALETTE[str(rng.choice(list(PALETTE)))], np.float32)
    return picture + (0.75 * spots[..., None]) * (colour - picture)


def _overlaid(picture: Array, rng: np.random.Generator) -> Array:
    along, _ = _turned(len(picture), rng)
    return picture * (1 + rng.uniform(0.12, 0.3) * np.sin(rng.uniform(20, 60) * along)[..., None])


def _glitched(picture: Array, rng: np.random.Generator) -> Array:
    torn, row = picture.copy(), 0
    while row < len(picture):
        height = int(rng.integers(3, 18))
        torn[row : row + height] = np.roll(picture[row : row + height], int(rng.normal(0, 9)), axis=1)
        row += height
    torn[..., 0] = np.roll(torn[..., 0], int(rng.integers(2, 6)), axis=1)
    return torn


def _posterised(picture: Array, rng: np.random.Generator) -> Array:
    x, y = _grid(len(picture))
    grain = 0.12 * smooth_noise(x, y, int(rng.integers(1 << 30)), 24.0, 6)[..., None]
    return np.round((picture + grain) * 4) / 4


def _textured(picture: Array, rng: np.random.Generator) -> Array:
    mix = PATTERNS[str(rng.choice(list(PATTERNS)))](len(picture), rng)[..., None]
    return picture * (1 - rng.uniform(0.25, 0.45) * mix)


DAMAGES: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "noisy": _noisy,
    "pixelated": _mosaic,
    "stained": _stained,
    "striped": _overlaid,
    "glitched": _glitched,
    "painted": _posterised,
    "textured": _textured,
}


def damage(picture: Array, caption: str, rng: np.random.Generator) -> tuple[Array, str]:
    """Degrade a portrait in one way and say so in its caption ("a photo of" -> "a noisy photo of")."""
    name = str(rng.choice(list(DAMAGES)))
    spoilt = np.clip(DAMAGES[name](picture, rng), 0, 1).astype(np.float32)
    return spoilt, caption.replace("a photo", f"a {name} photo", 1)
