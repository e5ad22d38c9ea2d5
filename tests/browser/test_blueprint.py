"""The one-click Protect, put together by hand: four nodes out of the node library, six wires, Run.

The host keeps no results (--cache-none), as on machines with little memory.
"""

import pytest

from launch import PACK

pytest.importorskip("playwright")

SAMPLE = PACK / "workflows" / "samples" / "ldu_sample_portrait.png"
OPTIONS = ("--cache-none",)
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

pytestmark = pytest.mark.usefixtures("demo_checkpoint")


def test_the_blueprint_dragged_from_the_library_and_wired_by_hand_saves_a_picture_within_the_budget(
    front, place, album, largest_change
):
    front.open_blank()
    front.ask("lookAt", [0, 0, LEGIBLE, 0, 0])
    for name, spot in PLACES.items():
        front.drag_from_library(name, album / "dragged.png", spot)
    for wire in WIRES:
        front.draw_wire(*wire)
    for widget in ("steps", "train_steps", "refine_steps"):
        front.set_everywhere(widget, 1)
    assert front.press_run() is None
    (saved,) = (place / "output").glob(f"{SAMPLE.stem}_protected_*.png")
    assert 0 < largest_change(SAMPLE, saved) <= BUDGET
    front.wait_for_pictures("LDU_SaveProtected")
    front.photograph(album / "blueprint_connected.png", front.whole(), 1.0)
