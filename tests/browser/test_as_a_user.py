"""What people do to a run: give a wrong input, cancel it, reload the page, look closely; and how far Run is away."""

import json
import re

import pytest
from safetensors import safe_open

from launch import PACK

pytest.importorskip("playwright")

SAMPLES = PACK / "workflows" / "samples"
SAMPLE_WIDTH = 320  # pixels

pytestmark = pytest.mark.usefixtures("demo_checkpoint")


def open_protect(front, steps):
    """Open the template with all but the training short, and so many steps of training."""
    front.open_template("protect")
    front.set_on("LDU_TextualInversion", "steps", 1)
    front.set_on("LDU_MeasureLoss", "draws", 2)
    front.set_on("LDU_RefinePixels", "steps", 1)
    front.set_on("LDU_TrainRho", "steps", steps)


def saved(place):
    return list((place / "output").glob("ldu_sample_*_protected_*.png"))


def unfinished(place):
    return list((place / "user" / "ldu" / "unfinished").glob("*.safetensors"))


def state(file):
    with safe_open(file, framework="pt") as opened:
        return json.loads(opened.metadata()["ldu.state"])


def losses(file):
    with safe_open(file, framework="pt") as opened:
        return json.loads(opened.metadata()["ldu.rho"])["card"]["training"]["losses"]


def test_a_wrong_input_is_told_in_one_sentence_and_its_node_is_marked(front, album):
    open_protect(front, 2)
    front.set_on("LDU_Compare", "gain", 0)
    assert "gain" in front.press_run()
    assert front.ask("blamed") == ["LDU_Compare"]
    assert front.ask("refusedInputs") == {"LDU_Compare": ["gain"]}
    assert "Compare - gain" in front.read_errors(album / "refused_input.png")
    front.set_on("LDU_Compare", "gain", 10)
    front.set_on("LDU_TextualInversion", "prompt", "a photo of nobody")
    sentence = front.press_run()
    assert sentence.startswith("The prompt must hold S* once")
    front.wait_until("blamed")
    assert front.ask("blamed") == ["LDU_TextualInversion"]
    front.wait_until("saying", ["LDU_TextualInversion", sentence])
    front.photograph_node(album / "refusing.png", "Textual Inversion: an independent judge")
    assert sentence in front.read_errors(album / "wrong_input.png")


def test_a_cancelled_training_goes_on_where_it_was(front, place, album):
    open_protect(front, 60)
    job, refused = front.start_run()
    assert refused is None
    front.wait_until("saying", ["LDU_TrainRho", "60 steps, about"])  # the estimate, before the first step
    front.wait_until("saying", ["LDU_TrainRho", "steps to go, about"])
    front.cancel()
    assert front.wait_for_end(job) == "The work was interrupted."
    front.photograph_node(album / "cancelled.png", "LDU_TrainRho")
    (kept,) = unfinished(place)
    before = state(kept)
    assert 10 <= before["step"] < 60
    front.set_on("LDU_TrainRho", "steps", before["step"] + 1)
    assert front.press_run() is None
    assert unfinished(place) == []
    (finished,) = (place / "output" / "ldu").glob(f"rho_*_{before['step'] + 1}.safetensors")
    assert losses(finished)[:-1] == before["losses"]
    front.photograph_node(album / "continued.png", "LDU_TrainRho")


def test_a_reload_in_the_middle_of_a_run_loses_neither_the_workflow_nor_the_result(front, place, album):
    before = saved(place)
    open_protect(front, 13)
    front.set_on("LDU_RefinePixels", "steps", 80)  # the run must outlast the reload
    nodes = [node["type"] for node in front.nodes()]
    job, _ = front.start_run()
    front.wait_until("saying", ["LDU_TrainRho", "about"])  # the estimate, or soon what is left of it
    front.reload()
    front.photograph_window(album / "reloaded.png")
    assert [node["type"] for node in front.nodes()] == nodes
    assert front.wait_for_end(job) is None
    assert len(saved(place)) == len(before) + 1
    front.photograph_node(album / "result_after_reload.png", "LDU_SaveProtected")  # unseen it has none
    front.wait_for_pictures("LDU_SaveProtected")
    front.wait_until("saying", ["LDU_Compare", "of 255 levels"])


def test_compare_shows_before_and_after_at_the_pointer_and_zooms_to_the_pixels(front, album):
    front.photograph_node(album / "compare.png", "LDU_Compare")
    shown = front.ask("compared")
    assert shown["widths"] == [SAMPLE_WIDTH] * 3
    assert shown["shown"] == ["before", "after"]
    view = front.page.locator(".ldu-compare:visible .view")
    box = view.bounding_box()
    front.page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    edge = float(re.search(r"([\d.]+)px\)", front.ask("compared")["edge"])[1])
    assert edge == pytest.approx(view.evaluate("(it) => it.clientWidth") / 4, rel=0.05)
    graph = front.ask("view")
    for _ in range(8):
        front.page.mouse.wheel(0, -100)
    front.page.wait_for_function("() => /scale\\(5\\.9/.test(ldu.compared().zoom)")
    assert front.ask("view") == graph  # the graph itself was not zoomed
    front.photograph_node(album / "compare_near.png", "LDU_Compare")
    view.dblclick()
    assert "scale(1)" in front.ask("compared")["zoom"]
    front.page.get_by_role("button", name="difference", exact=True).click()
    assert front.ask("compared")["shown"] == ["difference"]
    front.photograph_node(album / "compare_difference.png", "LDU_Compare")


def test_one_click_leads_from_the_chosen_picture_to_the_saved_one(front, place):
    before = saved(place)
    open_protect(front, 2)
    front.set_on("LDU_LoadPicture", "image", sorted(file.name for file in SAMPLES.glob("*.png"))[0])
    front.ask("countClicks")
    assert front.press_run() is None
    assert len(saved(place)) == len(before) + 1
    assert front.ask("clicked") == 1
