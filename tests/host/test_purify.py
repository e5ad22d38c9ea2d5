"""Purify and Purifiers for Training in the real host, on small random models of every family."""

import asyncio
import json
import re

import comfy.model_management as mm
import execution
import pytest
import torch
from PIL import Image

from . import tiny_models as tiny
from .executor import new_executor, run

pytestmark = pytest.mark.usefixtures("executor_mode")


def picture(height=50, width=70, count=1, seed=0):
    return torch.randint(0, 256, (count, height, width, 3), generator=torch.Generator().manual_seed(seed)) / 255


@pytest.fixture
def purify(host):
    def run(image, purifiers, mode="one by one", seed=0, **models):
        return host.classes["LDU_Purify"].execute(image, purifiers, mode, seed, **models)

    return run


@pytest.fixture(scope="module")
def models():
    with torch.inference_mode():  # as loader nodes do
        return {"model": tiny.model("sd1"), "vae": tiny.vae("sd1")}


def levels(image):
    return (255 * image).round()


def test_each_line_gives_a_batch_of_the_inputs_size_on_the_grid_and_its_name(purify):
    image = picture(count=2)
    images, names, _ = purify(image, "none\njpeg 50  # often\nblur 3 + noise 0.1\nresize 0.5").args
    assert names == ["none", "jpeg 50", "blur 3 + noise 0.1", "resize 0.5"]
    for out in images:
        assert out.shape == image.shape
        assert torch.equal(out, levels(out) / 255)
    assert torch.equal(images[0], image)
    assert not torch.equal(images[1], image)


def test_as_a_chain_the_lines_follow_each_other(purify):
    image = picture()
    lines = "jpeg 50\nnoise 0.05\nresize 0.5"
    (chain,), names, _ = purify(image, lines, "as a chain", seed=7).args
    (joined,), same, _ = purify(image, lines.replace("\n", " + "), seed=7).args
    assert names == same == ["jpeg 50 + noise 0.05 + resize 0.5"]
    assert torch.equal(chain, joined)
    assert not torch.equal(chain, purify(image, lines, "as a chain", seed=8).args[0][0])


def test_what_a_line_draws_does_not_depend_on_the_others(purify):
    image = picture()
    assert torch.equal(purify(image, "noise 0.1").args[0][0], purify(image, "crop 0.1\nnoise 0.1").args[0][1])


def test_a_model_that_needs_a_condition_is_refused_without_one_before_the_first_purifier(host, purify, monkeypatch):
    monkeypatch.setattr(host.module("nodes.purify"), "build", lambda *_: pytest.fail("a purifier was run"))
    with pytest.raises(host.module("ldu.errors").UnsupportedModelError, match="CLIP Text Encode with an empty prompt"):
        purify(picture(), "none\ndiffpure 100", model=tiny.model("sdxl"), vae=tiny.vae("sdxl"))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_purifiers_with_a_model_run_on_every_family_and_the_model_is_as_before(host, purify, family):
    given = {"model": tiny.model(family), "vae": tiny.vae(family), "conditioning": tiny.conditioning(family)}
    fingerprint = host.module("nodes.host").fingerprint
    before, image = fingerprint(given["model"]), picture(count=2)
    output = purify(image, "vae\ndiffpure 15\ndiffpure 100 3\nimg2img 0.15 2\nimpress 2", **given)
    for out, name in zip(*output.args[:2], strict=True):
        assert out.shape == image.shape, name
        assert out.isfinite().all(), name
        assert not torch.equal(out, image), name
    assert json.loads(output.ui["ldu"][0])["nfe"]["purify"] == 2 * (2 + 3 + 2)  # for each picture
    assert fingerprint(given["model"]) == before
    assert not mm.in_training
    assert not any(parameter.requires_grad for parameter in given["model"].model.parameters())
    again = purify(image, "diffpure 100 3", **given).args[0][0]
    assert torch.equal(again, output.args[0][2])


def test_the_model_is_brought_back_after_the_vae_has_pushed_it_out(host, purify, monkeypatch):
    """A GPU has room for one of the two; on a CPU what is asked of the host's memory manager tells."""
    model, vae = tiny.model("sd1"), tiny.vae("sd1")
    happened, load, denoiser = [], mm.load_models_gpu, host.module("nodes.host").HostDenoiser
    encode, evaluate = vae.encode, denoiser.__call__
    vae.encode = lambda pixels: happened.append("encode") or encode(pixels)
    monkeypatch.setattr(denoiser, "__call__", lambda *given: happened.append("evaluate") or evaluate(*given))
    monkeypatch.setattr(
        mm, "load_models_gpu", lambda wanted, **rest: happened.append(wanted[0].model) or load(wanted, **rest)
    )
    purify(picture(), "diffpure 100 1", model=model, vae=vae)
    between = happened[happened.index("encode") : happened.index("evaluate")]
    assert between[-1] is model.model


