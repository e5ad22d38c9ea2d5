"""Who is in the picture and how it was taken: the two random records a portrait is drawn from.

An *identity* is what stays between two photos of one person. A few named traits (hair colour and style,
skin, glasses, beard) are shared by many people; what tells people apart is small: proportions, the
shapes of eyes, brows, nose and mouth, moles, small colour offsets and fine texture. A *nuisance* is what
changes from photo to photo. Lengths are in canvas units (the picture is 2 wide).
"""

from dataclasses import dataclass

import numpy as np

HAIR_COLOURS = {
    "black": (0.13, 0.11, 0.12),
    "brown": (0.40, 0.25, 0.15),
    "blond": (0.87, 0.70, 0.40),
    "red": (0.71, 0.31, 0.15),
    "grey": (0.66, 0.66, 0.69),
}
SKINS = ((0.98, 0.82, 0.72), (0.91, 0.70, 0.56), (0.66, 0.46, 0.35))
EYE_COLOURS = ((0.32, 0.20, 0.12), (0.25, 0.45, 0.65), (0.30, 0.48, 0.30), (0.45, 0.45, 0.48))
HAIR_STYLES = ("short", "long", "curly", "tied-up")
GLASSES = ("none", "round", "square")
BEARDS = ("none", "beard", "moustache")
BACKGROUNDS = {
    "blue": (0.36, 0.58, 0.84),
    "green": (0.45, 0.70, 0.48),
    "yellow": (0.94, 0.80, 0.42),
    "pink": (0.93, 0.64, 0.72),
    "purple": (0.60, 0.50, 0.78),
    "grey": (0.72, 0.73, 0.75),
    "orange": (0.93, 0.60, 0.36),
    "white": (0.94, 0.93, 0.91),
}
BACKDROPS = ("plain", "striped", "dotted", "wavy", "panelled")
CLOTHES = {
    "red": (0.76, 0.25, 0.25),
    "navy": (0.19, 0.25, 0.42),
    "teal": (0.16, 0.50, 0.52),
    "white": (0.90, 0.90, 0.90),
    "mustard": (0.80, 0.60, 0.20),
    "dark": (0.22, 0.22, 0.25),
}


@dataclass(frozen=True)
class Traits:
    """What a caption can name about a person, shared by many."""

    hair: str
    style: str
    skin: int
    glasses: str
    beard: str


@dataclass(frozen=True)
class Geometry:
    """The proportions of one face; SPREAD gives each one's range."""

    face_width: float
    face_height: float
    jaw: float
    cheek: float
    ear: float
    hairline: float
    parting: float
    volume: float
    eye_gap: float
    eye_height: float
    eye_size: float
    eye_open: float
    eye_tilt: float
    iris: float
    brow_height: float
    brow_thickness: float
    brow_tilt: float
    brow_arch: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    lip: float
    cupid: float
    neck: float


SPREAD: dict[str, tuple[float, float]] = {
    "face_width": (0.370, 0.440),
    "face_height": (0.500, 0.570),
    "jaw": (0.06, 0.36),
    "cheek": (0.0, 1.0),
    "ear": (0.75, 1.2),
    "hairline": (0.22, 0.36),
    "parting": (-0.22, 0.22),
    "volume": (0.85, 1.2),
    "eye_gap": (0.150, 0.205),
    "eye_height": (-0.07, 0.01),
    "eye_size": (0.082, 0.112),
    "eye_open": (0.48, 0.72),
    "eye_tilt": (-0.22, 0.22),
    "iris": (0.040, 0.054),
    "brow_height": (0.095, 0.150),
    "brow_thickness": (0.012, 0.032),
    "brow_tilt": (-0.22, 0.22),
    "brow_arch": (0.0, 0.05),
    "nose_length": (0.135, 0.215),
    "nose_width": (0.042, 0.080),
    "mouth_height": (0.28, 0.345),
    "mouth_width": (0.100, 0.165),
    "lip": (0.018, 0.042),
    "cupid": (0.0, 0.016),
    "neck": (0.17, 0.23),
}


@dataclass(frozen=True)
class Identity:
    """One person: traits, proportions, colour offsets, moles and the seeds of the fine texture.

    Args:
        seed: what it was sampled from.
        skin_shift, hair_shift: (3,), small offsets of the shared colours.
        eye_colour: index into EYE_COLOURS.
        moles: (x, y, radius) in face coordinates.
        freckles: strength in [0, 1].
        strands: spatial frequency of the hair texture.
    """

    seed: int
    traits: Traits
    shape: Geometry
    skin_shift: tuple[float, float, float]
    hair_shift: tuple[float, float, float]
    eye_colour: int
    moles: tuple[tuple[float, float, float], ...]
    freckles: float
    strands: float


