"""What must hold before a step of the walk: a latent of this model, a z_T, and a rho that was trained for both."""

import math
from typing import Any

import torch
from torch import Tensor

from ..ldu.checkpoint import require_fit
from ..ldu.errors import BadImageError, MismatchError
from .types import ModelTag, TrainedRho, ZTag


def require_latent(model: Any, latent: dict[str, Any]) -> Tensor:  # noqa: ANN401
    """Return the samples of a latent that can be walked up.

    Raises:
        MismatchError: it is another model's, or a z_T already.
        BadImageError: it is not finite.
    """
    samples = latent["samples"]
    channels = model.get_model_object("latent_format").latent_channels
    if samples.ndim != 4 or samples.shape[0] == 0 or samples.shape[1] != channels:
        raise MismatchError(
            f"This model's latents are (batch, {channels}, height, width), but {tuple(samples.shape)} came: "
            "encode the picture with the VAE of the same checkpoint."
        )
    if not torch.isfinite(samples).all():
        raise BadImageError(
            "The latent holds values that are infinite or not numbers: run the VAE in float32 (--fp32-vae)."
        )
    if isinstance(latent.get("ldu"), ZTag):
        raise MismatchError("This latent is a z_T already: connect an encoded picture.")
    return samples


def require_trained_with_record(rho: TrainedRho) -> None:
    """Refuse a rho whose training knew no record.

    Raises:
        MismatchError: it was trained as published.
    """
    if rho.as_published:
        raise MismatchError(
            "This ρ was trained as published, for a walk without record and one decode, but this node walks with a "
            "record: take a ρ that was trained with as_published off, or the workflow protect_as_published."
        )


def require_z_T(latent: dict[str, Any]) -> tuple[ZTag, Tensor]:
    """Return the tag and the samples of a z_T.

    Raises:
        MismatchError: the latent is not a z_T.
    """
    tag = latent.get("ldu")
    if not isinstance(tag, ZTag):
        raise MismatchError("This latent is not a z_T: connect the z_T output of Invert to z_T.")
    return tag, latent["samples"]


def require_rho_for(rho: TrainedRho, tag: ZTag, samples: Tensor, other_checkpoint: bool) -> None:
    """Raise unless a rho was trained for the model and the walk of this z_T.

    Raises:
        MismatchError: with what differs; another checkpoint of the family may be allowed.
    """
    card = rho.card
    require_fit(
        card,
        model_family=tag.model.family,
        prediction=tag.model.prediction,
        latent_channels=samples.shape[1],
        rho=rho.net,
    )
    if card.rounds != 1 or not _same_grid(card.sigmas, tag.sigmas):
        raise MismatchError(
            f"This rho was trained for {card.rounds} round of k = {card.k_steps} and depth = {card.depth:g}, z_T was "
            f"made with k = {tag.k_steps} and depth = {tag.depth:g}, or on another noise schedule: use the same."
        )
    if card.model_hash != tag.model.fingerprint and not other_checkpoint:
        raise MismatchError(
            "This rho was trained on another checkpoint (or with other LoRAs, or loaded in another precision) than "
            "the one loaded: load that one as it was or train a new rho. Apply ρ Shift can be told to take it all the "
            "same; the effect is then unknown."
        )


def require_same_kind(model: ModelTag, made_by: ModelTag) -> None:
    """Raise unless a z_T was made with a model of this family.

    Raises:
        MismatchError: with both families.
    """
    if (model.family, model.prediction == "flow") != (made_by.family, made_by.prediction == "flow"):
        raise MismatchError(
            f"z_T was made with {_kind(made_by)}, but this model is {_kind(model)}: use one of the same kind."
        )


def _kind(model: ModelTag) -> str:
    return f"{model.family} (flow)" if model.prediction == "flow" else model.family


def _same_grid(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Tell whether two grids of noise levels agree to a thousandth, as different precisions of one model do."""
    return len(one) == len(other) and all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(one, other, strict=True))
