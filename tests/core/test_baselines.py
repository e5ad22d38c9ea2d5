"""The baselines on tiny random models: budget, repeatability, what they raise and what they cost."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="needs the extra eval")
pytest.importorskip("transformers", reason="needs the extra eval")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402  (PyTorch has no public name for it)

from benchmarks import baselines  # noqa: E402
from benchmarks.baselines import anti_dreambooth, blurguard, controls, errors, metacloak, sds, simac, surrogate  # noqa: E402
from benchmarks.baselines.blur import gaussian_blur  # noqa: E402
from benchmarks.baselines.cost import counted  # noqa: E402
from benchmarks.baselines.pgd import climb, publish, within  # noqa: E402
from benchmarks.baselines.target import target_picture  # noqa: E402
from benchmarks.efficacy import methods, stronger  # noqa: E402
from benchmarks.thieves import DEMO  # noqa: E402
from benchmarks.world import LEVEL  # noqa: E402
from demo.architecture import make_scheduler  # noqa: E402
from ldu.attacks.textual_inversion import InversionConfig  # noqa: E402

from .tiny_world import make_world  # noqa: E402

DDPM = make_scheduler().alphas_cumprod
SIDE, PICTURES, STEPS, BUDGET = 32, 2, 8, 8.5
OF_THE_DENOISER = (  # an untrained one has no error to raise
    *("advdm", "sds", "fsmg", "aspl", "simac", "metacloak"),
    *("pixel_control", "z0_control"),
)
METHODS = baselines.METHODS | {name: methods.METHODS[name] for name in ("sds_minus", "fsmg_dreambooth")}
LEARNING = [name for name, method in METHODS.items() if method.objective]


@pytest.fixture(scope="module")
def world():
    return make_world(SIDE)


@pytest.fixture(scope="module")
def world_elsewhere():
    """Return a world whose tensors carry an accelerator's name and no numbers; mixing devices fails as on one."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    world = make_world(SIDE)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        for net in (world.vae, world.unet, world.text):
            net.to("cuda")
    torch.__future__.set_overwrite_module_params_on_conversion(False)
    return world, mode


@pytest.fixture(scope="module")
def x():
    levels = torch.randint(0, 256, (PICTURES, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    return levels / 127.5 - 1


class ExactUNet(torch.nn.Module):
    """The exact noise_pred of latents z_0 ~ N(0, spread^2), with a gain that can be trained and hooked."""

    spread = 0.5

    def __init__(self):
        super().__init__()
        resnet, block = torch.nn.Module(), torch.nn.Module()
        resnet.conv2 = torch.nn.Conv2d(4, 4, 1, bias=False)
        torch.nn.init.dirac_(resnet.conv2.weight)
        block.resnets = torch.nn.ModuleList([resnet])
        self.up_blocks = torch.nn.ModuleList([block])
        self.requires_grad_(False)

    def forward(self, sample, timestep, encoder_hidden_states, return_dict=True):
        alpha_bar = DDPM[timestep][:, None, None, None]
        variance = alpha_bar * self.spread**2 + 1 - alpha_bar
        noise_pred = (1 - alpha_bar).sqrt() / variance * self.up_blocks[0].resnets[0].conv2(sample)
        noise_pred = (
            noise_pred + 0 * encoder_hidden_states.mean()
        )  # heard without effect, so that a token can be fitted
        output = diffusers.models.unets.unet_2d_condition.UNet2DConditionOutput(sample=noise_pred)
        return output if return_dict else (noise_pred,)


@pytest.fixture(scope="module")
def exact(world):
    return replace(world, unet=ExactUNet())


@dataclass(frozen=True)
class Run:
    """What one method did."""

    protected: torch.Tensor
    cost: object
    weights_before: list
    weights_after: list


@pytest.fixture(scope="module")
def shortened():
    """Surrogates and personalizers of a few steps, so that a minute is not spent on them."""
    with pytest.MonkeyPatch.context() as patch:
        for module, steps in ((anti_dreambooth, 3), (metacloak, 5), (stronger, 3)):
            thief = replace(DEMO["DreamBooth"], steps=steps)
            patch.setattr(module, "thief_of", lambda world, thief=thief: thief)
        patch.setattr(stronger, "PRIOR_PICTURES", 2)
        patch.setattr(controls, "INVERSION", InversionConfig(ti_steps=2))
        patch.setattr(simac, "KEPT", 950)
        patch.setattr(blurguard, "FIT_STEPS", 5)
        yield


@pytest.fixture(scope="module")
def runs(world, x, shortened):
    """Run each method once, when it is first asked for."""
    done = {}

    def run(name):
        if name not in done:
            done[name] = protect(name, world, x)
        return done[name]

    return run


def protect(name, world, x, steps=STEPS):
    before = [weight.clone() for net in (world.unet, world.vae, world.text) for weight in net.state_dict().values()]
    with counted(world) as cost:
        generator = torch.Generator().manual_seed(0)
        found = METHODS[name].protect(world, x, budget_levels=BUDGET, steps=steps, generator=generator)
    after = [weight.clone() for net in (world.unet, world.vae, world.text) for weight in net.state_dict().values()]
    return Run(found, cost, before, after)


def levels_of(x):
    return (x + 1) * 127.5


@pytest.mark.parametrize("name", METHODS)
def test_the_budget_holds_in_whole_levels_on_the_8_bit_grid(name, runs, x):
    found = runs(name).protected
    levels = levels_of(found)
    assert found.shape == x.shape
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert levels.round().min() >= 0
    assert levels.round().max() <= 255
    assert 0 < (levels.round() - levels_of(x).round()).abs().max() <= int(BUDGET)
    assert not found.requires_grad


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_bytes(name, runs, world, x):
    assert torch.equal(protect(name, world, x).protected, runs(name).protected)


@pytest.mark.parametrize("name", METHODS)
def test_no_method_changes_the_models_it_is_given(name, runs):
    run = runs(name)
    assert all(torch.equal(a, b) for a, b in zip(run.weights_before, run.weights_after, strict=True))


@pytest.mark.parametrize("name", [name for name in LEARNING if name not in OF_THE_DENOISER])
def test_what_a_method_raises_rises_against_the_original_and_against_noise_of_the_same_size(name, runs, world, x):
    assert_rises(name, world, x, runs(name).protected)


@pytest.mark.parametrize("name", OF_THE_DENOISER)
def test_the_error_of_an_exact_denoiser_rises_against_the_original_and_against_noise(name, exact, x, shortened):
    assert_rises(name, exact, x, protect(name, exact, x, steps=30).protected, draws=48)


def assert_rises(name, world, x, found, draws=12):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)) * (found - x).square().mean().sqrt()
    noisy = publish(x, x + noise, 255)
    clean, random, protected = (objective_of(name, world, x, pictures, draws) for pictures in (x, noisy, found))
    assert protected > clean
    assert protected > random