@dataclass(frozen=True)
class Nuisance:
    """How one photo was taken; angles in radians, `yaw` and `pitch` in [-1, 1], `light` a direction."""

    seed: int
    background: str
    backdrop: str
    clothes: str
    collar: str
    shift: tuple[float, float]
    scale: float
    roll: float
    yaw: float
    pitch: float
    light: tuple[float, float]
    exposure: float
    warmth: float
    smile: float
    blink: float
    gaze: float
    brow_lift: float
    noise_levels: float


def sample_traits(rng: np.random.Generator) -> Traits:
    """Draw the shared traits; beards only with short or curly hair, for captions that read naturally."""
    style = str(rng.choice(HAIR_STYLES))
    beardless = style in ("long", "tied-up") or rng.random() < 0.55
    return Traits(
        hair=str(rng.choice(list(HAIR_COLOURS))),
        style=style,
        skin=int(rng.integers(len(SKINS))),
        glasses=str(rng.choice(GLASSES, p=(0.6, 0.2, 0.2))),
        beard="none" if beardless else str(rng.choice(BEARDS[1:])),
    )


def sample_geometry(rng: np.random.Generator) -> Geometry:
    """Draw every proportion uniformly from its range."""
    return Geometry(**{name: float(rng.uniform(low, high)) for name, (low, high) in SPREAD.items()})


def _moles(rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    count = int(rng.choice((0, 1, 2, 3), p=(0.3, 0.35, 0.25, 0.1)))
    return tuple(
        (
            float(rng.choice((-1, 1)) * rng.uniform(0.12, 0.27)),
            float(rng.uniform(0.1, 0.36)),
            float(rng.uniform(0.013, 0.019)),
        )
        for _ in range(count)
    )


def _offset(rng: np.random.Generator, size: float) -> tuple[float, float, float]:
    red, green, blue = rng.normal(0, size, 3).clip(-2 * size, 2 * size)
    return float(red), float(green), float(blue)


def sample_identity(seed: int, traits: Traits | None = None) -> Identity:
    """Draw the person of this seed; given `traits`, a sibling who shares them and differs in the rest."""
    rng = np.random.default_rng((seed, 1))
    drawn = sample_traits(rng)
    return Identity(
        seed=seed,
        traits=traits or drawn,
        shape=sample_geometry(rng),
        skin_shift=_offset(rng, 0.018),
        hair_shift=_offset(rng, 0.018),
        eye_colour=int(rng.integers(len(EYE_COLOURS))),
        moles=_moles(rng),
        freckles=float(rng.choice((0.0, rng.uniform(0.4, 1)), p=(0.7, 0.3))),
        strands=float(rng.uniform(24, 44)),
    )


def sample_nuisance(seed: int) -> Nuisance:
    """Draw how one photo is taken."""
    rng = np.random.default_rng((seed, 2))
    return Nuisance(
        seed=seed,
        background=str(rng.choice(list(BACKGROUNDS))),
        backdrop=str(rng.choice(BACKDROPS)),
        clothes=str(rng.choice(list(CLOTHES))),
        collar=str(rng.choice(("round", "v-neck", "scoop", "stripes"))),
        shift=(float(rng.uniform(-0.07, 0.07)), float(rng.uniform(-0.05, 0.05))),
        scale=float(rng.uniform(1.12, 1.28)),
        roll=float(np.clip(rng.normal(0, 0.06), -0.14, 0.14)),
        yaw=float(rng.uniform(-0.8, 0.8)),
        pitch=float(rng.uniform(-0.7, 0.7)),
        light=(float(rng.choice((-1, 1)) * rng.uniform(0.3, 1)), float(rng.uniform(-1, -0.2))),
        exposure=float(rng.uniform(-0.09, 0.09)),
        warmth=float(rng.uniform(-0.03, 0.03)),
        smile=float(rng.uniform(0.1, 1.1)),
        blink=float(rng.uniform(0.82, 1.08)),
        gaze=float(rng.uniform(-0.5, 0.5)),
        brow_lift=float(rng.uniform(-0.01, 0.02)),
        noise_levels=float(rng.uniform(0, 3)),
    )
