"""What a MODEL of the host is: its noise levels, its training resolution, its name, its empty condition.

In the host's coordinates z_sigma = z_0 + sigma * noise (flow: the straight line), and its "denoised" prediction is the
core's D(z, sigma) for eps, v and flow models alike.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import comfy.model_sampling as sampling
import torch
from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_base import SD21UNCLIP
from torch import Tensor, nn

from ...ldu.errors import MismatchError, UnsupportedModelError
from ...ldu.fingerprint import fingerprint_condition, fingerprint_weights
from ...ldu.schedule import NoiseSchedule
from ..types import ModelTag
from .attached import name_attached

_FINGERPRINTS: WeakKeyDictionary[nn.Module, dict[Any, str]] = WeakKeyDictionary()  # by the host's name of the patches
_FEW_STEP_WORDS = ("turbo", "lightning", "lcm", "hyper-sd", "hypersd", "schnell", "distill")
_IN_PART = {"area": "an area", "mask": "a mask"}
_NO_LOSS = {"control": "a ControlNet", "hooks": "hooks", "gligen": "GLIGEN", **_IN_PART}
_LARGE = {"SDXL", "SDXLRefiner", "PixArtAlpha", "HunyuanDiT"}  # eps and v models trained at 1024 pixels, and their kin


def read_schedule(model: Any) -> NoiseSchedule:  # noqa: ANN401  (the host's MODEL)
    """Return the noise levels of a MODEL with whatever patches it carries.

    Raises:
        UnsupportedModelError: the walk's formula does not hold for this kind of model.
    """
    ms = model.get_model_object("model_sampling")
    flow = isinstance(ms, sampling.CONST)
    foreign = (sampling.IMG_TO_IMG, sampling.IMG_TO_IMG_FLOW, sampling.EDM)
    plain = getattr(ms, "sigma_data", 1.0) == 1.0 and getattr(ms, "noise_scale", 1.0) == 1.0
    if isinstance(ms, foreign) or not (flow or isinstance(ms, sampling.EPS)) or not plain:
        kind = " and ".join(base.__name__ for base in type(ms).__bases__)
        raise UnsupportedModelError(
            f"The walk covers eps, v and flow models in SD's noise scale, but this one samples as {kind}: "
            "load an SD1.x, SD2.x, SDXL, SD3 or Flux checkpoint."
        )
    if model.get_model_object("latent_format").latent_dimensions != 2:
        raise UnsupportedModelError("The walk covers models of still pictures, but this one's latents are not 2-D.")
    prediction = "flow" if flow else "v" if isinstance(ms, sampling.V_PREDICTION) else "eps"
    return NoiseSchedule(tuple(ms.sigmas.cpu().double().tolist()), prediction)  # MPS has no float64


def few_step_kind(model: Any) -> str | None:  # noqa: ANN401
    """Say in a sentence that a MODEL was distilled to few steps, and from what that is known; None if nothing tells.

    The weights do not tell. What does: the sampling that LCM models are given, Flux Schnell's missing guidance input,
    and the name of the file, which is a hint only.
    """
    kinds = [kind.__name__ for kind in type(model.get_model_object("model_sampling")).__mro__]
    if "LCM" in kinds:
        return "This model samples as an LCM: a few-step model."
    if type(model.model.model_config).__name__ == "FluxSchnell":
        return "This is Flux Schnell: a few-step model."
    name = file_name(model)
    word = next((word for word in _FEW_STEP_WORDS if word in name.lower()), None)
    return word and f"The name {name} has “{word}” in it, so this may be a few-step model."


def file_name(model: Any) -> str:  # noqa: ANN401
    """Return the name of the file that a stock loader read a MODEL from, or nothing."""
    loader = getattr(model, "cached_patcher_init", None)
    given = loader[1][0] if loader and loader[1] else ""
    return Path(given).name if isinstance(given, str | Path) else ""


def training_resolution(model: Any) -> int:  # noqa: ANN401
    """Return the short side in pixels that a MODEL was trained at: its own mark, or its family's."""
    marked = model.model_options.get("ldu_resolution")
    if marked:
        return int(marked)
    families = {kind.__name__ for kind in type(model.model.model_config).__mro__}
    if "SD20" in families:
        return 768 if read_schedule(model).prediction == "v" else 512
    flow = isinstance(model.get_model_object("model_sampling"), sampling.CONST)
    return 1024 if flow or families & _LARGE else 512


def tag_model(model: Any) -> ModelTag:  # noqa: ANN401
    """Return what a z_T or a rho must know of a MODEL."""
    return ModelTag(type(model.model.model_config).__name__, fingerprint(model), read_schedule(model).prediction)


def fingerprint(model: Any) -> str:  # noqa: ANN401
    """Return a digest of a MODEL's weights and patches, computed once for each loaded model and set of patches."""
    known = _FINGERPRINTS.setdefault(model.model, {})
    if model.patches_uuid not in known:
        known[model.patches_uuid] = fingerprint_weights([*_unpatched_weights(model), *_patches(model)])
    return known[model.patches_uuid]


