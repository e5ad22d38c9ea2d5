"""The one-click Protect, put together by hand: four nodes out of the node library, six wires, Run.

The host keeps no results (--cache-none), as on machines with little memory.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from launch import PACK
from launch.host import Host
from launch.private import private_folder
from launch.server import serving
from launch.setup import cache_root

pytest.importorskip("playwright")
from tools.front_end import find_chromium, front_end

COMFYUI = Path(os.environ.get("COMFYUI_DIR") or cache_root() / "ComfyUI")
SAMPLE = PACK / "workflows" / "samples" / "ldu_sample_portrait.png"
LEGIBLE = 0.65  # pixels per unit; below 0.6 the front end draws no text
BUDGET = 10  # levels, as the blueprint has it
PLACES = {  # pixels of the window, beside the library
    "Load Demo Checkpoint": (480, 190),
    "Load Picture": (480, 420),
    "Save Protected": (1200, 300),
    "LDU Protect": (840, 300),
}
WIRES = [  # from the output of a node to the input of another
    ("Load Demo Checkpoint", "model", "LDU Protect", "model"),
    ("Load Demo Checkpoint", "clip", "LDU Protect", "clip"),
    ("Load Demo Checkpoint", "vae", "LDU Protect", "vae"),
    ("Load Picture", "image", "LDU Protect", "image"),
    ("Load Picture", "info", "Save Protected", "info"),
    ("LDU Protect", "protected", "Save Protected", "image"),
]

pytestmark = [
    pytest.mark.skipif(not (COMFYUI / "main.py").is_file(), reason="needs a ComfyUI: run.py test brings one"),
    pytest.mark.skipif(find_chromium() is None, reason="needs a Chromium on the PATH"),
    pytest.mark.skipif(not (PACK / "demo/weights/ldu_demo.safetensors").is_file(), reason="needs the demo checkpoint"),
]


@pytest.fixture(scope="module")
def place():
    with private_folder() as folder:
        (folder / "input").mkdir(exist_ok=True)
        shutil.copy(SAMPLE, folder / "input")
        yield folder


@pytest.fixture(scope="module")
def front(place):
    host = Host(Path(sys.executable), COMFYUI)
    with serving(host, place, cpu=True, options=("--cache-none",)) as server, front_end(server.address) as page:
        yield page


def largest_change(protected):
    with Image.open(protected) as after, Image.open(SAMPLE) as before:
        return np.abs(np.asarray(after, int) - np.asarray(before.convert("RGB"), int)).max()


def test_the_blueprint_dragged_from_the_library_and_wired_by_hand_saves_a_picture_within_the_budget(
    front, place, album
):
    front.open_blank()
    front.ask("lookAt", [0, 0, LEGIBLE, 0, 0])
    for name, spot in PLACES.items():
        front.drag_from_library(name, album / "dragged.png", spot)
    for wire in WIRES:
        front.draw_wire(*wire)
    for widget in ("steps", "train_steps"):
        front.set_everywhere(widget, 1)
    assert front.press_run() is None
    (saved,) = (place / "output").glob(f"{SAMPLE.stem}_protected_*.png")
    assert 0 < largest_change(saved) <= BUDGET
    front.wait_for_pictures("LDU_SaveProtected")
    front.photograph(album / "blueprint_connected.png", front.whole(), 1.0)