def objective_of(name, world, x, pictures, draws):
    """Return a method's own objective of pictures on the same draws whatever the pictures."""
    torch.manual_seed(0)
    loss_of = METHODS[name].objective(world, x, torch.Generator().manual_seed(3))
    with torch.no_grad():
        return torch.stack([loss_of(pictures) for _ in range(draws)]).mean().item()


def test_score_distillation_that_descends_lowers_the_error(exact, x, shortened):
    found = protect("sds_minus", exact, x, steps=30).protected
    clean, protected = (objective_of("sds", exact, x, pictures, draws=48) for pictures in (x, found))
    assert protected < clean


def test_a_whole_dreambooth_as_surrogate_raises_the_error_that_it_sees(exact, x, monkeypatch):
    learnt = []
    monkeypatch.setattr(stronger, "prior_pictures", lambda *_, **__: x)
    monkeypatch.setattr(stronger, "dreambooth", lambda world, seen, *_, **__: learnt.append(seen) or world)
    assert_rises("advdm", exact, x, protect("fsmg_dreambooth", exact, x, steps=30).protected, draws=48)
    assert learnt[0] is x


def test_a_weight_of_noise_levels_changes_nothing_where_each_step_is_the_sign_of_one_draws_slope(
    exact, x, shortened, monkeypatch
):
    def weighted(*given):
        found, t = plain(*given)
        return found * (1 + t.to(found)), t

    plain, names = errors.denoising_errors, ("advdm", "fsmg")
    before = [protect(name, exact, x).protected for name in names]
    monkeypatch.setattr(errors, "denoising_errors", weighted)
    assert all(map(torch.equal, before, (protect(name, exact, x).protected for name in names)))


def test_score_distillations_slope_is_the_encoders_alone(world, x):
    pictures = x.clone().requires_grad_()
    sds.distilled(world, torch.Generator().manual_seed(4))(pictures).backward()
    generator, again = torch.Generator().manual_seed(4), x.clone().requires_grad_()
    t = torch.randint(1000, (PICTURES,), generator=generator)
    z_0 = world.encode(again)
    noise = torch.randn(z_0.shape, generator=generator)
    mix = DDPM[t][:, None, None, None]
    condition = world.condition(["a photo of a person"]).expand(PICTURES, -1, -1)
    error = world.unet(mix.sqrt() * z_0 + (1 - mix).sqrt() * noise, t, condition).sample - noise
    z_0.backward(gradient=error.detach())
    assert torch.allclose(pictures.grad, again.grad, rtol=1e-4, atol=1e-6)


