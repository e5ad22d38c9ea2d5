"""Latent Diffusion Unlearning (LDU) for ComfyUI: make pictures harder to use for unauthorized personalization."""

import re
from typing import Any

WEB_DIRECTORY = "./web"
OLDEST_COMFYUI = (0, 30, 0)  # as in pyproject.toml


async def comfy_entrypoint() -> Any:  # noqa: ANN401  (a ComfyExtension, whose module exists in the host only)
    """Return the extension; imported here so that importing this file costs nothing."""
    _require_version()
    from .nodes import LduExtension

    return LduExtension()


def _require_version() -> None:
    """Refuse an older ComfyUI in a sentence: it would say which of its names are not there, now or in mid-work.

    Raises:
        ImportError: with what to do; the host logs it and goes on without this pack.
    """
    try:
        from comfyui_version import __version__ as found
    except ImportError:  # a host that does not tell
        return
    if tuple(map(int, re.findall(r"\d+", found)[:3])) < OLDEST_COMFYUI:
        wanted = ".".join(map(str, OLDEST_COMFYUI))
        raise ImportError(f"LDU needs ComfyUI {wanted} or newer, but this is {found}: update ComfyUI.")
