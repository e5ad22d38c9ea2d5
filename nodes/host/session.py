"""A MODEL that the host has loaded and prepared, as the core's denoiser port: with or without gradients."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import comfy.sampler_helpers
import comfy.samplers
import torch
from comfy.ldm.modules.attention import attention_pytorch
from torch import Tensor

from ...ldu.shapes import Latent, PerSample
from .learnt import name_condition
from .memory import (
    compute_in_wide_range,
    copies_kept,
    differentiable,
    intermediate_device,
    make_normal,
    require_full_load,
)
from .models import adds_in_place, name_of, read_schedule, require_condition, require_for_loss, require_for_walk
from .progress import stop_if_asked
from .vae import HostAutoencoder, require_vae, training_room

_TRAINING_ROOM = 8  # activations of one checkpointed training step, in units of the host's own inference estimate
_SIDE_BY_SIDE = 3  # evaluations of a step at the usual k of 2, all kept where checkpointing cannot help


class HostDenoiser:
    """One prepared MODEL with one bound CONDITIONING as the core's denoiser port."""

    def __init__(self, session: "HostSession", conditioning: list[Any]) -> None:
        self._session, self._conditioning = session, conditioning
        self._prepared: dict[tuple[int, ...], list[Any]] = {}

    @property
    def key(self) -> str:
        """Name of the weights and the condition."""
        return f"{self._session.key} {name_condition(self._conditioning)}"

    def __call__(self, z: Latent, sigma: PerSample) -> Latent:
        """Return the host's denoised prediction; stops at once when the user cancels."""
        stop_if_asked()
        self._session.evaluations += z.shape[0]
        inner, options = self._session.inner, self._session.options
        with copies_kept() if self._session.adds_in_place else nullcontext():
            return comfy.samplers.calc_cond_batch(inner, [self._condition(z)], z, sigma, options)[0]

    def _condition(self, z: Latent) -> list[Any]:
        """Return the conditioning as the model wants it for latents of this size."""
        size = tuple(z.shape[1:])
        if size not in self._prepared:
            example = torch.zeros((1, *size), device=z.device)
            conds = {"positive": comfy.sampler_helpers.convert_cond(self._conditioning)}
            prepared = comfy.samplers.process_conds(self._session.inner, example, conds, z.device, example)
            self._prepared[size] = prepared["positive"]
        return self._prepared[size]


class HostSession:
    """A MODEL that the host has loaded and prepared; make one with `sampling_session` or `training_session`."""

    def __init__(self, patcher: Any, options: dict[str, Any], *, trains: bool = False) -> None:  # noqa: ANN401
        self.patcher, self.options, self.trains = patcher, options, trains
        self.inner, self.device = patcher.model, patcher.load_device
        self.schedule = read_schedule(patcher)
        self.key = name_of(patcher)
        self.adds_in_place = trains and adds_in_place(patcher)
        self.evaluations = 0

    def bind(self, conditioning: list[Any]) -> HostDenoiser:
        """Return the denoiser for a CONDITIONING (positive only, cfg 1)."""
        require_condition(self.inner, conditioning)
        if self.trains:
            require_for_loss(conditioning)
        return HostDenoiser(self, conditioning)

    def reload(self, shape: Sequence[int]) -> None:
        """Bring the model back, with room for latents of this shape, if another one has pushed it out meanwhile."""
        mm.load_models_gpu([self.patcher], memory_required=self.inner.memory_required(list(shape)))

    def latent_in(self, samples: Tensor) -> Latent:
        """Return LATENT samples in the model's own scale, float32 on its device."""
        return self.inner.process_latent_in(samples.to(self.device, torch.float32))

    def latent_out(self, z: Latent) -> Tensor:
        """Return latents as LATENT samples, where the host keeps what travels between nodes."""
        return self.inner.process_latent_out(z).to(intermediate_device(), torch.float32)


@contextmanager
def sampling_session(model: Any, conditioning: list[Any], shape: Sequence[int]) -> Iterator[HostSession]:  # noqa: ANN401
    """Prepare a MODEL as the host's samplers do, for evaluations without gradient."""
    require_condition(model.model, conditioning)
    require_for_walk(conditioning)
    options = comfy.model_patcher.create_model_options_clone(model.model_options)
    conds, extra = {"positive": comfy.sampler_helpers.convert_cond(conditioning)}, []
    try:
        comfy.sampler_helpers.prepare_model_patcher(model, conds, options)
        _, conds, extra = comfy.sampler_helpers.prepare_sampling(model, list(shape), conds, options)
        comfy.samplers.cast_to_load_options(options, device=model.load_device, dtype=model.model_dtype())
        model.pre_run()
        yield HostSession(model, options)
    finally:
        comfy.samplers.cast_to_load_options(options, device=model.offload_device)
        model.cleanup()
        comfy.sampler_helpers.cleanup_models(conds, extra)
        model.restore_hook_patches()


def working_memory(model: Any, vae: Any, shape: Sequence[int]) -> float:  # noqa: ANN401
    """Return the bytes that a training step wants beside the weights, its latent batch being of this shape."""
    room = _TRAINING_ROOM * (_SIDE_BY_SIDE if adds_in_place(model) else 1)
    return room * model.model.memory_required(list(shape)) + training_room(vae, shape)


