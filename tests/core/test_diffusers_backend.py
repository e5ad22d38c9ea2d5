"""The diffusers adapters against the library's own formulas, on tiny random models of its classes."""

import math

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="needs the extra eval")
transformers = pytest.importorskip("transformers", reason="needs the extra eval")

from ldu.attacks.textual_inversion import InversionConfig, fit_token  # noqa: E402
from ldu.backends import diffusers as backend  # noqa: E402
from ldu.errors import BadValueError, UnsupportedModelError  # noqa: E402
from ldu.losses import draw_sigmas, noise_prediction_loss  # noqa: E402
from ldu.protect import WalkConfig, protect  # noqa: E402
from ldu.schedule import NoiseSchedule  # noqa: E402
from ldu.shift_unet import ShiftConfig, ShiftUNet  # noqa: E402
from ldu.trajectory import denoise, invert  # noqa: E402

from .tiny_tokenizer import tiny_tokenizer  # noqa: E402
from .tiny_world import tiny_text_encoder, tiny_unet, tiny_vae  # noqa: E402

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SD |= {"clip_sample": False, "steps_offset": 1}
NAMES = {"eps": "epsilon", "v": "v_prediction"}

eps_and_v = pytest.mark.parametrize("prediction", ["eps", "v"])


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def pixels(height, width):
    """One picture in [-1, 1]."""
    return torch.rand(1, 3, height, width, generator=seeded(0)) * 2 - 1


Z_0 = torch.randn(2, 4, 8, 8, generator=seeded(0))


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return tiny_unet(8).eval()


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(1)
    return tiny_vae(scaling_factor=0.18215, shift_factor=0.1).eval()


@pytest.fixture(scope="module")
def text():
    torch.manual_seed(2)
    return tiny_text_encoder(layers=2, length=12).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer(length=12)


@pytest.fixture(scope="module")
def encoder(text, tokenizer):
    return backend.TextEncoder(text, tokenizer)


@pytest.fixture(scope="module")
def pipeline(unet, vae, text, tokenizer):
    return diffusers.StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text,
        tokenizer=tokenizer,
        scheduler=ddim("eps"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@pytest.fixture(scope="module")
def schedule():
    return backend.read_schedule(ddim("eps"))


@pytest.fixture(scope="module")
def bind(unet, schedule, encoder):
    return backend.bind_token(unet, schedule, encoder, "a photo of S* person")


def ddim(prediction, k_steps=4):
    scheduler = diffusers.DDIMScheduler(**SD, prediction_type=NAMES[prediction], timestep_spacing="trailing")
    scheduler.set_timesteps(k_steps)
    return scheduler


def bound(unet, prediction):
    condition = {"encoder_hidden_states": torch.randn(1, 12, 32, generator=seeded(3))}
    schedule = backend.read_schedule(ddim(prediction))
    return backend.DiffusersDenoiser(unet, schedule, condition), schedule, condition["encoder_hidden_states"]


@eps_and_v
@pytest.mark.parametrize("k", [1, 4, 8])
def test_the_walk_down_is_ddims_own(unet, prediction, k):
    denoiser, schedule, condition = bound(unet, prediction)
    scheduler, z_T = ddim(prediction, k), torch.randn(2, 4, 8, 8, generator=seeded(4))
    with torch.no_grad():
        ours = denoise(denoiser, z_T, schedule, schedule.grid(k))
        theirs = z_T
        for t in scheduler.timesteps:
            out = unet(theirs, t, condition.expand(2, -1, -1)).sample
            theirs = scheduler.step(out, t, theirs, eta=0.0).prev_sample
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3 * theirs.abs().max())


@eps_and_v
@pytest.mark.parametrize("t", [0, 499, 999])
def test_the_estimate_of_z_0_is_the_schedulers(unet, prediction, t):
    denoiser, schedule, condition = bound(unet, prediction)
    scheduler, sigma = ddim(prediction), schedule.sigmas[t]
    z = 3 * Z_0
    with torch.no_grad():
        ours = denoiser(z * math.sqrt(1 + sigma**2), torch.full((2,), sigma))
        out = unet(z, t, condition.expand(2, -1, -1)).sample
        theirs = scheduler.step(out, t, z, eta=0.0).pred_original_sample
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * theirs.abs().max())


