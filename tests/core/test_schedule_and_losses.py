"""Noise levels and the personalization loss, in the three variants that models are trained with."""

from dataclasses import replace

import pytest
import torch

from ldu.errors import NonFiniteError
from ldu.losses import draw_sigmas, expected_loss, noise_prediction_loss, require_finite, with_prior

Z_0 = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(3))


def textbook_target(schedule, z_0, noise, sigma):
    """What the network itself is asked for: noise, v in the variance-preserving frame, or the flow's velocity."""
    if schedule.prediction == "eps":
        return noise
    if schedule.prediction == "flow":
        return noise - z_0
    alpha, beta = 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5
    return alpha * noise - beta * z_0


def textbook_prediction(schedule, estimate, z_sigma, sigma):
    """The network's output that belongs to a denoised estimate."""
    if schedule.prediction in ("eps", "flow"):
        return (z_sigma - estimate) / sigma
    alpha, beta = 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5
    return (alpha * (alpha * z_sigma) - estimate) / beta


def test_the_weighted_estimate_is_the_textbook_loss_of_each_variant(schedule):
    generator = torch.Generator().manual_seed(0)
    sigma = draw_sigmas(schedule, 8, generator=generator).double()
    noise = torch.randn(Z_0.shape, generator=generator, dtype=torch.float64)
    z_0 = Z_0.double()
    s = sigma[:, None, None, None]
    z_sigma = schedule.add_noise(z_0, noise, sigma)
    estimate = 0.9 * z_0 + 0.01
    error = textbook_prediction(schedule, estimate, z_sigma, s) - textbook_target(schedule, z_0, noise, s)
    ours = schedule.loss_weight(sigma) * (estimate - z_0).square().mean(dim=(1, 2, 3))
    assert torch.allclose(ours, error.square().mean(dim=(1, 2, 3)), rtol=1e-6)


def test_the_velocity_weighting_makes_an_eps_loss_that_of_v_and_leaves_the_others(denoiser, schedule):
    def loss(of, weighting="own"):
        generator = torch.Generator().manual_seed(3)
        return noise_prediction_loss(denoiser, Z_0, of, generator=generator, weighting=weighting)

    as_v = replace(schedule, prediction="v") if schedule.prediction == "eps" else schedule
    assert torch.equal(loss(schedule, "velocity"), loss(as_v))
    assert torch.equal(loss(schedule, "velocity"), loss(schedule)) == (schedule.prediction != "eps")


def test_a_perfect_estimate_costs_nothing(schedule):
    def oracle(z, sigma):
        del sigma
        return torch.zeros_like(z)

    oracle.key = "oracle"
    loss = noise_prediction_loss(oracle, torch.zeros(2, 4, 4, 4), schedule, generator=torch.Generator())
    assert loss.tolist() == [0.0, 0.0]


def test_gradients_reach_the_picture(denoiser, schedule):
    z_0 = Z_0.clone().requires_grad_()
    noise_prediction_loss(denoiser, z_0, schedule, generator=torch.Generator().manual_seed(1)).mean().backward()
    assert z_0.grad.isfinite().all()
    assert z_0.grad.abs().min() > 0


def test_the_same_seed_gives_the_same_draws_so_that_pictures_compare_in_pairs(denoiser, schedule):
    def losses(seed):
        return expected_loss(
            denoiser, Z_0[:1], schedule, draws=11, generator=torch.Generator().manual_seed(seed), batch=4
        )

    assert losses(5) == losses(5)
    assert len(losses(5)) == 11
    assert losses(5) != losses(6)


def test_draws_cover_the_timesteps_evenly_and_keep_to_their_range(eps_schedule):
    sigmas = draw_sigmas(eps_schedule, 100, generator=torch.Generator().manual_seed(0), t_range=(0.5, 0.75))
    assert sigmas.min() >= eps_schedule.sigmas[500]
    assert sigmas.max() < eps_schedule.sigmas[750]
    assert (sigmas.diff() > 0).float().mean() > 0.9


def test_the_prior_is_added_with_its_weight():
    assert with_prior(torch.tensor([1.0, 3.0]), torch.tensor([4.0]), 0.5) == 4.0


def test_a_loss_that_is_not_finite_is_reported_with_its_step():
    require_finite(torch.tensor(1.0), "loss", 3)
    with pytest.raises(NonFiniteError, match="training loss became nan at step 7"):
        require_finite(torch.tensor(float("nan")), "training loss", 7)


def test_z_T_is_stored_in_unit_variance(schedule):
    z_0, noise = torch.randn(2, 4, 4, 128, 128, generator=torch.Generator().manual_seed(0)).unbind()
    sigma = schedule.sigmas[600]
    z_T = schedule.add_noise(z_0, noise, torch.full((4,), sigma)) / schedule.spread(sigma)
    assert z_T.std() == pytest.approx(1, abs=0.01)
