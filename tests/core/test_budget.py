"""The budget holds in whole levels whatever comes in."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ldu.budget import (
    clip,
    clipped_share,
    compose,
    fit_to_budget,
    quantise,
    residual_levels,
    to_levels,
    to_pixels,
    to_working_size,
    whole_budget,
    working_size,
)
from ldu.errors import BadImageError, BadValueError, MismatchError, NonFiniteError
from ldu.picture import load_picture, save_png

BUDGETS = [0, 1, 2.5, 4, 10]


def random_levels(seed, *shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)).float()


def random_pixels(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@settings(max_examples=60, deadline=None)
@given(
    budget=st.sampled_from(BUDGETS),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    working_height=st.integers(2, 24),
    working_width=st.integers(2, 24),
    strength=st.sampled_from([0.001, 0.05, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_no_value_of_the_saved_file_leaves_the_budget(
    tmp_path_factory, budget, height, width, working_height, working_width, strength, seed
):
    path = tmp_path_factory.mktemp("saved") / "a.png"
    original = random_levels(seed, 1, 3, height, width)
    clean = random_pixels(seed + 1, 1, 3, working_height, working_width)
    shifted = clean + strength * random_pixels(seed + 2, *clean.shape)
    fitted = fit_to_budget(original, clean, shifted, budget)
    save_png(path, fitted[0].permute(1, 2, 0).to(torch.uint8))
    assert (load_picture(path).as_batch() - original).abs().max() <= math.floor(budget)


@pytest.mark.parametrize("budget", BUDGETS)
def test_every_8_bit_value_stays_within_the_budget_for_every_residual(budget):
    original = torch.arange(256.0).view(1, 1, 256, 1).expand(1, 3, 256, 401)
    residual = torch.linspace(-20, 20, 401).expand_as(original)
    composed = compose(original, residual, budget)
    assert (composed - original).abs().max() <= math.floor(budget)
    assert composed.min() >= 0
    assert composed.max() <= 255
    assert torch.equal(composed, composed.round())


@given(budget=st.sampled_from([*BUDGETS, 255]), height=st.integers(1, 30), width=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_equal_decodes_give_back_the_picture(budget, height, width):
    original = random_levels(height, 1, 3, height, width)
    decoded = random_pixels(width, 1, 3, 16, 16).half()
    assert torch.equal(fit_to_budget(original, decoded, decoded.clone(), budget), original)


def test_a_small_residual_arrives_unchanged():
    original = torch.full((1, 3, 8, 8), 100.0)
    clean = torch.zeros(1, 3, 8, 8)
    protected = clean + 3 / 127.5
    assert torch.equal(fit_to_budget(original, clean, protected, 10), original + 3)


def test_the_residual_is_clipped_after_it_was_resized():
    clean = torch.zeros(1, 3, 8, 8)
    protected = clean.clone()
    protected[..., 4:] = 10 / 127.5
    original = torch.full((1, 3, 64, 64), 100.0)
    change = fit_to_budget(original, clean, protected, 10) - original
    assert change.max() == 10
    assert fit_to_budget(original, clean, protected, 255).max() > 110  # bicubic overshoots


def test_half_precision_decodes_are_subtracted_in_float32():
    residual = residual_levels(torch.full((1, 3, 2, 2), 0.5).half(), torch.full((1, 3, 2, 2), 0.75).bfloat16())
    assert residual.dtype == torch.float32
    assert torch.equal(residual, torch.full_like(residual, 0.25 * 127.5))


def test_the_mask_says_where_to_protect():
    original = torch.full((2, 3, 8, 8), 100.0)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    mask[..., 4:6] = 0.5
    composed = compose(original, torch.full_like(original, 8), 255, mask)
    assert composed[0, 0, 0].tolist() == [108] * 4 + [104] * 2 + [100] * 2


def test_pixels_and_levels_are_each_others_inverse():
    levels = torch.arange(256.0).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert torch.equal(quantise(to_levels(to_pixels(levels))), levels)


def test_the_clipped_share_counts_what_the_budget_cuts():
    residual = torch.tensor([-12.0, -10, 0, 10.4]).view(1, 1, 2, 2)
    assert clipped_share(residual, 10.9) == 0.5


@pytest.mark.parametrize("budget", [-1, 255.5, math.inf, math.nan])
def test_a_budget_outside_the_levels_is_refused(budget):
    with pytest.raises(BadValueError, match="0 to 255"):
        whole_budget(budget)


def test_decodes_of_different_size_are_refused():
    original = torch.zeros(2, 3, 8, 8)
    with pytest.raises(MismatchError, match="one shape"):
        fit_to_budget(original, torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 16), 10)


def test_a_decode_that_is_not_finite_is_refused():
    with pytest.raises(NonFiniteError, match="float32"):
        fit_to_budget(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), math.nan), 10)


def test_every_residual_gets_a_gradient_also_where_it_is_clipped():
    original = random_levels(0, 1, 3, 16, 16)
    original[..., 0] = 255
    residual = (torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 20).requires_grad_()
    weights = torch.rand(1, 3, 16, 16) + 0.5
    (compose(original, residual, 4) * weights).sum().backward()
    assert torch.allclose(residual.grad, weights)


def test_both_decodes_get_a_gradient_through_the_resize():
    clean = random_pixels(0, 1, 3, 8, 8).requires_grad_()
    protected = random_pixels(1, 1, 3, 8, 8).requires_grad_()
    fit_to_budget(random_levels(0, 1, 3, 20, 31), clean, protected, 4).square().sum().backward()
    for decoded in (clean, protected):
        assert decoded.grad.isfinite().all()
        assert (decoded.grad != 0).all()


def test_clip_is_exact_far_outside_its_range():
    assert clip(torch.tensor([[[[1e8, -1e8, 3.0]]]]), -10, 10).flatten().tolist() == [10, -10, 3]


@settings(max_examples=200, deadline=None)
@given(width=st.integers(8, 6000), height=st.integers(8, 6000), short_side=st.sampled_from([128, 256, 512, 1024]))
def test_the_working_size_keeps_aspect_and_area_or_is_refused(width, height, short_side):
    aspect = max(width, height) / min(width, height)
    if aspect > 4 * (short_side / 64) ** 2 * 1.2:
        with pytest.raises(BadImageError, match="too narrow"):
            working_size(width, height, short_side)
    elif aspect < 4 * (short_side / 64) ** 2 * 0.8:
        sides = working_size(width, height, short_side)
        assert all(side % 8 == 0 for side in sides)
        assert sides[0] * sides[1] <= 4.3 * short_side**2
        assert abs(sides[0] / width - sides[1] / height) * min(width, height) <= 8
        if aspect <= 4:
            assert min(sides) == short_side


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((512, 512), 512, (512, 512)),
        ((400, 600), 512, (512, 768)),
        ((4000, 3000), 512, (680, 512)),
        ((1, 1), 128, (128, 128)),
        ((1, 20), 512, (232, 4576)),
        ((500, 500), 500, (496, 496)),
    ],
)
def test_working_sizes(size, short_side, expected):
    assert working_size(*size, short_side) == expected


def test_a_picture_at_its_working_size_holds_whole_levels():
    resized = to_working_size(random_levels(0, 1, 3, 90, 150), 64)
    assert resized.shape == (1, 3, 64, 104)
    assert torch.equal(resized, resized.round().clamp(0, 255))


def test_a_picture_too_narrow_for_the_short_side_is_refused():
    with pytest.raises(BadImageError, match="20x400 pixels is too narrow for a short side of 128; crop it to 16:1"):
        working_size(20, 400, 128)


def test_a_short_side_below_eight_latent_cells_is_refused():
    with pytest.raises(BadValueError, match="at least 64"):
        working_size(512, 512, 56)