def test_gradients_and_the_hosts_own_way_give_the_same_diffpure(purify, models):
    """A chain with impress opens the model for gradients, everything else samples."""
    image = picture(48, 64)
    sampled = purify(image, "diffpure 100 3", **models).args[0][0]
    opened = purify(image, "diffpure 100 3 + impress 0", **models).args[0][0]
    assert (levels(sampled) - levels(opened)).abs().max() <= 1


def test_impress_brings_the_picture_nearer_to_what_the_vae_reproduces(host, purify, models):
    image = picture(48, 64)

    def miss(out):
        decoded = models["vae"].decode(models["vae"].encode(out))
        return (decoded - out).square().mean()

    assert miss(purify(image, "impress 30", **models).args[0][0]) < miss(image)


def test_impress_leaves_the_diffusion_model_where_it_is_and_needs_no_condition(host, purify, monkeypatch):
    tools, never = host.module("nodes.purifier_models"), lambda *_: pytest.fail("the diffusion model was loaded")
    monkeypatch.setattr(tools, "training_session", never)
    monkeypatch.setattr(tools, "sampling_session", never)
    purify(picture(), "impress 2", model=tiny.model("sdxl"), vae=tiny.vae("sdxl"))


@pytest.mark.parametrize(
    ("purifiers", "message"),
    [
        ("", "empty"),
        ("sharpen 3", "no purifier named 'sharpen'"),
        ("jpeg 75, blur 3", "cannot be read"),
        ("jpeg 60..95", "only training can draw"),
        ("gridpure 2", "no node gives"),
        ("jpeg 75 + upscale 0.1", "no node gives"),
        ("jpeg 75 + median 11", "at most 9 pixels"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_before_and_when_it_runs(host, purify, purifiers, message):
    assert message in host.classes["LDU_Purify"].validate_inputs(purifiers=purifiers)
    with pytest.raises(host.module("ldu.errors").BadValueError, match=message):
        purify(picture(), purifiers)


def test_the_default_lists_are_fine_and_a_linked_one_waits(host):
    for name in ("LDU_Purify", "LDU_TrainingPurifiers"):
        node = host.classes[name]
        (widget,) = [i for i in node.define_schema().inputs if i.id == "purifiers"]
        assert node.validate_inputs(purifiers=widget.default) is True
        assert node.validate_inputs(purifiers=None) is True


def test_a_missing_model_or_picture_is_said(host, purify, models):
    errors = host.module("ldu.errors")
    for text, given, message in (
        ("vae", {}, "needs a VAE: connect"),
        ("diffpure 50", {"vae": models["vae"]}, "needs a MODEL and a VAE"),
        ("impress 3", {"vae": models["vae"]}, "needs a MODEL and a VAE"),
        ("jpeg 75\nimg2img", {"model": models["model"]}, "'img2img 0.15' needs a MODEL and a VAE"),
    ):
        with pytest.raises(errors.BadValueError, match=message):
            purify(picture(), text, **given)
    with pytest.raises(errors.BadImageError, match="RGB pictures"):
        purify(picture()[..., :1], "jpeg 75")


def test_the_original_is_given_out_once_for_each_purified_picture(purify):
    image, before = picture(count=2), picture(count=2, seed=1)
    for mode, times in (("one by one", 3), ("as a chain", 1)):
        images, _, originals = purify(image, "none\njpeg 60\nblur 3", mode, original=before).args
        assert len(images) == len(originals) == times
        assert all(original is before for original in originals)


def test_an_original_of_another_size_is_refused_before_the_first_purifier(host, purify, monkeypatch):
    monkeypatch.setattr(host.module("nodes.purify"), "build", lambda *_: pytest.fail("a purifier was run"))
    for other in (picture(60), picture(count=2)):
        with pytest.raises(host.module("ldu.errors").MismatchError, match="the one that Fit to Budget has"):
            purify(picture(), "jpeg 75", original=other)


@pytest.mark.parametrize("text", ["clean 5", "diffpure 100 5", "impress 5"])
def test_cancelling_stops_at_once_and_leaves_the_host_usable(purify, models, text):
    mm.interrupt_current_processing()
    with pytest.raises(mm.InterruptProcessingException):
        purify(picture(), text, **models)
    assert not mm.in_training
    purify(picture(), text, **models)


def test_progress_rises_to_the_end(purify, models, monkeypatch):
    import comfy.utils

    heard = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: heard.append((value, total)))
    monkeypatch.setattr(comfy.utils, "PROGRESS_THROTTLE_MIN_INTERVAL", 0)
    purify(picture(), "jpeg 75\nclean 4\ndiffpure 100 5", **models)
    assert heard[-1] == (3000, 3000)
    assert [value for value, _ in heard] == sorted(value for value, _ in heard)


TRAINING = {
    "prompt": "a photo of S* person",
    "initial_word": "person",
    "budget": 10.0,
    "k": 2,
    "depth": 0.5,
    "steps": 4,
    "learning_rate": 5e-3,
    "batch": 1,
    "seed": 0,
    "visibility": 0.5,
    "patience": 0,
    "refit_every": 0,
}


@pytest.fixture
def train(host, models):
    def run(text, **changes):
        inputs = TRAINING | models | {"conditioning": tiny.conditioning("sd1")} | changes
        if text:
            inputs["purifiers"] = host.classes["LDU_TrainingPurifiers"].execute(text).args[0]
        listed = {name: [value] for name, value in inputs.items()}
        return host.classes["LDU_TrainRho"].execute(image=[picture(64, 72)], **listed).args

    return run


@pytest.mark.parametrize("text", ["jpeg 50..95", "blur 3..5 + resize 0.5..0.9", "diffpure 50..150 2", "vae + noise"])
def test_rho_trains_against_purifiers_with_gradients_that_arrive(train, text):
    rho, losses = train(text)
    untrained, _ = train(text, steps=0)
    assert len(losses["loss"]) == 4
    start = untrained.net.state_dict()
    for name, weight in rho.net.named_parameters():
        assert weight.isfinite().all(), name
        assert not torch.equal(weight, start[name]), name
    without, other = train(None)
    assert losses["loss"] != other["loss"]
    assert [each.card.training["purifiers"].split()[0] for each in (rho, without)] == [text.split()[0], "none"]


def test_what_cannot_be_trained_against_is_refused(host):
    node = host.classes["LDU_TrainingPurifiers"]
    refused = ("impress 100", "cannot be trained against"), ("gridpure", "no node gives"), ("median 3..11", "at most 9")
    for text, message in refused:
        assert message in node.validate_inputs(purifiers=text)
        with pytest.raises(host.module("ldu.errors").BadValueError, match=message):
            node.execute(text)


def test_in_a_graph_what_follows_runs_once_for_each_line(host):
    Image.fromarray(levels(picture())[0].byte().numpy()).save(host.base / "input" / "to_purify.png")
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "to_purify.png"}},
        "2": {
            "class_type": "LDU_Purify",
            "inputs": {"image": ["1", 0], "purifiers": "none\njpeg 60\nblur 3", "mode": "one by one", "seed": 0},
        },
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    outputs, _ = run(new_executor("CLASSIC"), graph)
    assert len(outputs["3"]["images"]) == 3
    assert outputs["2"]["text"][0].splitlines()[0] == "none: unchanged"
    graph["2"]["inputs"]["purifiers"] = "jpeg 600"
    valid, _, _, errors = asyncio.run(execution.validate_prompt("id", graph, None))
    assert not valid
    assert "a whole number from 1 to 100" in str(errors)


