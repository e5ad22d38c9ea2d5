"""Every shipped workflow, through the host's real executor, on the demo checkpoint with as few steps as will do."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from launch import PACK
from launch.graph import WORKFLOWS as TWINS
from launch.graph import numbers_of

from . import tiny_models as tiny
from .executor import needs_weights, new_executor, run

WORKFLOWS = PACK / "workflows"
PORTRAIT = WORKFLOWS / "samples" / "ldu_sample_portrait.png"
BUDGET = 6
OTHER_CACHES = ("LRU", "NONE", "RAM_PRESSURE")
TWO = "two_pictures"  # as many as make a list
FEW = {
    "LDU_TextualInversion": {"steps": 1},
    "LDU_TrainRho": {"steps": 2, "k": 1, "budget": BUDGET},
    "LDU_InvertToZT": {"k": 1},
    "LDU_FitToBudget": {"budget": BUDGET},
    "LDU_RefinePixels": {"steps": 2, "budget": BUDGET},
    "LDU_ProtectFolder": {"refine_steps": 2, "budget": BUDGET},
    "LDU_MeasureLoss": {"draws": 2},
    "LDU_Purify": {"purifiers": "none\njpeg 50"},
    "TrainLoraNode": {"steps": 1, "batch_size": 1},
    "KSampler": {"steps": 1},
    "RepeatLatentBatch": {"amount": 2},
}


def twin(name):
    """Return a workflow in API format with few steps and a budget of its own, set where the workflow keeps them."""
    graph = json.loads((TWINS / f"{name}.json").read_text("utf-8"))
    for node in list(graph.values()):
        for key, value in FEW.get(node["class_type"], {}).items():
            link = node["inputs"][key]
            place, key = (graph[link[0]]["inputs"], "value") if isinstance(link, list) else (node["inputs"], key)
            place[key] = value
    for gallery in numbers_of(graph, "LDU_ThiefsGallery"):
        if "above" in graph[gallery]["inputs"]:  # the LoRA's: the host's trainer takes one set of pictures
            graph[graph[gallery]["inputs"]["name"][0]]["inputs"]["purifiers"] = "jpeg 50"
    return graph


def with_less_to_compare(graph):
    """Return a graph that has two pictures of the folder's four and draws no previews of a word."""
    for node in graph.values():
        less = {"folder": TWO, "previews": 0}
        node["inputs"] |= {name: value for name, value in less.items() if node["inputs"].get(name)}
    return graph


def saved_change(host, outputs, graph):
    """Return the largest change of a level in the saved picture, whose name and silence are checked too."""
    (saver,) = numbers_of(graph, "LDU_SaveProtected")
    (saved,) = outputs[saver]["images"]
    assert saved["filename"].startswith("ldu_sample_portrait_protected_")
    with Image.open(host.base / "output" / saved["filename"]) as picture, Image.open(PORTRAIT) as original:
        assert picture.format == "PNG"
        assert picture.info == {}
        return np.abs(np.asarray(picture, int) - np.asarray(original, int)).max()


@pytest.fixture(scope="module", autouse=True)
def samples(host):
    pictures = host.base / "input"
    shutil.copytree(WORKFLOWS / "samples", pictures, dirs_exist_ok=True)
    (pictures / TWO).mkdir()
    for name in ("1.png", "2.png"):
        shutil.copy(pictures / "ldu_sample_person" / name, pictures / TWO)


