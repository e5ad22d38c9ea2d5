"""Purifiers: they keep size and grid, do what their papers say, and let gradients through."""

import math
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch.nn import functional

from ldu.attacks.purify.contract import DiffusionModel, PixelSpace, Tools, on_grid
from ldu.attacks.purify.diffusion import DiffuseAndDenoise, back_step
from ldu.attacks.purify.edge_preserving import AdverseCleaner, bilateral, guided
from ldu.attacks.purify.grid import GridPure
from ldu.attacks.purify.image import Crop, GaussianBlur, Jpeg, Nothing, Platform, ResizeAndBack
from ldu.attacks.purify.impress import Impress
from ldu.attacks.purify.lanczos import resize_lanczos
from ldu.attacks.purify.recipe import build, chained, for_training, parse, stress_suite
from ldu.attacks.purify.registry import ENTRIES, STRESS_SUITE
from ldu.errors import BadImageError, BadValueError, NonFiniteError
from ldu.schedule import NoiseSchedule
from ldu.trajectory import slope

from .conftest import CurvedDenoiser, GaussianDenoiser, stable_diffusion_sigmas

EPS = NoiseSchedule(stable_diffusion_sigmas(), "eps")


class Shuffle:
    """An autoencoder that loses nothing: 8 x 8 pixels become 192 channels."""

    def encode(self, x):
        return functional.pixel_unshuffle(x, 8)

    def decode(self, z):
        return functional.pixel_shuffle(z, 8)


class Halving:
    """An autoencoder that knows only the mean of each 8 x 8 pixels."""

    def encode(self, x):
        return functional.avg_pool2d(x, 8)

    def decode(self, z):
        return functional.interpolate(z, scale_factor=8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def tools(**changes):
    latent = DiffusionModel(CurvedDenoiser(192), EPS, Shuffle())
    pixel = DiffusionModel(CurvedDenoiser(3), EPS, PixelSpace())
    given = {"upscale": lambda x: functional.interpolate(x, scale_factor=4, mode="bilinear"), **changes}
    return Tools(Shuffle(), latent, pixel, **given)


def picture(height=41, width=58, count=2, seed=0):
    """Smooth patches with some noise, away from black and white."""
    coarse = torch.rand(count, 3, 5, 7, generator=seeded(seed)) * 1.2 - 0.6
    smooth = functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return on_grid(smooth + 0.05 * torch.randn(count, 3, height, width, generator=seeded(seed + 1)))


def purified(text, x, seed=0, **changes):
    (recipe,) = parse(text)
    return build(recipe, tools(**changes))(x, generator=seeded(seed))


def as_image(x):
    return Image.fromarray(((x + 1) * 127.5).round().byte().movedim(0, -1).numpy())


def as_pixels(image):
    return torch.from_numpy(np.array(image)).movedim(-1, 0).float() / 127.5 - 1


SMALL = {"impress": "impress 3", "gridpure": "gridpure 1 2", "clean": "clean 3"}
EVERY = [SMALL.get(name, name) for name in ENTRIES]


@pytest.mark.parametrize("text", [*EVERY, "jpeg 75 + resize 0.5"])
def test_size_and_grid_are_kept_and_the_same_seed_gives_the_same_picture(text):
    x = picture(260, 300, count=1) if "gridpure" in text else picture()
    out = purified(text, x)
    assert out.shape == x.shape
    levels = (out + 1) * 127.5
    assert torch.equal(out, on_grid(out))
    assert (levels - levels.round()).abs().max() < 1e-4
    assert out.min() >= -1
    assert out.max() <= 1
    assert torch.equal(out, purified(text, x))


@pytest.mark.parametrize("text", ["noise", "crop", "img2img", "diffpure", "impress 2", "pixel-diffpure", "upscale"])
def test_another_seed_gives_another_picture(text):
    x = picture(104, 136)
    assert not torch.equal(purified(text, x, seed=0), purified(text, x, seed=1))


UNCHANGED = """none, blur 1, noise 0, median 1, resize 1, crop 0, flip + flip, clean 0, vae, img2img 0, diffpure 0,
impress 0, pixel-diffpure 0, gridpure 0, upscale 0""".replace("\n", " ").split(", ")


@pytest.mark.parametrize("text", UNCHANGED)
def test_strength_0_gives_back_the_picture(text):
    x = picture(256, 260, count=1) if "gridpure" in text else picture()
    assert torch.equal(purified(text, x, upscale=lambda x: x), x)


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        ("jpeg 90", "jpeg 10"),
        ("blur 3", "blur 9"),
        ("noise 0.02", "noise 0.1"),
        ("median 3", "median 9"),
        ("resize 0.8", "resize 0.3"),
        ("crop 0.05", "crop 0.4"),
        ("clean 1", "clean 20"),
        ("img2img 0.05", "img2img 0.6"),
        ("diffpure 50", "diffpure 500"),
        ("upscale 0.02", "upscale 0.3"),
    ],
)
def test_more_strength_changes_more(weak, strong):
    x = picture()
    little, much = ((purified(text, x) - x).square().mean() for text in (weak, strong))
    assert 0 < little < much


