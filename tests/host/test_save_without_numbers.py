"""Save Protected without numbers: same names, sub-folders kept, and a run over a folder that was stopped goes on."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from .executor import new_executor, run
from .picture_files import colours, put_input, random_image

SIZE = 72  # pixels, to which the graph resizes
NAMES = ["a.jpg", "a.png", "b.png", "sub/c.png"]
SAVED = ["a.jpg.png", "a.png.png", "b.png", "sub/c.png"]  # twins keep their endings, so that no two share a file


@pytest.fixture
def album(host):
    """A folder of four pictures and a file that is none, and where their protected versions go."""
    root, out = host.base / "input" / "holiday", host.base / "output" / "holiday_signed"
    (root / "sub").mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        put_input(f"holiday/{name}", colours(SIZE, SIZE, seed=seed))
    (root / "aa.png").write_bytes(b"no picture")
    yield root, out
    shutil.rmtree(root)
    shutil.rmtree(out, ignore_errors=True)


@pytest.fixture
def worked(host, monkeypatch):
    """The pictures that the node before Save Protected was asked for."""
    node, asked = host.classes["LDU_WorkingSize"], []
    execute = node.execute.__func__
    monkeypatch.setattr(node, "execute", classmethod(lambda cls, **given: asked.append(1) or execute(cls, **given)))
    return asked


def graph(number=0, colours_kept=256, **saving):
    """A graph that changes each picture of the folder a little, saves it, and measures what came out."""
    settings = {"filename_prefix": "holiday_signed/%name%", "metadata": False, "numbered": False, **saving}
    return {
        "1": {"class_type": "LDU_LoadPictureFolder", "inputs": {"folder": "holiday", "number": number}},
        "2": {"class_type": "LDU_WorkingSize", "inputs": {"image": ["1", 0], "short_side": SIZE}},
        "3": {
            "class_type": "LDU_SaveProtected",
            "inputs": {"image": ["5", 0], "info": ["1", 2], "original": ["1", 0], **settings},
        },
        "4": {"class_type": "LDU_Compare", "inputs": {"original": ["1", 0], "protected": ["3", 1], "gain": 10.0}},
        "5": {"class_type": "ImageQuantize", "inputs": {"image": ["2", 0], "colors": colours_kept, "dither": "none"}},
    }


def once(**given):
    """Run the graph in a host that remembers nothing, and return what its nodes show."""
    return run(new_executor("CLASSIC"), graph(**given))[0]


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_is_saved_under_its_own_names_and_a_file_that_is_no_picture_is_named(album):
    shown = once()
    assert files(album[1]) == SAVED
    assert "Left out: aa.png" in "\n".join(shown["1"]["text"])
    for name, saved in zip(NAMES, SAVED, strict=True):
        with Image.open(album[0] / name) as before, Image.open(album[1] / saved) as after:
            change = np.abs(np.asarray(before.convert("RGB"), int) - np.asarray(after, int))
            assert 0 < change.mean() < 20


def test_what_is_there_stays_and_costs_nothing(album, worked):
    once()
    stamps = {name: (album[1] / name).stat().st_mtime_ns for name in SAVED}
    worked.clear()
    shown = once()
    assert worked == []
    assert {name: (album[1] / name).stat().st_mtime_ns for name in SAVED} == stamps
    said = "\n".join(shown["3"]["text"])
    assert all(f"{name.rpartition('/')[2]}: there already, left as it is." in said for name in SAVED)
    assert len(shown["4"]["text"]) == 4, "what is there is measured, too"


def test_a_run_that_was_stopped_goes_on_where_it_stopped(album, host, monkeypatch):
    writer, cancelled = host.module("nodes.picture_writer").Writer, host.module("nodes.host").Interrupted
    write, written = writer.write, []

    def until_the_third(self, path, *rest):
        if len(written) == 2:
            raise cancelled
        written.append(path)
        return write(self, path, *rest)

    monkeypatch.setattr(writer, "write", until_the_third)
    with pytest.raises(AssertionError, match="execution_interrupted"):
        once()
    assert files(album[1]) == SAVED[:2]
    monkeypatch.setattr(writer, "write", lambda self, path, *rest: written.append(path) or write(self, path, *rest))
    once()
    assert files(album[1]) == SAVED
    assert len(written) == 4, "none was written twice"


def test_with_a_picture_number_only_what_is_missing_is_made(album, worked):
    once()
    (album[1] / "b.png").unlink()
    worked.clear()
    for number in range(1, 6):
        if number != 3:  # no picture
            once(number=number)
    assert len(worked) == 1
    assert files(album[1]) == SAVED


def test_a_file_that_is_gone_is_made_again_in_the_same_host(album):
    executor = new_executor("CLASSIC")
    run(executor, graph())
    (album[1] / "b.png").unlink()
    run(executor, graph())
    assert files(album[1]) == SAVED


def test_a_picture_that_the_format_cannot_hold_is_named_and_the_others_are_saved(album):
    put_input("holiday/b.png", colours(SIZE, SIZE, 4))
    shown = once(file_format="jpeg")
    assert files(album[1]) == ["a.jpg.jpg", "a.png.jpg", "sub/c.jpg"]
    said = "\n".join(shown["3"]["text"])
    assert "Left out: b.png has transparent parts, which JPEG cannot hold" in said
    assert "a Protection Report on a list with such a gap is not made" in said
    assert len(shown["4"]["text"]) == 3, "what follows gets nothing of it"


def test_what_follows_a_picture_that_is_left_out_gets_neither_it_nor_its_name(album):
    put_input("holiday/b.png", colours(SIZE, SIZE, 4))
    joined = {"class_type": "StringConcatenate", "inputs": {"string_a": ["3", 0], "string_b": "!", "delimiter": ""}}
    named = {"6": joined, "7": {"class_type": "PreviewAny", "inputs": {"source": ["6", 0]}}}
    shown = run(new_executor("CLASSIC"), graph(number=4, file_format="jpeg") | named)[0]
    assert "Left out: b.png" in "\n".join(shown["3"]["text"])
    assert not {"4", "7"} & set(shown)


def test_a_file_there_that_is_no_picture_is_named_and_left_as_it_is(album):
    album[1].mkdir()
    (album[1] / "b.png").write_bytes(b"mine")
    said = "\n".join(once()["3"]["text"])
    assert (album[1] / "b.png").read_bytes() == b"mine"
    assert "Left out: b.png" in said
    assert "b.png was left as it is." in said
    assert files(album[1]) == SAVED


def test_a_file_of_another_picture_is_doubted_and_left_as_it_is(album):
    once()
    before = (album[1] / "b.png").read_bytes()
    put_input("holiday/b.png", 255 - colours(SIZE, SIZE, seed=2))
    put_input("holiday/sub/c.png", colours(SIZE, SIZE + 8))
    alone = {node: made for node, made in graph().items() if node != "4"}
    said = "\n".join(run(new_executor("CLASSIC"), alone)[0]["3"]["text"])
    assert "levels from its b.png: it was replaced, or the budget lowered. b.png was left as it is" in said
    assert "It has another size than its c.png." in said
    assert (album[1] / "b.png").read_bytes() == before


def test_a_folder_and_a_link_that_leads_nowhere_are_in_the_way_and_stay(album):
    (album[1] / "b.png").mkdir(parents=True)
    (album[1] / "a.png.png").symlink_to(album[1] / "nowhere")
    said = "\n".join(once()["3"]["text"])
    assert said.count(" was left as it is.") == 2
    assert (album[1] / "b.png").is_dir()
    assert files(album[1]) == ["a.jpg.png", "sub/c.png"]


def test_a_name_that_is_too_long_and_a_file_that_vanishes_are_said(call, errors):
    put_input("one.png", colours(16, 16))
    with torch.inference_mode():
        info = call("LDU_LoadPicture", image="one.png").args[2]
    inputs = {"metadata": False, "numbered": False, "info": info, "image": None, "original": random_image(1, 16, 16, 3)}
    with pytest.raises(errors.BadValueError, match="longer than 255 bytes"):
        call("LDU_SaveProtected", filename_prefix="x" * 252 + "%name%", **inputs)
    with pytest.raises(errors.BadValueError, match="removed just now"):
        call("LDU_SaveProtected", filename_prefix="holiday_signed/gone_%name%", **inputs)


def test_without_a_name_or_with_a_batch_it_is_refused(call, errors):
    inputs = {"filename_prefix": "holiday_signed/%name%", "metadata": False, "numbered": False}
    image = random_image(1, 16, 16, 3)
    with pytest.raises(errors.BadValueError, match="connect the info of Load Picture"):
        call("LDU_SaveProtected", image=image, **inputs)
    put_input("one.png", colours(16, 16))
    with torch.inference_mode():
        info = call("LDU_LoadPicture", image="one.png").args[2]
    with pytest.raises(errors.BadValueError, match="have %name% in the prefix"):
        call("LDU_SaveProtected", image=image, info=info, **{**inputs, "filename_prefix": "signed"})
    with pytest.raises(errors.BadValueError, match="no original came"):
        call("LDU_SaveProtected", image=image, info=info, **inputs)
    two = random_image(2, 16, 16, 3)
    with pytest.raises(errors.BadValueError, match="a batch of 2 came: switch numbered on"):
        call("LDU_SaveProtected", image=two, original=two, info=info, **inputs)


def test_what_is_missing_is_said_before_any_work(album, worked):
    prompt = graph()
    del prompt["3"]["inputs"]["original"]
    with pytest.raises(AssertionError, match="no original came"):
        run(new_executor("CLASSIC"), prompt)
    assert worked == []


def test_a_second_picture_of_the_same_name_is_said_to_be_another_one(call):
    put_input("one.png", colours(16, 16))
    original, _, info = call("LDU_LoadPicture", image="one.png").args
    inputs = {"filename_prefix": "holiday_twice/%name%", "metadata": False, "numbered": False}
    given = {"info": info, "original": original, **inputs}
    changed = [(original * 255 + step).clamp(max=255).round() / 255 for step in (1, 2)]
    outputs = [call("LDU_SaveProtected", image=image, **given) for image in changed]
    assert [output.args[0] for output in outputs] == [["holiday_twice/one.png"]] * 2
    assert "another picture came for it, of the same name or made otherwise" in outputs[1].ui["text"][0]
    assert torch.equal(outputs[1].args[1], changed[0])
    assert "there already, left as it is" in call("LDU_SaveProtected", image=None, **given).ui["text"][0]


def test_settings_that_changed_are_seen_where_the_pictures_are_made_again(album):
    once()
    (album[1] / "b.png").unlink()
    said = "\n".join(once(colours_kept=128)["3"]["text"])
    assert said.count("another picture came for it") == 3


def test_an_original_in_the_place_of_its_protected_version_is_named(album):
    album[1].mkdir()
    shutil.copy(album[0] / "b.png", album[1] / "b.png")
    assert "b.png is there already, but it is the original itself" in "\n".join(once()["3"]["text"])


def test_beside_a_file_that_is_there_an_unprotected_original_is_named(album):
    once()
    with Image.open(album[0] / "b.png") as picture:
        picture.save(album[1] / "b.tif")
    said = "\n".join(once()["3"]["text"])
    assert "b.png: there already, left as it is.\nThe unprotected b.tif lies beside it" in said


def test_a_picture_longer_than_the_format_allows_is_left_out(album):
    (album[0] / "a.jpg").unlink()
    put_input("holiday/a.png", colours(8, 16500))
    prompt = {node: made for node, made in graph(file_format="webp").items() if node not in {"2", "5"}}
    prompt["3"]["inputs"]["image"] = ["1", 0]
    said = "\n".join(run(new_executor("CLASSIC"), prompt)[0]["3"]["text"])
    assert "Left out: " in said
    assert files(album[1]) == ["b.webp", "sub/c.webp"]


def test_names_alike_in_all_that_fits_stay_apart(album):
    (album[0] / "a.jpg").unlink()
    for number in range(2):
        put_input(f"holiday/{'n' * 243}{number}.png", colours(SIZE, SIZE, seed=number))
    once(filename_prefix="holiday_signed/%name%")
    assert len([name for name in files(album[1]) if name.startswith("nnn")]) == 2


def test_a_new_twin_changes_the_name_of_a_picture_by_number_in_the_same_host(album):
    (album[0] / "a.png").rename(album[0].parent / "twin.png")
    executor = new_executor("CLASSIC")
    run(executor, graph(number=1))
    assert files(album[1]) == ["a.png"]
    (album[0].parent / "twin.png").rename(album[0] / "a.png")
    run(executor, graph(number=1))
    assert files(album[1]) == ["a.jpg.png", "a.png"]


def test_the_report_takes_the_files_as_they_are_called(album):
    prompt = graph()
    prompt["6"] = {
        "class_type": "LDU_ProtectionReport",
        "inputs": {
            "original": ["1", 0],
            "protected": ["3", 1],
            "file": ["3", 0],
            "info": ["1", 2],
            "budget": 10.0,
            "public_photos": 0,
            "unprotected_files": "",
            "filename_prefix": "holiday_report",
        },
    }
    shown = run(new_executor("CLASSIC"), prompt)[0]
    report = album[1].parent / json.loads(shown["6"]["ldu"][0])["report"]
    told = json.loads(report.with_suffix(".json").read_text("utf-8"))
    assert [each["file"] for each in told["pictures"]] == [f"holiday_signed/{name}" for name in SAVED]
