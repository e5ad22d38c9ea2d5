"""A fresh user's way from the empty canvas to a protected picture on the disk, with every click counted.

Choosing the picture is the user's own and not counted; opening the workflow and starting it are.
"""

import shutil

import pytest

from launch import PACK

pytest.importorskip("playwright")
from tools.front_end import TEMPLATES, front_end

SAMPLE = PACK / "workflows" / "samples" / "ldu_sample_portrait.png"
BUDGET = 10  # levels, as in the workflow
MOST = 3  # clicks
PICTURED = """[...document.querySelectorAll("[data-testid^=template-workflow-]")]
    .filter((card) => card.getBoundingClientRect().bottom <= innerHeight)
    .every((card) => [...card.querySelectorAll("img")].some((picture) => picture.complete && picture.naturalWidth))"""

pytestmark = pytest.mark.usefixtures("demo_checkpoint")


class Hand:
    """Clicks as people do, on what nothing lies over, and counts."""

    def __init__(self):
        self.clicks = 0

    def click(self, element):
        element.click()
        self.clicks += 1


def in_the_greeting(front, hand):
    """Take the card from the list that ComfyUI opens at its very first start."""
    hand.click(front.page.get_by_text("ldu", exact=True).first)
    return front.page.get_by_test_id("template-workflow-protect")


def by_a_search(front, hand):
    """Open the list, go to its search with the Tab key and type what is looked for."""
    hand.click(front.page.get_by_role("button", name="Templates"))
    front.page.get_by_test_id(TEMPLATES).wait_for()
    while not front.page.get_by_placeholder("Search ...").evaluate("(it) => it === document.activeElement"):
        front.page.keyboard.press("Tab")
    front.page.keyboard.type("protect")
    return front.page.get_by_test_id("template-workflow-protect")


@pytest.mark.parametrize("way", [in_the_greeting, by_a_search])
def test_three_clicks_lead_from_the_empty_canvas_to_the_saved_picture(
    server, place, album, tmp_path, largest_change, way
):
    picture = tmp_path / f"holiday_{way.__name__}.png"
    shutil.copyfile(SAMPLE, picture)
    newcomer = way is in_the_greeting
    with front_end(server.address, greeting=newcomer) as front:
        if not newcomer:  # a user of ComfyUI who has the pack since today
            front.reload()
            front.open_blank()
        assert front.nodes() == []
        front.ask("countPresses")
        hand = Hand()
        card = way(front, hand)
        card.wait_for()
        front.page.wait_for_function(PICTURED)
        front.page.screenshot(path=album / f"{way.__name__}.png", animations="disabled")
        hand.click(card)
        front.wait_until("opened", "protect")
        front.wait_until_settled()
        assert front.ask("pressed") == hand.clicks
        front.choose_picture(picture)
        choosing = front.ask("pressed") - hand.clicks
        front.page.screenshot(path=album / f"{way.__name__}_chosen.png", animations="disabled")
        front.set_on("LDU_TextualInversion", "steps", 1)  # for a short test, no part of the way
        front.set_on("LDU_MeasureLoss", "draws", 2)
        front.set_on("LDU_TrainRho", "steps", 2)
        front.set_on("LDU_RefinePixels", "steps", 1)
        job, refused = front.start_run(hand.click)
        assert refused is None
        assert front.wait_for_end(job) is None
        assert front.ask("pressed") == hand.clicks + choosing
        front.wait_for_pictures("LDU_SaveProtected")
        told = front.page.get_by_role("alert").filter(has_text="LDU").inner_text()
        assert f"{picture.stem}_protected_00001_.png" in told
        assert "does not protect against Stable Diffusion" in told
        front.photograph_window(album / f"{way.__name__}_saved.png")
    assert hand.clicks <= MOST
    (saved,) = (place / "output").glob(f"{picture.stem}_protected_*.png")
    assert 0 < largest_change(picture, saved) <= BUDGET
