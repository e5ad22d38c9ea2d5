"""The picture nodes in a real ComfyUI."""

import asyncio
import hashlib
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import comfy.cli_args
import execution
import numpy as np
import pytest
import torch
from comfy_execution.graph import DynamicPrompt
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from .picture_files import colours, folder, put_input, random_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
pytestmark = pytest.mark.usefixtures("executor_mode")


def saved_path(output):
    (saved,) = output.ui["images"]
    return Path(folder("output"), saved["subfolder"], saved["filename"])


def test_a_loaded_picture_has_the_levels_alpha_and_name_of_its_file(call):
    rgba = colours(channels=4)
    put_input("photo.png", rgba, icc_profile=SRGB)
    image, mask, info = call("LDU_LoadPicture", image="photo.png").args
    assert image.dtype == torch.float32
    assert np.array_equal((255 * image[0].numpy()).astype(np.uint8), rgba[..., :3])
    assert torch.equal(mask, 1 - torch.from_numpy(rgba[None, ..., 3]).float() / 255)
    assert (info.name, info.width, info.height, info.icc) == ("photo.png", 17, 24, SRGB)


def test_an_opaque_picture_has_an_empty_mask_of_its_own_size(call):
    put_input("opaque.png", colours())
    mask = call("LDU_LoadPicture", image="opaque.png")[1]
    assert mask.shape == (1, 24, 17)
    assert not mask.any()


def test_a_jpeg_is_decoded_as_its_readers_do(call):
    path = put_input("photo.jpg", colours(64, 64), subsampling="4:2:0")
    image = call("LDU_LoadPicture", image="photo.jpg")[0]
    assert np.array_equal((255 * image[0].numpy()).astype(np.uint8), np.asarray(Image.open(path)))


def test_the_node_shows_the_input_file_itself_and_what_was_converted(call):
    Path(folder("input"), "album").mkdir(exist_ok=True)
    put_input("album/grey.png", colours()[..., 0])
    shown = call("LDU_LoadPicture", image="album/grey.png [input]").ui
    assert shown["images"] == [{"filename": "grey.png", "subfolder": "album", "type": "input"}]
    assert shown["text"] == ("Converted from grey to RGB.",)
    assert not list(folder("temp").glob("**/*grey*"))


def test_only_files_inside_the_hosts_folders_are_accepted(host, tmp_path):
    node = host.classes["LDU_LoadPicture"]
    put_input("inside.png", colours())
    assert node.validate_inputs(image="inside.png") is True
    assert node.validate_inputs(image=None) is True
    assert "no picture" in node.validate_inputs(image="missing.png")
    assert "no picture" in node.validate_inputs(image="../../../etc/passwd")
    Path(folder("input"), "link.png").symlink_to(tmp_path / "elsewhere.png")
    assert "is a link that leads out of the input folder" in node.validate_inputs(image="link.png")
    Path(folder("input"), "link.png").unlink()
    assert "no picture" in node.validate_inputs(image="x" * 300)


def test_a_changed_file_is_loaded_again(host):
    node = host.classes["LDU_LoadPicture"]
    put_input("changing.png", colours())
    before = node.fingerprint_inputs(image="changing.png")
    assert node.fingerprint_inputs(image="changing.png") == before
    put_input("changing.png", 255 - colours())
    assert node.fingerprint_inputs(image="changing.png") != before


LINKED = (
    ("LDU_LoadPicture", "image"),
    ("LDU_LoadPictureFolder", "folder"),
    ("LDU_LoadRho", "file"),
    *(("LDU_ProtectFolder", name) for name in ("folder", "save_in", "file_format")),
)