@pytest.mark.parametrize("quality", [1, 50, 75, 100])
def test_jpeg_is_what_pillow_reads_from_its_own_file(quality):
    x = picture()
    for each, out in zip(x, Jpeg(quality)(x, generator=seeded()), strict=True):
        file = BytesIO()
        as_image(each).save(file, format="JPEG", quality=quality)
        assert torch.equal(out, as_pixels(Image.open(file)))


def test_the_median_is_pillows():
    x = picture(count=1)
    assert torch.equal(purified("median 5", x)[0], as_pixels(as_image(x[0]).filter(ImageFilter.MedianFilter(5))))


@pytest.mark.parametrize("size", [(20, 29), (82, 116), (41, 30)])
def test_lanczos_agrees_with_pillow_to_a_level(size):
    x = picture(count=1)
    theirs = as_pixels(as_image(x[0]).resize(size[::-1], Image.Resampling.LANCZOS))
    assert (on_grid(resize_lanczos(x, *size))[0] - theirs).abs().max() < 1.1 / 127.5


def test_blur_keeps_a_flat_picture_and_has_the_width_of_its_window():
    flat = torch.full((1, 3, 21, 21), 0.2)
    assert torch.equal(purified("blur 9", flat), on_grid(flat))
    point = torch.full((1, 3, 21, 21), -1.0)
    point[..., 10, 10] = 1.0
    response = (GaussianBlur(5)(point, generator=seeded())[0, 0] + 1) / 2
    assert (response > 0).sum() == 25
    for distance in (1, 2):  # sigma is 1.1
        falls = response[10, 10 + distance] / response[10, 10]
        assert math.isclose(falls, math.exp(-(distance**2) / (2 * 1.1**2)), abs_tol=0.02)


def test_noise_has_its_standard_deviation():
    grey = on_grid(torch.zeros(1, 3, 200, 200))
    assert math.isclose((purified("noise 0.1", grey) - grey).std(), 0.2, rel_tol=0.02)


def test_a_crop_is_a_part_of_the_picture_and_the_same_of_every_one():
    ramp = torch.linspace(-0.9, 0.9, 50).expand(2, 3, 40, 50)
    one, other = Crop(0.2)(on_grid(ramp), generator=seeded())
    assert torch.equal(one, other)
    assert math.isclose((one[0, 20, 45] - one[0, 20, 5]) / (ramp[0, 0, 20, 45] - ramp[0, 0, 20, 5]), 0.8, abs_tol=0.02)


def test_a_platform_shrinks_only_what_is_too_long():
    x = picture(64, 96)
    assert torch.equal(Platform(96)(x, generator=seeded()), Jpeg(80)(x, generator=seeded()))
    small = on_grid(resize_lanczos(x, 32, 48))
    back = on_grid(resize_lanczos(Jpeg(80)(small, generator=seeded()), 64, 96))
    assert torch.equal(Platform(48)(x, generator=seeded()), back)


def test_a_chain_is_one_after_the_other():
    x, source = picture(), seeded(3)
    stepwise = purified("jpeg 75", x)
    stepwise = ResizeAndBack(0.5)(stepwise, generator=source)
    assert torch.equal(purified("jpeg 75 + resize 0.5", x), stepwise)