def test_the_api_twins_are_fresh():
    command = [sys.executable, "-m", "tools.export_api", "--check"]
    checked = subprocess.run(command, cwd=PACK, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_workflow_has_a_thumbnail_of_its_name():
    for workflow in WORKFLOWS.glob("*.json"):
        thumbnail = workflow.with_suffix(".jpg")
        assert 0 < thumbnail.stat().st_size <= 100_000
        with Image.open(thumbnail) as picture:
            assert picture.format == "JPEG"


@needs_weights
@pytest.mark.parametrize("cache", ["CLASSIC", *OTHER_CACHES])
def test_protect_keeps_the_budget_in_each_cache_mode_of_the_host(host, cache):
    graph, executor = twin("protect"), new_executor(cache)
    outputs, _ = run(executor, graph)
    assert 0 < saved_change(host, outputs, graph) <= BUDGET
    (judge,) = numbers_of(graph, "LDU_MeasureLoss")
    numbers = json.loads(outputs[judge]["ldu"][0])
    assert all(np.isfinite(numbers[key]) for key in ("loss_before", "loss_after", "loss_random"))
    if cache == "CLASSIC":
        check_that_strength_costs_no_training(host, executor, graph)


def check_that_strength_costs_no_training(host, executor, graph):
    (shift,) = numbers_of(graph, "LDU_ApplyRhoShift")
    graph[shift]["inputs"]["strength"] = 0
    outputs, worked = run(executor, graph)
    assert not worked & {*numbers_of(graph, "LDU_TextualInversion"), *numbers_of(graph, "LDU_TrainRho")}
    assert saved_change(host, outputs, graph) == 0


def losses_found(name, cache):
    """Return what the judges of a workflow find in a cache mode; a folder's pictures get a place of their own."""
    graph = with_less_to_compare(twin(name))
    for node in numbers_of(graph, "LDU_ProtectFolder"):
        graph[node]["inputs"]["save_in"] = f"%folder%_{cache}"
    outputs, _ = run(new_executor(cache), graph)
    return {node: outputs[node]["ldu"] for node in numbers_of(graph, "LDU_MeasureLoss")}


@needs_weights
def test_ldu_as_published_keeps_the_budget_and_its_rho_says_what_it_is(host):
    graph = twin("protect_as_published")
    (training,) = numbers_of(graph, "LDU_TrainRho")
    graph["card"] = {"class_type": "LDU_SaveRho", "inputs": {"rho": [training, 0], "name": "as_published"}}
    outputs, _ = run(new_executor("CLASSIC"), graph)
    assert 0 < saved_change(host, outputs, graph) <= BUDGET
    net, card = host.module("ldu.checkpoint").load_rho(host.base / "output" / "ldu" / "as_published.safetensors")
    assert net.config.key_channels == 0
    assert card.training["as_published"]
    assert card.training["price_rate"] == 0


@needs_weights
@pytest.mark.parametrize("name", ["protect_folder", "stress_test", "compare_methods"])
def test_a_workflow_finds_the_same_in_each_cache_mode_of_the_host(host, name):
    found = [losses_found(name, cache) for cache in OTHER_CACHES]
    assert all(found[0].values())
    assert found[0] == found[1] == found[2]


@needs_weights
@pytest.mark.parametrize("cache", ["CLASSIC", *OTHER_CACHES])
def test_a_rho_trained_on_a_folder_protects_a_photo_in_each_cache_mode(host, cache):
    training, protecting = with_less_to_compare(twin("train_rho_on_folder")), twin("protect_with_trained_rho")
    (saver,), (loader,) = numbers_of(training, "LDU_SaveRho"), numbers_of(protecting, "LDU_LoadRho")
    training[saver]["inputs"]["name"] = f"my_rho_{cache}"
    run(new_executor(cache), training)
    outputs, _ = run(new_executor(cache), protecting)
    assert outputs[loader]["text"][0].startswith(training[saver]["inputs"]["name"] + ".safetensors\n")
    assert 0 < saved_change(host, outputs, protecting) <= BUDGET


@needs_weights
def test_a_folder_is_protected_and_a_second_run_trains_nothing(host):
    graph = twin("protect_folder")
    outputs, _ = run(new_executor("CLASSIC"), graph)
    (node,), (judge,) = numbers_of(graph, "LDU_ProtectFolder"), numbers_of(graph, "LDU_MeasureLoss")
    numbers = json.loads(outputs[node]["ldu"][0])
    told = numbers["pictures"]
    assert [each["outcome"] for each in told] == ["saved"] * 4
    assert numbers["nfe"]["refine"] == 4 * 2 * 2 * 2  # pictures, steps, draws, prompts
    for each in told:
        with (
            Image.open(host.base / "output" / each["file"]) as picture,
            Image.open(WORKFLOWS / "samples" / "ldu_sample_person" / each["name"]) as original,
        ):
            assert picture.info == {}
            assert 0 < np.abs(np.asarray(picture, int) - np.asarray(original, int)).max() <= BUDGET
    assert len(outputs[judge]["ldu"]) == 2, "as it was saved, and after a platform"
    outputs, worked = run(new_executor("CLASSIC"), graph)
    (training,) = numbers_of(graph, "LDU_TrainRho")
    assert not worked & {
        training,
        graph[training]["inputs"]["conditioning"][0],
        *numbers_of(graph, "LDU_LoadPictureFolder"),
    }
    assert outputs[node]["text"][0].startswith("4 there already")


@needs_weights
def test_the_blueprint_protects_a_photo(host):
    graph = twin("blueprint_protect")
    outputs, _ = run(new_executor("CLASSIC"), graph)
    assert 0 < saved_change(host, outputs, graph) <= BUDGET


@needs_weights
def test_the_methods_are_compared_by_one_judge_within_the_budget(host):
    graph = twin("compare_methods")
    (noise,) = numbers_of(graph, "LDU_Purify")
    graph[noise]["inputs"]["purifiers"] = "noise 0.02"
    (half,) = (node for node in graph.values() if node["_meta"]["title"] == "Half of it")
    half["inputs"]["value"] = BUDGET / 2
    outputs, _ = run(new_executor("CLASSIC"), graph)
    said = [outputs[node]["text"][0] for node in numbers_of(graph, "LDU_Compare")]
    changes = [int(text.split(" of 255")[0].split()[-1]) for text in said]
    assert len(changes) == 4
    assert all(0 < change <= most for change, most in zip(changes, (BUDGET, BUDGET, BUDGET, BUDGET / 2), strict=True))
    told = [json.loads(outputs[node]["ldu"][0]) for node in numbers_of(graph, "LDU_MeasureLoss")]
    assert len({each["loss_before"] for each in told}) == 1
    assert len({each["loss_after"] for each in told}) == 4


@needs_weights
def test_the_stress_test_shows_what_each_thief_got_and_reports_on_the_saved_files(host):
    graph = twin("stress_test")
    gallery = next(number for number in numbers_of(graph, "LDU_ThiefsGallery") if "above" in graph[number]["inputs"])
    outputs, _ = run(new_executor("CLASSIC"), graph)
    (report,) = numbers_of(graph, "LDU_ProtectionReport")
    page = host.base / "output" / json.loads(outputs[report]["ldu"][0])["report"]
    told = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert told["demo"] is True
    assert [picture["name"] for picture in told["pictures"]] == ["1.png", "2.png", "3.png", "4.png"]
    assert all(picture["sha256"] for picture in told["pictures"])
    assert 0 < max(picture["visibility"]["max_abs_levels"] for picture in told["pictures"]) <= BUDGET
    versions = {each["name"]: [attempt["version"] for attempt in each["attempts"]] for each in told["thieves"]}
    assert versions == {
        "Textual Inversion": ["clean", "protected", "jpeg 50"],
        "DreamBooth-LoRA": ["clean", "protected", "jpeg 50"],
    }
    assert all(attempt["pictures"] == 2 for each in told["thieves"] for attempt in each["attempts"])
    assert [each["purifier"] for each in told["purified"]] == ["jpeg 50"]
    made = {"k": 1, "depth": 0.25, "prompt": "a photo of S* person", "training: train_steps": 2, "strength": 1}
    assert made.items() <= told["settings"].items()
    assert told["settings"]["seed of the shift"] == told["settings"]["training: seed"] == 0
    (saved,) = outputs[gallery]["images"]
    with Image.open(host.base / "output" / saved["filename"]) as picture:
        assert picture.info == {}
        assert not host.module("nodes.known_pictures").is_known(torch.from_numpy(np.array(picture)))


@needs_weights
def test_a_stress_test_of_unprotected_pictures_finds_no_protection(host):
    graph = twin("blueprint_stress_test")
    outputs, _ = run(new_executor("CLASSIC"), graph)
    (gallery,) = numbers_of(graph, "LDU_ThiefsGallery")
    assert "no protection is seen" in outputs[gallery]["text"][0]
    (judge,) = numbers_of(graph, "LDU_MeasureLoss")
    told = json.loads(outputs[judge]["ldu"][0])
    assert told["loss_before"] == told["loss_after"]


@needs_weights
def test_the_lora_attack_draws_with_a_model_that_has_learnt(host):
    graph = twin("blueprint_dreambooth_lora_attack")
    (training,) = numbers_of(graph, "TrainLoraNode")
    drawn = []
    for rate in (1e-7, 1e-1):
        graph[training]["inputs"]["learning_rate"] = rate
        outputs, worked = run(new_executor("CLASSIC"), graph)
        assert training in worked
        (saver,) = numbers_of(graph, "LDU_SaveProtected")
        with Image.open(host.base / "output" / outputs[saver]["images"][0]["filename"]) as picture:
            drawn.append(np.asarray(picture, int))
    assert drawn[0].shape == (128, 128, 3)
    assert np.abs(drawn[0] - drawn[1]).mean() > 1


class TinyLoader:
    """A loader node of small random models, which can be loaded anew as the host's trainer wants it."""

    INPUT_TYPES = classmethod(lambda _: {"required": {"family": (list(tiny.FAMILIES),)}})
    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    FUNCTION = "load"

    def load(self, family):
        model = tiny.model(family)
        model.cached_patcher_init = (lambda which, disable_dynamic: tiny.model(which), (family,))
        return model, tiny.clip(family), tiny.vae(family)


@pytest.mark.parametrize("family", ["sd1", "sd2-v", "sdxl"])
def test_the_lora_attack_trains_and_draws_with_each_family(host, monkeypatch, family):
    monkeypatch.setitem(host.classes, "TinyLoader", TinyLoader)
    graph = twin("blueprint_dreambooth_lora_attack")
    (loader,) = numbers_of(graph, "LDU_LoadDemoCheckpoint")
    graph[loader] = {"class_type": "TinyLoader", "inputs": {"family": family}}
    outputs, worked = run(new_executor("CLASSIC"), graph)
    assert {*numbers_of(graph, "TrainLoraNode"), *numbers_of(graph, "LoraModelLoader")} <= worked
    (saver,) = numbers_of(graph, "LDU_SaveProtected")
    assert len(outputs[saver]["images"]) == 2