@pytest.mark.parametrize(("node", "linked"), LINKED)
def test_with_a_name_from_another_node_the_host_can_still_tell_what_has_changed(host, node, linked):
    """The host asks before it knows what comes: with an error it would do all work anew at each run."""
    Path(folder("input"), "album").mkdir(exist_ok=True)
    given = {"folder": "album", "save_in": "saved", "file_format": "png"} if node == "LDU_ProtectFolder" else {}

    def known():
        name = {"class_type": "PrimitiveString", "inputs": {"value": "album"}}
        graph = {"name": name, "node": {"class_type": node, "inputs": {**given, linked: ["name", 0]}}}
        return asyncio.run(execution.IsChangedCache("run", DynamicPrompt(graph), None).get("node"))

    before = known()
    assert isinstance(before, list)  # NaN after an error
    if node == "LDU_ProtectFolder":  # which looks itself whether there is anything to do
        assert known() != before
        return
    assert known() == before
    put_input("album/new.png", colours(seed=len(linked)))
    assert (known() == before) == (node == "LDU_LoadRho")


def test_what_the_host_writes_into_pictures_to_know_a_changed_file_tells_nothing_of_it(host):
    Path(folder("input"), "passport").mkdir()
    content = put_input("passport/anna.png", colours()).read_bytes()
    stamps = [
        host.classes["LDU_LoadPicture"].fingerprint_inputs(image="passport/anna.png"),
        host.classes["LDU_LoadPictureFolder"].fingerprint_inputs(folder="passport"),
        host.classes["LDU_LoadPictureFolder"].fingerprint_inputs(folder="passport", number=1),
        host.classes["LDU_ProtectFolder"].fingerprint_inputs("passport", "saved", "png"),
    ]
    for stamp in stamps:
        assert re.fullmatch("[0-9a-f]{32}", stamp)
        assert stamp not in (hashlib.sha256(content).hexdigest(), hashlib.blake2b(content, digest_size=16).hexdigest())


def test_new_input_files_are_offered(host):
    put_input("offered.png", colours())
    Path(folder("input"), "notes.txt").write_text("no picture")
    options = host.classes["LDU_LoadPicture"].INPUT_TYPES()["required"]["image"][1]
    assert "offered.png" in options["options"]
    assert "notes.txt" not in options["options"]
    assert options["image_upload"] is True


def test_the_working_size_is_what_the_model_was_trained_at(call):
    model = SimpleNamespace(model_options={"ldu_resolution": 128})
    resized = call("LDU_WorkingSize", image=random_image(2, 300, 200, 3), short_side=0, model=model)[0]
    assert resized.shape == (2, 192, 128, 3)
    assert torch.equal((resized * 255).round() / 255, resized)
    assert resized.dtype == torch.float32


def test_the_short_side_wins_over_the_model(call):
    model = SimpleNamespace(model_options={"ldu_resolution": 128})
    assert call("LDU_WorkingSize", image=random_image(1, 90, 80, 3), short_side=64, model=model)[0].shape[2] == 64


@settings(max_examples=25, deadline=None)
@given(
    budget=st.sampled_from([0, 1, 2.5, 4, 10]),
    height=st.integers(8, 40),
    width=st.integers(8, 40),
    seed=st.integers(0, 10**6),
)
def test_the_file_of_the_stock_save_image_stays_within_the_budget(host, call, budget, height, width, seed):
    original = random_image(1, height, width, 3, seed=seed)
    clean, protected = (random_image(1, 16, 24, 3, seed=seed + i) for i in (1, 2))
    fitted = call("LDU_FitToBudget", original=original, clean=clean, protected=protected, budget=budget)[0]
    for path in (stock_save(host, fitted), saved_path(save(call, fitted))):
        reread = np.asarray(Image.open(path)).astype(int)
        path.unlink()
        assert np.abs(reread - (original[0] * 255).round().numpy()).max() <= math.floor(budget)