def test_the_cleaner_smooths_noise_and_keeps_an_edge():
    clean = torch.where(torch.arange(64) < 32, -0.5, 0.5).expand(1, 3, 64, 64)
    noisy = on_grid(clean + 0.03 * torch.randn(clean.shape, generator=seeded()))
    out = AdverseCleaner(20)(noisy, generator=seeded())
    assert (out - clean).std() < 0.5 * (noisy - clean).std()
    assert (out[..., 33] - out[..., 30]).mean() > 0.95


def test_the_bilateral_filter_of_a_small_difference_is_the_gaussian_mean_of_its_disk():
    levels = torch.zeros(1, 3, 7, 7, dtype=torch.float64)
    levels[..., 3, 3] = 1e-3
    out = bilateral(levels)[0, 0]
    weights = [math.exp(-(dy**2 + dx**2) / 128) for dy in range(-2, 3) for dx in range(-2, 3) if dy**2 + dx**2 <= 4]
    assert math.isclose(out[3, 3], 1e-3 / sum(weights), rel_tol=1e-6)
    assert math.isclose(out[3, 5], 1e-3 * math.exp(-4 / 128) / sum(weights), rel_tol=1e-6)
    assert out[1, 1] == 0


def test_the_guided_filter_returns_what_is_linear_in_its_guide():
    guide = (torch.rand(1, 3, 40, 40, dtype=torch.float64, generator=seeded()) * 255) * 4
    mixed = torch.einsum("oc,bchw->bohw", torch.tensor([[0.5, 0.2, 0.1]] * 3, dtype=torch.float64), guide) + 7
    assert (guided(guide, mixed) - mixed).abs().max() < 1e-3 * mixed.std()


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("prediction", ["eps", "v", "flow"])
def test_diffpure_of_gaussian_data_has_the_posterior_mean_and_variance(prediction, eta):
    """In many small steps: in few, ancestral ones give the same mean and too little variance."""
    mean, spread, depth, steps = 0.1, 0.2, 0.3, 600
    schedule = NoiseSchedule(tuple(t / 2000 for t in range(1, 2001)), prediction)
    model = DiffusionModel(GaussianDenoiser(schedule, mean, spread), schedule, PixelSpace())
    x = on_grid(torch.full((1, 3, 120, 120), 0.3))
    out = DiffuseAndDenoise(model, depth, steps, eta)(x, generator=seeded())
    sigma = schedule.grid(steps, depth)[0]
    signal = schedule.signal(torch.tensor([sigma])).item()
    gain = signal * spread**2 / (signal**2 * spread**2 + sigma**2)  # of E[z_0 | z_t]
    posterior = mean + gain * signal * (0.3 - mean)
    variance = (gain * sigma) ** 2 + (1 - gain * signal) * spread**2  # of E[z_0 | z_t], and of z_0 around it
    if eta == 0:  # the ODE carries quantiles instead: |dz_0 / dz_t| = spread / std(z_t)
        stretch = spread / math.hypot(signal * spread, sigma)
        posterior = mean + stretch * signal * (0.3 - mean)
        variance = (stretch * sigma) ** 2
    assert math.isclose(out.mean(), posterior, abs_tol=0.004)
    assert math.isclose(out.std(), math.sqrt(variance), rel_tol=0.01)


def test_a_deterministic_step_is_the_walks_euler_step(schedule):
    z = torch.randn(2, 4, 5, 5, dtype=torch.float64, generator=seeded())
    denoiser = GaussianDenoiser(schedule)
    high, low = schedule.sigmas[600], schedule.sigmas[300]
    D = denoiser(z, z.new_full((2,), high))
    ours = back_step(z, D, schedule, high, low, eta=0.0, generator=seeded())
    euler = z + (low - high) * slope(denoiser, z, high, schedule.sigma_min)
    assert (ours - euler).abs().max() < 1e-12


def test_an_ancestral_step_keeps_the_marginal_of_noisy_data(schedule):
    """With D = z_0 itself, z at the lower level is a_s z_0 + sigma_s n again."""
    z_0 = torch.full((1, 4, 200, 200), 0.4, dtype=torch.float64)
    high, low = schedule.sigmas[700], schedule.sigmas[200]
    z = schedule.add_noise(
        z_0, torch.randn(z_0.shape, dtype=z_0.dtype, generator=seeded()), torch.tensor([high]).to(z_0)
    )
    lower = back_step(z, z_0, schedule, high, low, eta=1.0, generator=seeded(1))
    signal = schedule.signal(torch.tensor([low], dtype=torch.float64)).item()
    assert math.isclose(lower.mean(), signal * 0.4, abs_tol=0.01 * low + 1e-3)
    assert math.isclose(lower.std(), low, rel_tol=0.01)


