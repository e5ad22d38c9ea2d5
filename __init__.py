"""Latent Diffusion Unlearning (LDU) for ComfyUI: make pictures useless for unauthorized personalization."""

from typing import Any

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> Any:  # noqa: ANN401  (a ComfyExtension, whose module exists in the host only)
    """Return the extension; imported here so that importing this file costs nothing."""
    from .nodes import LduExtension

    return LduExtension()
