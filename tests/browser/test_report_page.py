"""The saved page of a Protection Report, as a browser draws it, and what a node says of a list."""

from dataclasses import replace

import pytest
import torch

from ldu.evidence.page import page
from ldu.evidence.record import Losses, PictureEntry, Purified, Report
from ldu.evidence.thumbnails import thumbnails
from ldu.flatness import measure_flat
from ldu.metrics import measure_visibility

pytest.importorskip("playwright")
from launch.checks import find_chromium
from tools.report_page import measure_bars, open_report

LOSSES = Losses(0.10, 0.20, 0.11, (0.05, 0.12))
KEPT = {"none": 1.25, "jpeg 75": 0.5, "noise 0.05": 0.1, "resize 0.5": 0.0, "blur 5": -0.2, "platform 2048": None}

SAY = """(runs) => {
    const node = LiteGraph.createNode("LDU_SaveProtected");
    app.graph.add(node);
    for (const output of runs) node.onExecuted(output);
    const box = node.widgets.find((each) => each.name === "said");
    app.graph.remove(node);
    return box?.value;
}"""

RUN = """([text, cached]) => {
    const tell = (name, detail) => window.comfyAPI.api.api.dispatchEvent(new CustomEvent(name, { detail }));
    tell("execution_start", {});
    tell("execution_cached", { nodes: cached ? ["7"] : [] });
    tell("executed", { node: "7", output: { ldu_aloud: [text] } });
    tell("execution_success", {});
}"""

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="needs a Chromium on the PATH")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A report with the losses and the survivals above, of one small picture."""
    before = torch.full((1, 3, 24, 32), 128.0)
    after = before + 9 * torch.rand(before.shape, generator=torch.Generator().manual_seed(0)).round()
    change = measure_visibility(before, after), measure_flat(before, after)
    entry = PictureEntry("photo.jpg", 32, 24, *change)
    purified = tuple(Purified(name, replace(LOSSES, after=0.15), kept) for name, kept in KEPT.items())
    file = tmp_path_factory.mktemp("report") / "report.html"
    report = Report("2026-01-31", 10.0, (entry,), (LOSSES,), purified)
    file.write_text(page(report, [thumbnails(before, after, 10)]), "utf-8")
    return file


@pytest.mark.parametrize("width", [1100, 500])
def test_the_bars_of_the_report_are_as_long_as_their_numbers_say(saved, album, width):
    with open_report(saved, width) as shown:
        survived, worst = measure_bars(shown, "After a purifier")
        losses, protected = measure_bars(shown, "A thief's loss")
        shown.screenshot(path=album / f"report_{width}.png", full_page=True, animations="disabled")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width  # nothing runs out of the page
    most = max(filter(None, KEPT.values()))
    assert survived == pytest.approx({name: max(0, kept or 0) / most for name, kept in KEPT.items()}, abs=0.005)
    assert worst == ["blur 5"]
    assert list(losses.values()) == pytest.approx([0.10 / 0.20, 1, 0.11 / 0.20], abs=0.005)
    assert protected == ["protected"]


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["34 kB.\nPublish it.", "35 kB.\nPublish it.", "34 kB.\nPublish it."], "35 kB.\n34 kB.\nPublish it."),
        (["A\n\nB\n\nB"], "A\n\nB\n\nB"),  # one text is shown as it is
    ],
)
def test_a_node_that_worked_on_a_list_says_each_sentence_once(front, texts, shown):
    assert front.page.evaluate(SAY, [{"text": texts}]) == shown


@pytest.mark.parametrize(("later", "shown"), [({"text": [""]}, None), ({"images": []}, "It shows."), ({}, "It shows.")])
def test_a_node_with_nothing_to_say_any_more_takes_back_what_it_said(front, later, shown):
    assert front.page.evaluate(SAY, [{"text": ["It shows."]}, later]) == shown


def message(front, zoom, text, cached=False):
    """Act a run whose one node has something to say aloud, and return the messages then."""
    front.page.evaluate("(zoom) => { app.canvas.ds.changeScale(zoom); app.canvas.setDirty(true, true); }", zoom)
    front.page.wait_for_timeout(500)
    front.page.evaluate(RUN, [text, cached])
    front.page.wait_for_timeout(500)
    return front.page.get_by_role("alert").filter(has_text="LDU").all_inner_texts()


@pytest.mark.parametrize(("zoom", "cached"), [(0.3, False), (0.3, True), (1.0, False)])
def test_where_no_word_can_be_read_a_message_says_what_a_run_did(front, zoom, cached):
    said = message(front, zoom, "a.png: PNG, 9 kB.", cached)
    assert ["a.png: PNG, 9 kB." in each for each in said] == [True] * (zoom < 1 and not cached)


def test_the_message_of_an_earlier_run_goes_when_another_begins(front):
    assert len(message(front, 0.3, "first.png")) == 1
    (second,) = message(front, 0.3, "second.png")
    assert "second.png" in second
    assert message(front, 1.0, "third.png") == []


def test_of_a_long_message_the_beginning_and_what_holds_for_all_is_shown(front):
    (said,) = message(front, 0.3, "\n".join([*(f"{each}.png" for each in range(200)), "Publish it."]))
    assert "(189 lines more on the node)" in said
    assert "0.png" in said
    assert said.endswith("Publish it.")
    assert "100.png" not in said
