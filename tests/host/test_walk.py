"""The walk in the real host, on every family of models it claims to cover."""

import copy
from types import SimpleNamespace

import comfy.hooks
import comfy.sampler_helpers
import comfy.supported_models
import comfy_extras.nodes_custom_sampler as stock
import pytest
import torch
from comfy.controlnet import ControlBase
from comfy_extras.nodes_freelunch import FreeU_V2

from . import tiny_models as tiny

pytestmark = pytest.mark.usefixtures("executor_mode")


@pytest.fixture
def nodes(host):
    return host.classes


def walk(nodes, model, latent, conditioning, k=4, depth=0.5, refine=0):
    return nodes["LDU_InvertToZT"].execute(model, latent, k, depth, refine, conditioning).args


def denoised(nodes, model, z_T, record, conditioning):
    return nodes["LDU_FewStepDenoise"].execute(model, z_T, record, conditioning).args[0]["samples"]


def moved(z_T, by=1e-6):
    return {**z_T, "samples": z_T["samples"] + by}


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_the_unshifted_walk_comes_back_exactly(nodes, family, k):
    model, condition, latent = tiny.model(family), tiny.conditioning(family), tiny.latents(family)
    z_T, record, _ = walk(nodes, model, latent, condition, k)
    assert denoised(nodes, model, z_T, record, condition) is latent["samples"]
    walked = denoised(nodes, model, moved(z_T, 1e-7), record, condition)
    scale = (
        1.0 if family in tiny.WITHOUT_CLIP else 0.18215
    )  # in the model's own scale, where the data has unit variance
    assert scale * (walked - latent["samples"]).abs().max() < 1e-4


def lies_on(record):
    """The kinds of device that the latents of a walk's record lie on."""
    return {each.device.type for each in (record.z_T, *record.points, *record.corrections)}


def test_the_record_waits_where_the_host_keeps_what_travels_and_walks_where_the_model_is(host, nodes, monkeypatch):
    model, condition, latent = tiny.model("sd1"), tiny.conditioning("sd1"), tiny.latents()
    z_T, record, _ = walk(nodes, model, latent, condition)
    module, session, seen = host.module("nodes.walk"), host.module("nodes.host").HostSession, []
    with monkeypatch.context() as patch:
        patch.setattr(module, "intermediate_device", lambda: torch.device("meta"))
        waiting = walk(nodes, model, latent, condition)[1]
    assert lies_on(waiting.record) == {"meta"}
    assert waiting.samples is latent["samples"]
    prepare = session.__init__

    def elsewhere(self, *given):
        prepare(self, *given)
        self.device = torch.device("meta")

    def walked(_denoiser, z_T, *_, record):
        seen.append((z_T.device.type, lies_on(record)))
        return latent["samples"]

    monkeypatch.setattr(session, "__init__", elsewhere)
    monkeypatch.setattr(module, "denoise", walked)
    denoised(nodes, model, moved(z_T), record, condition)
    assert seen == [("meta", {"meta"})]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_shift_moves_the_latent_and_strength_0_does_not(host, nodes, family):
    model, condition, latent = tiny.model(family), tiny.conditioning(family), tiny.latents(family)
    z_T, record, _ = walk(nodes, model, latent, condition)
    rho = tiny.random_rho(host, model, latent["samples"].shape[1])
    assert nodes["LDU_ApplyRhoShift"].execute(z_T, rho, 0.0, 0).args[0] is z_T
    shifted = nodes["LDU_ApplyRhoShift"].execute(z_T, rho, 1.0, 0).args[0]
    change = denoised(nodes, model, shifted, record, condition) - latent["samples"]
    assert change.isfinite().all()
    assert change.abs().mean() > 1e-3
    again = nodes["LDU_ApplyRhoShift"].execute(z_T, rho, 1.0, 0).args[0]
    assert torch.equal(shifted["samples"], again["samples"])
    other = nodes["LDU_ApplyRhoShift"].execute(z_T, rho, 1.0, 1).args[0]
    assert not torch.equal(shifted["samples"], other["samples"])


