"""What Protection Report says of the model and of how the pictures were protected."""

from typing import Any

from .host import is_demo, tag_model, training_resolution
from .types import TrainedRho

Settings = dict[str, str | int | float]


def model_and_settings(measured: dict[str, list[Any] | None]) -> dict[str, Any]:
    """Return what the report says of the model and the settings, each the first of its input's list, if any."""
    model, rho, strength, seed, steps = (
        (measured.get(name) or [None])[0] for name in ("model", "rho", "strength", "shift_seed", "refine_steps")
    )
    applied: Settings = {"strength": strength, "seed of the shift": seed, "steps on the pixels": steps}
    settings = about_rho(rho) | {name: value for name, value in applied.items() if value is not None}
    return {"model": _about_model(model), "settings": settings, "demo": model is not None and is_demo(model)}


def about_rho(rho: TrainedRho | None) -> Settings:
    """Return what a rho was trained for and how, without the course of its training."""
    if rho is None:
        return {}
    card = rho.card
    told = {f"training: {name}": value for name, value in card.training.items() if isinstance(value, str | int | float)}
    return {
        "ρ trained for": f"{card.model_family}, fingerprint {card.model_hash}",
        "k": card.k_steps,
        "depth": card.depth,
        "budget in training": card.budget_levels,
        "prompt": card.prompt,
        **told,
    }


def _about_model(model: Any) -> Settings:  # noqa: ANN401
    if model is None:
        return {}
    tag = tag_model(model)
    return {
        "family": tag.family,
        "fingerprint": tag.fingerprint,
        "prediction": tag.prediction,
        "training resolution": training_resolution(model),
    }
