"""The demo checkpoint gives the same numbers through ComfyUI's own classes and through diffusers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from demo import pipeline
from demo.dataset import HELD_OUT
from demo.people import sample_identity, sample_nuisance
from demo.portraits import photograph
from ldu.backends import diffusers as backend
from ldu.protect import WalkConfig, WalkModels, prepare, publish, shifted_walk
from ldu.shift_unet import ShiftConfig, ShiftUNet

if not pipeline.WEIGHTS.is_file():
    pytest.skip(f"the demo checkpoint {pipeline.WEIGHTS.name} is not there", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("executor_mode")

PROMPT = "a photo of a person with red hair"
CONFIG = WalkConfig(k_steps=4, depth=0.5)
SEED = 3


@pytest.fixture(scope="module")
def image():
    """One unseen portrait as a host IMAGE."""
    portrait = photograph(sample_identity(HELD_OUT), sample_nuisance(HELD_OUT))
    return torch.from_numpy(np.asarray(portrait, np.float32) / 255)[None]


@pytest.fixture(scope="module")
def rho():
    torch.manual_seed(0)
    net = ShiftUNet(ShiftConfig(4, width=16))
    torch.nn.init.normal_(net.conv_out.weight, std=0.02)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def in_diffusers():
    vae, unet, text, tokenizer, scheduler = pipeline.load_diffusers()
    encoder, schedule = backend.TextEncoder(text, tokenizer), backend.read_schedule(scheduler)
    walker = backend.DiffusersDenoiser(unet, schedule, {"encoder_hidden_states": encoder.encode("")})
    return SimpleNamespace(text=encoder, models=WalkModels(walker, backend.DiffusersAutoencoder(vae), schedule, 128))


@pytest.fixture(scope="module")
def in_host(host, image, rho):
    """What the pack's nodes make of the picture, node by node."""
    with torch.inference_mode():
        return walk_through_nodes(host, image, rho)


def walk_through_nodes(host, image, rho):
    model, clip, vae = host.module("nodes.weights").load_demo(pipeline.WEIGHTS)
    types, nodes = host.module("nodes.types"), host.classes
    tag = host.module("nodes.host").tag_model(model)
    card = host.module("ldu.checkpoint").RhoCard(
        model_family=tag.family,
        model_hash=tag.fingerprint,
        prediction=tag.prediction,
        k_steps=CONFIG.k_steps,
        depth=CONFIG.depth,
        sigmas=host.module("nodes.host").read_schedule(model).grid(CONFIG.k_steps, CONFIG.depth),
    )
    empty, latent = nodes["CLIPTextEncode"]().encode(clip, "")[0], nodes["VAEEncode"]().encode(vae, image)[0]
    z_T, record, _ = nodes["LDU_InvertToZT"].execute(model, latent, CONFIG.k_steps, CONFIG.depth, 0, empty).args
    shifted = (
        nodes["LDU_ApplyRhoShift"]
        .execute(z_T, types.TrainedRho(host.module("nodes.host").under_manager(rho), card), 1.0, SEED)
        .args[0]
    )
    protected = nodes["LDU_FewStepDenoise"].execute(model, shifted, record, empty).args[0]
    clean, decoded = (nodes["VAEDecode"]().decode(vae, z)[0] for z in (latent, protected))
    saved = nodes["LDU_FitToBudget"].execute(image, clean, decoded, CONFIG.budget_levels).args[0]
    return SimpleNamespace(
        prompt=nodes["CLIPTextEncode"]().encode(clip, PROMPT)[0][0][0],
        scale=model.get_model_object("latent_format").scale_factor,
        z_0=latent["samples"],
        z_T=z_T["samples"],
        protected=protected["samples"],
        change=(saved - image) * 255,
    )


@pytest.fixture(scope="module")
def subject(in_diffusers, image):
    levels = (image.movedim(-1, 1) * 255).round()
    return prepare(in_diffusers.models, levels, None, CONFIG)


def assert_same(ours, theirs):
    """Equal to float32 tolerance, relative to the largest value."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_the_text_condition_is_the_same(in_host, in_diffusers):
    with torch.no_grad():
        assert_same(in_host.prompt, in_diffusers.text.encode(PROMPT))


def test_the_encoded_picture_is_the_same(in_host, subject):
    assert_same(in_host.z_0 * in_host.scale, subject.record.z_0)


@torch.inference_mode()
def test_blocks_of_the_demo_vae_that_add_nothing_are_passed_by(host, image):
    _, _, vae = host.module("nodes.weights").load_demo(pipeline.WEIGHTS)
    latent = vae.encode(image)
    passed = [block for block in vae.first_stage_model.modules() if "forward" in vars(block)]
    assert len(passed) == 3
    there = vae.decode(latent)
    for block in passed:
        del block.forward
    assert torch.equal(latent, vae.encode(image))
    assert torch.equal(there, vae.decode(latent))


def test_z_T_is_the_same(in_host, subject):
    assert_same(in_host.z_T, subject.record.z_T)


def test_the_protected_latent_is_the_same(in_host, in_diffusers, subject, rho):
    with torch.no_grad():
        z_0, shift = shifted_walk(in_diffusers.models, rho, subject.record, CONFIG, torch.Generator().manual_seed(SEED))
    assert shift.abs().max() > 0.1
    assert (z_0 - subject.record.z_0).abs().max() > 0.01
    assert_same(in_host.protected * in_host.scale, z_0)


def test_the_saved_change_is_the_same_but_for_rounding(in_host, in_diffusers, subject, rho):
    ours = publish(in_diffusers.models, rho, subject, CONFIG, seed=SEED) - subject.original
    difference = (in_host.change.round() - ours.movedim(1, -1)).abs()
    assert ours.any()
    assert difference.max() <= 1
    assert difference.count_nonzero() < 0.01 * difference.numel()
