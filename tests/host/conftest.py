"""A real ComfyUI in this process, with the pack loaded as the host loads it.

It boots when these tests are collected, so that they can import the host's modules like any others.
"""

import asyncio
import importlib
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from launch.setup import present_host

ROOT = Path(__file__).parent.parent.parent
COMFYUI = present_host().comfyui


def boot(base):
    """Bring up ComfyUI on the CPU with all its nodes and the pack, without a server, and return its `nodes` module."""
    for folder in ("models/checkpoints", "models/embeddings", "custom_nodes", "input", "output", "temp", "user"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(COMFYUI))
    argv = sys.argv
    sys.argv = ["main.py", "--cpu", "--base-directory", str(base)]
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.cli_args

    sys.argv = argv
    import nodes

    asyncio.run(nodes.init_builtin_extra_nodes())
    assert asyncio.run(nodes.load_custom_node(str(ROOT), module_parent="custom_nodes")), "the host refused the pack"
    return nodes


if (COMFYUI / "main.py").is_file():
    BASE = Path(tempfile.mkdtemp(prefix="ldu-host-"))
    NODES = boot(BASE)
else:
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header():
    """Say so when there is no host to test in."""
    if not (COMFYUI / "main.py").is_file():
        return f"host tests left out: no ComfyUI at {COMFYUI}; set COMFYUI_DIR or run `python run.py test`"
    return None


def pytest_sessionfinish():
    """Remove the host's base directory."""
    shutil.rmtree(BASE, ignore_errors=True)


@pytest.fixture(scope="session")
def host():
    """The host's `nodes` module, its node classes, the pack's modules by name, and the base directory."""
    package = str(ROOT).replace(".", "_x_")

    def module(name):
        return importlib.import_module(f"{package}.{name}")

    return SimpleNamespace(nodes=NODES, module=module, base=BASE, classes=NODES.NODE_CLASS_MAPPINGS)


@pytest.fixture(scope="module")
def call(host):
    """Runs a node's execute as the host does and returns its output."""

    def run(node_id, **inputs):
        return host.classes[node_id].execute(**inputs)

    return run


@pytest.fixture
def errors(host):
    """The errors that the pack raises on purpose, which in the host are not those of `ldu`."""
    return host.module("ldu.errors")


@pytest.fixture
def run_prompt():
    """Runs a graph once in a new executor of the host and returns what its nodes show."""
    from .executor import new_executor, run

    return lambda graph, extra_data=None: run(new_executor("CLASSIC"), graph, extra_data)[0]


@pytest.fixture
def executor_mode():
    """The thread-local inference mode that the host's executor runs every node in."""
    with torch.inference_mode():
        yield
