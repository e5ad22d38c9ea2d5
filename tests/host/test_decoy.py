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
    def run(model, clip, *records, decoys=DECOYS):
        return host.classes["LDU_ChooseDecoy"].execute([model], [clip], [*records], [decoys])

    return run


@pytest.fixture
def painted(host):
    """Return what Few-step Denoise makes of a z_T, without a record."""

    def run(model, z_T, condition):
        return host.classes["LDU_FewStepDenoise"].execute(model, z_T, None, condition).args[0]["samples"]

    return run


def walked(host, family, k=3, **latent):
    model, condition = tiny.model(family), tiny.conditioning(family)
    return host.classes["LDU_InvertToZT"].execute(model, tiny.latents(family, **latent), k, 0.6, 0, condition).args[:2]


@pytest.mark.parametrize("family", ["sd1", "sd2-v", "sd1-flow", "sdxl"])
def test_the_farthest_of_the_described_is_taken_for_all_pictures(host, choose, painted, family):
    model, clip = tiny.model(family), tiny.clip(family)
    walks = [walked(host, family, batch=2), walked(host, family)]
    out = choose(model, clip, *(record for _, record in walks))
    condition, decoy = out.args
    ways = {}
    for prompt in ("someone with a beard", "a girl with red hair"):
        alone = choose(model, clip, walks[0][1], decoys=prompt).args[0]
        ends = [painted(model, z_T, alone) - record.samples for z_T, record in walks]
        ways[prompt] = sum(end.square().mean().item() for end in ends)
        if prompt == decoy:
            assert torch.equal(alone[0][0], condition[0][0])
    assert decoy == max(ways, key=ways.get)
    assert len(set(ways.values())) == 2
    assert json.loads(out.ui["ldu"][0])["nfe"] == {"protect": 3 * 2 * 3}  # pictures, decoys, k


def test_the_decoys_are_walked_to_where_the_model_is(host, choose, monkeypatch):
    record, session, seen = walked(host, "sd1")[1], host.module("nodes.host").HostSession, []
    prepare = session.__init__

    def elsewhere(self, *given):
        prepare(self, *given)
        self.device = torch.device("meta")

    def found(records, *_):
        seen.extend((each.z_T.device.type, each.z_0.device.type) for each in records)
        return 0, []

    monkeypatch.setattr(session, "__init__", elsewhere)
    monkeypatch.setattr(host.module("nodes.decoy"), "farthest_edits", found)
    choose(tiny.model("sd1"), tiny.clip("sd1"), record)
    assert seen == [("meta", "meta")]


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
    assert json.loads(outputs[refined]["ldu"][0])["nfe"] == {"refine": 0}
