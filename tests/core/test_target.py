"""A target: the farthest of several edits, and steps on the pixels until the encoder sees it."""

from dataclasses import replace

import pytest
import torch

from benchmarks.efficacy.targeted import ByPromptsToo
from ldu.budget import to_pixels, to_working_size
from ldu.errors import MismatchError, NonFiniteError
from ldu.model import CountedDenoiser
from ldu.refine import RefineConfig
from ldu.target import TowardsTarget, farthest_edits
from ldu.train import Surrogate, mean_loss
from ldu.trajectory import invert

from .conftest import GaussianDenoiser

CONFIG = RefineConfig(budget_levels=16, refine_steps=12)


@pytest.fixture
def surrogate(curved, autoencoder, eps_schedule):
    word = GaussianDenoiser(eps_schedule, mean=0.8, spread=0.3)
    return Surrogate(curved, autoencoder, eps_schedule, 64, word)


@pytest.fixture
def make(surrogate, picture):
    start = surrogate.autoencoder.encode(picture_at_work(surrogate, picture))

    def refinement(change, config=CONFIG, kind=TowardsTarget, **options):
        return kind(surrogate, picture, picture, config, target=start + change, **options)

    return refinement


def picture_at_work(surrogate, picture):
    return to_pixels(to_working_size(picture, surrogate.resolution))


def test_the_farthest_edit_is_taken_for_all_pictures_at_k_evaluations_a_decoy(eps_schedule):
    decoys = [CountedDenoiser(GaussianDenoiser(eps_schedule, mean=mean, spread=0.5)) for mean in (0.1, 1.5, -0.4)]
    z_0 = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.5
    empty = GaussianDenoiser(eps_schedule, mean=0.0, spread=0.5)
    record = invert(empty, z_0, eps_schedule, eps_schedule.grid(4, 0.6))
    wide = invert(empty, z_0[:1].repeat(1, 1, 1, 2), eps_schedule, eps_schedule.grid(2, 0.6))
    number, (target, wider) = farthest_edits([record, wide], decoys, eps_schedule)
    assert number == 1
    assert (target - z_0).mean() > 0.2
    assert wider.shape == wide.z_0.shape
    assert [decoy.evaluations for decoy in decoys] == [4 * 2 + 2] * 3


def test_of_pictures_that_disagree_all_count(eps_schedule):
    decoys = [GaussianDenoiser(eps_schedule, mean=mean, spread=0.5) for mean in (-1.0, 1.2)]
    empty, sigmas = GaussianDenoiser(eps_schedule, mean=0.0, spread=0.5), eps_schedule.grid(4, 0.6)
    light, dark = (invert(empty, torch.full((1, 4, 8, 8), level), eps_schedule, sigmas) for level in (0.9, -0.9))
    assert [farthest_edits(given, decoys, eps_schedule)[0] for given in ([light], [dark])] == [0, 1]
    assert farthest_edits([light, dark, dark], decoys, eps_schedule)[0] == 1
    assert farthest_edits([dark, light, light], decoys, eps_schedule)[0] == 0


def test_a_walk_that_overflows_is_refused_and_not_taken_for_the_farthest(eps_schedule):
    means = (0.1, float("nan"))
    decoys = [GaussianDenoiser(eps_schedule, mean=mean, spread=0.5) for mean in means]
    record = invert(decoys[0], torch.zeros(1, 4, 8, 8), eps_schedule, eps_schedule.grid(2, 0.6))
    with pytest.raises(NonFiniteError, match="precision"):
        farthest_edits([record], decoys, eps_schedule)


def test_steps_go_towards_the_target_within_budget_and_visibility(make, picture):
    refinement = make(0.2)
    shares = list(refinement.run())
    assert shares[0] == 0
    assert shares[-1] > max(shares[:4]) > 0
    change = refinement.refined - picture
    assert change.abs().max() <= 16
    assert 0 < change.square().mean().sqrt() < 8.5


@pytest.fixture
def loss_after(make, surrogate, eps_schedule, picture):
    """Return a denoiser's loss on what a refinement towards a target leaves."""

    def loss(denoiser, *prompts):
        refinement = make(0.2, replace(CONFIG, draws=8), ByPromptsToo, prompts=prompts)
        assert list(refinement.run())[-1] > 0
        z = surrogate.autoencoder.encode(picture_at_work(surrogate, refinement.refined))
        generator = torch.Generator().manual_seed(1)
        return mean_loss(denoiser, z, eps_schedule, draws=256, weighting="velocity", generator=generator)

    return loss


def test_of_the_lab_with_a_decoy_its_loss_falls_below_what_the_encoder_alone_leaves(loss_after, eps_schedule):
    decoy = GaussianDenoiser(eps_schedule, mean=0.8, spread=0.3)
    assert loss_after(decoy, (-1.0, decoy)) < loss_after(decoy)


def test_of_the_lab_away_from_the_word_its_loss_rises_above_what_the_encoder_alone_leaves(loss_after, surrogate):
    word = surrogate.adversary
    assert loss_after(word, (1.0, word)) > loss_after(word)


def test_a_mask_spares_what_it_does_not_show(make, picture):
    mask = torch.zeros(1, 1, *picture.shape[-2:])
    mask[..., :40] = 1
    refinement = make(0.2, mask=mask)
    list(refinement.run())
    change = refinement.refined - picture
    assert change[..., :40].any()
    assert not change[..., 48:].any()


def test_a_target_of_another_size_is_refused(surrogate, picture):
    with pytest.raises(MismatchError, match="working size"):
        TowardsTarget(surrogate, picture, picture, CONFIG, target=torch.zeros(1, 4, 3, 3))
