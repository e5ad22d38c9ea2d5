"""Refinement in pixels: it raises the loss and keeps to budget and mask at the picture's own size."""

from dataclasses import replace

import pytest
import torch

from ldu.errors import BadValueError, MismatchError, NonFiniteError
from ldu.metrics import psnr_db
from ldu.refine import RefineConfig, Refinement
from ldu.train import Surrogate, thief_loss

from .conftest import GaussianDenoiser

CONFIG = RefineConfig(budget_levels=10, refine_steps=12, visibility=0)


@pytest.fixture
def surrogate(curved, autoencoder, eps_schedule):
    return Surrogate(curved, autoencoder, eps_schedule, 64, GaussianDenoiser(eps_schedule, mean=0.0, spread=0.1))


def refined(surrogate, picture, protected=None, config=CONFIG, **options):
    refinement = Refinement(surrogate, picture, picture if protected is None else protected, config, **options)
    list(refinement.run())
    return refinement.refined


def test_refining_raises_the_loss_of_what_a_thief_loads(surrogate, picture):
    grey = picture * 0 + 128
    before = sum(thief_loss(surrogate, grey, draws=16))
    assert sum(thief_loss(surrogate, refined(surrogate, grey), draws=16)) > 1.02 * before


def test_the_budget_holds_at_the_pictures_own_size_and_is_used(surrogate, picture):
    change = refined(surrogate, picture) - picture
    assert change.abs().max() == 10
    assert torch.equal(change, change.round())
    assert change.abs().mean() > 3


def test_a_visibility_is_kept_and_the_change_goes_where_it_counts_most(surrogate, picture):
    config = RefineConfig(budget_levels=16, visibility=5 / 16, flat=1, refine_steps=12)
    kept, signed = (refined(surrogate, picture, config=each) for each in (config, replace(config, visibility=0)))
    assert psnr_db(picture, signed) < psnr_db(picture, kept)
    assert 33.5 < psnr_db(picture, kept) < 36  # the change is enlarged to the picture's own size, which softens it
    assert 5 < (kept - picture).abs().max() <= 16
    as_visible = picture + (signed - picture) * (5 / 16)
    assert sum(thief_loss(surrogate, kept, draws=16)) > sum(thief_loss(surrogate, as_visible, draws=16))


def test_a_change_that_is_there_is_kept_and_counts_towards_the_budget(surrogate, picture):
    protected = (picture + 8).clamp(0, 255)
    found = refined(surrogate, picture, protected)
    assert (found - picture).abs().max() <= 10
    assert (found - picture).mean() > (refined(surrogate, picture) - picture).mean()


def test_a_contrast_raises_what_the_subject_loses_beside_any_picture(surrogate, picture):
    general = replace(surrogate, adversary=GaussianDenoiser(surrogate.schedule, mean=0.2, spread=0.1))
    surrogate = replace(surrogate, walker=general.adversary)

    def margin(found):
        return sum(thief_loss(surrogate, found, draws=16)) - sum(thief_loss(general, found, draws=16))

    config = replace(CONFIG, visibility=0.5, flat=1, weighting="own")
    plain, told = (refined(surrogate, picture, config=replace(config, contrast=share)) for share in (0, 1))
    assert margin(told) > margin(plain) > margin(picture)
    assert sum(thief_loss(surrogate, plain, draws=16)) > sum(thief_loss(surrogate, told, draws=16))


def test_flat_areas_change_less_than_busy_ones(surrogate, picture):
    half_flat = picture.clone()
    half_flat[..., :50] = 128
    changes = [
        refined(surrogate, half_flat, config=replace(CONFIG, visibility=0.5, flat=flat)) - half_flat
        for flat in (0.2, 1)
    ]
    flat_beside_busy = [change[..., :40].square().mean() / change[..., 60:].square().mean() for change in changes]
    assert 4 * flat_beside_busy[0] < flat_beside_busy[1]
    assert psnr_db(half_flat, half_flat + changes[0]) > psnr_db(half_flat, half_flat + changes[1])


