"""All that is known of ComfyUI's internals: its models as the core's ports, its memory manager, its interrupts."""

from .demo import is_demo, load_demo
from .flags import may_embed_metadata
from .graph import nothing, sources
from .learnt import as_learnt
from .memory import (
    copies_kept,
    differentiable_clip,
    intermediate_device,
    load_whole,
    new_patcher,
    normal,
    under_manager,
)
from .models import (
    default_conditioning,
    few_step_kind,
    file_name,
    fingerprint,
    latent_shape,
    read_schedule,
    require_for_loss,
    tag_model,
    training_resolution,
)
from .progress import (
    Interrupted,
    WatchedDenoiser,
    as_a_part,
    is_a_part,
    is_further_of_a_list,
    preview,
    progress_bar,
    say_on_node,
    stop_if_asked,
)
from .session import (
    HostDenoiser,
    HostSession,
    differentiable_copies,
    encoding_memory,
    encoding_session,
    sampling_session,
    training_memory,
    training_session,
)
from .vae import HostAutoencoder, require_vae

__all__ = [
    "HostAutoencoder",
    "HostDenoiser",
    "HostSession",
    "Interrupted",
    "WatchedDenoiser",
    "as_a_part",
    "as_learnt",
    "copies_kept",
    "default_conditioning",
    "differentiable_clip",
    "differentiable_copies",
    "encoding_memory",
    "encoding_session",
    "few_step_kind",
    "file_name",
    "fingerprint",
    "intermediate_device",
    "is_a_part",
    "is_demo",
    "is_further_of_a_list",
    "latent_shape",
    "load_demo",
    "load_whole",
    "may_embed_metadata",
    "new_patcher",
    "normal",
    "nothing",
    "preview",
    "progress_bar",
    "read_schedule",
    "require_for_loss",
    "require_vae",
    "sampling_session",
    "say_on_node",
    "sources",
    "stop_if_asked",
    "tag_model",
    "training_memory",
    "training_resolution",
    "training_session",
    "under_manager",
]