def test_each_model_evaluation_is_counted_and_reported():
    x = picture(16, 16)
    for text in ("diffpure 100", "diffpure 250 7", "img2img 0.15", "clean 5", "impress 4", "jpeg 75 + clean 2"):
        ticks = []
        (recipe,) = parse(text)
        made = build(recipe, tools(tick=lambda ticks=ticks: ticks.append(1)))
        made(x, generator=seeded())
        assert len(ticks) == made.work > 0, text
    assert build(parse("diffpure 100")[0], tools()).work == 10
    assert build(parse("img2img 0.15")[0], tools()).work == 8


def test_gridpure_of_squares_that_do_nothing_is_the_identity_and_gamma_blends():
    x = picture(70, 85, count=1)
    assert torch.equal(GridPure(Nothing(), rounds=2, side=32)(x, generator=seeded()), x)
    black = on_grid(-torch.ones_like(x))

    class Black(Nothing):
        def __call__(self, x, *, generator):
            return -torch.ones_like(x)

    blended = GridPure(Black(), rounds=2, gamma=0.1, side=32)(x, generator=seeded())
    assert (blended - (black + 0.01 * (x - black))).abs().max() < 0.012
    with pytest.raises(BadImageError, match="at least 256 pixels"):
        GridPure(Nothing())(x, generator=seeded())


def test_impress_moves_towards_what_the_vae_reproduces_and_stays_near():
    x = picture(32, 32, count=1)
    flat = Halving().decode(Halving().encode(x))
    free = Impress(Halving(), 200, alpha=0.0)(x, generator=seeded())
    held = Impress(Halving(), 200, alpha=10.0, eps=0.05)(x, generator=seeded())

    def inconsistency(y):
        return (Halving().decode(Halving().encode(y)) - y).square().mean()

    assert inconsistency(free) < 0.1 * inconsistency(x)
    assert inconsistency(free) < inconsistency(held) < inconsistency(x)
    assert (held - x).square().mean().sqrt() < 0.06
    assert (free - x).square().mean().sqrt() > 0.5 * (flat - x).square().mean().sqrt()


def test_impress_says_that_it_diverged():
    class Broken(Halving):
        def decode(self, z):
            return super().decode(z) * float("nan")

    with pytest.raises(NonFiniteError, match="IMPRESS"):
        Impress(Broken(), 2)(picture(16, 16), generator=seeded())


TRAINABLE = [text for text, name in zip(EVERY, ENTRIES, strict=True) if not ENTRIES[name].gradient]


AGAIN = [text for text in TRAINABLE if parse(text)[0].needs]


@pytest.mark.parametrize(
    ("text", "recompute"),
    [*((text, False) for text in [*TRAINABLE, "jpeg 50..95 + resize 0.4..0.9"]), *((text, True) for text in AGAIN)],
)
def test_training_forms_pass_a_gradient_that_is_finite_and_not_zero(text, recompute):
    (purifier,) = for_training(parse(text), tools(recompute=recompute))
    x = (picture(256, 256, count=1) if "gridpure" in text else picture()).requires_grad_()
    out = purifier(x, seeded())
    (gradient,) = torch.autograd.grad((out * torch.randn(out.shape, generator=seeded(1))).sum(), x)
    assert gradient.isfinite().all()
    assert gradient.abs().mean() > 1e-3


def test_recomputed_gradients_are_the_same():
    gradients = []
    for recompute in (False, True):
        (purifier,) = for_training(parse("diffpure 200 4"), tools(recompute=recompute))
        x = picture().requires_grad_()
        gradients += torch.autograd.grad(purifier(x, seeded()).square().sum(), x)
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-6)


