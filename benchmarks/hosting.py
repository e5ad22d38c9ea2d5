"""Bring up the real ComfyUI in this process, with the pack loaded as the host loads it."""

import asyncio
import importlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from launch import PACK
from launch.setup import present_host

COMFYUI = present_host().comfyui


@dataclass(frozen=True)
class Host:
    """A running ComfyUI.

    Args:
        nodes: its module of that name.
        base: its base directory.
    """

    nodes: ModuleType
    base: Path

    @property
    def classes(self) -> dict[str, Any]:
        """Return all node classes by id."""
        return self.nodes.NODE_CLASS_MAPPINGS

    def module(self, name: str) -> ModuleType:
        """Return a module of the pack as the host loaded it."""
        return importlib.import_module(f"{str(PACK).replace('.', '_x_')}.{name}")


@contextmanager
def running(*, cpu: bool) -> Iterator[Host]:
    """Boot ComfyUI with a base directory that is gone afterwards."""
    if not (COMFYUI / "main.py").is_file():
        sys.exit(f"There is no ComfyUI at {COMFYUI}: set COMFYUI_DIR, or run `python run.py test` once.")
    with tempfile.TemporaryDirectory(prefix="ldu-benchmark-") as base:
        host = boot(Path(base), cpu=cpu)
        importlib.import_module("comfy.utils").set_progress_bar_enabled(False)
        yield host


def boot(base: Path, *, cpu: bool) -> Host:
    """Bring up ComfyUI with all its nodes and the pack, without a server, in an empty base directory."""
    for folder in ("models/checkpoints", "models/embeddings", "custom_nodes", "input", "output", "temp", "user"):
        (base / folder).mkdir(parents=True)
    sys.path.insert(0, str(COMFYUI))
    argv = sys.argv
    sys.argv = ["main.py", "--base-directory", str(base), *(["--cpu"] if cpu else [])]
    importlib.import_module("comfy.options").enable_args_parsing()
    importlib.import_module("comfy.cli_args")  # reads sys.argv once
    sys.argv = argv
    nodes = importlib.import_module("nodes")
    asyncio.run(nodes.init_builtin_extra_nodes())
    if not asyncio.run(nodes.load_custom_node(str(PACK), module_parent="custom_nodes")):
        sys.exit("ComfyUI refused to load the pack; its message stands above.")
    return Host(nodes, base)
