"""What the tests in a browser have in common: a ComfyUI of their own, its page, and where the photographs go.

tools.front_end needs playwright, which not everybody has: it is imported where it is needed, after the tests asked.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from launch import PACK
from launch.checks import find_chromium
from launch.private import private_folder
from launch.server import serving
from launch.setup import present_host
from launch.ui import put_samples


@pytest.fixture(scope="session")
def album(tmp_path_factory):
    """The folder that LDU_ALBUM names, or one that is thrown away."""
    chosen = os.environ.get("LDU_ALBUM")
    if not chosen:
        return tmp_path_factory.mktemp("album")
    folder = Path(chosen).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def demo_checkpoint():
    """Skips whoever needs the demo's weights where they are missing."""
    if not (PACK / "demo/weights/ldu_demo.safetensors").is_file():
        pytest.skip("needs the demo checkpoint")


@pytest.fixture(scope="module")
def place():
    """A base directory with the samples in its input folder."""
    with private_folder() as folder:
        put_samples(folder / "input")
        yield folder


@pytest.fixture(scope="module")
def server(request, place):
    """A ComfyUI in that place, started with the module's OPTIONS if it has any."""
    host = present_host()
    if not (host.comfyui / "main.py").is_file():
        pytest.skip("needs a ComfyUI: run.py test brings one")
    if find_chromium() is None:
        pytest.skip("needs a Chromium on the PATH")
    options = getattr(request.module, "OPTIONS", ())
    with serving(host, place, cpu=True, options=options) as running:
        yield running


@pytest.fixture(scope="module")
def front(server):
    """The page of that ComfyUI."""
    from tools.front_end import front_end

    with front_end(server.address) as page:
        yield page


@pytest.fixture(scope="session")
def largest_change():
    """Measures by how many levels a saved picture differs from its original, as files."""

    def measure(original, saved):
        with Image.open(original) as before, Image.open(saved) as after:
            return np.abs(np.asarray(after, int) - np.asarray(before.convert("RGB"), int)).max()

    return measure
