"""Choose a Decoy in the real host, on several families of models."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from launch import PACK
from launch.graph import WORKFLOWS, numbers_of

from . import tiny_models as tiny
from .executor import needs_weights, new_executor, run

pytestmark = pytest.mark.usefixtures("executor_mode")
DECOYS = "someone with a beard\n\n  a girl with red hair  "


def saved(host, name):
    (file,) = (host.base / "output").glob(f"decoy_{name}_*.png")
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")).astype(float)


@pytest.fixture
def choose(host):
    def run(model, clip, record, decoys=DECOYS):
        return host.classes["LDU_ChooseDecoy"].execute(model, clip, record, decoys)

    return run


def record_of(host, family, k=3):
    model, latent, condition = tiny.model(family), tiny.latents(family, batch=2), tiny.conditioning(family)
    return model, latent["samples"], host.classes["LDU_InvertToZT"].execute(model, latent, k, 0.6, 0, condition).args[1]


@pytest.mark.parametrize("family", ["sd1", "sd2-v", "sd1-flow", "sdxl"])
def test_the_farthest_of_the_described_is_given_back(host, choose, family):
    model, samples, record = record_of(host, family)
    clip = tiny.clip(family)
    out = choose(model, clip, record)
    target, decoy, condition = out.args
    prompts = ["someone with a beard", "a girl with red hair"]
    ways = {}
    for prompt in prompts:
        alone = choose(model, clip, record, prompt).args[0]["samples"]
        ways[prompt] = (alone - samples).norm()
        if prompt == decoy:
            assert torch.equal(alone, target["samples"])
            assert torch.equal(condition[0][0], clip.encode_from_tokens_scheduled(clip.tokenize(prompt))[0][0])
    assert decoy == max(ways, key=ways.get)
    assert ways[prompts[0]] != ways[prompts[1]]
    assert json.loads(out.ui["ldu"][0])["nfe"] == {"protect": 2 * 2 * 3}  # pictures, decoys, k


@needs_weights
def test_the_workflow_leads_the_sample_portrait_to_somebody_else(host):
    shutil.copytree(PACK / "workflows" / "samples", host.base / "input", dirs_exist_ok=True)
    graph = json.loads((WORKFLOWS / "protect_with_decoy.json").read_text("utf-8"))
    (chosen,), (refined,) = numbers_of(graph, "LDU_ChooseDecoy"), numbers_of(graph, "LDU_RefinePixels")
    (picture,), (working, *_) = numbers_of(graph, "LDU_LoadPicture"), numbers_of(graph, "LDU_WorkingSize")
    settings = graph[refined]["inputs"]
    graph[settings["budget"][0]]["inputs"]["value"], settings["steps"] = 32, 20
    somebody, seen = numbers_of(graph, "PreviewImage")
    shown = {"somebody": graph[somebody]["inputs"]["images"], "seen": graph[seen]["inputs"]["images"]}
    for name, link in (shown | {"picture": [picture, 0], "working": [working, 0], "refined": [refined, 0]}).items():
        given = {"images": link, "filename_prefix": f"decoy_{name}"}
        graph[f"save_{name}"] = {"class_type": "SaveImage", "inputs": given, "_meta": {"title": name}}
    outputs, _ = run(new_executor("CLASSIC"), graph)
    change = np.abs(saved(host, "refined") - saved(host, "picture"))
    assert 3 < change.mean() < change.max() <= 32
    assert np.abs(saved(host, "somebody") - saved(host, "working")).mean() > 10
    way = saved(host, "somebody") - saved(host, "working")
    gone = saved(host, "seen") - saved(host, "working")
    assert (gone * way).sum() > 0.1 * (way * way).sum(), "a model sees some of somebody else"
    assert "A thief shall learn: a photo of a person with" in outputs[chosen]["text"][0]
    assert json.loads(outputs[refined]["ldu"][0])["nfe"]["refine"] >= 20 * 2 * 2
