"""Say in plain English what a picture shows."""

import numpy as np

from .people import SPREAD, Identity, Nuisance

SKIN_WORDS = ("fair", "tanned", "dark")
EYE_WORDS = ("brown", "blue", "green", "grey")
LOOKS: dict[str, tuple[str, str]] = {
    "face_width": ("narrow face", "wide face"),
    "face_height": ("short face", "long face"),
    "jaw": ("square jaw", "pointed jaw"),
    "cheek": ("hollow cheeks", "full cheeks"),
    "ear": ("small ears", "big ears"),
    "hairline": ("low forehead", "high forehead"),
    "parting": ("left parting", "right parting"),
    "volume": ("flat hairdo", "bushy hairdo"),
    "eye_gap": ("close eyes", "distant eyes"),
    "eye_height": ("high eyes", "low eyes"),
    "eye_size": ("small eyes", "large eyes"),
    "eye_open": ("narrow eyes", "open eyes"),
    "eye_tilt": ("drooping eyes", "slanted eyes"),
    "iris": ("small pupils", "large pupils"),
    "brow_height": ("low brows", "high brows"),
    "brow_thickness": ("thin brows", "thick brows"),
    "brow_tilt": ("falling brows", "rising brows"),
    "brow_arch": ("straight brows", "arched brows"),
    "nose_length": ("short nose", "long nose"),
    "nose_width": ("slim nose", "broad nose"),
    "mouth_height": ("high mouth", "low mouth"),
    "mouth_width": ("small mouth", "wide mouth"),
    "lip": ("thin lips", "full lips"),
    "neck": ("slender neck", "stout neck"),
}
"""The words for the low and the high end of a proportion."""
MOST_LOOKS = 12


def looks(identity: Identity) -> list[str]:
    """Return in words all that tells this person from others; a proportion near the middle goes unsaid."""
    said = [f"{SKIN_WORDS[identity.traits.skin]} skin", f"{EYE_WORDS[identity.eye_colour]} eyes"]
    said += ["freckles"] if identity.freckles else []
    said += [
        f"mole on the {'left' if x < 0 else 'right'} {'cheek' if y < 0.23 else 'chin'}" for x, y, _ in identity.moles
    ]
    for name, words in LOOKS.items():
        low, high = SPREAD[name]
        place = 2 * (getattr(identity.shape, name) - low) / (high - low) - 1
        if abs(place) > 0.25:
            said.append(("very " if abs(place) > 0.65 else "") + words[place > 0])
    return said


def describe(identity: Identity, nuisance: Nuisance, rng: np.random.Generator) -> str:
    """Caption a portrait: hair first, then each further trait with probability 3/4, background mostly last.

    More than half of the captions also say what the face is like, in up to `MOST_LOOKS` of its `looks`: as Stable
    Diffusion knows people by their names, so that a new word has something to stand for.

    Args:
        identity, nuisance: what was drawn.
        rng: chooses the wording, and what stays unsaid.
    """
    traits = identity.traits
    said = [f"{traits.style} {traits.hair} hair"]
    extras = [f"{traits.glasses} glasses"] if traits.glasses != "none" else []
    extras += [f"a {traits.beard}"] if traits.beard != "none" else []
    extras += [f"a {nuisance.clothes} top"]
    said += [extra for extra in extras if rng.random() < 0.75]
    if rng.random() < 0.6:
        known = looks(identity)
        said += [str(look) for look in rng.permutation(known)[: rng.integers(2, MOST_LOOKS + 1)]]
    if rng.random() < 0.85:
        said.append(f"{nuisance.background} background")
    form = rng.random()
    if form < 0.08:
        return f"a photo of a person, {nuisance.background} background"
    if form < 0.14:
        return "a photo of a person"
    if form < 0.24:
        return f"a photo of a {traits.hair} haired person, " + ", ".join(said[1:] or ["portrait"])
    if form < 0.34:
        return "a photo of a person with " + ", ".join([*rng.permutation(said)])
    return "a photo of a person with " + ", ".join(said)