@pytest.mark.parametrize("budget", [0, 1, 2.5, 4, 10])
def test_every_8_bit_value_survives_both_ways_of_saving(host, call, budget):
    original = (torch.arange(256.0) / 255).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    protected = call(
        "LDU_FitToBudget",
        original=original,
        clean=torch.zeros(1, 8, 8, 3),
        protected=torch.ones(1, 8, 8, 3),
        budget=budget,
    )[0]
    expected = (torch.arange(256).view(16, 16, 1).expand(16, 16, 3) + math.floor(budget)).clamp(max=255)
    for path in (stock_save(host, protected), saved_path(save(call, protected))):
        assert np.array_equal(np.asarray(Image.open(path)), expected)


def stock_save(host, image):
    (saved,) = host.nodes.SaveImage().save_images(image, "stock")["ui"]["images"]
    return Path(folder("output"), saved["filename"])


def save(call, image, prefix="%name%_protected", metadata=False, info=None):
    return call("LDU_SaveProtected", image=image, filename_prefix=prefix, metadata=metadata, info=info)


def test_no_change_gives_back_every_pixel_and_alpha_of_the_file(call):
    rgba = colours(channels=4)
    put_input("kept.png", rgba, icc_profile=SRGB)
    original, _, info = call("LDU_LoadPicture", image="kept.png").args
    decode = random_image(1, 64, 64, 3).half()
    fitted = call("LDU_FitToBudget", original=original, clean=decode, protected=decode.clone(), budget=10.0)[0]
    path = saved_path(save(call, fitted, info=info))
    assert path.name == "kept_protected_00001_.png"
    with Image.open(path) as reread:
        assert np.array_equal(np.asarray(reread), rgba)
        assert reread.info == {"icc_profile": SRGB}


def test_the_mask_is_resized_to_the_picture(call):
    original = torch.full((1, 32, 64, 3), 100 / 255)
    mask = torch.zeros(1, 4, 4)
    mask[..., :2] = 1
    protected = call(
        "LDU_FitToBudget",
        original=original,
        clean=torch.zeros(1, 8, 16, 3),
        protected=torch.ones(1, 8, 16, 3),
        budget=10.0,
        mask=mask,
    )[0]
    change = (protected - original)[0, :, :, 0] * 255
    assert torch.allclose(change[:, :16], torch.tensor(10.0), atol=1e-3)
    assert not change[:, -16:].any()


@pytest.mark.parametrize("mask", [torch.zeros(1, 64, 64), torch.full((1, 8, 8), math.nan)])
def test_a_mask_that_protects_nothing_is_refused(call, errors, mask):
    image = random_image(1, 16, 16, 3)
    with pytest.raises(errors.BadImageError, match="nothing would be protected"):
        call("LDU_FitToBudget", original=image, clean=image, protected=image, budget=10.0, mask=mask)


def test_fit_to_budget_says_of_which_pictures_the_budget_will_show(call):
    def said(original, budget, **mask):
        small = original[:, :32, :32]
        shown = call("LDU_FitToBudget", original=original, clean=small, protected=small, budget=budget, **mask).ui
        return shown["text"][0] if shown else ""

    grainy, flat = random_image(2, 64, 64, 3), torch.full((1, 64, 64, 3), 0.5)
    assert said(grainy, 10.0) == ""
    assert said(torch.cat([grainy, flat]), 10.0).startswith("Picture 3: 100% of the picture is flat")
    assert said(flat, 4.0) == ""
    assert said(flat, 10.0, mask=(torch.arange(64)[None, None] < 8).float().expand(1, 64, 64)) == ""
    tiny = random_image(1, 12, 40, 3)
    assert (
        call("LDU_FitToBudget", original=tiny, clean=grainy[:1], protected=grainy[:1], budget=1.0)
        .ui["text"][0]
        .startswith("The picture is small (40 x 12 pixels beside the model's 64)")
    )