ROUNDS = -(-STEPS // 6)


def test_surrogates_of_a_real_checkpoint_take_the_steps_of_the_papers(world):
    assert surrogate.step_rate(world) == pytest.approx(3e-5)
    assert surrogate.step_rate(replace(world, demo=False)) == pytest.approx(5e-7)


def test_the_noise_that_a_velocity_model_predicts_is_read_off_its_velocity(world):
    generator = torch.Generator().manual_seed(0)
    z_0, t = torch.randn(2, 4, 2, 2, generator=generator), torch.tensor([100, 800])
    noise = torch.randn(z_0.shape, generator=generator)
    mix = world.alpha_bar[t][:, None, None, None]
    velocity = mix.sqrt() * noise - (1 - mix).sqrt() * z_0

    def knows_all(z_t, timesteps, condition):
        return SimpleNamespace(sample=velocity)

    faster = replace(world, schedule=replace(world.schedule, prediction="v"))
    z_t = errors.noised(faster, z_0, t, noise)
    found = errors.predict_noise(faster, knows_all, z_t, t, torch.zeros(1, 77, 32))
    assert torch.allclose(found, noise, atol=1e-5)


THEFT, STEP = 4, 2  # denoiser evaluations of one training step of a thief and of a surrogate in ASPL's rounds
STATED = {  # forwards, backwards, encodes, decodes of STEPS steps on PICTURES pictures
    "noise_sign": (0, 0, 0, 0),
    "noise_gauss": (0, 0, 0, 0),
    "photoguard": (0, 0, 1 + PICTURES * STEPS, 0),
    "photoguard_diffusion": (4 * PICTURES * STEPS, 4 * PICTURES * STEPS, PICTURES * STEPS, PICTURES * STEPS),
    "advdm": (PICTURES * STEPS, PICTURES * STEPS, PICTURES * STEPS, 0),
    "mist": (PICTURES * STEPS, PICTURES * STEPS, 1 + PICTURES * STEPS, 0),
    "ace": (PICTURES * STEPS, PICTURES * STEPS, 1 + PICTURES * STEPS, 0),
    "sds": (PICTURES * STEPS, 0, PICTURES * STEPS, 0),
    "fsmg": (*(2 * [PICTURES * STEPS + 3 * THEFT]), PICTURES * (STEPS + 1), 0),
    "aspl": (*(2 * [PICTURES * STEPS + 6 * ROUNDS * STEP]), PICTURES * (STEPS + 2 * ROUNDS), 0),
    "metacloak": (*(2 * [PICTURES * STEPS + 5 * THEFT + 2 * STEP]), PICTURES * (STEPS + 6), 0),
    "blurguard": (0, 0, PICTURES * STEPS, 0),
    "pixel_control": (*(2 * [2 * PICTURES * STEPS + 2 * 4]), PICTURES * (STEPS + 1), 0),
    "z0_control": (*(2 * [2 * PICTURES * STEPS + 2 * 4]), PICTURES * (STEPS + 2), PICTURES * (STEPS + 2)),
}


@pytest.mark.parametrize("name", STATED)
def test_a_method_costs_what_is_stated(name, runs):
    cost = runs(name).cost
    assert (cost.forwards, cost.backwards, cost.encodes, cost.decodes) == STATED[name]
    assert cost.seconds > 0


def test_simac_costs_aspl_one_clean_evaluation_a_step_and_six_a_round_of_its_search(runs):
    simac_cost, aspl_cost = runs("simac").cost, runs("aspl").cost
    searched = simac_cost.backwards - aspl_cost.backwards
    assert searched > 0
    assert searched % (6 * PICTURES) == 0
    assert simac_cost.forwards == aspl_cost.forwards + searched + PICTURES * STEPS


def test_copies_of_a_counted_denoiser_count_and_the_hooks_go(world, x):
    generator = torch.Generator().manual_seed(0)
    with counted(world) as cost:
        net = surrogate.fine_tuned(world, world.unet, x, steps=2, rate=1e-4, generator=generator)
    assert (cost.forwards, cost.backwards, cost.encodes) == (8, 8, PICTURES)
    assert not world.unet._forward_hooks
    assert any(not torch.equal(a, b) for a, b in zip(net.parameters(), world.unet.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_the_search_keeps_the_timesteps_of_the_larger_slopes(world, x, monkeypatch):
    monkeypatch.setattr(simac, "KEPT", 500)

    class Steep(ExactUNet):
        def forward(self, z_t, t, condition):
            sample = super().forward(z_t, t, condition).sample
            return SimpleNamespace(sample=sample * (t < 500)[:, None, None, None])  # no slope at high timesteps

    steep = replace(world, unet=Steep())
    allowed = simac.choose_timesteps(steep, x, budget_levels=8, generator=torch.Generator().manual_seed(0))
    assert allowed.sum(1).max() <= 500
    assert allowed[:, :500].sum() > 2 * allowed[:, 500:].sum()


def test_simacs_features_pull_at_the_pictures(world, x, monkeypatch):
    allowed, slopes = torch.ones(PICTURES, 1000, dtype=torch.bool), []
    for weight in (0.0, 100.0):
        monkeypatch.setattr(simac, "FEATURE_WEIGHT", weight)
        pictures = (x * 0.9).requires_grad_()
        simac.interference(world, world.unet, x, allowed, torch.Generator().manual_seed(0))(pictures).backward()
        slopes.append(pictures.grad)
    assert slopes[1].isfinite().all()
    assert not torch.allclose(*slopes)


def test_the_fitted_blur_brings_the_noise_closer_to_the_pictures_spectrum(monkeypatch):
    monkeypatch.setattr(blurguard, "FIT_STEPS", 40)
    generator = torch.Generator().manual_seed(0)
    smooth = gaussian_blur(torch.randn(1, 3, 64, 64, generator=generator), torch.tensor([4.0]), 33)
    x = smooth / smooth.abs().max()
    masks, limit = blurguard.regions(x[0])[None], 8 * LEVEL
    sigmas = blurguard.fit_sigmas(x, masks, limit, generator)
    noise = torch.randn(x.shape, generator=generator).clamp(-limit, limit)
    sharp, fitted = (
        blurguard.spectral_gap(x, within(x, blurguard.blur_by_region(noise, masks, s), limit))
        for s in (torch.ones_like(sigmas), sigmas)
    )
    assert fitted < sharp
    assert torch.equal(masks.sum(1), torch.ones(1, 1, 64, 64))


def test_the_spectrum_of_a_wave_lies_at_its_frequency():
    wave = torch.sin(2 * torch.pi * 5 * torch.arange(32) / 32).expand(1, 3, 32, 32)
    power = blurguard.spectrum(wave)[0].clone()
    power[0] = -99  # the mean
    assert power.argmax() == 5


def test_transformed_pictures_keep_their_size_and_pass_a_gradient(x):
    pictures = x.clone().requires_grad_()
    generator = torch.Generator().manual_seed(0)
    out = [metacloak.transformed(pictures, generator) for _ in range(4)]
    torch.stack(out).sum().backward()
    assert all(one.shape == x.shape for one in out)
    assert len({one.sum().item() for one in out}) == 4
    assert pictures.grad.any()


def test_the_target_is_black_and_white_and_repeats(x):
    target = target_picture(x)
    assert set(target.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(target[..., :8], target[..., 8:16])


def test_the_loop_finds_the_corner_of_the_box():
    x, goal = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    found = climb(x, lambda p: -(p - goal).square().sum(), steps=20, budget_levels=6, stride=0.1)
    assert torch.allclose(found, torch.full_like(x, 6 * LEVEL), atol=1e-6)


def test_a_decaying_stride_travels_half_as_far():
    x = torch.zeros(1, 3, 4, 4)
    found = climb(x, torch.sum, steps=100, budget_levels=100, stride=0.01, decay=True)
    assert found.mean().item() == pytest.approx(0.505 * 100 * LEVEL, rel=0.01)


def test_the_pixels_at_white_stay_at_white():
    x = torch.ones(1, 3, 4, 4)
    found = climb(x, torch.sum, steps=3, budget_levels=8, stride=0.5)
    assert torch.equal(publish(x, found, 8), x)


@pytest.mark.parametrize("name", ["photoguard", "photoguard_diffusion", "advdm", "mist", "ace", "sds", "aspl", "simac"])
def test_pictures_and_draws_on_the_cpu_reach_models_elsewhere(world_elsewhere, name):
    world, mode = world_elsewhere
    assert world.device.type == "cuda"
    with mode:
        pictures = torch.empty(PICTURES, 3, SIDE, SIDE)
        assert METHODS[name].objective(world, pictures, torch.Generator())(pictures).shape == ()
        assert world.decode(world.encode(pictures)).device == pictures.device
