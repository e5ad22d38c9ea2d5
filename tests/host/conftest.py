"""A real ComfyUI in this process, with the pack loaded as the host loads it, and small real models of its classes."""

import asyncio
import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

ROOT = Path(__file__).parent.parent.parent


def find_comfyui():
    cache = os.environ.get("LDU_CACHE") or Path.home() / ".cache" / "comfyui-ldu"
    return Path(os.environ.get("COMFYUI_DIR") or Path(cache) / "ComfyUI")


def boot(comfyui, base):
    for folder in ("models/checkpoints", "models/embeddings", "custom_nodes", "input", "output", "temp", "user"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(comfyui))
    argv = sys.argv
    sys.argv = ["main.py", "--cpu", "--base-directory", str(base)]
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.cli_args  # noqa: F401  (reads sys.argv once, at import)

    sys.argv = argv
    import nodes

    asyncio.run(nodes.init_builtin_extra_nodes())
    assert asyncio.run(nodes.load_custom_node(str(ROOT), module_parent="custom_nodes")), "the host refused the pack"
    return nodes


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """ComfyUI's `nodes` module after boot, the pack's modules by name, and the base directory."""
    comfyui = find_comfyui()
    if not (comfyui / "main.py").is_file():
        pytest.skip(f"there is no ComfyUI at {comfyui}: set COMFYUI_DIR or run `python run.py test` once")
    base = tmp_path_factory.mktemp("comfyui")
    nodes = boot(comfyui, base)
    package = str(ROOT).replace(".", "_x_")

    def module(name):
        return importlib.import_module(f"{package}.{name}")

    return SimpleNamespace(nodes=nodes, module=module, base=base, classes=nodes.NODE_CLASS_MAPPINGS)


@pytest.fixture
def executor_mode():
    """The thread-local inference mode that the host's executor runs every node in."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="session")
def tiny(host):
    """Small random MODEL, CLIP and VAE objects of the host's own classes."""
    del host
    from . import tiny_models  # the host must be up before its classes are imported

    return tiny_models
