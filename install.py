"""Run by ComfyUI-Manager after cloning: makes the folder for trained shifts and says what is missing.

Installs nothing and asks nothing of the network.
"""

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from launch import PACK
from launch.host import NEEDED, dotted, host_version, wanted_version

OLDEST_PYTHON = (3, 10)
OLDEST_TORCH = (2, 4)


def complaints(comfyui: Path | None) -> list[str]:
    """Return one sentence for each thing that is missing or too old."""
    lacking = [name for name in NEEDED if not find_spec(name)]
    found = [f"{', '.join(lacking)} missing: install what ComfyUI's requirements.txt lists."] if lacking else []
    if sys.version_info < OLDEST_PYTHON:
        found.append(f"Python {dotted(OLDEST_PYTHON)} or newer is needed.")
    if installed("torch") and installed("torch") < OLDEST_TORCH:
        found.append(f"torch {dotted(OLDEST_TORCH)} or newer is needed.")
    if comfyui is None:
        found.append("This folder is not inside ComfyUI's custom_nodes: move it there.")
    elif host_version(comfyui) < wanted_version():
        found.append(f"ComfyUI {dotted(wanted_version())} or newer is needed: update it.")
    return found


def installed(package: str) -> tuple[int, ...]:
    """Return the first two numbers of an installed package's version; empty when it is not there."""
    try:
        return tuple(int(part) for part in version(package).split(".")[:2])
    except PackageNotFoundError:
        return ()


def surrounding_comfyui() -> Path | None:
    """Return the ComfyUI that this pack was cloned into."""
    folder = PACK.parent.parent
    return folder if PACK.parent.name == "custom_nodes" and (folder / "main.py").is_file() else None


if __name__ == "__main__":
    host = surrounding_comfyui()
    if host is not None:
        (host / "models" / "ldu").mkdir(parents=True, exist_ok=True)
    missing = complaints(host)
    print("\n".join(f"LDU: {line}" for line in missing) or "LDU: everything needed is there.")
