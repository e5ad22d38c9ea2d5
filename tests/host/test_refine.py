"""Refine in Pixels in the real host: more of the same loss, the same budget, nothing left changed."""

import json

import comfy.model_management as mm
import pytest
import torch

from . import tiny_models as tiny

TRIED = 2 * 2  # passes that tell the time before the first step, draws

pytestmark = pytest.mark.usefixtures("executor_mode")


def picture(seed=0, batch=1):
    return (torch.rand(batch, 64, 72, 3, generator=torch.Generator().manual_seed(seed)) * 255).round() / 255


def shifted(original):
    return ((original * 255 + 2).clamp(0, 255)).round() / 255


@pytest.fixture(scope="module")
def parts():
    with torch.inference_mode():  # as loader nodes do
        return {family: (tiny.model(family), tiny.vae(family), tiny.conditioning(family)) for family in ("sd1", "sdxl")}


@pytest.fixture
def refine(host):
    def run(
        parts, original, image, *, budget=10.0, steps=3, seed=0, visibility=0.0, flat_areas=1.0, contrast=0.0, **options
    ):
        node, (model, vae, condition) = host.classes["LDU_RefinePixels"], parts
        settings = budget, steps, seed, visibility, flat_areas, contrast
        return node.execute(model, vae, image, *settings, condition, original, **options)

    return run


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_each_picture_of_a_batch_moves_within_the_budget(parts, refine, family):
    original = picture(batch=2)
    out = refine(parts[family], original, shifted(original), budget=5.5)
    change = (out.args[0] - original) * 255
    largest = change.abs().amax(dim=(1, 2, 3))
    assert ((largest > 2.5) & (largest < 5.01)).all()  # the shift alone is 2
    assert not torch.equal(change[0], change[1])
    assert json.loads(out.ui["ldu"][0])["nfe"] == {"refine": 2 * 3 * 2 + TRIED}


def test_a_picture_without_a_shift_and_one_without_steps_stay_as_they_are_and_load_nothing(
    host, parts, refine, monkeypatch
):
    monkeypatch.setattr(host.module("nodes.refine"), "training_session", lambda *_: pytest.fail("a model was loaded"))
    original = picture()
    assert torch.equal(refine(parts["sd1"], original, original).args[0], original)
    after = shifted(original)
    assert torch.equal(refine(parts["sd1"], original, after, steps=0).args[0], after)


def test_of_pictures_that_the_shift_left_alone_no_step_is_told(parts, refine):
    original = picture()
    steps = [
        refine(parts["sd1"], original, image).args[1].config.refine_steps for image in (original, shifted(original))
    ]
    assert steps == [0, 3]


def test_a_picture_that_stays_as_it_is_is_named_and_the_others_are_refined(parts, refine):
    originals = torch.cat([picture(), picture()])
    images = torch.cat([originals[:1], shifted(originals[1:])])
    found = refine(parts["sd1"], originals, images)
    assert torch.equal(found.args[0][0], originals[0])
    assert not torch.equal(found.args[0][1], images[1])
    (text,) = found.ui["text"]
    assert text.startswith("Picture 1: Not refined and not protected")
    assert "Picture 2" not in text


def test_without_an_original_the_picture_itself_is_refined_and_no_more_visible_than_asked(host, parts, refine):
    image, measure = picture(), host.module("ldu.metrics").psnr_db
    signed, kept = (refine(parts["sd1"], None, image, budget=16, visibility=share).args[0] for share in (0, 0.16))
    assert measure(image * 255, signed * 255) < measure(image * 255, kept * 255)
    assert measure(image * 255, kept * 255) > 39


def test_a_mask_a_purifier_and_a_seed_reach_the_refinement(host, parts, refine):
    original = picture()
    mask = torch.zeros(1, 64, 72)
    mask[:, :, :30] = 1
    spared = refine(parts["sd1"], original, shifted(original), mask=mask).args[0]
    assert torch.equal(spared[:, :, 34:], shifted(original)[:, :, 34:])
    plain = refine(parts["sd1"], original, shifted(original)).args[0]
    assert not torch.equal(plain, refine(parts["sd1"], original, shifted(original), seed=1).args[0])
    recipes = host.module("ldu.attacks.purify.recipe").parse("noise 0.1")
    assert not torch.equal(plain, refine(parts["sd1"], original, shifted(original), purifiers=recipes).args[0])