def test_the_noise_levels_are_the_schedulers(eps_schedule):
    ours = torch.tensor(backend.read_schedule(ddim("eps")).sigmas)
    assert torch.allclose(ours, torch.tensor(eps_schedule.sigmas), rtol=1e-5)
    alpha_bar = ddim("eps").alphas_cumprod
    assert torch.allclose(1 / (1 + ours**2), alpha_bar, rtol=1e-4)


def test_a_flow_models_noise_levels_are_shifted_as_its_scheduler_does():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    theirs = scheduler.sigmas.flip(0).clone()
    scheduler.set_timesteps(4)
    schedule = backend.read_schedule(scheduler)
    assert schedule.prediction == "flow"
    assert torch.allclose(schedule.table, theirs, atol=1e-6)


def test_a_flow_transformer_is_called_as_its_library_does():
    torch.manual_seed(0)
    net = diffusers.SD3Transformer2DModel(
        sample_size=8,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=16,
        pooled_projection_dim=16,
        in_channels=4,
        out_channels=4,
        pos_embed_max_size=8,
    ).eval()
    schedule = backend.read_schedule(diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0))
    condition = {"encoder_hidden_states": torch.randn(1, 5, 16), "pooled_projections": torch.randn(1, 16)}
    denoiser = backend.DiffusersDenoiser(net, schedule, condition)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    sigmas = schedule.grid(4)
    scheduler.set_timesteps(sigmas=[(s / (3 - 2 * s)) for s in sigmas[:-1]])
    theirs = Z_0
    with torch.no_grad():
        ours = denoise(denoiser, Z_0, schedule, sigmas)
        for t in scheduler.timesteps:
            wide = {name: value.expand(2, *value.shape[1:]) for name, value in condition.items()}
            out = net(theirs, timestep=t.expand(2), **wide).sample
            theirs = scheduler.step(out, t, theirs).prev_sample
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@eps_and_v
def test_the_loss_is_that_of_diffusers_training_scripts(unet, prediction):
    denoiser, schedule, condition = bound(unet, prediction)
    scheduler = diffusers.DDPMScheduler(**SD, prediction_type=NAMES[prediction])
    replay = seeded(7)
    sigma = draw_sigmas(schedule, 2, generator=replay)
    noise = torch.randn(Z_0.shape, generator=replay)
    t = (sigma[:, None] - schedule.table).abs().argmin(dim=1)
    with torch.no_grad():
        ours = noise_prediction_loss(denoiser, Z_0, schedule, generator=seeded(7))
        target = noise if prediction == "eps" else scheduler.get_velocity(Z_0, noise, t)
        out = unet(scheduler.add_noise(Z_0, noise, t), t, condition.expand(2, -1, -1)).sample
        theirs = torch.nn.functional.mse_loss(out, target, reduction="none").mean(dim=(1, 2, 3))
    assert torch.allclose(ours, theirs, rtol=1e-3)


@eps_and_v
def test_the_walk_passes_a_finite_gradient_everywhere(unet, prediction):
    denoiser, schedule, _ = bound(unet, prediction)
    sigmas = schedule.grid(2, 0.5)
    with torch.no_grad():
        record = invert(denoiser, Z_0, schedule, sigmas)
    z_T = (record.z_T + 0.1).requires_grad_()
    denoise(denoiser, z_T, schedule, sigmas, record=record, recompute=True).square().sum().backward()
    assert z_T.grad.isfinite().all()
    assert z_T.grad.abs().min() > 0


def test_the_vae_is_the_librarys_in_the_models_scale(vae):
    x = pixels(64, 72)
    coder = backend.DiffusersAutoencoder(vae)
    with torch.no_grad():
        z, mode = coder.encode(x), vae.encode(x).latent_dist.mode()
        assert torch.allclose(z, (mode - 0.1) * 0.18215)
        assert torch.allclose(coder.decode(z), vae.decode(mode).sample, atol=1e-4)


