"""What this pack draws on its nodes, in the front end's other way of drawing nodes ("Nodes 2.0", off by default)."""

import pytest

from launch import PACK

pytest.importorskip("playwright")
from tools.front_end_view import PATIENCE

SAMPLE = PACK / "workflows" / "samples" / "ldu_sample_portrait.png"
SETTING = "(value) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', value)"
PROMPT = {
    "1": {"class_type": "LDU_LoadPicture", "inputs": {"image": SAMPLE.name}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {"class_type": "LDU_Compare", "inputs": {"original": ["1", 0], "protected": ["2", 0], "gain": 10.0}},
}
SEEN = """(name) => [...document.querySelectorAll(`[data-node-id] ${name}`)]
    .filter((it) => it.checkVisibility())
    .map((it) => {
        const words = document.createRange();
        words.selectNodeContents(it);
        const scale = it.getBoundingClientRect().height / it.offsetHeight;
        const spare = it.clientHeight - words.getBoundingClientRect().height / scale;
        return { text: it.innerText, hidden: Math.max(0, it.scrollHeight - it.clientHeight), spare };
    })"""
DRAWN = ["LDU_TextualInversion", "LDU_TrainRho", "LossGraphNode", "LDU_SaveProtected"]
SPOKEN = {
    "LDU_TextualInversion": "2 steps in",
    "LDU_TrainRho": "price of visibility",
    "LDU_InvertToZT": "corrections, step by step",
    "LDU_ApplyRhoShift": "trained for",
    "LDU_Compare": "of 255 levels",
    "LDU_SaveProtected": "take the original down",
    "LDU_MeasureLoss": "random noise",
}
SAID, VIEW = ".ldu-said", "[data-node-id] .ldu-compare .view"
TEMPLATES = sorted(path.stem for path in (PACK / "workflows").glob("*.json"))
LEGIBLE = 0.6  # pixels per unit; below that the front end draws no text
MARGINS = 12  # pixels above and below the text of a box, both together
LOWEST = 100  # pixels of the window that the compared pictures must be high to be of any use


@pytest.fixture(scope="module")
def new_front(front):
    """The page with the other way switched on."""
    front.page.evaluate(SETTING, True)
    front.reload()
    return front


def open_short_protect(new_front):
    """Open the template with two steps and draws everywhere."""
    new_front.open_template("protect")
    for widget in ("steps", "draws"):
        new_front.set_everywhere(widget, 2)


def test_compare_shows_its_pictures_its_words_and_a_divider_that_follows_the_pointer(new_front, album):
    new_front.open_blank()
    new_front.page.evaluate("(prompt) => app.loadApiJson(prompt, 'compared')", PROMPT)
    new_front.wait_until_settled()
    assert new_front.press_run() is None
    new_front.wait_until("compares", 1)
    new_front.photograph_window(album / "new_nodes.png")
    said = new_front.page.evaluate(SEEN, SAID)
    assert any("of 255 levels" in each["text"] for each in said)
    assert [each for each in said if each["hidden"] or each["spare"] > MARGINS] == []
    box = new_front.page.locator(VIEW).bounding_box()
    assert box["height"] >= LOWEST
    edges = []
    for share in (0.25, 0.75):
        new_front.page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=5)
        edges.append(new_front.ask("compared")["edge"])
    assert edges[0] != edges[1]
    graph = new_front.ask("view")
    new_front.page.locator(VIEW).click()  # in this way of drawing the wheel is the graph's until something has focus
    new_front.page.mouse.wheel(0, -100)
    new_front.page.wait_for_function("() => ldu.compared().zoom.endsWith('scale(1.25)')", timeout=PATIENCE)
    assert new_front.ask("view") == graph  # the graph itself was not zoomed


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_opens_tidy(new_front, name):
    new_front.open_template(name)
    assert new_front.overlaps() == []
    assert new_front.strays() == []


@pytest.mark.usefixtures("demo_checkpoint")
def test_after_a_run_every_node_shows_its_words_and_pictures_and_lies_where_it_should(new_front, album):
    open_short_protect(new_front)
    assert new_front.press_run() is None
    new_front.wait_until("pictured", DRAWN)
    new_front.wait_until("compares", 1)
    new_front.photograph(album / "new_protect.png", new_front.whole(), LEGIBLE)
    for node_type, part in SPOKEN.items():
        said = new_front.said(node_type)
        assert said
        assert [each for each in said if part not in each["text"] or each["hidden"]] == []
    assert new_front.overlaps() == []
    assert new_front.strays() == []


@pytest.mark.usefixtures("demo_checkpoint")
def test_a_node_that_refuses_its_input_says_why_on_itself_and_is_marked(new_front, album):
    open_short_protect(new_front)
    new_front.set_on("LDU_TextualInversion", "prompt", "a photo of nobody")
    sentence = new_front.press_run()
    assert sentence.startswith("The prompt must hold S* once")
    new_front.wait_until("saying", ["LDU_TextualInversion", sentence])
    assert new_front.ask("blamed") == ["LDU_TextualInversion"]
    new_front.photograph_node(album / "new_refusing.png", "Textual Inversion: an independent judge")
    assert [each["hidden"] for each in new_front.page.evaluate(SEEN, SAID) if sentence in each["text"]] == [0]