@pytest.mark.parametrize("family", ["sd1", "sd2-v", "sdxl", *tiny.WITHOUT_CLIP])
@pytest.mark.parametrize("depth", [1.0, 0.5])
def test_a_stock_sampler_replays_a_refined_z_T_as_noise(nodes, family, depth):
    model, condition, latent = tiny.model(family), tiny.conditioning(family), tiny.latents(family)
    z_T, _, noise = walk(nodes, model, latent, condition, k=8, depth=depth, refine=12)
    sigmas = torch.tensor(z_T["ldu"].sigmas)
    guider = stock.BasicGuider.execute(model, condition).args[0]
    sampler = stock.KSamplerSelect.execute("euler").args[0]
    empty = {"samples": torch.zeros_like(latent["samples"])}
    ours = denoised(nodes, model, z_T, None, condition)
    out = stock.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, empty).args[0]["samples"]
    assert (out - ours).abs().max() < 2e-3 * ours.abs().max()
    assert (out - latent["samples"]).norm() < 0.05 * latent["samples"].norm()


def test_the_walk_is_the_hosts_ddim(nodes):
    """Few-step Denoise without a record is the stock euler sampler on the same grid."""
    model, condition, latent = tiny.model("sd1"), tiny.conditioning("sd1"), tiny.latents()
    z_T, _, noise = walk(nodes, model, latent, condition, k=4, depth=1.0)
    guider = stock.BasicGuider.execute(model, condition).args[0]
    sampler = stock.KSamplerSelect.execute("euler").args[0]
    empty = {"samples": torch.zeros_like(latent["samples"])}
    out = stock.SamplerCustomAdvanced.execute(noise, guider, sampler, torch.tensor(z_T["ldu"].sigmas), empty).args[0][
        "samples"
    ]
    ours = denoised(nodes, model, z_T, None, condition)
    assert (out - ours).abs().max() < 1e-3 * ours.abs().max()


def test_a_sibling_model_gets_the_picture_back_too(nodes):
    condition, latent = tiny.conditioning("sd1"), tiny.latents()
    z_T, record, _ = walk(nodes, tiny.model("sd1"), latent, condition)
    sibling = tiny.model("sd1", seed=5)
    back = denoised(nodes, sibling, moved(z_T, 1e-7), record, condition)
    assert (back - latent["samples"]).abs().max() < 1e-3 * latent["samples"].abs().max()


def test_without_a_condition_the_walk_uses_zeros(nodes):
    model, latent = tiny.model("sd1"), tiny.latents()
    z_T, record, _ = walk(nodes, model, latent, None)
    zeros, _, _ = walk(nodes, model, latent, [[torch.zeros(1, 77, tiny.WIDTH), {}]])
    assert torch.equal(z_T["samples"], zeros["samples"])
    assert denoised(nodes, model, z_T, record, None) is latent["samples"]


def test_a_lora_patched_model_walks_and_is_another_model_to_rho(nodes):
    model, condition, latent = tiny.model("sd1"), tiny.conditioning("sd1"), tiny.latents()
    plain, _, _ = walk(nodes, model, latent, condition)
    patched = model.clone()
    key = "diffusion_model.input_blocks.0.0.weight"
    patched.add_patches({key: ("diff", (torch.ones(32, 4, 3, 3) * 0.1,))}, 1.0)
    z_T, record, _ = walk(nodes, patched, latent, condition)
    assert not torch.equal(z_T["samples"], plain["samples"])
    assert z_T["ldu"].model.fingerprint != plain["ldu"].model.fingerprint
    assert denoised(nodes, patched, z_T, record, condition) is latent["samples"]
    other = model.clone()
    other.add_patches({key: ("diff", (torch.ones(32, 4, 3, 3) * 0.2,))}, 1.0)
    assert walk(nodes, other, latent, condition)[0]["ldu"].model.fingerprint != z_T["ldu"].model.fingerprint
    again, _, _ = walk(nodes, model, latent, condition)
    assert torch.equal(again["samples"], plain["samples"])
    assert again["ldu"] == plain["ldu"]


