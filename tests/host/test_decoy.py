"""Choose a Decoy in the real host, on several families of models."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from launch import PACK

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
    target, decoy = out.args
    prompts = ["someone with a beard", "a girl with red hair"]
    ways = {}
    for prompt in prompts:
        alone = choose(model, clip, record, prompt).args[0]["samples"]
        ways[prompt] = (alone - samples).norm()
        if prompt == decoy:
            assert torch.equal(alone, target["samples"])
    assert decoy == max(ways, key=ways.get)
    assert ways[prompts[0]] != ways[prompts[1]]
    assert json.loads(out.ui["ldu"][0])["nfe"] == {"protect": 2 * 2 * 3}  # pictures, decoys, k


@needs_weights
def test_the_graph_of_the_help_page_leads_the_sample_portrait_to_somebody_else(host):
    shutil.copytree(PACK / "workflows" / "samples", host.base / "input", dirs_exist_ok=True)
    model, clip, vae, picture = ["model", 0], ["model", 1], ["model", 2], ["picture", 0]
    decoys = "\n".join(host.module("ldu.target").DECOYS)
    settings = {"budget": 32.0, "steps": 20, "seed": 0, "visibility": 0.4, "flat_areas": 0.5, "contrast": 1.0}
    inputs = {
        "LDU_LoadDemoCheckpoint": ("model", {}),
        "LDU_LoadPicture": ("picture", {"image": "ldu_sample_portrait.png"}),
        "CLIPTextEncode": ("empty", {"text": "", "clip": clip}),
        "LDU_WorkingSize": ("working", {"image": picture, "short_side": 0, "model": model}),
        "VAEEncode": ("latent", {"pixels": ["working", 0], "vae": vae}),
        "LDU_InvertToZT": ("walk", {"model": model, "latent": ["latent", 0], "k": 8, "depth": 0.6, "refine": 0}),
        "LDU_ChooseDecoy": ("decoy", {"model": model, "clip": clip, "record": ["walk", 1], "decoys": decoys}),
        "VAEDecode": ("somebody", {"samples": ["decoy", 0], "vae": vae}),
        "LDU_RefinePixels": ("refined", {"model": model, "vae": vae, "image": picture, **settings}),
    }
    graph = {name: {"class_type": kind, "inputs": given} for kind, (name, given) in inputs.items()}
    graph["walk"]["inputs"]["conditioning"] = ["empty", 0]
    graph["refined"]["inputs"]["target"] = ["decoy", 0]
    for name in ("picture", "working", "somebody", "refined"):
        given = {"images": [name, 0], "filename_prefix": f"decoy_{name}"}
        graph[f"save_{name}"] = {"class_type": "SaveImage", "inputs": given}
    outputs, _ = run(new_executor("CLASSIC"), graph)
    shown = {name: saved(host, name) for name in ("picture", "working", "somebody", "refined")}
    change = np.abs(shown["refined"] - shown["picture"])
    assert 3 < change.mean() < change.max() <= 32
    assert np.abs(shown["somebody"] - shown["working"]).mean() > 10
    assert "A thief shall learn: a photo of a person with" in outputs["decoy"]["text"][0]
    assert json.loads(outputs["refined"]["ldu"][0])["nfe"] == {"refine": 0}