def test_a_shift_that_is_as_visible_already_makes_room(surrogate, picture):
    protected = (picture + 8).clamp(0, 255)
    found = refined(surrogate, picture, protected, replace(CONFIG, visibility=0.5, flat=1))
    assert psnr_db(picture, found) > 33.5
    assert sum(thief_loss(surrogate, found, draws=16)) > sum(thief_loss(surrogate, protected, draws=16))


def test_no_steps_give_back_the_protected_picture(surrogate, picture):
    protected = (picture + 3).clamp(0, 255)
    assert torch.equal(refined(surrogate, picture, protected, RefineConfig(refine_steps=0)), protected)


def test_the_mask_spares_what_it_covers(surrogate, picture):
    mask = torch.zeros(1, 1, 80, 100)
    mask[..., :50] = 1
    change = (refined(surrogate, picture, mask=mask) - picture).abs()
    assert not change[..., 50:].any()
    assert change[..., :50].any()


def test_under_a_mask_the_visibility_is_that_of_the_part_that_may_change(surrogate, picture):
    mask = torch.zeros(1, 1, 80, 100)
    mask[..., :40, :50] = 1
    config = RefineConfig(budget_levels=16, visibility=5 / 16, flat=1, refine_steps=12)
    change = refined(surrogate, picture, config=config, mask=mask) - picture
    whole = refined(surrogate, picture, config=config) - picture
    inside, everywhere = (each.square().mean().sqrt() for each in (change[..., :40, :50], whole))
    assert 0.8 * everywhere < inside < 1.1 * everywhere
    nothing = refined(surrogate, picture, config=config, mask=mask * 0)
    assert torch.equal(nothing, picture)
    shifted = (picture + 4).clamp(0, 255)  # everywhere, and within the limit: the first step need not shrink it
    one_step = refined(surrogate, picture, shifted, replace(config, refine_steps=0), mask=mask)
    assert torch.equal(one_step, shifted)
    first = refined(surrogate, picture, shifted, replace(config, refine_steps=1), mask=mask) - picture
    assert first[..., :40, :50].square().mean().sqrt() > 3.5
    assert torch.equal(first[..., 45:, 55:], (shifted - picture)[..., 45:, 55:])


def test_a_soft_mask_does_not_touch_the_change_that_is_there(surrogate, picture):
    protected, half = (picture + 8).clamp(0, 255), torch.full((1, 1, 80, 100), 0.5)
    assert torch.equal(refined(surrogate, picture, protected, RefineConfig(refine_steps=0), mask=half), protected)


def test_a_seed_decides_the_result(surrogate, picture):
    again = refined(surrogate, picture), refined(surrogate, picture)
    assert torch.equal(*again)
    assert not torch.equal(again[0], refined(surrogate, picture, config=RefineConfig(refine_steps=12, seed=1)))


def test_a_purifier_is_part_of_the_loss(surrogate, picture):
    seen = []

    def grey(x, generator):
        seen.append(x.shape)
        return x * 0

    assert torch.equal(refined(surrogate, picture, purifiers=[grey]), picture)  # no slope is left to follow
    assert len(seen) == CONFIG.refine_steps


def test_what_cannot_be_refined_is_refused(surrogate, picture):
    with pytest.raises(MismatchError, match="two versions of one picture"):
        Refinement(surrogate, picture, picture[..., :-1], CONFIG)
    with pytest.raises(BadValueError, match="0 or more steps"):
        RefineConfig(refine_steps=-1)
    with pytest.raises(BadValueError, match="share of the budget"):
        RefineConfig(visibility=-1)
    with pytest.raises(BadValueError, match="share of the change"):
        RefineConfig(flat=0)
    with pytest.raises(BadValueError, match="contrast"):
        RefineConfig(contrast=2)
    with pytest.raises(NonFiniteError, match="refinement's loss"):
        refined(surrogate, picture, purifiers=[lambda x, generator: x / 0])