def test_a_contrast_takes_off_the_loss_of_the_empty_prompt(host, parts, refine):
    original, (model, vae, condition) = picture(), parts["sd1"]
    plain = refine(parts["sd1"], original, shifted(original))
    told = refine(parts["sd1"], original, shifted(original), contrast=0.5)
    assert json.loads(told.ui["ldu"][0])["nfe"] == {"refine": 2 * json.loads(plain.ui["ldu"][0])["nfe"]["refine"]}
    assert not torch.equal(told.args[0], plain.args[0])
    other = [[condition[0][0] * 2, {}]]
    elsewhere = refine((model, vae, condition), original, shifted(original), contrast=0.5, walk_conditioning=other)
    assert not torch.equal(told.args[0], elsewhere.args[0])
    with pytest.raises(host.module("ldu.errors").UnsupportedModelError, match="empty prompt"):
        refine(parts["sdxl"], original, shifted(original), contrast=1.0)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_towards_a_target_steps_take_the_encoder_alone_and_end_nearer_to_it(host, parts, refine, family):
    original, (model, vae, _) = ((64 + picture() * 127).round() / 255), parts[family]

    def encoded(image):
        return host.nodes.VAEEncode().encode(vae, image)[0]["samples"]

    target = {"samples": encoded(1 - original)}
    found = refine((model, vae, None), None, original, target=target, steps=8, visibility=0.5)
    assert json.loads(found.ui["ldu"][0])["nfe"] == {"refine": 0}
    before, after = ((encoded(image) - target["samples"]).norm() for image in (original, found.args[0]))
    assert after < 0.9 * before
    assert found.args[1].targeted
    again = refine(parts[family], None, original, target=target, steps=8, visibility=0.5)
    assert torch.equal(again.args[0], found.args[0]), "the personalization prompt has no say"


def test_towards_a_target_the_vae_alone_is_loaded(parts, refine, monkeypatch):
    (model, vae, _), image, loaded = parts["sd1"], picture(), []
    load = mm.load_models_gpu

    def seen(patchers, *rest, **options):
        loaded.extend(patcher.model for patcher in patchers)
        return load(patchers, *rest, **options)

    monkeypatch.setattr(mm, "load_models_gpu", seen)
    refine((model, vae, None), None, image, target={"samples": torch.randn(1, 4, 8, 9)}, visibility=0.5)
    assert loaded == [vae.first_stage_model]
    refine(parts["sd1"], None, image)
    assert loaded[1:] == [model.model, vae.first_stage_model]


def test_each_picture_has_its_own_target(parts, refine):
    image, far = picture(batch=2), tiny.latents(batch=2)["samples"]
    far = torch.nn.functional.interpolate(far, (8, 9))
    both = refine(parts["sd1"], None, image, target={"samples": far}).args[0]
    assert not torch.equal(both, image)
    for number in (0, 1):
        part = slice(number, number + 1)
        alone = refine(parts["sd1"], None, image[part], target={"samples": far[part]}).args[0]
        assert torch.equal(alone, both[part])


def test_a_last_step_that_is_not_finite_is_never_given_out(host, parts, refine, monkeypatch):
    kind = host.module("ldu.refine").Refinement
    monkeypatch.setattr(kind, "_slope", lambda _, change: (torch.tensor(0.0), torch.full_like(change, float("nan"))))
    with pytest.raises(host.module("ldu.errors").NonFiniteError, match="last step is not finite"):
        refine(parts["sd1"], None, picture(), steps=1, visibility=0.5)


def test_the_models_stay_as_they_were(host, parts, refine):
    model, vae, condition = parts["sd1"]

    def sampled():
        latent = {"samples": torch.zeros(1, 4, 8, 8)}
        drawn = host.nodes.KSampler().sample(model, 0, 2, 1.0, "euler", "simple", condition, condition, latent)[0]
        return host.nodes.VAEDecode().decode(vae, drawn)[0]

    before = sampled()
    refine(parts["sd1"], picture(), shifted(picture()))
    assert torch.equal(sampled(), before)
