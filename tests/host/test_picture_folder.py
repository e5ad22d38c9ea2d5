"""Load Picture Folder with a number: one picture of a folder in each run."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from .executor import new_executor, run
from .picture_files import colours, put_input
from .tiny_models import model

NODE = "LDU_LoadPictureFolder"
NAMES = ["a.png", "b.jpg", "c.png", "sub/d.png"]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
pytestmark = pytest.mark.usefixtures("executor_mode")


@pytest.fixture
def folder(host):
    """A folder of four pictures, in the input folder."""
    root = host.base / "input" / "roll"
    (root / "sub").mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        put_input(f"roll/{name}", colours(70, 90, 3 if name.endswith("jpg") else 4, seed), icc_profile=SRGB)
    yield root
    shutil.rmtree(root)


@pytest.fixture
def load(call):
    return lambda **given: call(NODE, folder="roll", **given)


def graph(number, folder="roll"):
    """A graph that copies one picture of the folder."""
    save = {"image": ["1", 0], "info": ["1", 2], "filename_prefix": "copies/%name%", "metadata": False}
    return {
        "1": {"class_type": NODE, "inputs": {"folder": folder, "number": number}},
        "2": {"class_type": "LDU_SaveProtected", "inputs": save},
    }


def test_each_number_is_the_next_picture_by_name_as_without_a_number(folder, load):
    every = load().args
    for number, name in enumerate(NAMES, 1):
        output = load(number=number)
        for (one,), each in zip(output.args, (given[number - 1] for given in every), strict=True):
            if isinstance(one, torch.Tensor):
                assert torch.equal(one, each)
        (info,), (file,) = output.args[2:]
        assert (info.name, info.icc, file) == (name, SRGB, f"roll/{name} [input]")
        assert output.ui["text"][0].startswith(f"Picture {number} of 4: {name}: ")


def test_a_linked_folder_that_leads_out_of_the_input_folder_is_told_of_before_anything_runs(host, folder, tmp_path):
    link = host.base / "input" / "elsewhere"
    link.symlink_to(tmp_path)
    for node in (NODE, "LDU_ProtectFolder"):
        assert "lies outside the input folder" in host.classes[node].validate_inputs(folder="elsewhere")
    link.unlink()


def test_a_sub_folder_that_is_a_link_is_named(folder, load, tmp_path):
    (folder / "sub" / "2023").symlink_to(tmp_path)
    assert "sub/2023 is a link to another folder, and was passed over" in load().ui["text"][0]


def test_a_picture_too_narrow_for_the_model_is_named_and_left_out(folder, load):
    put_input("roll/banner.png", colours(8, 400))
    output = load(model=model("sd1"))
    assert len(output.args[0]) == len(NAMES)
    (said,) = [line for line in output.ui["text"][0].splitlines() if line.startswith("Left out: ")]
    assert said.startswith("Left out: banner.png: A picture of 400x8 pixels is too narrow")


def test_no_other_file_is_opened(folder, load, monkeypatch):
    opened, really = [], Image.open
    monkeypatch.setattr(Image, "open", lambda file, *rest, **given: opened.append(file) or really(file, *rest, **given))
    load(number=3)
    assert [file.name for file in opened] == [str(folder / "c.png")]


def test_a_picture_by_number_is_made_as_small_as_the_model_sees_it(folder, load):
    (image,), (mask,), (info,), _ = load(number=1, model=model("sd1")).args
    assert image.shape[1:3] == mask.shape[1:] == (64, 80)
    assert (info.width, info.height) == (90, 70)


def test_a_number_counts_all_pictures_whatever_at_most_says(folder, load):
    assert load(number=3, at_most=2)[2][0].name == "c.png"
    assert len(load(number=0, at_most=2)[0]) == 2


def test_beyond_the_last_picture_one_sentence_says_that_all_are_done(folder, load, errors):
    said = "Picture 5 was asked for, but the folder 'roll' has 4, and all are done: set the picture number to 1"
    with pytest.raises(errors.BadValueError, match=said):
        load(number=5)


def test_a_number_below_0_is_refused_also_when_another_node_gives_it(folder, load, errors):
    with pytest.raises(errors.BadValueError, match="The picture number is -1: 1 is the first"):
        load(number=-1)


def test_a_number_in_an_empty_folder_is_answered_as_the_folder_without_one(folder, call, errors):
    (folder / "hollow").mkdir()
    with pytest.raises(errors.BadFileError, match="no picture in the folder 'roll/hollow'"):
        call(NODE, folder="roll/hollow", number=1)


def test_a_picture_that_cannot_be_read_fails_its_own_run_only(folder, load, errors):
    (folder / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(errors.BadFileError, match=r"Picture 2 of 4: .*b\.jpg is not a picture"):
        load(number=2)
    assert load(number=3)[2][0].name == "c.png"


def test_a_picture_is_loaded_again_when_it_changes_and_not_when_another_does(host, folder):
    stamp = host.classes[NODE].fingerprint_inputs
    before, all_before = stamp(folder="roll", number=3), stamp(folder="roll")
    put_input("roll/a.png", colours(20, 20))
    put_input("roll/z.png", colours(20, 20))
    assert stamp(folder="roll", number=3) == before
    assert stamp(folder="roll") != all_before
    put_input("roll/c.png", colours(20, 20))
    assert stamp(folder="roll", number=3) != before
    before = stamp(folder="roll", number=3)
    put_input("roll/0.png", colours(20, 20))  # the third is another one now
    assert stamp(folder="roll", number=3) != before


def test_run_after_run_a_graph_works_through_the_folder(host, folder):
    shutil.rmtree(host.base / "output" / "copies", ignore_errors=True)
    executor = new_executor("CLASSIC")
    for number in range(1, 5):
        outputs, worked = run(executor, graph(number))
        assert worked == {"1", "2"}
        assert len(outputs["2"]["images"]) == 1
    for name in NAMES:
        saved = host.base / "output" / "copies" / name
        with Image.open(folder / name) as before, Image.open(saved.with_name(f"{saved.stem}_00001_.png")) as after:
            assert np.array_equal(np.asarray(before), np.asarray(after))
    assert run(executor, graph(4))[1] == set()


def test_a_node_that_is_placed_loads_all_pictures_until_somebody_chooses_increment(host):
    optional = host.classes[NODE].INPUT_TYPES()["optional"]
    number = optional["number"][1]
    assert (number["default"], number["control_after_generate"]) == (0, "fixed")
    assert list(optional)[-1] == "number", "saved graphs know widgets by their order"