def name_of(model: Any) -> str:  # noqa: ANN401
    """Return a name of all that a MODEL answers by: its fingerprint, its sampling, and what is attached (FreeU)."""
    options, schedule = model.model_options, read_schedule(model)
    kinds = [kind.__name__ for kind in type(model.get_model_object("model_sampling")).__mro__]
    noise = fingerprint_condition([kinds, schedule.sigmas])
    parts = [options.get("transformer_options"), options.get("model_function_wrapper")]
    attached = name_attached([*parts, *(getattr(model, name, None) for name in ("wrappers", "injections"))])
    return f"{fingerprint(model)} {noise} {attached}".rstrip()


def _unpatched_weights(model: Any) -> Iterator[tuple[str, Tensor]]:  # noqa: ANN401
    """Yield the weights, those that the host has patched in place from its backup: loading changes nothing."""
    network = model.model.diffusion_model
    weights = network.state_dict()
    if any(weight.is_meta for weight in weights.values()):  # GGUF saves none, for its weights are packed
        weights = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name, weight in sorted(weights.items()):
        backup = model.backup.get(f"diffusion_model.{name}")
        yield name, weight if backup is None else backup.weight


def _patches(model: Any) -> Iterator[tuple[str, Tensor]]:  # noqa: ANN401
    """Yield the tensors of the patches (LoRAs), after an empty one that carries their strengths."""
    for name, patches in sorted(model.patches.items(), key=lambda item: str(item[0])):
        yield f"{name} {[patch[0] for patch in patches]}", torch.empty(0)
        yield from (("", tensor) for tensor in _tensors([patch[1] for patch in patches]))


def _tensors(value: Any) -> Iterator[Tensor]:  # noqa: ANN401
    """Yield the tensors of a patch, whatever kind of adapter holds them."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif hasattr(value, "weights"):
        yield from _tensors(value.weights)


def adds_in_place(model: Any) -> bool:  # noqa: ANN401
    """Return whether layers may add in place to what autograd has saved, as FLUX's do and SD's to SD3's do not."""
    return not isinstance(model.model.diffusion_model, UNetModel | MMDiT)


def latent_shape(model: Any, width: int, height: int, batch: int) -> tuple[int, int, int, int]:  # noqa: ANN401
    """Return the shape of `batch` latents of pictures of this size."""
    form = model.get_model_object("latent_format")
    return (batch, form.latent_channels, height // form.spacial_downscale_ratio, width // form.spacial_downscale_ratio)


def require_condition(model: Any, conditioning: list[Any]) -> None:  # noqa: ANN401
    """Raise unless a CONDITIONING is one that this kind of model reads.

    Raises:
        MismatchError: it is empty, of another width, or without the summary (pooled output) that the model needs.
    """
    advice = "encode the prompt with the CLIP of the same checkpoint as the model."
    config = model.model_config.unet_config
    embedder = config.get("context_embedder_config") or {}
    width = config.get("context_dim") or config.get("context_in_dim") or embedder.get("params", {}).get("in_features")
    pooled = model.adm_channels and not isinstance(model, SD21UNCLIP)
    if not conditioning:
        raise MismatchError(f"The condition is empty: {advice}")
    for condition, extra in conditioning:
        if isinstance(width, int) and condition.shape[-1] != width:
            raise MismatchError(
                f"This model reads conditions of width {width}, but one of width {condition.shape[-1]} came: {advice}"
            )
        if pooled and extra.get("pooled_output") is None:
            raise MismatchError(f"This model reads a pooled output beside the condition, but none came: {advice}")


def require_for_loss(conditioning: list[Any]) -> None:
    """Raise unless a CONDITIONING holds for all of a latent, at every noise level, and is the prompt's alone.

    A batch of a loss has many noise levels, and the host looks at the first to see whether a range holds; what a
    ControlNet, a hook or GLIGEN adds is neither loaded nor open for gradients where one trains.

    Raises:
        UnsupportedModelError: naming what it brings.
    """
    _require_without(_NO_LOSS, conditioning, "Losses and trainings take prompts alone")


def require_for_walk(conditioning: list[Any]) -> None:
    """Raise unless a CONDITIONING holds for all of a latent, at every noise level.

    Where none holds the host predicts 0, whatever the latent, and the record makes the clean picture of that: what was
    shifted would come back unprotected.

    Raises:
        UnsupportedModelError: naming what it brings.
    """
    _require_without(_IN_PART, conditioning, "A walk takes conditions that hold everywhere")


def _require_without(unfit: dict[str, str], conditioning: list[Any], rule: str) -> None:
    for _, extra in conditioning:
        found = [name for key, name in unfit.items() if extra.get(key) is not None]
        if extra.get("strength", 1.0) == 0:
            found.append("a strength of 0")
        if extra.get("start_percent", 0.0) > 0 or extra.get("end_percent", 1.0) < 1:
            found.append("a range of timesteps")
        if found:
            raise UnsupportedModelError(
                f"{rule}, but a condition also brings {' and '.join(found)}: connect what CLIP Text Encode or Textual "
                "Inversion gives."
            )


def default_conditioning(model: Any, conditioning: list[Any] | None) -> list[Any]:  # noqa: ANN401
    """Return the CONDITIONING given, or the empty one of the model's width."""
    if conditioning is not None:
        return conditioning
    width = model.model.model_config.unet_config.get("context_dim")
    if not width or model.model.adm_channels:
        raise UnsupportedModelError("This model needs a condition: connect a CLIP Text Encode with an empty prompt.")
    return [[torch.zeros(1, 77, width), {}]]
