"""Load Picture Folder with increment: each run that Run queues takes the next picture, until all are done."""

import pytest

pytest.importorskip("playwright")

FOLDER, COUNT = "ldu_sample_person", 4
SENTENCE = f"Picture {COUNT + 1} was asked for"
PROMPT = {
    "1": {"class_type": "LDU_LoadPictureFolder", "inputs": {"folder": FOLDER, "number": 1}},
    "2": {
        "class_type": "LDU_SaveProtected",
        "inputs": {"image": ["1", 0], "info": ["1", 2], "filename_prefix": "copy_%name%", "metadata": False},
    },
}
INCREMENT_AND_QUEUE = """(runs) => {
    const [folder] = app.graph.findNodesByType("LDU_LoadPictureFolder");
    folder.widgets.find((widget) => widget.name === "number").linkedWidgets[0].value = "increment";
    app.extensionManager.queueSettings.batchCount = runs;
}"""


def test_with_increment_each_queued_run_takes_the_next_picture_and_one_too_many_says_that_all_are_done(
    front, place, album
):
    front.open_blank()
    front.page.evaluate("(prompt) => app.loadApiJson(prompt, 'one_by_one')", PROMPT)
    front.wait_until_settled()
    front.page.evaluate(INCREMENT_AND_QUEUE, COUNT + 1)
    front.start_run()
    front.wait_until("saying", ["LDU_LoadPictureFolder", SENTENCE])
    assert SENTENCE in front.read_errors(album / "all_pictures_done.png")
    assert front.ask("holds", ["LDU_LoadPictureFolder", "number", COUNT + 2])
    saved = sorted(path.name for path in (place / "output").glob("copy_*"))
    assert saved == [f"copy_{number}_00001_.png" for number in range(1, COUNT + 1)]
