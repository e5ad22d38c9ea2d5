"""Protecting one picture: what it costs, what strength 0 gives back, and that it is what training published."""

import pytest
import torch

from ldu.errors import BadValueError
from ldu.model import CountedDenoiser
from ldu.protect import WalkConfig, WalkModels, prepare, protect
from ldu.shift_unet import ShiftConfig, ShiftUNet
from ldu.train import ShiftTraining, Surrogate, TrainConfig


@pytest.fixture
def counted(curved):
    return CountedDenoiser(curved)


@pytest.fixture
def models(counted, autoencoder, eps_schedule):
    return WalkModels(counted, autoencoder, eps_schedule, 64)


@pytest.fixture
def rho():
    torch.manual_seed(0)
    net = ShiftUNet(ShiftConfig(4, width=16))
    torch.nn.init.normal_(net.conv_out.weight, std=0.5)
    return net


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("rounds", [1, 3])
def test_a_round_costs_2k_plus_1_evaluations(models, counted, rho, picture, k, rounds):
    protect(models, rho, picture, WalkConfig(k_steps=k, rounds=rounds))
    assert counted.evaluations == (2 * k + 1) * rounds


def test_strength_0_gives_back_the_picture_bit_for_bit_without_an_evaluation(models, counted, rho, picture):
    assert torch.equal(protect(models, rho, picture, WalkConfig(), strength=0), picture)
    assert counted.evaluations == 0


@pytest.mark.parametrize("budget", [0, 1, 2.5, 10])
def test_no_value_changes_by_more_than_the_budget(models, rho, picture, budget):
    protected = protect(models, rho, picture, WalkConfig(budget_levels=budget))
    assert (protected - picture).abs().max() == int(budget)
    assert torch.equal(protected, protected.round())


def test_half_the_strength_changes_less(models, rho, picture):
    config = WalkConfig(budget_levels=255)
    whole, half = (protect(models, rho, picture, config, strength=strength) - picture for strength in (1, 0.5))
    assert 0 < half.square().mean() < whole.square().mean()


def test_the_mask_spares_what_it_covers(models, rho, picture):
    mask = torch.zeros(1, 1, 80, 100)
    mask[..., :50] = 1
    change = protect(models, rho, picture, WalkConfig(), mask=mask) - picture
    assert change[..., :50].any()
    assert not change[..., 50:].any()


def test_a_seed_is_a_key_of_its_own(models, rho, picture):
    one, again, other = (protect(models, rho, picture, WalkConfig(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_it_gives_what_the_training_showed(models, rho, picture):
    config = TrainConfig(k_steps=2, rounds=2, seed=5)
    surrogate = Surrogate(**vars(models), adversary=models.walker)
    training = ShiftTraining(surrogate, [prepare(models, picture, None, config)], rho, config)
    shown = training.protected(training.subjects[0])
    assert torch.equal(protect(models, rho, picture, config, seed=5), shown)


def test_no_gradient_is_kept(models, rho, picture):
    assert not protect(models, rho, picture, WalkConfig()).requires_grad


def test_no_rounds_at_all_are_refused():
    with pytest.raises(BadValueError, match="1 or more rounds"):
        WalkConfig(rounds=0)
