"""A real ComfyUI in this process, with the pack loaded as the host loads it.

It boots when these tests are collected, so that they can import the host's modules like any others.
"""

import gc
import shutil
import tempfile
from pathlib import Path

import pytest
import torch

from benchmarks.hosting import COMFYUI, boot

HOST = boot(Path(tempfile.mkdtemp(prefix="ldu-host-")), cpu=True) if (COMFYUI / "main.py").is_file() else None
collect_ignore_glob = [] if HOST else ["test_*.py"]


def pytest_report_header():
    """Say so when there is no host to test in."""
    left_out = f"host tests left out: no ComfyUI at {COMFYUI}; set COMFYUI_DIR or run `python run.py test`"
    return None if HOST else left_out


def pytest_sessionfinish():
    """Remove the host's base directory."""
    if HOST:
        shutil.rmtree(HOST.base, ignore_errors=True)


@pytest.fixture(scope="session")
def host():
    """The host's `nodes` module, its node classes, the pack's modules by name, and the base directory."""
    return HOST


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


@pytest.fixture
def no_collector():
    """Nothing that refers to itself is let go of, as in a host between two collections."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