def test_what_other_packs_attach_to_a_model_has_corrections_of_its_own(nodes):
    """With those of the plain model the picture would not come back."""
    model, condition, latent = tiny.model("sd1"), tiny.conditioning("sd1"), tiny.latents()
    z_T, record, _ = walk(nodes, model, latent, condition)
    freed = FreeU_V2.execute(model, b1=1.3, b2=1.4, s1=0.9, s2=0.2).args[0]
    back = denoised(nodes, freed, moved(z_T, 1e-7), record, condition)
    assert 0.18215 * (back - latent["samples"]).abs().max() < 1e-4


@pytest.mark.parametrize("kind", ["v_prediction", "x0"])
def test_weights_that_are_sampled_otherwise_get_corrections_of_their_own(nodes, kind):
    model, condition, latent = tiny.model("sd1"), tiny.conditioning("sd1"), tiny.latents()
    z_T, record, _ = walk(nodes, model, latent, condition)
    (other,) = nodes["ModelSamplingDiscrete"]().patch(model, kind, False)
    back = denoised(nodes, other, moved(z_T), record, condition)
    assert 0.18215 * (back - latent["samples"]).abs().max() < 1e-3


def test_a_walk_leaves_no_mark_on_the_model(host, nodes, monkeypatch):
    model, latent = tiny.model("sd1"), tiny.latents()
    hook = comfy.hooks.WeightHook()
    hook.weights = {"diffusion_model.input_blocks.0.0.weight": ("diff", (torch.ones(32, 4, 3, 3) * 0.1,))}
    hook.need_weight_init = False
    hooks = comfy.hooks.HookGroup()
    hooks.add(hook)
    ((tensor, _),) = tiny.conditioning("sd1")
    hooked = [[tensor, {"hooks": hooks}]]
    walk(nodes, model, latent, hooked)
    assert model.model.current_patcher is None
    assert model.hook_patches == {}

    def no_room(*_given, **_options):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(comfy.sampler_helpers, "_prepare_sampling", no_room)
    with pytest.raises(torch.OutOfMemoryError):
        walk(nodes, model, latent, hooked)
    assert model.hook_patches == {}


def test_what_is_attached_is_named_by_which_objects_it_is_and_not_by_their_state(host):
    name_of, model = host.module("nodes.host.models").name_of, tiny.model("sd1")
    faster = model.clone()
    faster.model_options["transformer_options"]["optimized_attention_override"] = lambda func, *a, **k: func(*a, **k)
    assert name_of(faster) == name_of(model)
    assert name_of(model).startswith(host.module("nodes.host").fingerprint(model))

    def patched(state):
        other = model.clone()
        other.set_model_unet_function_wrapper(lambda apply, args: state.append(1))
        return other

    state = []
    one, another = patched(state), patched(state)
    before = name_of(one)
    state.append(1)
    assert name_of(one) == name_of(one.clone()) == before
    assert len({before, name_of(another), name_of(model)}) == 3
    name_attached = host.module("nodes.host.attached").name_attached
    named = {name_attached([lambda: None]) for _ in range(50)}  # one after the other at one address
    assert len(named) == 50


def test_weights_that_no_state_dict_gives_are_found_where_they_lie(host, monkeypatch):
    """GGUF's packed weights: their module saves none, and the host samples with them all the same."""
    fingerprint, model = host.module("nodes.host").fingerprint, tiny.model("sd1", seed=9)
    network = model.model.diffusion_model
    bare = {name: weight.to("meta") for name, weight in network.state_dict().items()}
    monkeypatch.setattr(network, "state_dict", lambda: bare)
    assert fingerprint(model) == fingerprint(tiny.model("sd1", seed=9))


