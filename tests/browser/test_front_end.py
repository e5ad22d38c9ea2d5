"""The shipped workflows in the real front end, in a headless Chromium; photographs go to a temporary folder."""

import json
import shutil

import pytest

from launch import PACK

pytest.importorskip("playwright")

WORKFLOWS = PACK / "workflows"
TEMPLATES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
LEGIBLE = 0.6  # pixels per unit; below that the front end draws no text
BLUEPRINTS = [  # with a node inside, and what the photograph of the inside is called
    ("LDU Protect", "LDU_TrainRho", "inside"),
    ("LDU Stress Test", "LDU_ThiefsGallery", "inside_stress_test"),
    ("LDU DreamBooth-LoRA Attack", "TrainLoraNode", "inside_lora_attack"),
]
SAID = {
    "LDU_LoadPicture": "nothing converted",
    "LDU_TrainRho": "price of visibility",
    "LDU_InvertToZT": "corrections, step by step",
    "LDU_Compare": "of 255 levels",
    "LDU_MeasureLoss": "random noise",
}


def check_what_is_said(front):
    """Check that the nodes show what they found, and all of it."""
    for node_type, part in SAID.items():
        (said,) = front.said(node_type)
        assert part in said["text"]
        assert said["hidden"] == 0


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_opens_whole_and_tidy(front, album, name):
    front.open_template(name)
    nodes = front.nodes()
    assert len(nodes) == len(json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8"))["nodes"])
    assert [node["type"] for node in nodes if node["red"] or not node["known"]] == []
    assert front.overlaps() == []
    front.photograph(album / f"{name}.png", front.whole(), LEGIBLE)


@pytest.mark.parametrize(("name", "inner", "photograph"), BLUEPRINTS, ids=[name for name, *_ in BLUEPRINTS])
def test_a_blueprint_is_dragged_from_the_node_library_and_opens_whole(front, album, name, inner, photograph):
    front.open_blank()
    front.drag_from_library(name, album / f"library{photograph.removeprefix('inside')}.png")
    (node,) = front.nodes()
    assert node["known"]
    assert not node["red"]
    front.open_inside()
    inside = front.nodes()
    assert inner in front.types()
    assert [node["type"] for node in inside if node["red"] or not node["known"]] == []
    assert front.overlaps() == []
    front.photograph(album / f"{photograph}.png", front.whole(), LEGIBLE)


def test_run_without_a_trained_rho_says_what_to_do(front, place):
    shutil.rmtree(place / "output" / "ldu", ignore_errors=True)
    front.open_template("protect_with_trained_rho")
    assert "run the workflow train_rho_on_folder first" in front.press_run()


@pytest.mark.usefixtures("demo_checkpoint")
def test_a_click_on_run_saves_the_protected_picture_and_shows_the_results(front, place, album):
    front.open_template("protect")
    for widget, value in (("steps", 2), ("draws", 2)):
        front.set_everywhere(widget, value)
    assert front.press_run() is None
    assert len(list((place / "output").glob("ldu_sample_portrait_protected_*.png"))) == 1
    front.wait_for_pictures("LDU_SaveProtected", "LDU_TrainRho")
    front.photograph(album / "after_run.png", front.whole(), LEGIBLE)
    front.page.wait_for_function("() => ldu.compared().widths.filter(Boolean).length === 3")
    assert front.overlaps() == []
    check_what_is_said(front)
    front.open_blank()
    front.open_previous("protect")
    check_what_is_said(front)
