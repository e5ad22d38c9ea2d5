"""What Protection Report says of the model and of how the pictures were protected."""

import math
from typing import Any

from ..ldu.wording import one_line
from .host import file_name, is_demo, tag_model, training_resolution
from .types import RefinedWith, TrainedRho

Settings = dict[str, str | int | float]
NOT_TOLD = "not told"


def model_and_settings(measured: dict[str, list[Any] | None]) -> dict[str, Any]:
    """Return what the report says of the model and the settings, each the first of its input's list, if any."""
    model, rho, strength, seed = (
        (measured.get(name) or [None])[0] for name in ("model", "rho", "strength", "shift_seed")
    )
    each = measured.get("refined") or [None]
    refined = next((one for one in each if one is not None and one.config.refine_steps), each[0])
    applied: Settings = {"strength": strength, "seed of the shift": seed}
    settings = about_rho(rho) | {name: value for name, value in applied.items() if value is not None}
    if settings or refined is not None:
        settings |= _about_pixels(refined)
    return {"model": _about_model(model), "settings": settings, "demo": model is not None and is_demo(model)}


def about_rho(rho: TrainedRho | None) -> Settings:
    """Return what a rho was trained for and how, without the course of its training."""
    if rho is None:
        return {}
    card = rho.card
    told = {f"training: {one_line(name)}": _told(value) for name, value in card.training.items() if _can_be_told(value)}
    return {
        "ρ trained for": one_line(f"{card.model_family}, fingerprint {card.model_hash}"),
        "k": card.k_steps,
        "depth": card.depth,
        "budget in training": card.budget_levels,
        "prompt": one_line(card.prompt),
        "training: purifiers": NOT_TOLD,  # unless its card names them
        **told,
    }


def _can_be_told(value: object) -> bool:
    """Tell whether a report can hold what a card says of a training: losses are many, and a stranger's may be NaN."""
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _told(value: Any) -> Any:  # noqa: ANN401
    return one_line(value) if isinstance(value, str) else value


def _about_pixels(refined: RefinedWith | None) -> Settings:
    """Return how Refine in Pixels worked; its steps alone if there were none, or if nobody told."""
    if refined is None:
        return {"pixels: steps": NOT_TOLD}
    config = refined.config
    if not config.refine_steps:
        return {"pixels: steps": 0}
    return {
        "pixels: steps": config.refine_steps,
        "pixels: budget": config.budget_levels,
        "pixels: visibility": config.visibility,
        "pixels: flat areas": config.flat,
        "pixels: contrast": config.contrast,
        "pixels: seed": config.seed,
        "pixels: purifiers": refined.purifiers,
        "pixels: mask": "spared a part" if refined.masked else "none",
        "pixels: target": "another picture" if refined.targeted else "none",
    }


def _about_model(model: Any) -> Settings:  # noqa: ANN401
    if model is None:
        return {}
    tag, name = tag_model(model), file_name(model)
    return {
        **({"name": name} if name else {}),
        "family": tag.family,
        "fingerprint": tag.fingerprint,
        "prediction": tag.prediction,
        "training resolution": training_resolution(model),
    }