def test_training_draws_from_the_whole_range_and_only_what_is_legal():
    source = seeded()
    (blur,), (jpeg,) = parse("blur 3..9"), parse("jpeg 50..95")
    assert {blur.links[0].drawn(source).low for _ in range(100)} == {3, 5, 7, 9}
    qualities = [jpeg.links[0].drawn(source).low for _ in range(300)]
    assert min(qualities) < 53
    assert max(qualities) > 92
    assert all(q == round(q) for q in qualities)
    (purifier,) = for_training(parse("noise 0.02..0.2"), tools())
    grey, source = on_grid(torch.zeros(1, 3, 60, 60)), seeded()
    spreads = [(purifier(grey, source) - grey).std().item() for _ in range(20)]
    assert max(spreads) > 2 * min(spreads)


def test_a_training_purifier_is_named_by_its_recipe_alone():
    (purifier,) = for_training(parse("diffpure 50..150 4"), tools())
    assert "0x" not in repr(purifier)
    assert repr(purifier) != repr(for_training(parse("diffpure 50..150 3"), tools())[0])


def test_what_optimises_the_picture_itself_is_not_trained_against():
    with pytest.raises(BadValueError, match="cannot be trained against"):
        for_training(parse("jpeg 75\nimpress 10"), tools())


@pytest.mark.parametrize("text", [*STRESS_SUITE, "jpeg 50..95", "diffpure 50..150 4 + blur 3..9", "noise 0.02..0.1"])
def test_a_recipe_reads_back_as_it_is_written(text):
    (recipe,) = parse(text)
    assert str(recipe) == text
    assert parse(str(recipe)) == [recipe]


def test_a_list_may_hold_comments_empty_lines_and_names_alone():
    recipes = parse("# first\n\njpeg\n  BLUR 3  # soft\nflip+none\nnoise .1")
    assert [str(recipe) for recipe in recipes] == ["jpeg 75", "blur 3", "flip + none", "noise 0.1"]
    assert str(chained(recipes)) == "jpeg 75 + blur 3 + flip + none + noise 0.1"
    assert chained(recipes).needs == frozenset()
    assert parse("vae + img2img")[0].needs == {"autoencoder", "latent"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("# nothing", "empty"),
        ("unsharp 3", "no purifier named 'unsharp': choose one of none, jpeg"),
        ("jpeg seventy", "cannot be read"),
        ("jpeg 75 +", "cannot be read"),
        ("jpeg 75, blur 3", "cannot be read"),
        ("jpeg -3", "cannot be read"),
        ("jpeg 101", "a whole number from 1 to 100"),
        ("jpeg 75.5", "a whole number"),
        ("blur 4", "an odd number"),
        ("flip 3", "takes no number"),
        ("noise 0.2..0.1", "smaller number first"),
        ("jpeg 75 10", "takes no number of steps"),
        ("diffpure 100 0", "1 or more"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused_in_one_sentence(text, message):
    with pytest.raises(BadValueError, match=message):
        parse(text)


def test_what_a_purifier_lacks_is_said():
    for text, lacking in (
        ("vae", "needs a VAE"),
        ("diffpure 50", "needs a diffusion model and its VAE"),
        ("gridpure", "needs a diffusion model that works on pixels"),
        ("jpeg 75 + upscale", "needs a super-resolution model"),
    ):
        with pytest.raises(BadValueError, match=lacking):
            build(parse(text)[0], Tools())
        with pytest.raises(BadValueError, match=lacking):
            for_training(parse(text), Tools())
    with pytest.raises(BadValueError, match="only training can draw"):
        build(parse("jpeg 50..95")[0], Tools())


def test_a_model_of_few_timesteps_is_walked_in_as_many_steps_as_it_has():
    few = tools()
    lcm = replace(few.latent, schedule=replace(few.latent.schedule, sigmas=few.latent.schedule.sigmas[::20]))
    assert lcm.schedule.train_timesteps == 50
    for text, work in (("img2img 0.15", 7), ("diffpure 100", 5), ("diffpure 50 4", 2)):
        purify = build(parse(text)[0], replace(few, latent=lcm))
        assert purify.work == work
        assert purify(picture(16, 16), generator=seeded()).isfinite().all()


def test_the_stress_suite_is_what_the_tools_allow():
    plain = [str(recipe) for recipe in stress_suite(Tools())]
    assert "jpeg 75 + resize 0.5" in plain
    assert not any(name in text for text in plain for name in ("vae", "diffpure", "img2img", "impress", "upscale"))
    assert [str(recipe) for recipe in stress_suite(tools())] == list(STRESS_SUITE)
