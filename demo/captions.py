"""Say in plain English what a picture shows."""

import numpy as np

from .people import Identity, Nuisance

PERSONALIZE_PROMPT = "a photo of {token} person"


def describe(identity: Identity, nuisance: Nuisance, rng: np.random.Generator) -> str:
    """Caption a portrait: hair first, then each further trait with probability 3/4, background mostly last.

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
    if rng.random() < 0.85:
        said.append(f"{nuisance.background} background")
    form = rng.random()
    if form < 0.08:
        return f"a photo of a person, {nuisance.background} background"
    if form < 0.14:
        return "a photo of a person"
    if form < 0.24:
        return f"a photo of a {traits.hair} haired person, " + ", ".join(said[1:] or ["portrait"])
    return "a photo of a person with " + ", ".join(said)
