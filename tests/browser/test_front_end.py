"""The shipped workflows in the real front end, in a headless Chromium; photographs go to a temporary folder."""

import json
import os
import shutil
import sys
from itertools import combinations
from pathlib import Path

import pytest

from launch import PACK
from launch.host import Host
from launch.private import private_folder
from launch.server import serving
from launch.setup import cache_root

pytest.importorskip("playwright")
from tools.front_end import find_chromium, front_end

COMFYUI = Path(os.environ.get("COMFYUI_DIR") or cache_root() / "ComfyUI")
WORKFLOWS = PACK / "workflows"
TEMPLATES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
LEGIBLE = 0.6  # pixels per unit; below that the front end draws no text
TOUCH = 4  # units by which boxes may touch

pytestmark = [
    pytest.mark.skipif(not (COMFYUI / "main.py").is_file(), reason="needs a ComfyUI: run.py test brings one"),
    pytest.mark.skipif(find_chromium() is None, reason="needs a Chromium on the PATH"),
]


@pytest.fixture(scope="module")
def place():
    """A base directory with the samples in it and a file that stands for a trained rho."""
    with private_folder() as folder:
        shutil.copytree(WORKFLOWS / "samples", folder / "input", dirs_exist_ok=True)
        (folder / "models" / "ldu").mkdir(parents=True)
        (folder / "models" / "ldu" / "my_rho.safetensors").touch()
        yield folder


@pytest.fixture(scope="module")
def front(place):
    with serving(Host(Path(sys.executable), COMFYUI), place, cpu=True) as server, front_end(server.address) as page:
        yield page


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    return tmp_path_factory.mktemp("album")


def shared(one, other):
    """Return how far two boxes (x, y, width, height) reach into each other."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return min(across, down)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_opens_whole_and_tidy(front, album, name):
    front.open_template(name)
    nodes = front.nodes()
    assert len(nodes) == len(json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8"))["nodes"])
    assert [node["type"] for node in nodes if node["red"] or not node["known"]] == []
    overlaps = [
        (one["title"], other["title"])
        for one, other in combinations(nodes, 2)
        if shared(one["box"], other["box"]) > TOUCH
    ]
    assert overlaps == []
    front.photograph(album / f"{name}.png", front.whole(), LEGIBLE)