def test_a_condition_is_named_by_its_control_too(host):
    name = host.module("nodes.host.learnt").name_condition
    (tensor, rest), *_ = tiny.conditioning("sd1")
    control = [ControlBase() for _ in range(2)]
    names = [name([[tensor, {**rest, "control": each}]]) for each in (*control, control[0])]
    assert names[0] == names[2] != names[1]
    assert name([[tensor, rest]]) not in names


def test_a_batch_walks_as_its_pictures_do_alone(nodes):
    model, condition = tiny.model("sd1"), tiny.conditioning("sd1")
    latent = tiny.latents(batch=2)
    both, _, _ = walk(nodes, model, latent, condition)
    alone, _, _ = walk(nodes, model, {"samples": latent["samples"][1:]}, condition)
    assert (both["samples"][1:] - alone["samples"]).abs().max() < 1e-4


def test_the_cost_is_2k_plus_1_evaluations(nodes):
    model, condition, latent = tiny.model("sd1"), tiny.conditioning("sd1"), tiny.latents()
    calls = []
    counted = model.clone()
    counted.set_model_unet_function_wrapper(
        lambda apply, args: calls.append(1) or apply(args["input"], args["timestep"], **args["c"])
    )
    z_T, record, _ = walk(nodes, counted, latent, condition, k=4)
    denoised(nodes, counted, moved(z_T, 0.1), record, condition)
    assert len(calls) == 2 * 4 + 1


def test_parts_that_do_not_belong_together_are_refused(host, nodes):
    error = host.module("ldu.errors").MismatchError
    model, condition, latent = tiny.model("sd1"), tiny.conditioning("sd1"), tiny.latents()
    z_T, record, _ = walk(nodes, model, latent, condition)
    apply, denoise = nodes["LDU_ApplyRhoShift"].execute, nodes["LDU_FewStepDenoise"].execute
    with pytest.raises(error, match="not a z_T"):
        denoise(model, latent, record, condition)
    with pytest.raises(error, match="z_T already"):
        walk(nodes, model, z_T, condition)
    with pytest.raises(error, match="trained for SDXL"):
        apply(z_T, tiny.random_rho(host, model, 4, model_family="SDXL"), 1.0, 0)
    with pytest.raises(error, match="k = 2"):
        apply(z_T, tiny.random_rho(host, model, 4, k_steps=2), 1.0, 0)
    with pytest.raises(error, match="another noise schedule"):
        apply(z_T, tiny.random_rho(host, model, 4, sigmas=(9.0, 3.0, 2.0, 1.0, 0.0)), 1.0, 0)
    with pytest.raises(error, match="another checkpoint"):
        apply(z_T, tiny.random_rho(host, model, 4, model_hash="other"), 1.0, 0)
    assert apply(z_T, tiny.random_rho(host, model, 4, model_hash="other"), 1.0, 0, other_checkpoint=True).args
    with pytest.raises(error, match="16 channels"):
        apply(z_T, tiny.random_rho(host, model, 16), 1.0, 0)
    with pytest.raises(error, match="another grid"):
        other, _, _ = walk(nodes, model, latent, condition, k=2)
        denoise(model, other, record, condition)
    with pytest.raises(error, match="holds latents of"):
        small, _, _ = walk(nodes, model, {"samples": latent["samples"][..., :4]}, condition)
        denoise(model, small, record, condition)
    with pytest.raises(error, match="same kind"):
        denoise(tiny.model("sdxl"), z_T, record, tiny.conditioning("sdxl"))
    with pytest.raises(error, match=r"made with SD15, but this model is SD15 \(flow\)"):
        denoise(tiny.model("sd1-flow"), z_T, record, condition)


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"start_percent": 0.0, "end_percent": 0.2}, "a range of timesteps"),
        ({"strength": 0.0}, "a strength of 0"),
        ({"area": (4, 4, 0, 0)}, "an area"),
        ({"mask": torch.ones(1, 8, 8)}, "a mask"),
    ],
)
def test_a_condition_that_does_not_hold_everywhere_is_refused_on_both_ways(nodes, errors, extra, named):
    """Where it does not hold, the record makes the clean picture of whatever came: nothing would be protected."""
    model, ((tensor, rest),) = tiny.model("sd1"), tiny.conditioning("sd1")
    condition = [[tensor, {**rest, **extra}]]
    with pytest.raises(errors.UnsupportedModelError, match=f"everywhere, but a condition also brings {named}:"):
        walk(nodes, model, tiny.latents(), condition)
    whole = [[tensor, {**rest, "start_percent": 0.0, "end_percent": 1.0, "strength": 0.5}]]
    z_T, record, _ = walk(nodes, model, tiny.latents(), whole)
    with pytest.raises(errors.UnsupportedModelError, match=f"everywhere, but a condition also brings {named}:"):
        denoised(nodes, model, moved(z_T), record, condition)