def training_memory(
    model: Any,  # noqa: ANN401
    vae: Any,  # noqa: ANN401
    shape: Sequence[int],
    extra: Sequence[Any] = (),
    beside: Sequence[Any] = (),
    kept: float = 0,
) -> tuple[float, float]:
    """Return the bytes that a training wants in all, `kept` of its pictures among them, and how many are free for it.

    What is loaded already counts as free, for it is what is wanted or, as the patchers `beside`, can be pushed out.
    """
    require_vae(vae, model)
    parts = [model, vae.patcher, *extra]
    loaded = {each.model: each.loaded_size() for each in (*parts, *beside)}  # clones share their module
    wanted = working_memory(model, vae, shape) + kept + sum(each.model_size() for each in parts)
    return wanted, mm.get_free_memory(model.load_device) + sum(loaded.values())


def encoding_memory(model: Any, vae: Any, shape: Sequence[int]) -> tuple[float, float]:  # noqa: ANN401
    """Return the bytes that steps through the VAE alone want in all, and how many are free as for a training."""
    _, free = training_memory(model, vae, shape)
    return training_room(vae, shape) + vae.patcher.model_size(), free


@contextmanager
def training_session(
    model: Any,  # noqa: ANN401
    vae: Any,  # noqa: ANN401
    shape: Sequence[int],
    *,
    clip: Any = None,  # noqa: ANN401
    extra: Sequence[Any] = (),
    kept: float = 0,
) -> Iterator[tuple[HostSession, HostAutoencoder]]:
    """Load MODEL, VAE (and CLIP) fully and open them for gradients through their frozen weights.

    The user's objects stay as they are: a clone is trained through, and what the host's inference mode left in the
    weights is replaced by normal tensors of the same values.

    Args:
        model: the MODEL.
        vae: the VAE.
        shape: the largest latent batch, (b, c, h, w).
        clip: the CLIP, if token embeddings are to be learnt.
        extra: patchers of further modules to load beside them, such as rho.
        kept: bytes of what stays on the device beside a step, such as pictures.
    """
    with torch.inference_mode(False), torch.enable_grad():
        vae_patcher, patcher = _differentiable_vae(vae, model), differentiable(model)
        compute_in_wide_range(patcher)
        options = comfy.model_patcher.create_model_options_clone(patcher.model_options)
        comfy.sampler_helpers.prepare_model_patcher(patcher, {}, options)
        options.setdefault("transformer_options", {})["optimized_attention_override"] = _attention_with_backward
        text = [] if clip is None else [clip.patcher]  # made by `differentiable_clip`
        _load([patcher, vae_patcher, *text], working_memory(model, vae, shape) + kept, extra)
        comfy.samplers.cast_to_load_options(options, device=patcher.load_device, dtype=patcher.model_dtype())
        was_training = mm.in_training
        try:
            mm.in_training = True
            patcher.pre_run()
            session = HostSession(patcher, options, trains=True)
            yield session, HostAutoencoder(vae, vae_patcher.model, session.inner, session.device)
        finally:
            mm.in_training = was_training
            comfy.samplers.cast_to_load_options(options, device=patcher.offload_device)
            patcher.cleanup()


@contextmanager
def encoding_session(model: Any, vae: Any, shape: Sequence[int]) -> Iterator[tuple[HostSession, HostAutoencoder]]:  # noqa: ANN401
    """Load the VAE alone and open it for gradients through its frozen weights, as `training_session` does.

    The MODEL stays where it is: it tells its latent scale and its noise levels, and is not to be evaluated.
    """
    with torch.inference_mode(False), torch.enable_grad():
        vae_patcher = _differentiable_vae(vae, model)
        _load([vae_patcher], training_room(vae, shape))
        session = HostSession(model, {})
        yield session, HostAutoencoder(vae, vae_patcher.model, session.inner, session.device)


def differentiable_copies(model: Any, vae: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Return MODEL and VAE for one `training_session` after the other, each of which would load dynamic ones anew.

    Such copies hold weights of their own for as long as anything refers to them.
    """
    with torch.inference_mode(False):
        vae_patcher, patcher = _differentiable_vae(vae, model), differentiable(model)
        compute_in_wide_range(patcher)  # left to each session, it would have the weights patched each time
    coder = copy(vae)
    coder.patcher, coder.first_stage_model = vae_patcher, vae_patcher.model
    return patcher, coder


def _differentiable_vae(vae: Any, model: Any) -> Any:  # noqa: ANN401
    require_vae(vae, model)
    patcher = differentiable(vae.patcher)
    patcher.model.to(vae.vae_dtype)  # a VAE loaded anew keeps its file's precision
    return patcher


def _load(frozen: Sequence[Any], room: float, extra: Sequence[Any] = ()) -> None:
    """Load the modules of patchers fully, the frozen ones with weights that autograd can save."""
    mm.load_models_gpu([*frozen, *extra], memory_required=room, force_full_load=True)
    for part in frozen:
        require_full_load(part)
        make_normal(part.model)


def _attention_with_backward(_func: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
    """Attend with PyTorch's kernel: sage and flash custom ops have no backward."""
    return attention_pytorch(*args, **kwargs)