def purified_and_compared(host):
    """A graph in API format that purifies two pictures in two ways and compares each with the original given out."""
    folder = host.base / "input" / "two_to_purify"
    folder.mkdir(exist_ok=True)
    for seed in (0, 1):
        Image.fromarray(levels(picture(seed=seed))[0].byte().numpy()).save(folder / f"{seed}.png")
    lines = {"purifiers": "none\nnoise 0.01", "mode": "one by one", "seed": 0}
    judged = {"original": ["purify", 2], "protected": ["purify", 0], "gain": 10.0}
    return {
        "photos": {"class_type": "LDU_LoadPictureFolder", "inputs": {"folder": folder.name}},
        "purify": {
            "class_type": "LDU_Purify",
            "inputs": {"image": ["photos", 0], "original": ["photos", 0], **lines},
        },
        "judge": {"class_type": "LDU_Compare", "inputs": judged},
    }


def test_in_a_graph_each_of_several_pictures_is_compared_with_its_own_original(host, run_prompt):
    said = run_prompt(purified_and_compared(host))["judge"]["text"]
    assert ["identical" in each for each in said] == [True, False, True, False]
    assert all(float(re.findall(r"PSNR ([\d.]+)", each)[0]) > 30 for each in said[1::2])


def test_what_takes_the_original_of_a_purify_without_one_does_not_run_and_says_why(host):
    graph = purified_and_compared(host)
    del graph["purify"]["inputs"]["original"]
    executor = new_executor("CLASSIC")
    outputs, _ = run(executor, graph)
    assert "judge" not in outputs
    refused = [data for event, data in executor.server.heard if event == "execution_error"]
    assert {each["node_id"] for each in refused} == {"judge"}
    assert "only if one came into it: connect" in refused[0]["exception_message"]