def test_a_mask_of_the_latent_is_said_not_to_be_looked_at(host, nodes):
    def said(latent):
        return nodes["LDU_InvertToZT"].execute(tiny.model("sd1"), latent, 2, 0.5, 0, None).ui["text"][0]

    latent = tiny.latents()
    (masked,) = host.nodes.SetLatentNoiseMask().set_mask(latent, torch.ones(1, 64, 64))
    assert "mask is not looked at" in said(masked)
    assert "mask" not in said(latent)


def test_a_model_the_formula_does_not_cover_is_refused(host, nodes):
    import comfy.model_sampling as sampling

    error = host.module("ldu.errors").UnsupportedModelError
    latent = tiny.latents()

    def sampled_as(*kinds, **attributes):
        patched = tiny.model("sd1").clone()
        ms = type("Sampling", (sampling.ModelSamplingDiscrete, *kinds), {})(patched.model.model_config)
        for name, value in attributes.items():
            setattr(ms, name, value)
        patched.add_object_patch("model_sampling", ms)
        return patched

    for model in (
        sampled_as(sampling.IMG_TO_IMG),
        sampled_as(sampling.V_PREDICTION_DDPM),
        sampled_as(sampling.COSMOS_RFLOW),
        sampled_as(sampling.EPS, sigma_data=0.5),
    ):
        with pytest.raises(error, match="The walk covers"):
            walk(nodes, model, latent, tiny.conditioning("sd1"))
    video = tiny.model("sd1").clone()
    form = copy.copy(video.model.latent_format)
    form.latent_dimensions = 3
    video.add_object_patch("latent_format", form)
    with pytest.raises(error, match="not 2-D"):
        walk(nodes, video, latent, tiny.conditioning("sd1"))


SIDES = {"SD15": 512, "SD15_instructpix2pix": 512, "SD20": 768, "SD21UnclipL": 768}  # of SD2.x those that predict v
LARGE = ("SDXL_instructpix2pix", "KOALA_1B", "PixArtSigma", "HunyuanDiT1")


@pytest.mark.parametrize(("family", "side"), (SIDES | dict.fromkeys(LARGE, 1024)).items())
def test_models_are_worked_on_at_the_size_that_their_family_was_trained_at(host, family, side):
    kind = getattr(comfy.supported_models, family)
    sampling = tiny.model("sd2-v" if side == 768 else "sd1").get_model_object("model_sampling")
    parts = {"model_sampling": sampling, "latent_format": SimpleNamespace(latent_dimensions=2)}
    inner = SimpleNamespace(model_config=kind.__new__(kind))
    model = SimpleNamespace(model_options={}, model=inner, get_model_object=parts.get)
    assert host.module("nodes.host").training_resolution(model) == side