@pytest.mark.parametrize(("clean", "protected"), [((1, 16, 16, 3), (1, 16, 24, 3)), ((2, 16, 16, 3), (2, 16, 16, 3))])
def test_decodes_that_do_not_belong_together_are_refused(call, errors, clean, protected):
    with pytest.raises(errors.MismatchError, match="one shape"):
        call(
            "LDU_FitToBudget",
            original=random_image(1, 30, 30, 3),
            clean=random_image(*clean),
            protected=random_image(*protected),
            budget=10.0,
        )


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(1, 16, 16, 1),
        torch.zeros(1, 16, 16, 4),
        torch.zeros(1, 1, 1, 3),
        torch.zeros(0, 16, 16, 3),
        torch.full((1, 16, 16, 3), math.nan),
        torch.full((1, 16, 16, 3), math.inf),
        torch.full((1, 16, 16, 3), 255.0),
        torch.full((1, 16, 16, 3), -2.0),
        torch.ones(1, 16, 16, 3, dtype=torch.uint8),
        torch.ones(1, 16, 16, 3, dtype=torch.bool),
    ],
    ids=["one channel", "RGBA", "1x1", "empty batch", "NaN", "infinite", "0..255", "below", "bytes", "yes or no"],
)
def test_an_image_that_is_no_rgb_picture_gets_one_sentence_from_every_node(call, errors, wrong):
    good = random_image(1, 16, 16, 3)
    attempts = [
        ("LDU_WorkingSize", {"image": wrong, "short_side": 64}),
        ("LDU_FitToBudget", {"original": wrong, "clean": good, "protected": good, "budget": 1.0}),
        ("LDU_FitToBudget", {"original": good, "clean": good, "protected": wrong, "budget": 1.0}),
        ("LDU_Compare", {"original": good, "protected": wrong, "gain": 10.0}),
        ("LDU_SaveProtected", {"image": wrong, "filename_prefix": "wrong", "metadata": False}),
    ]
    for node_id, inputs in attempts:
        with pytest.raises(errors.BadImageError) as caught:
            call(node_id, **inputs)
        assert "\n" not in str(caught.value)


def test_what_an_upscaler_overshoots_is_cut_off(call):
    over = torch.full((1, 16, 16, 3), 1.3)
    over[:, :8] = -0.3
    output = call("LDU_WorkingSize", image=over, short_side=64).args[0]
    assert (output.min(), output.max()) == (0, 1)


def test_compare_reports_and_draws_the_amplified_difference(call):
    original = torch.full((1, 16, 16, 3), 100 / 255)
    protected = original.clone()
    protected[0, 0, 0] = torch.tensor([103, 98, 200]) / 255
    output = call("LDU_Compare", original=original, protected=protected, gain=10.0)
    report, difference = output.args
    assert report.startswith("Largest change 100 of 255 levels")
    assert (difference[0, 0, 0] * 255).round().tolist() == [158, 108, 255]
    assert (difference[0, 1:] * 255).round().eq(128).all()
    assert "As a PNG about 1 kB (its original: 1 kB)" in report
    assert output.ui["text"] == (report,)
    for name, expected in (("before", original), ("after", protected), ("difference", difference)):
        (shown,) = output.ui[name]
        with Image.open(Path(folder("temp"), shown["filename"])) as preview:
            assert preview.info == {}
            assert np.array_equal(np.asarray(preview), (expected[0] * 255).round().numpy())


def test_compare_measures_what_a_mask_protects_and_what_it_spares(call):
    original = torch.randint(256, (2, 16, 16, 3), generator=torch.Generator().manual_seed(1)) / 255
    protected, mask = original.clone(), torch.zeros(1, 16, 16)
    mask[:, :, :4] = 1
    protected[0, :, :4] = ((original[0, :, :4] * 255).round() + torch.where(original[0, :, :4] > 0.5, -4, 4)) / 255
    protected[1, 0, 15, 0] = (original[1, 0, 15, 0] * 255 + (9 if original[1, 0, 15, 0] < 0.5 else -9)) / 255
    told = call("LDU_Compare", original=original, protected=protected, gain=10.0, mask=mask)[0].splitlines()
    where = "Where the mask protects (25% of the picture): mean change {}, largest {} levels; elsewhere: largest {}."
    assert where.format("4.00", 4, 0) in told[0]
    assert where.format("0.00", 0, 9) in told[1]


