"""Each template as a user meets it: a click on its card, a click on Run, and what is then to be seen on its nodes.

Steps are few, so that this is about the way and not about protection. The host keeps few results (--cache-lru).
"""

import json
from types import SimpleNamespace

import pytest

from launch import PACK

pytest.importorskip("playwright")
from tools.report_page import measure_bars, open_report

WORKFLOWS = PACK / "workflows"
LEGIBLE = 0.6  # pixels per unit; below that the front end draws no text
OPTIONS = ("--cache-lru=10",)  # nodes whose results the host keeps
JUDGED, COMPARED = ("LDU_MeasureLoss", "random noise"), ("LDU_Compare", "of 255 levels")
SAVED = {"LDU_SaveProtected"}


def template(few, words, pictures=()):
    """What to make short by its widgets, which words are seen on which nodes, and which nodes show a picture.

    Two steps, for the host's plot of a loss cannot draw a single one.
    """
    return SimpleNamespace(few={"steps": 2, "draws": 2} | few, words=dict(words), pictures=set(pictures))


TEMPLATES = {  # in the order that a user needs: what the first one saves is the second one's input
    "train_rho_on_folder": template({}, [("LDU_SaveRho", "ldu/my_rho")], {"LDU_TrainRho", "LossGraphNode"}),
    "protect_with_trained_rho": template({}, [("LDU_LoadRho", "my_rho.safetensors"), COMPARED, JUDGED], SAVED),
    "protect_with_decoy": template(
        {}, [("LDU_ChooseDecoy", "A thief shall learn"), COMPARED], {"PreviewImage", *SAVED}
    ),
    "protect": template({}, [COMPARED, JUDGED], {"LDU_TrainRho", "LossGraphNode", *SAVED}),
    "protect_as_published": template({}, [COMPARED, JUDGED], {"LDU_TrainRho", "LossGraphNode", *SAVED}),
    "protect_folder": template(
        {"refine_steps": 2}, [("LDU_ProtectFolder", "4 saved"), COMPARED, JUDGED], {"LDU_ProtectFolder"}
    ),
    "compare_methods": template({"train_steps": 1, "refine_steps": 1}, [COMPARED, JUDGED]),
    "stress_test": template(
        {"train_steps": 1, "pictures": 2, "purifiers": "jpeg 50"},
        [("LDU_ThiefsGallery", "DreamBooth-LoRA: worst for you"), ("LDU_ProtectionReport", "jpeg 50")],
        {"LDU_ThiefsGallery", *SAVED},
    ),
}

pytestmark = pytest.mark.usefixtures("demo_checkpoint")


def check_that_it_was_short(job):
    """Check that what was set on the page, also on nodes that are subgraphs, is what the server was given."""
    given = [node["inputs"].items() for node in job["prompt"][2].values()]
    steps = [value for inputs in given for name, value in inputs if name in ("steps", "amount", "draws")]
    assert {step for step in steps if isinstance(step, int)} <= {1, 2}


def check_what_is_seen(front, expected):
    """Check that every node of a type says its words, all in sight, and that every picture is there."""
    for node_type, part in expected.words.items():
        said = front.said(node_type)
        assert len(said) == sum(node["type"] == node_type for node in front.nodes())
        assert [each for each in said if part not in each["text"] or each["hidden"]] == []
    compares = sum(node["type"] == "LDU_Compare" for node in front.nodes())
    front.wait_until("compares", compares)
    assert [node["type"] for node in front.nodes() if node["red"]] == []


def test_every_template_is_tried():
    assert {file.stem for file in WORKFLOWS.glob("*.json")} == set(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_opened_run_and_shows_its_result(front, album, name):
    expected = TEMPLATES[name]
    front.open_template(name)
    for widget, value in expected.few.items():
        front.set_everywhere(widget, value)
    if name == "stress_test":
        front.set_on("PrimitiveInt", "value", 2)  # the steps on the pixels, which stand there beside the seeds
    job, refused = front.start_run()
    assert refused is None
    assert front.wait_for_end(job) is None
    check_that_it_was_short(front.ask("finished", job))
    front.wait_for_pictures(*expected.pictures)
    front.photograph(album / f"result_{name}.png", front.whole(), LEGIBLE)
    check_what_is_seen(front, expected)


def test_the_report_of_the_stress_test_shows_as_much_of_each_bar_as_survived(front, place, album):
    (report,) = (place / "output").rglob("ldu_report*.html")
    told = json.loads(report.with_suffix(".json").read_text("utf-8"))["purified"]
    survived = {each["purifier"]: each["kept"] or 0 for each in told}
    most = max(1, *survived.values())
    with open_report(report, 1100, front.page.context.browser) as shown:
        bars, _ = measure_bars(shown, "After a purifier")
        shown.screenshot(path=album / "report.png", full_page=True, animations="disabled")
    assert bars == pytest.approx({name: max(0, kept) / most for name, kept in survived.items()}, abs=0.005)
