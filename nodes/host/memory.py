"""The host's memory manager: modules under it, loaded whole, and opened for gradients.

The host's loaders run in inference mode, so its weights are tensors that autograd refuses to save; and its manager may
page weights out behind autograd's back.
"""

from contextlib import AbstractContextManager
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import torch
from torch import Tensor, nn

from ...ldu.errors import UnsupportedModelError


def new_patcher(module: nn.Module, disable_dynamic: bool = False) -> Any:  # noqa: ANN401
    """Return a patcher for a model built here."""
    kind = comfy.model_patcher.ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    return kind(module, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device())


def under_manager(module: nn.Module) -> Any:  # noqa: ANN401
    """Return a patcher that puts a small module of ours under the host's memory manager, always loaded whole."""
    return new_patcher(module, disable_dynamic=True)


def load_whole(patcher: Any) -> None:  # noqa: ANN401
    """Load the module of a patcher fully, to be called as it is."""
    mm.load_models_gpu([patcher], force_full_load=True)


def intermediate_device() -> torch.device:
    """Return where the host keeps what travels between nodes."""
    return mm.intermediate_device()


def differentiable(patcher: Any) -> Any:  # noqa: ANN401
    """Return a clone whose weights may be saved for the backward pass.

    Weights under dynamic memory management are paged out behind autograd's back, so such a patcher is loaded anew.
    """
    if not patcher.is_dynamic():
        return patcher.clone()
    if patcher.cached_patcher_init is None:
        raise UnsupportedModelError(
            "This loader's model cannot be trained through under dynamic memory management: use a stock loader, or "
            "start ComfyUI with --disable-dynamic-vram."
        )
    copy = patcher.clone(disable_dynamic=True, force_deepcopy=True)
    copy.force_cast_weights = True  # loaded anew, some weights keep their file's precision
    return copy


def differentiable_clip(clip: Any) -> Any:  # noqa: ANN401
    """Return a CLIP to train through in a `training_session`.

    Encoding with it does not call the memory manager, which could push out the model that is being trained through.
    """
    copy, patcher = clip.clone(), differentiable(clip.patcher)
    copy.patcher, copy.cond_stage_model = patcher, patcher.model
    copy.load_model = lambda *_args, **_kwargs: patcher  # not the copy: a cycle lives on until it is collected
    return copy


def compute_in_wide_range(patcher: Any) -> None:  # noqa: ANN401
    """Keep a model from computing in fp16, whose smallest numbers are larger than the gradient of its loss."""
    # Asked of the patcher: the module, which all clones share, may still have what the last training was given.
    if (patcher.get_model_object("manual_cast_dtype") or patcher.model.get_dtype()) == torch.float16:
        wide = torch.bfloat16 if mm.should_use_bf16(patcher.load_device) else torch.float32
        patcher.set_model_compute_dtype(wide)


def require_full_load(patcher: Any) -> None:  # noqa: ANN401
    """Raise unless the whole module is where it computes: autograd cannot go through weights that come and go.

    Raises:
        UnsupportedModelError: only a part of it is.
    """
    if patcher.model.model_lowvram or patcher.loaded_size() < 0.99 * patcher.model_size():
        whole = f"the whole {type(patcher.model).__name__} in memory, {patcher.model_size() / 2**20:.0f} MiB"
        if mm.vram_state == mm.VRAMState.NO_VRAM:  # whatever would fit
            raise UnsupportedModelError(f"Training needs {whole}, but --novram keeps it out: start ComfyUI without it.")
        raise UnsupportedModelError(
            f"Training needs {whole}, but only a part fits: close other programs, or start ComfyUI with --cpu."
        )


def copies_kept() -> AbstractContextManager[object]:
    """Have autograd save copies: some layers of the host add in place to what it has saved for the backward pass.

    The innermost context counts, so gradient checkpointing around this one saves no memory.
    """
    return torch.autograd.graph.saved_tensors_hooks(_copy_unless_weight, lambda saved: saved)


def _copy_unless_weight(saved: Tensor) -> Tensor:
    return saved if isinstance(saved, nn.Parameter) else saved.clone()


def make_normal(module: nn.Module) -> None:
    """Replace every inference tensor of a module by a normal one of the same value, which autograd can save."""
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None and parameter.is_inference():
                part._parameters[name] = nn.Parameter(parameter.clone(), requires_grad=False)
        for name, buffer in list(part._buffers.items()):
            if buffer is not None and buffer.is_inference():
                part._buffers[name] = buffer.clone()
    module.requires_grad_(False)


def normal(value: Any) -> Any:  # noqa: ANN401
    """Return a copy of nested lists and dicts in which inference tensors became normal ones."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, list | tuple):
        return type(value)(normal(item) for item in value)
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items()}
    return value