def test_the_vae_passes_a_gradient_both_ways(vae):
    x = pixels(64, 64).requires_grad_()
    coder = backend.DiffusersAutoencoder(vae)
    coder.decode(coder.encode(x)).square().sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.any()


def test_a_words_own_embedding_in_the_place_of_the_token_changes_nothing(encoder):
    token = encoder.initial("person")
    with torch.no_grad():
        assert torch.equal(encoder.encode_with("a photo of S*", token), encoder.encode("a photo of person"))


def test_several_vectors_stand_in_the_place_of_one_word(encoder, text):
    token = torch.stack([text.get_input_embeddings().weight[i] for i in (1, 3)]).detach()
    with torch.no_grad():
        assert torch.equal(encoder.encode_with("a S* of", token), encoder.encode("a photo person of"))


def test_every_value_of_a_token_gets_a_gradient_and_the_text_model_stays_as_it_was(bind, schedule, encoder, text):
    before = encoder.encode("a photo of person").detach()
    token = encoder.initial("person", 2).requires_grad_()
    loss = noise_prediction_loss(bind(token), Z_0, schedule, generator=seeded(0))
    loss.mean().backward()
    assert token.grad.isfinite().all()
    assert token.grad.all()
    assert torch.equal(encoder.encode("a photo of person").detach(), before)
    assert not text.get_input_embeddings()._forward_hooks


def test_a_step_of_textual_inversion_lowers_the_loss_on_its_own_draws(bind, schedule, encoder):
    initial, config = encoder.initial("person"), InversionConfig(ti_steps=1, learning_rate=1e-2, draws=4)
    fitted = fit_token(bind, [Z_0[:1]], schedule, initial, config, generator=seeded(0))
    z_0 = Z_0[:1].expand(4, -1, -1, -1)
    with torch.no_grad():
        before, after = (
            noise_prediction_loss(bind(token), z_0, schedule, generator=seeded(0)).mean() for token in (initial, fitted)
        )
    assert after < before


def test_a_prompt_without_its_placeholder_is_refused(encoder):
    with pytest.raises(BadValueError, match=r"hold S\* once"):
        encoder.encode_with("a photo of person", encoder.initial("person"))


def test_a_prompt_too_long_for_the_token_is_refused(encoder):
    with pytest.raises(BadValueError, match="no room for the 9 vectors"):
        encoder.encode_with("a photo of person S*", encoder.initial("person", 9))


@pytest.mark.parametrize("wrong", [{"prediction_type": "sample"}, {"rescale_betas_zero_snr": True}])
def test_schedulers_outside_the_formula_are_refused(wrong):
    with pytest.raises(UnsupportedModelError):
        backend.read_schedule(diffusers.DDIMScheduler(**(SD | wrong)))


def test_the_key_names_weights_and_condition(unet):
    denoiser, schedule, condition = bound(unet, "eps")
    same = backend.DiffusersDenoiser(unet, schedule, {"encoder_hidden_states": condition.clone()})
    other = backend.DiffusersDenoiser(unet, schedule, {"encoder_hidden_states": condition + 1})
    assert same.key == denoiser.key != other.key
    before = denoiser.key
    with torch.no_grad():
        unet.conv_out.bias += 1
        changed = backend.DiffusersDenoiser(unet, schedule, {"encoder_hidden_states": condition}).key
        unet.conv_out.bias -= 1
    assert changed != before


def test_a_pipeline_protects_a_picture(pipeline):
    torch.manual_seed(0)
    rho = ShiftUNet(ShiftConfig(4, width=16))
    torch.nn.init.normal_(rho.conv_out.weight, std=0.5)
    models = backend.walk_models(pipeline)
    picture = ((pixels(70, 90) + 1) * 127.5).round()
    assert isinstance(models.schedule, NoiseSchedule)
    assert models.resolution == 64
    change = protect(models, rho, picture, WalkConfig(k_steps=2)) - picture
    assert 0 < change.abs().max() <= 10
