"""A whole folder in the real host: every picture protected, each saved before the next is read."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from . import tiny_models as tiny
from .node_by_node import protect
from .picture_files import write_picture

pytestmark = pytest.mark.usefixtures("executor_mode")
SETTINGS = {"budget": 6.0, "strength": 1.0, "seed": 0, "save_in": "%folder%_protected", "quality": 90}


@pytest.fixture
def folder(host):
    """A folder of three pictures, one of them in a sub-folder, and a file that is none."""
    root = host.base / "input" / "album"
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(host.base / "output" / "album_protected", ignore_errors=True)
    (root / "sub").mkdir(parents=True)
    for seed, name in enumerate(("b.png", "a.jpg", "sub/c.png"), 100):  # that no other test has saved as it is
        write_picture(host, f"album/{name}", alpha=name.endswith("c.png"), seed=seed)
    (root / "notes.txt").write_text("no picture")
    yield root
    shutil.rmtree(root)


@pytest.fixture
def run(host):
    """Run the node on the tiny model as the host does, and return its outputs and what it says of each picture."""
    model, vae = tiny.model("sd1"), tiny.vae("sd1")
    given = {"model": model, "vae": vae, "conditioning": tiny.conditioning("sd1")}
    node = host.classes["LDU_ProtectFolder"]

    def work(**changed):
        settings = {**given, **SETTINGS, "folder": "album", "file_format": "png", **changed}
        asked = node.check_lazy_status(**settings)
        rho = {"rho": tiny.random_rho(host, model, 4, k_steps=2)} if asked else {}
        output = node.execute(**settings, **rho)
        return output, json.loads(output.ui["ldu"][0])["pictures"]

    return work


def lazily(host, file_format):
    """Return the node and what it is asked with before anything is trained."""
    inputs = {"model": tiny.model("sd1"), "folder": "album", "file_format": file_format}
    return host.classes["LDU_ProtectFolder"], {**SETTINGS, **inputs}


def saved(host, name):
    return host.base / "output" / "album_protected" / name


def test_every_picture_keeps_its_name_its_sub_folder_and_its_budget(host, folder, run):
    originals = {path: path.read_bytes() for path in folder.rglob("*.*")}
    output, told = run()
    assert output[0] == [f"album_protected/{name}" for name in ("a.png", "b.png", "sub/c.png")]
    assert [picture["outcome"] for picture in told] == ["saved"] * 3
    for name, target in (("a.jpg", "a.png"), ("b.png", "b.png"), ("sub/c.png", "sub/c.png")):
        with Image.open(folder / name) as before, Image.open(saved(host, target)) as after:
            assert after.info == {}
            change = np.abs(np.asarray(after, int) - np.asarray(before, int))
        assert change[..., :3].max() == 6
        assert not change[..., 3:].any()
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == originals
    left = [path.name for path in (host.base / "output" / "album_protected").rglob("*") if path.is_file()]
    assert sorted(left) == ["a.png", "b.png", "c.png"]


def test_a_picture_comes_out_as_from_the_single_nodes(host, folder, run):
    run()
    models, condition = (tiny.model("sd1"), None, tiny.vae("sd1")), tiny.conditioning("sd1")
    single = protect(host, models, "album/b.png", strength=1.0, budget=6.0, condition=condition)
    with Image.open(saved(host, "b.png")) as picture:
        assert np.array_equal(np.asarray(picture), single)


def image(path):
    """The colours of a file as an IMAGE."""
    with Image.open(path) as picture:
        return torch.from_numpy(np.asarray(picture)[..., :3] / np.float32(255))[None]


def test_with_a_personalization_every_picture_comes_out_as_from_refine_in_pixels(host, folder, run):
    run()
    shifted = image(saved(host, "b.png"))
    shutil.rmtree(saved(host, "b.png").parent)
    personalization = tiny.conditioning("sd1", seed=3)
    output, _ = run(personalization=personalization, refine_steps=2)
    told = json.loads(output.ui["ldu"][0])
    assert told["refine_steps"] == 2
    assert told["nfe"]["refine"] == 3 * 2 * 2 * 2  # pictures, steps, draws, prompts
    models, settings = (tiny.model("sd1"), tiny.vae("sd1")), (6.0, 2, 0, 0.5, 0.5, 1.0, personalization)
    refine = host.classes["LDU_RefinePixels"].execute
    walk = tiny.conditioning("sd1")  # the folder's own
    refined = refine(*models, shifted, *settings, image(folder / "b.png"), walk_conditioning=walk).args[0]
    assert torch.allclose(image(saved(host, "b.png")), refined, atol=1e-6)
    assert not torch.equal(refined, shifted)


def test_dynamic_models_are_loaded_anew_once_for_a_whole_folder_and_let_go_of(host, folder, run, no_collector):
    refining = {"personalization": tiny.conditioning("sd1", seed=3), "refine_steps": 1}
    run(**refining)
    plain = saved(host, "b.png").read_bytes()
    shutil.rmtree(saved(host, "b.png").parent)
    model, vae = tiny.model("sd1"), tiny.vae("sd1")
    unets = tiny.as_dynamic(model, lambda: tiny.model("sd1"))
    vaes = tiny.as_dynamic(vae.patcher, lambda: tiny.vae("sd1").patcher)
    _, told = run(model=model, vae=vae, **refining)
    assert len(told) == 3
    assert [module() for module in (*unets, *vaes)] == [None, None]
    assert saved(host, "b.png").read_bytes() == plain


def test_the_memory_that_refining_wants_is_told_for_the_picture_at_work(host, folder, run, monkeypatch):
    heard, estimate = [], host.module("nodes.estimate")
    monkeypatch.setattr(estimate, "say_on_node", lambda text: None if estimate.is_a_part() else heard.append(text))
    run(personalization=tiny.conditioning("sd1"), refine_steps=1)
    assert re.fullmatch(r"About \d+\.\d GiB of memory wanted, .*free\..*", heard[0])
    assert re.match(
        r"2 pictures to go, about \d+ s\. Cancel when you like: the next run goes on from here\.\nAbout", heard[1]
    )
    assert all("GiB of memory wanted" in said for said in heard)


def test_strength_0_gives_back_the_pictures_of_a_folder_however_many_steps_on_the_pixels(host, folder, run):
    run(strength=0.0, personalization=tiny.conditioning("sd1"), refine_steps=2)
    for name, target in (("a.jpg", "a.png"), ("b.png", "b.png"), ("sub/c.png", "sub/c.png")):
        with Image.open(folder / name) as before, Image.open(saved(host, target)) as after:
            assert np.array_equal(np.asarray(after), np.asarray(before))


def test_a_personalization_is_asked_for_where_there_is_one_to_refine_with(host, folder, run):
    node, inputs = lazily(host, "png")
    connected = {"rho": None, "personalization": None}
    assert node.check_lazy_status(**inputs, **connected, refine_steps=2) == ["rho", "personalization"]
    assert node.check_lazy_status(**inputs, **connected, refine_steps=0) == ["rho"]
    run()
    assert node.check_lazy_status(**inputs, **connected, refine_steps=2) == []


def test_the_time_for_the_pictures_that_are_missing_is_told_after_the_first(host, folder, run, monkeypatch):
    heard = []
    monkeypatch.setattr(host.module("nodes.estimate"), "say_on_node", heard.append)
    run()
    assert re.fullmatch(
        r"2 pictures to go, about \d+ s\. Cancel when you like: the next run goes on from here\.", heard[0]
    )
    heard.clear()
    saved(host, "b.png").unlink()
    saved(host, "sub/c.png").unlink()
    run()
    assert heard[0].startswith("1 picture to go")
    heard.clear()
    run()
    assert heard == []


def test_one_mask_is_resized_to_every_picture_and_what_it_spares_keeps_its_levels(host, folder, run):
    write_picture(host, "album/wide.png", (80, 40), seed=3)
    left = torch.zeros(1, 10, 10)
    left[..., :5] = 1
    run(mask=left)
    for name in ("b.png", "wide.png"):
        with Image.open(folder / name) as before, Image.open(saved(host, name)) as after:
            change = np.abs(np.asarray(after, int) - np.asarray(before, int))[..., :3]
        width = change.shape[1]
        assert change[:, : width // 3].any()
        assert not change[:, -width // 3 :].any()


def test_masks_of_a_list_are_refused_where_the_first_would_serve_for_all_pictures(host, folder, run_prompt):
    models = {"model": ["demo", 0], "vae": ["demo", 2]}
    training = {"image": ["album", 0], "prompt": "S*", "initial_word": "person", "budget": 6.0, "k": 2, "depth": 0.2}
    training |= {"steps": 1, "learning_rate": 0.01, "batch": 1, "seed": 0}
    training |= {"visibility": 0.5, "patience": 0, "refit_every": 0}
    given = {"rho": ["rho", 0], "mask": ["album", 1], "folder": "album", "file_format": "png"}
    graph = {
        "demo": {"class_type": "LDU_LoadDemoCheckpoint", "inputs": {}},
        "album": {"class_type": "LDU_LoadPictureFolder", "inputs": {"folder": "album"}},
        "rho": {"class_type": "LDU_TrainRho", "inputs": {**models, **training}},  # never asked for
        "work": {"class_type": "LDU_ProtectFolder", "inputs": {**models, **SETTINGS, **given}},
    }
    with pytest.raises(AssertionError, match="a list came into one of its inputs"):
        run_prompt(graph)
    assert not (host.base / "output" / "album_protected").exists()


def test_an_original_in_the_place_of_its_protected_version_is_not_taken_for_one(host, folder, run):
    saved(host, "b.png").parent.mkdir()
    shutil.copyfile(folder / "b.png", saved(host, "b.png"))
    output, _ = run()
    assert "b.png is there already, but it is the original itself" in output.ui["text"][0]


def test_a_run_that_was_stopped_goes_on_and_replaces_nothing(host, folder, run):
    run()
    kept = {name: saved(host, name).stat().st_mtime_ns for name in ("a.png", "sub/c.png")}
    before = saved(host, "b.png").read_bytes()
    saved(host, "b.png").unlink()
    output, told = run()
    assert [picture["outcome"] for picture in told] == ["there already", "saved", "there already"]
    assert saved(host, "b.png").read_bytes() == before
    assert {name: saved(host, name).stat().st_mtime_ns for name in kept} == kept
    assert len(output[0]) == 3


def test_rho_is_asked_for_only_while_something_is_to_do(host, folder, run):
    node, inputs = lazily(host, "png")
    assert node.check_lazy_status(**inputs) == ["rho"]
    run()
    assert node.check_lazy_status(**inputs) == []
    output, _ = run()
    assert output[2].shape == output[3].shape
    assert output.ui["text"][0].startswith("3 there already")
    write_picture(host, "album/new.png", seed=9)
    assert node.check_lazy_status(**inputs) == ["rho"]


@pytest.mark.parametrize(("file_format", "size"), [("png", (4000, 8)), ("webp", (16400, 300))])
def test_rho_is_not_asked_for_because_of_a_picture_of_a_shape_that_cannot_be_done(host, folder, run, file_format, size):
    run(file_format=file_format)
    write_picture(host, "album/z.png", size, seed=5)
    node, inputs = lazily(host, file_format)
    assert node.check_lazy_status(**inputs) == []
    _, told = run(file_format=file_format)
    assert [picture["outcome"] for picture in told] == ["there already"] * 3 + ["left out"]


def fail_on(monkeypatch, host, name, error):
    """Let protecting one picture raise an error."""
    walk = host.module("nodes.folder_walk").FolderWalk
    protect = walk.protect

    def fails(self, picture):
        if picture.info.name == name:
            raise error
        return protect(self, picture)

    monkeypatch.setattr(walk, "protect", fails)


@pytest.mark.parametrize("error", ["NonFiniteError", "UnsupportedModelError"])
def test_a_picture_that_is_too_much_for_the_model_is_left_out_and_the_others_are_made(
    host, folder, run, monkeypatch, error, errors
):
    fail_on(monkeypatch, host, "b.png", getattr(errors, error)("It is too much."))
    _, told = run()
    assert [(each["outcome"], each["said"]) for each in told][1] == ("left out", "It is too much.")
    assert [each["outcome"] for each in told] == ["saved", "left out", "saved"]


def test_a_model_that_does_not_fit_for_the_first_picture_is_not_loaded_for_each_of_the_others(
    host, folder, run, monkeypatch, errors
):
    fail_on(monkeypatch, host, "a.jpg", errors.UnsupportedModelError("Only a part fits."))
    with pytest.raises(errors.UnsupportedModelError, match="Only a part fits"):
        run()


def test_rho_is_not_asked_for_because_of_a_file_that_cannot_be_done(host, folder, run):
    run(file_format="jpeg")
    (folder / "broken.png").write_bytes(b"no picture")
    node, inputs = lazily(host, "jpeg")
    assert node.check_lazy_status(**inputs) == []  # what is left is broken, or transparent and asked for as JPEG
    _, told = run(file_format="jpeg")  # and no rho is needed to say so
    assert [picture["outcome"] for picture in told] == ["there already", "there already", "left out", "left out"]


def test_a_bad_file_is_named_and_left_out(host, folder, run):
    (folder / "broken.png").write_bytes(b"no picture")
    output, told = run()
    assert {picture["name"]: picture["outcome"] for picture in told}["broken.png"] == "left out"
    assert "broken.png is not a picture" in output.ui["text"][0]
    assert len(output[0]) == 3
    assert not saved(host, "broken.png").exists()


def test_a_folder_of_bad_files_only_is_refused(host, folder, run):
    for path in folder.rglob("*.*"):
        path.unlink()
    with pytest.raises(host.module("ldu.errors").BadFileError, match="no picture in the folder"):
        run()
    (folder / "broken.png").write_bytes(b"no picture")
    with pytest.raises(host.module("ldu.errors").BadFileError, match=r"broken\.png is not a picture"):
        run()


@pytest.mark.parametrize("file_format", ["png", "webp"])
def test_a_replaced_original_is_told_of_whatever_its_date_and_its_old_version_is_left(host, folder, run, file_format):
    run(file_format=file_format)
    target = next(path for path in saved(host, "b.png").parent.glob("b.*"))
    before, earlier = target.read_bytes(), target.stat().st_mtime - 1000
    os.utime(folder / "a.jpg", (earlier + 2000, earlier + 2000))  # copied again: the same picture
    write_picture(host, "album/b.png", seed=50)
    write_picture(host, "album/sub/c.png", (50, 30), alpha=True, seed=2)
    for name in ("b.png", "sub/c.png"):
        os.utime(folder / name, (earlier, earlier))
    output, told = run(file_format=file_format)
    text = output.ui["text"][0]
    assert f"levels from its {target.name}: it was replaced, or the budget lowered. {target.name} was left" in text
    assert "c.png: It has another size than its c." in text
    assert "a.jpg" not in text
    assert [picture["outcome"] for picture in told] == ["there already"] * 3
    assert target.read_bytes() == before


def test_a_damaged_file_in_the_place_of_a_protected_version_is_told_of(host, folder, run, monkeypatch):
    run()
    saved(host, "a.png").write_bytes(b"cut short")
    saved(host, "b.png").unlink()
    saved(host, "sub/c.png").unlink()
    heard = []
    monkeypatch.setattr(host.module("nodes.estimate"), "say_on_node", heard.append)
    output, told = run()
    assert [picture["outcome"] for picture in told] == ["left out", "saved", "saved"]
    assert "a.png is not a picture" in output.ui["text"][0]
    assert saved(host, "a.png").read_bytes() == b"cut short"
    assert heard[0].startswith("1 picture to go"), "what is left out was none to be done"


def test_a_changed_folder_and_a_lost_file_are_noticed(host, folder, run):
    def stamp():
        return host.classes["LDU_ProtectFolder"].fingerprint_inputs(**SETTINGS, folder="album", file_format="png")

    run()
    done = stamp()
    assert stamp() == done
    saved(host, "a.png").unlink()
    assert stamp() != done
    run()
    assert stamp() == done
    write_picture(host, "album/sub/d.png", seed=4)
    assert stamp() != done


def test_a_lossy_folder_says_that_the_budget_no_longer_holds_and_skips_what_jpeg_cannot_hold(host, folder, run):
    output, told = run(file_format="jpeg")
    assert [picture["outcome"] for picture in told] == ["saved", "saved", "left out"]
    assert "the bound of the budget no longer holds for these files" in output.ui["text"][0]
    with Image.open(saved(host, "a.jpg")) as after, Image.open(folder / "a.jpg") as before:
        change = np.abs(np.asarray(after, int) - np.asarray(before, int)).max()
        assert after.format == "JPEG"
    assert f"up to {change} of 255 levels changed" in told[0]["said"]
    assert change > 6


def test_what_rho_was_trained_for_and_where_the_change_may_be_seen_are_told(host, folder, run):
    Image.new("RGB", (120, 90), (200, 190, 180)).save(folder / "sky.png")
    said = run()[0].ui["text"][0]
    assert said.count("ρ was trained for “") == 1
    assert "sky.png: up to 6 of 255 levels changed." in said
    assert "Flat areas (100% of the picture): mean change" in said
    assert "b.png: " not in said
    assert "ρ was trained for" not in run()[0].ui["text"][0], "the second run has made nothing"


def test_saving_outside_the_output_folder_is_refused(host, folder, run):
    with pytest.raises(host.module("ldu.errors").BadValueError, match="leads out of the output folder"):
        run(save_in="../elsewhere")


def in_the_way(place, elsewhere):
    place.parent.mkdir(parents=True)
    place.write_text("no folder")


def leading_out(place, elsewhere):
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere)


def leading_nowhere(place, elsewhere):
    place.mkdir(parents=True)
    (place / "c.png").symlink_to(elsewhere / "nowhere.png")


@pytest.mark.parametrize(
    ("blocked", "said"),
    [
        (in_the_way, "There is a file in the place of the folder album_protected/sub"),
        (leading_out, "The folder album_protected/sub is a link that leads out of the output folder"),
        (leading_nowhere, "album_protected/sub/c.png is a link that leads nowhere"),
    ],
)
def test_a_picture_whose_place_is_blocked_is_left_out_before_any_work_on_it(host, folder, run, tmp_path, blocked, said):
    blocked(saved(host, "sub"), tmp_path)
    _, told = run()
    assert [picture["outcome"] for picture in told] == ["saved", "saved", "left out"]
    assert told[2]["said"].startswith(said)
    assert list(tmp_path.iterdir()) == []
    node, inputs = lazily(host, "png")
    assert node.check_lazy_status(**inputs) == []


def test_a_sub_folder_that_is_called_as_a_picture_will_be_keeps_no_other_from_being_made(host, folder, run):
    (folder / "sub").rename(folder / "a.png")
    _, told = run()
    assert [(picture["name"], picture["outcome"]) for picture in told] == [
        ("a.jpg", "saved"),
        ("a.png/c.png", "left out"),
        ("b.png", "saved"),
    ]


def test_a_folder_that_the_disk_does_not_let_be_made_is_told_of(host, folder, run, monkeypatch):
    def forbid(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", forbid)
    with pytest.raises(host.module("ldu.errors").BadFileError, match=r"album_protected cannot be made \(Permission"):
        run()


def test_a_saved_picture_that_goes_while_it_is_looked_for_is_told_of(host, folder, run):
    with pytest.raises(host.module("ldu.errors").BadValueError, match="removed just now"):
        host.classes["LDU_ProtectFolder"].execute(**lazily(host, "png")[1], vae=tiny.vae("sd1"))


def test_a_format_that_there_is_not_is_refused(host, folder):
    with pytest.raises(host.module("ldu.errors").BadValueError, match=r"saved as png, jpeg, webp .* but gif"):
        host.classes["LDU_ProtectFolder"].execute(**lazily(host, "gif")[1], vae=tiny.vae("sd1"))


def test_what_is_moved_away_as_soon_as_it_is_saved_is_no_loss(host, folder, run, monkeypatch):
    tick = host.module("nodes.protect_folder").Pace.tick

    def moved(pace):
        saved(host, "a.png").unlink(missing_ok=True)
        tick(pace)

    monkeypatch.setattr(host.module("nodes.protect_folder").Pace, "tick", moved)
    output, told = run()
    assert [picture["outcome"] for picture in told] == ["saved"] * 3
    assert output.args[2].shape == output.args[3].shape
    shutil.rmtree(host.base / "output" / "album_protected")
    monkeypatch.setattr(host.module("nodes.protect_folder").Pace, "tick", lambda _: shutil.rmtree(saved(host, "")))
    with pytest.raises(host.module("ldu.errors").BadFileError, match="none is left to be shown"):
        run()


def test_protecting_a_protected_picture_again_is_told_of(host, folder, run):
    run()
    shutil.copy(saved(host, "b.png"), folder / "again.png")
    output, _ = run()
    assert "again.png: up to" in output.ui["text"][0]
    assert "This very picture came out of Save Protected before" in output.ui["text"][0]


def test_an_original_beside_its_protected_version_is_told_of(host, folder, run):
    saved(host, "sub").mkdir(parents=True)
    shutil.copy(folder / "a.jpg", saved(host, "a.jpg"))
    output, _ = run()
    assert "The unprotected a.jpg lies beside it" in output.ui["text"][0]
    assert "c.png:" not in output.ui["text"][0]


def test_the_pictures_to_train_on_are_made_small_and_taken_evenly(host, folder):
    for seed in range(5):
        write_picture(host, f"album/d{seed}.png", (300, 200), seed=seed)
    (folder / "d9.png").write_bytes(b"no picture")
    load = host.classes["LDU_LoadPictureFolder"].execute
    output = load("album", model=tiny.model("sd1"), at_most=3)
    side = host.module("nodes.host").training_resolution(tiny.model("sd1"))
    images, masks, infos, files = output.args
    assert [info.name for info in infos] == ["a.jpg", "d1.png", "d4.png"]
    assert files == [f"album/{info.name} [input]" for info in infos]
    assert [min(image.shape[1:3]) for image in images] == [side] * 3
    assert [mask.shape for mask in masks] == [image.shape[:3] for image in images]
    everything = load("album")
    assert len(everything.args[0]) == 8
    assert "Left out: d9.png is not a picture" in everything.ui["text"][0]
