"""What Save Protected says of a file, and what it gives on."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from .picture_files import colours, folder, put_input, random_image

pytestmark = pytest.mark.usefixtures("executor_mode")


def save(call, image, **inputs):
    return call("LDU_SaveProtected", image=image, filename_prefix="%name%_protected", metadata=False, **inputs)


@pytest.mark.parametrize(("file_format", "kind"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_what_is_given_on_is_what_the_files_readers_see(call, file_format, kind):
    put_input("given.png", colours(40, 40))
    original, _, info = call("LDU_LoadPicture", image="given.png").args
    protected = ((original * 255 + 3).clamp(max=255).round()) / 255
    output = save(call, protected, info=info, original=original, file_format=file_format, quality=70)
    (name,), seen = output.args
    with Image.open(Path(folder("output"), name)) as file:
        assert file.format == kind
        assert np.array_equal((seen[0] * 255).round().numpy(), np.asarray(file))
        change = np.abs(np.asarray(file, int) - colours(40, 40)).max()
    (said,) = output.ui["text"]
    lossy = file_format != "png"
    assert ("the bound of the budget no longer holds for this file" in said) == lossy
    assert f"Largest change {change} of 255 levels" in said
    assert "take the original down wherever it is public" in said


def test_a_picture_with_the_longest_name_is_saved(call):
    put_input("x" * 246 + ".png", colours(40, 40))
    original, _, info = call("LDU_LoadPicture", image="x" * 246 + ".png").args
    (name,) = save(call, original, info=info)[0]
    assert name.startswith("x" * 150)
    assert name.endswith("_protected_00001_.png")


def test_several_pictures_with_the_alpha_of_one_are_told_of(call):
    put_input("glass.png", colours(40, 40, 4))
    image, _, info = call("LDU_LoadPicture", image="glass.png").args
    two = torch.cat([image, random_image(1, 40, 40, 3)])
    assert "All 2 pictures got the alpha of glass.png." in save(call, two, info=info).ui["text"][0]
    assert "got the alpha" not in save(call, image, info=info).ui["text"][0]
    assert "got the alpha" not in save(call, two).ui["text"][0]


def test_a_platforms_hand_is_shown_when_asked_for(call):
    original = random_image(1, 48, 48, 3)
    protected = (original * 255 + 5).clamp(max=255).round() / 255
    said = save(call, protected, original=original, platform_check=True).ui["text"][0]
    assert "After an upload (fitted to 2048 pixels, JPEG 80)" in said
    assert "After an upload" not in save(call, protected, original=original).ui["text"][0]


def test_a_platform_check_without_the_original_says_what_it_needs(call):
    image, needed = random_image(1, 48, 48, 3), "platform_check needs the picture before"
    assert needed in save(call, image, platform_check=True).ui["text"][0]
    assert needed not in save(call, image, platform_check=True, original=image).ui["text"][0]
    assert needed not in save(call, image).ui["text"][0]


@pytest.mark.parametrize(("loader", "warns"), [("LDU_LoadDemoCheckpoint", True), ("CheckpointLoaderSimple", False)])
def test_a_picture_that_the_demo_model_made_is_said_to_be(call, host, monkeypatch, loader, warns):
    prompt = {
        "1": {"class_type": "LDU_LoadDemoCheckpoint", "inputs": {}},  # connected with nothing
        "2": {"class_type": loader, "inputs": {"ckpt_name": "a.safetensors", "boxes": [{"x": 1}]}},  # no link
        "3:4": {"class_type": "LDU_RefinePixels", "inputs": {"model": ["2", 0], "image": ["3:4", 0], "steps": 9}},
        "5": {"class_type": "LDU_SaveProtected", "inputs": {"image": ["3:4", 0]}},
    }
    hidden = SimpleNamespace(prompt=prompt, extra_pnginfo=None, unique_id="5")
    monkeypatch.setattr(host.classes["LDU_SaveProtected"], "hidden", hidden)
    said = save(call, random_image(1, 40, 40, 3)).ui["text"][0]
    assert ("Made with the demo model" in said) == warns


@pytest.mark.parametrize("forbidden", [True, False])
def test_metadata_that_comfyui_was_told_not_to_write_is_said_to_be_missing(call, host, monkeypatch, forbidden):
    from comfy.cli_args import args

    hidden = SimpleNamespace(prompt={}, extra_pnginfo=None)
    monkeypatch.setattr(host.classes["LDU_SaveProtected"], "hidden", hidden)
    monkeypatch.setattr(args, "disable_metadata", forbidden)
    given = {"image": random_image(1, 40, 40, 3), "filename_prefix": "told"}
    said = [call("LDU_SaveProtected", metadata=wanted, **given).ui["text"][0] for wanted in (True, False)]
    assert ["--disable-metadata" in each for each in said] == [forbidden, False]
    assert ["Prompt and workflow are in the file" in each for each in said] == [not forbidden, False]


@pytest.mark.parametrize(("file_format", "holds_none"), [("png", False), ("jpeg", True), ("webp", True)])
def test_metadata_that_the_format_does_not_hold_is_said_to_be_missing(call, host, monkeypatch, file_format, holds_none):
    monkeypatch.setattr(host.classes["LDU_SaveProtected"], "hidden", SimpleNamespace(prompt={}, extra_pnginfo=None))
    given = {"image": random_image(1, 40, 40, 3), "filename_prefix": "told", "file_format": file_format}
    said = [call("LDU_SaveProtected", metadata=wanted, **given).ui["text"][0] for wanted in (True, False)]
    assert ["only a png holds it" in each for each in said] == [holds_none, False]


def test_the_prompt_in_a_file_that_is_saved_without_numbers_is_json(run_prompt):
    saving = {"image": ["1", 0], "info": ["1", 2], "original": ["1", 0], "metadata": True, "numbered": False}
    graph = {
        "1": {"class_type": "LDU_LoadPicture", "inputs": {"image": "as_json.png"}},
        "2": {"class_type": "LDU_SaveProtected", "inputs": {**saving, "filename_prefix": "%name%_saved"}},
    }
    put_input("as_json.png", colours(40, 40))
    run_prompt(graph)
    with Image.open(Path(folder("output"), "as_json_saved.png")) as file:
        prompt = json.loads(file.info["prompt"], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(prompt) == {"1", "2"}


def test_a_picture_that_was_saved_as_protected_is_recognised_when_it_is_loaded(call):
    name = save(call, random_image(1, 30, 30, 3, seed=77))[0][0]
    with Image.open(Path(folder("output"), name)) as file:
        file.save(Path(folder("input"), "renamed.bmp"))
    put_input("fresh.png", colours(31, 31))
    assert "came out of Save Protected before" in call("LDU_LoadPicture", image="renamed.bmp").ui["text"][0]
    assert "came out of Save Protected" not in call("LDU_LoadPicture", image="fresh.png").ui["text"][0]


def test_an_unchanged_picture_does_not_count_as_protected(call):
    put_input("unchanged.png", colours(33, 33))
    original, _, info = call("LDU_LoadPicture", image="unchanged.png").args
    said = save(call, original, info=info, original=original).ui["text"][0]
    assert ": It is the original, pixel for pixel: nothing is protected." in said
    assert "nothing is protected" not in save(call, 1 - original, info=info, original=original).ui["text"][0]
    assert "came out of Save Protected" not in call("LDU_LoadPicture", image="unchanged.png").ui["text"][0]


def test_the_record_of_protected_pictures_holds_nothing_but_digests(call):
    import folder_paths

    save(call, random_image(1, 30, 30, 3, seed=78))
    record = Path(folder_paths.get_system_user_directory("ldu"), "protected_pictures.txt")
    assert all(len(line) == 64 and int(line, 16) >= 0 for line in record.read_text().splitlines())


def test_a_record_that_cannot_be_written_is_told_of_and_the_picture_is_saved(call, host, monkeypatch):
    (Path(folder("output"), "file_in_the_way")).write_text("")
    monkeypatch.setattr(
        host.module("nodes.known_pictures"), "_record", lambda: Path(folder("output"), "file_in_the_way", "record.txt")
    )
    output = save(call, random_image(1, 30, 30, 3, seed=79))
    assert Path(folder("output"), output[0][0]).is_file()
    assert "It will not be recognised as protected later" in output.ui["text"][0]
    put_input("unrecorded.png", colours(34, 34))
    assert "came out of Save Protected" not in call("LDU_LoadPicture", image="unrecorded.png").ui["text"][0]


@pytest.mark.parametrize(
    ("file_format", "prefix", "message"),
    [
        ("jpeg", "clear", "JPEG cannot hold"),
        ("png", "../%name%", "leads out of the output folder"),
        ("png", "protected/", "ends with a folder; give a name after it"),
        ("png", "x" * 250, "is longer than 255 bytes"),
        ("webp", "clear", "Alpha to save must be"),  # found after the work
    ],
)
def test_what_cannot_be_saved_is_refused_before_any_work_on_it(
    run_prompt, host, monkeypatch, file_format, prefix, message
):
    put_input("clear.png", colours(channels=4))
    work, worked = host.classes["LDU_WorkingSize"], []
    execute = work.execute.__func__
    monkeypatch.setattr(work, "execute", classmethod(lambda cls, **given: worked.append(1) or execute(cls, **given)))
    saving = {"info": ["1", 2], "filename_prefix": prefix, "metadata": False, "file_format": file_format}
    prompt = {
        "1": {"class_type": "LDU_LoadPicture", "inputs": {"image": "clear.png"}},
        "2": {"class_type": "LDU_WorkingSize", "inputs": {"image": ["1", 0], "short_side": 17 * 8}},
        "3": {"class_type": "LDU_WorkingSize", "inputs": {"image": ["2", 0], "short_side": 64}},
        "4": {"class_type": "LDU_SaveProtected", "inputs": {"image": ["3", 0], **saving}},
    }
    with pytest.raises(AssertionError, match=message):
        run_prompt(prompt)
    assert bool(worked) == (file_format == "webp")
