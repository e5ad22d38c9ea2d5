"""Thief's Gallery and Protection Report in a real ComfyUI."""

import base64
import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from launch import PACK

from . import tiny_models as tiny
from .executor import needs_weights, new_executor, run

SAMPLES = PACK / "workflows" / "samples"
pytestmark = pytest.mark.usefixtures("executor_mode")


def photo(height=48, width=40, count=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(20, 235, (count, height, width, 3), generator=generator) / 255


def changed(image, by=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return ((image * 255).round() + torch.randint(-by, by + 1, image.shape, generator=generator)).clamp(0, 255) / 255


@pytest.fixture
def losses(host):
    record = host.module("ldu.evidence.record")
    return lambda after: record.Losses(0.1, after, 0.1, (0.05, 0.1))


@pytest.fixture
def gallery(host):
    def show(*image, **given):
        settings = {"thief": "LoRA", "identity": "none", "side": 64}
        listed = {name: value if isinstance(value, list) else [value] for name, value in {**settings, **given}.items()}
        return host.classes["LDU_ThiefsGallery"].execute(image=list(image), **listed)

    return show


@pytest.fixture
def write_report(host):
    def write(original, protected, **given):
        settings = {"budget": 10.0, "public_photos": 0, "unprotected_files": "", "filename_prefix": "reports/ldu"}
        listed = {name: value if isinstance(value, list) else [value] for name, value in {**settings, **given}.items()}
        text, told, file = (
            host.classes["LDU_ProtectionReport"].execute(original=[original], protected=[protected], **listed).args
        )
        return text, json.loads(told), Path(host.base, "output", file)

    return write


def attempts(out):
    return out.args[2][-1].thief.attempts


def test_columns_are_clean_protected_and_the_purifiers_by_name(gallery):
    out = gallery(photo(), photo(30, 90), photo(8, 8), name=["none", "jpeg 75", "blur 5"], clean=photo(count=5))
    assert [each.version for each in attempts(out)] == ["clean", "protected", "jpeg 75", "blur 5"]
    assert [each.pictures for each in attempts(out)] == [5, 1, 1, 1]
    image = out.args[0]
    assert image.shape[0] == 1
    assert image.shape[-1] == 3
    assert torch.equal((image * 255).round() / 255, image)
    assert "nothing is marked" in out.args[1]
    assert out.ui["text"][0] == out.args[1]


def test_the_preview_of_the_gallery_carries_no_prompt(host, gallery):
    (shown,) = gallery(photo()).ui["images"]
    with Image.open(Path(host.base, "temp", shown["filename"])) as picture:
        assert picture.info == {}


def test_a_saved_gallery_carries_no_prompt_and_is_not_recorded_as_protected(host, gallery):
    out = gallery(photo(), save_as="shown/all")
    (saved,) = out.ui["images"]
    assert (saved["type"], saved["subfolder"]) == ("output", "shown")
    with Image.open(Path(host.base, "output", "shown", saved["filename"])) as picture:
        assert picture.info == {}
        pixels = torch.from_numpy(np.array(picture))
    assert torch.equal(pixels, (out.args[0][0] * 255).round().to(torch.uint8))
    assert not host.module("nodes.known_pictures").is_known(pixels)


def test_one_thief_who_had_several_pictures_treated_alike_needs_no_name_for_each(gallery):
    out = gallery(photo(count=2), name=["jpeg 75"] * 4, protected=photo(seed=1))
    assert [(each.version, each.pictures) for each in attempts(out)] == [("protected", 1), ("jpeg 75", 2)]


def test_given_similarities_mark_the_highest_and_given_losses_the_lowest(gallery, losses):
    three, names = [photo(seed=seed) for seed in range(3)], ["none", "jpeg 75", "blur 5"]
    out = gallery(*three, name=names, clean=photo(), similarity=[0.9, 0.1, 0.2, 0.5], losses=[losses(0.1)] * 3)
    assert out.args[2][0].thief.worst.version == "blur 5"
    out = gallery(*three, name=names, clean=photo(), losses=[losses(0.3), losses(0.2), losses(0.4)])
    assert out.args[2][0].thief.worst.version == "jpeg 75"
    assert [each.loss for each in attempts(out)] == [0.1, 0.3, 0.2, 0.4]


def test_rows_of_another_gallery_come_first(gallery):
    first = gallery(photo(), thief="DreamBooth")
    both = gallery(photo(), above=[first.args[2]])
    assert [row.thief.name for row in both.args[2]] == ["DreamBooth", "LoRA"]
    assert both.args[0].shape[1] > first.args[0].shape[1]


@needs_weights
def test_the_demos_identity_network_tells_its_people_apart(gallery):
    def load(name):
        return torch.from_numpy(np.array(Image.open(SAMPLES / name).convert("RGB")))[None].float() / 255

    person, same = load("ldu_sample_person/1.png"), load("ldu_sample_person/2.png")
    stranger = load("ldu_sample_portrait.png")
    out = gallery(stranger, same, name=["a", "b"], person=[person], identity="demo portraits")
    stranger, same = (each.similarity for each in attempts(out))
    assert same > 0.5 > stranger
    assert "demo's drawn portraits only: for photographs its numbers mean nothing" in out.args[1]


def test_the_report_measures_the_saved_files_and_gives_their_sha256(host, write_report):
    original = photo(count=2)
    saved = host.classes["LDU_SaveProtected"].execute(changed(original), "signed/%name%", False)
    files, _ = saved.args
    text, told, page = write_report(original, photo(count=2, seed=9), file=files)  # what the graph holds is not asked
    assert [picture["file"] for picture in told["pictures"]] == files
    for picture in told["pictures"]:
        content = Path(host.base, "output", picture["file"]).read_bytes()
        assert picture["sha256"] == hashlib.sha256(content).hexdigest()
        assert picture["sha256"] in text
        assert picture["sha256"] in page.read_text("utf-8")
        assert 0 < picture["visibility"]["max_abs_levels"] <= 6


def test_files_that_were_protected_before_are_hashed_where_they_lie(host, write_report):
    folder = host.base / "input" / "given"
    folder.mkdir(exist_ok=True)
    Image.fromarray(((photo()[0] * 255).round()).byte().numpy()).save(folder / "a.png")
    Image.fromarray(((photo()[0] * 255).round()).byte().numpy()).save(folder / "b.jpg")
    images, _, _, files = host.classes["LDU_LoadPictureFolder"].execute("given").args
    assert files == ["given/a.png [input]", "given/b.jpg [input]"]
    text, told, _ = write_report(photo(), images[0], file=files[:1])
    assert told["pictures"][0]["file"] == "given/a.png"
    assert told["pictures"][0]["sha256"] == hashlib.sha256((folder / "a.png").read_bytes()).hexdigest()
    assert "no longer holds" not in text
    assert "no longer holds for this file" in write_report(photo(), images[1], file=files[1:])[0]


def test_the_report_hides_what_is_transparent_in_the_saved_file_or_the_original(host, write_report):
    picture, paper = (photo()[0] * 255).round().byte().numpy(), (248, 247, 243)
    hidden = np.dstack([picture, np.zeros_like(picture[..., :1])])
    Image.fromarray(hidden).save(host.base / "output" / "erased.png")
    (host.base / "input" / "erased.png").write_bytes((host.base / "output" / "erased.png").read_bytes())
    info = host.classes["LDU_LoadPicture"].execute("erased.png").args[2]

    def shown(page):
        coded = page.read_text("utf-8").split("base64,")[1].split('"')[0]
        return Image.open(io.BytesIO(base64.b64decode(coded))).convert("RGB").getpixel((4, 4))

    for given in ({"file": ["erased.png"]}, {"info": info}):
        assert np.allclose(shown(write_report(photo(), photo(), **given)[2]), paper, atol=3)
    smaller = photo(height=32)
    assert not np.allclose(shown(write_report(smaller, smaller, info=info)[2]), paper, atol=3)


def test_the_report_measures_flat_areas_on_their_own(write_report):
    original = photo(height=64)
    original[:, :32] = 200 / 255
    protected = original.clone()
    protected[:, :26] += 5 / 255
    text, told, page = write_report(original, protected)
    (flat,) = (picture["flat"] for picture in told["pictures"])
    assert flat["max_abs_levels"] == 5
    assert 4 < flat["mean_abs_levels"] <= 5
    assert "Flat areas" in text
    assert "Flat areas" in page.read_text("utf-8")


def test_the_report_is_saved_as_a_page_and_as_json_under_the_next_free_number(write_report):
    _, told, first = write_report(photo(), changed(photo()))
    _, _, second = write_report(photo(), changed(photo()))
    assert first != second
    assert json.loads(first.with_suffix(".json").read_text("utf-8")) == told
    assert first.read_text("utf-8").startswith("<!doctype html>")
    assert not list(first.parent.glob("*.part"))


@pytest.mark.parametrize(
    "given", [{"filename_prefix": "../out"}, {"filename_prefix": "/tmp/out"}, {"file": ["../x.png"]}]
)
def test_nothing_is_written_to_or_read_from_outside_the_output_folder(host, write_report, errors, given):
    (host.base / "x.png").write_bytes(b"")
    before = sorted(host.base.rglob("*"))
    with pytest.raises(errors.BadValueError, match="output folder"):
        write_report(photo(), changed(photo()), **given)
    assert sorted(host.base.rglob("*")) == before


@pytest.mark.parametrize(
    ("public", "files", "expected"),
    [(0, "", None), (12, "", (12, 11)), (1, "", (1, 0)), (0, "a.jpg\n\n b.jpg ", (3, 2)), (2, "a.jpg\nb.jpg", (3, 2))],
)
def test_unprotected_photos_are_counted_or_listed(write_report, public, files, expected):
    text, told, _ = write_report(photo(), changed(photo()), public_photos=public, unprotected_files=files)
    found = told["mixture"]
    assert (found and (found["public"], found["unprotected"])) == expected
    assert ("WARNING" in text) == bool(expected and expected[1])


def test_purifiers_are_measured_against_the_rise_without_one(write_report, losses):
    given = {"purifier": ["none", "jpeg 75"], "purified_losses": [losses(0.3), losses(0.2)]}
    text, told, _ = write_report(photo(), changed(photo()), **given)
    assert [each["after"] for each in told["losses"]] == [0.3]
    assert [(each["purifier"], each["kept"]) for each in told["purified"]] == [("jpeg 75", pytest.approx(0.5))]
    assert "50% of the rise is left" in text


def test_model_and_settings_are_those_of_the_model_and_rho(host, write_report):
    model = tiny.model("sd1")
    given = {"model": model, "rho": tiny.random_rho(host, model, 4), "strength": 0.5, "shift_seed": 7}
    text, told, _ = write_report(photo(), changed(photo()), **given)
    assert told["model"]["family"] == "SD15"
    assert told["settings"]["k"] == 4
    assert (told["settings"]["strength"], told["settings"]["seed of the shift"]) == (0.5, 7)
    assert told["model"]["fingerprint"] in told["settings"]["ρ trained for"]
    assert told["demo"] is False
    assert "Models other than this one (SD15)." in text
    assert "name" not in told["model"]  # no loader of the host read this one from a file


def test_the_node_shows_where_the_report_lies_first_and_leaves_the_settings_to_it(host):
    listed = {"original": [photo()], "protected": [changed(photo())], "model": [tiny.model("sd1")], "budget": [10.0]}
    listed |= {"public_photos": [0], "unprotected_files": [""], "filename_prefix": ["reports/ldu"]}
    out = host.classes["LDU_ProtectionReport"].execute(**listed)
    (shown,) = out.ui["text"]
    assert shown.startswith(f"Saved as {out.args[2]}")
    assert "MODEL AND SETTINGS" in out.args[0]
    assert "MODEL AND SETTINGS" not in shown
    assert "Models other than this one (SD15)." in shown


def test_the_report_names_the_file_of_the_checkpoint(write_report):
    model = tiny.model("sd1")
    model.cached_patcher_init = (None, (str(Path("models", "checkpoints", "v1-5.safetensors")), None))
    text, told, page = write_report(photo(), changed(photo()), model=model)
    assert told["model"]["name"] == "v1-5.safetensors"
    assert "name: v1-5.safetensors" in text
    assert "1 picture · v1-5.safetensors" in page.read_text("utf-8")


PIXELS = {
    "pixels: steps": 2,
    "pixels: budget": 10.0,
    "pixels: visibility": 0.3,
    "pixels: flat areas": 0.4,
    "pixels: contrast": 0.5,
    "pixels: seed": 7,
    "pixels: purifiers": "jpeg 75, noise 0.1",
    "pixels: mask": "spared a part",
    "pixels: target": "none",
}
TARGETED = PIXELS | {"pixels: contrast": 0.0, "pixels: purifiers": "none", "pixels: target": "another picture"}


@pytest.mark.parametrize(
    ("steps", "targeted", "told"), [(2, False, PIXELS), (2, True, TARGETED), (0, False, {"pixels: steps": 0})]
)
def test_the_report_says_how_the_pixels_were_refined(host, write_report, steps, targeted, told):
    models, settings = (tiny.model("sd1"), tiny.vae("sd1")), (10.0, steps, 7, 0.3, 0.4, 0.5)
    purifiers = host.module("ldu.attacks.purify.recipe").parse("jpeg 75\nnoise 0.1")
    target, condition = {"samples": tiny.latents()["samples"].mT}, tiny.conditioning("sd1")
    way = {"target": target} if targeted else {"conditioning": condition, "purifiers": purifiers}
    beside = {**way, "mask": torch.ones(1, 8, 8)}
    refined = host.classes["LDU_RefinePixels"].execute(*models, photo(), *settings, **beside).args[1]
    reported = write_report(photo(), changed(photo()), refined=refined)[1]["settings"]
    assert reported == told


@pytest.mark.parametrize(("given", "said"), [({}, {}), ({"strength": 1.0}, "not told")])
def test_a_report_that_nobody_told_of_the_pixels_says_so_beside_other_settings(write_report, given, said):
    reported = write_report(photo(), changed(photo()), **given)[1]["settings"]
    assert reported.get("pixels: steps", {}) == said


@pytest.mark.parametrize(
    ("recorded", "said"), [({}, "not told"), ({"purifiers": "jpeg 75, blur 5"}, "jpeg 75, blur 5")]
)
def test_the_report_says_which_purifiers_a_rho_was_trained_against_or_that_its_card_does_not(
    host, write_report, recorded, said
):
    rho = tiny.random_rho(host, tiny.model("sd1"), 4, training=recorded)
    assert write_report(photo(), changed(photo()), rho=rho)[1]["settings"]["training: purifiers"] == said


def test_a_number_of_a_strangers_card_that_is_none_is_left_out(host, write_report):
    rho = tiny.random_rho(host, tiny.model("sd1"), 4, training={"rate": float("nan"), "steps": 30})
    settings = write_report(photo(), changed(photo()), rho=rho)[1]["settings"]
    assert settings["training: steps"] == 30
    assert "training: rate" not in settings


@needs_weights
def test_only_the_demo_model_and_its_clones_are_called_demo(host, write_report):
    model = host.classes["LDU_LoadDemoCheckpoint"].execute().args[0]
    for one in (model, model.clone()):
        assert write_report(photo(), changed(photo()), model=one)[1]["demo"] is True


def test_the_gallery_in_the_page_shows_no_photograph_of_the_person(gallery, write_report):
    seen = []
    for person in (photo(seed=3), photo(seed=4)):
        rows = gallery(photo(seed=5), person=person).args[2]
        seen.append(write_report(photo(), changed(photo()), gallery=[rows])[2].read_text("utf-8"))
    assert seen[0] == seen[1]
    assert "What the thieves" in seen[0]


def test_a_word_of_its_own_is_learnt_for_each_name(host, errors):
    model, clip, vae = tiny.model("sd1"), tiny.clip("sd1"), tiny.vae("sd1")
    words = {"prompt": "a photo of S* person", "placeholder": "S*", "initial_word": "person", "vectors": 1}
    settings = {**words, "steps": 2, "learning_rate": 5e-2, "seed": 0, "save_as": "", "model": model, "clip": clip}
    listed = {name: [value] for name, value in {**settings, "vae": vae}.items()}
    learn = host.classes["LDU_TextualInversion"].execute
    pictures = [photo(64, 64, seed=seed) for seed in (0, 1, 0, 2)]
    conditions, people, curves, names = learn(image=pictures, name=["a", "b", "c", "a"], **listed).args
    assert names == ["a", "b", "c"]
    assert len(conditions) == len(people) == len(curves) == 3
    (alone,), *_ = learn(image=[pictures[1]], **listed).args
    assert torch.equal(conditions[1][0][0], alone[0][0])
    assert not torch.equal(conditions[0][0][0], conditions[2][0][0])  # a has learnt from a second picture as well
    with pytest.raises(errors.MismatchError, match="2 names for 4 lists"):
        learn(image=pictures, name=["a", "b"], **listed)
    with pytest.raises(errors.BadValueError, match="leave save_as empty"):
        learn(image=pictures, name=["a", "b", "c", "a"], **{**listed, "save_as": ["word"]})


def a_thief(image, **name):
    """A word learnt from pictures and what the model draws with it, in API format."""
    settings = {"prompt": "a photo of S* person", "placeholder": "S*", "initial_word": "person", "vectors": 1}
    learn = {"image": image, **name, **settings, "steps": 1, "learning_rate": 5e-3, "seed": 0, "save_as": ""}
    sample = {"seed": 0, "steps": 2, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    links = {"model": ["model", 0], "negative": ["empty", 0], "latent_image": ["size", 0]}
    return (
        {"class_type": "LDU_TextualInversion", "inputs": {**LOADED, **learn}},
        lambda word: {"class_type": "KSampler", "inputs": {**sample, **links, "positive": [word, 0]}},
        lambda drawn: {"class_type": "VAEDecode", "inputs": {"samples": [drawn, 0], "vae": ["model", 2]}},
    )


LOADED = {"model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2]}


@needs_weights
def test_in_a_graph_the_loss_after_each_purifier_is_measured_beside_its_own_original(host):
    shutil.copytree(SAMPLES, host.base / "input", dirs_exist_ok=True)
    photos, lines = ["photos", 0], {"purifiers": "none\njpeg 50", "mode": "one by one", "seed": 0}
    models = {"model": ["model", 0], "vae": ["model", 2], "conditioning": ["empty", 0]}
    judged = {"original": ["purify", 2], "protected": ["purify", 0], "draws": 2, "seed": 0}
    told = {"budget": 10.0, "public_photos": 4, "unprotected_files": "", "filename_prefix": "survived"}
    given = {"original": photos, "protected": photos, "purifier": ["purify", 1], "purified_losses": ["judge", 1]}
    graph = {
        "model": {"class_type": "LDU_LoadDemoCheckpoint", "inputs": {}},
        "photos": {"class_type": "LDU_LoadPictureFolder", "inputs": {"folder": "ldu_sample_person"}},
        "empty": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["model", 1]}},
        "purify": {"class_type": "LDU_Purify", "inputs": {"image": photos, "original": photos, **lines}},
        "judge": {"class_type": "LDU_MeasureLoss", "inputs": {**models, **judged}},
        "report": {"class_type": "LDU_ProtectionReport", "inputs": {**told, **given}},
    }
    run(new_executor("CLASSIC"), graph)
    (page,) = (host.base / "output").glob("survived_*.json")
    found = json.loads(page.read_text("utf-8"))
    assert all(each["before"] == each["after"] for each in found["losses"])  # those after "none"
    befores = [each["before"] for each in found["losses"]]
    assert found["purified"][0]["losses"]["before"] == pytest.approx(sum(befores) / 4)


@needs_weights
def test_purify_textual_inversion_ksampler_and_the_gallery_are_one_graph(host):
    if "LDU_Purify" not in host.classes:
        pytest.skip("there is no Purify node yet")
    shutil.copytree(SAMPLES, host.base / "input", dirs_exist_ok=True)
    learn, sample, decode = a_thief(["purify", 0], name=["purify", 1])
    learn_clean, *_ = a_thief(["photos", 0])
    settings = {"thief": "Textual Inversion", "identity": "demo portraits", "side": 96}
    given = {"image": ["drawn", 0], "name": ["word", 3], "clean": ["clean", 0], "person": ["photos", 0]}
    told = {"budget": 10.0, "public_photos": 4, "unprotected_files": "", "filename_prefix": "graph"}
    pictures = {"original": ["photos", 0], "protected": ["photos", 0], "info": ["photos", 2], "model": ["model", 0]}
    graph = {
        "model": {"class_type": "LDU_LoadDemoCheckpoint", "inputs": {}},
        "photos": {"class_type": "LDU_LoadPictureFolder", "inputs": {"folder": "ldu_sample_person"}},
        "purify": {
            "class_type": "LDU_Purify",
            "inputs": {
                "image": ["photos", 0],
                "purifiers": "none\njpeg 50 + resize 0.5",
                "mode": "one by one",
                "seed": 0,
            },
        },
        "empty": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["model", 1]}},
        "size": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 128, "batch_size": 2}},
        "word": learn,
        "latent": sample("word"),
        "drawn": decode("latent"),
        "clean_word": learn_clean,
        "clean_latent": sample("clean_word"),
        "clean": decode("clean_latent"),
        "gallery": {"class_type": "LDU_ThiefsGallery", "inputs": {**settings, **given}},
        "report": {"class_type": "LDU_ProtectionReport", "inputs": {**told, **pictures, "gallery": ["gallery", 2]}},
    }
    outputs, worked = run(new_executor("CLASSIC"), graph)
    assert worked >= {"word", "drawn", "clean", "gallery", "report"}
    (page,) = (host.base / "output").glob("graph_*.html")
    (thief,) = json.loads(page.with_suffix(".json").read_text("utf-8"))["thieves"]
    assert [each["version"] for each in thief["attempts"]] == ["clean", "protected", "jpeg 50 + resize 0.5"]
    assert all(each["pictures"] == each["faces"] == 2 for each in thief["attempts"])
    assert "worst for you" in outputs["gallery"]["text"][0]
    assert "1.png, 192 x 192" in outputs["report"]["text"][0]