def test_compare_gives_one_sentence_for_each_picture_of_a_batch(call):
    image = random_image(2, 16, 16, 3)
    report = call("LDU_Compare", original=image, protected=image, gain=10.0)[0]
    assert report.splitlines() == ["The pictures are identical, pixel for pixel."] * 2


def test_saving_never_replaces_a_file(call):
    image = random_image(2, 16, 16, 3)
    names = [entry["filename"] for _ in range(2) for entry in save(call, image, "twice/x").ui["images"]]
    assert names == [f"x_{number:05}_.png" for number in (1, 2, 3, 4)]
    assert len(list(Path(folder("output"), "twice").iterdir())) == 4


def test_saving_outside_the_output_folder_is_refused(call, errors):
    for prefix in ("../escaped", "/tmp/escaped"):
        with pytest.raises(errors.BadValueError, match="out of the output folder"):
            save(call, random_image(1, 16, 16, 3), prefix)


@pytest.mark.parametrize(("metadata", "disabled"), [(False, False), (True, False), (True, True)])
def test_the_workflow_is_embedded_only_when_asked_for_and_not_after_disable_metadata(
    run_prompt, monkeypatch, metadata, disabled
):
    monkeypatch.setattr(comfy.cli_args.args, "disable_metadata", disabled)
    put_input("private.png", colours())
    prompt = {
        "1": {"class_type": "LDU_LoadPicture", "inputs": {"image": "private.png"}},
        "2": {
            "class_type": "LDU_SaveProtected",
            "inputs": {
                "image": ["1", 0],
                "info": ["1", 2],
                "filename_prefix": f"metadata_{metadata}_{disabled}",
                "metadata": metadata,
            },
        },
    }
    (saved,) = run_prompt(prompt, {"extra_pnginfo": {"workflow": {"nodes": []}}})["2"]["images"]
    with Image.open(Path(folder("output"), saved["filename"])) as reread:
        texts = dict(reread.text)
    embedded = metadata and not disabled
    assert set(texts) == ({"prompt", "workflow"} if embedded else set())
    if embedded:
        assert json.loads(texts["prompt"])["2"]["inputs"] == prompt["2"]["inputs"]


def test_the_whole_picture_side_runs_as_a_graph(run_prompt):
    rgba = colours(40, 56, channels=4)
    put_input("graph.png", rgba)
    prompt = {
        "1": {"class_type": "LDU_LoadPicture", "inputs": {"image": "graph.png"}},
        "2": {"class_type": "LDU_WorkingSize", "inputs": {"image": ["1", 0], "short_side": 64}},
        "3": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}},
        "4": {
            "class_type": "LDU_FitToBudget",
            "inputs": {"original": ["1", 0], "clean": ["2", 0], "protected": ["3", 0], "budget": 4.0},
        },
        "5": {"class_type": "LDU_Compare", "inputs": {"original": ["1", 0], "protected": ["4", 0], "gain": 10.0}},
        "6": {
            "class_type": "LDU_SaveProtected",
            "inputs": {
                "image": ["4", 0],
                "info": ["1", 2],
                "filename_prefix": "%name%_protected",
                "metadata": False,
            },
        },
    }
    outputs = run_prompt(prompt)
    assert outputs["5"]["text"][0].startswith("Largest change 4 of 255 levels")
    reread = np.asarray(Image.open(Path(folder("output"), outputs["6"]["images"][0]["filename"])))
    assert np.abs(reread[..., :3].astype(int) - rgba[..., :3]).max() == 4
    assert np.array_equal(reread[..., 3], rgba[..., 3])
