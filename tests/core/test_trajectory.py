"""The walk: exact where it must be, convergent where it can be, differentiable everywhere."""

import math
from itertools import pairwise

import pytest
import torch

from ldu.errors import BadValueError, MismatchError
from ldu.model import CountedDenoiser
from ldu.trajectory import Record, denoise, for_denoiser, invert, slope

Z_0 = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("k", [1, 2, 4, 8])
@pytest.mark.parametrize("depth", [0.25, 1.0])
def test_an_unshifted_walk_with_its_record_comes_back_to_z_0(curved, eps_schedule, k, depth):
    sigmas = eps_schedule.grid(k, depth)
    record = invert(curved, Z_0, eps_schedule, sigmas)
    nudged = record.z_T + 0 * record.z_T
    nudged[0, 0, 0, 0] = math.nextafter(nudged[0, 0, 0, 0].item(), 9.0)  # so that the walk is really walked
    nudged = nudged.float()
    z_0 = denoise(curved, nudged.requires_grad_(), eps_schedule, sigmas, record=record)
    assert (z_0 - Z_0).abs().max() < 1e-4


def test_each_downward_step_lands_on_its_stored_point(curved, eps_schedule):
    sigmas = eps_schedule.grid(8)
    record = invert(curved, Z_0, eps_schedule, sigmas)
    z = record.points[-1]
    for i, (high, low) in enumerate(pairwise(sigmas)):
        z = z + (low - high) * slope(curved, z, high, eps_schedule.sigma_min) + record.corrections[-1 - i]
        assert (z - record.points[-2 - i]).abs().max() < 1e-4


def test_a_bit_equal_z_T_gives_back_the_records_own_latent_without_an_evaluation(curved, eps_schedule):
    sigmas = eps_schedule.grid(4)
    record = invert(curved, Z_0, eps_schedule, sigmas)
    counted = CountedDenoiser(curved)
    assert denoise(counted, record.z_T.clone(), eps_schedule, sigmas, record=record) is record.z_0
    assert counted.evaluations == 0


def test_protecting_costs_2k_plus_1_evaluations(curved, eps_schedule):
    counted, sigmas = CountedDenoiser(curved), eps_schedule.grid(4)
    record = invert(counted, Z_0[:1], eps_schedule, sigmas)
    denoise(counted, record.z_T + 0.1, eps_schedule, sigmas, record=record)
    assert counted.evaluations == 2 * 4 + 1


def test_the_walk_up_converges_to_the_exact_flow_with_first_order(denoiser, schedule):
    """For Gaussian data the probability flow only rescales: (z - signal * mean) grows by the marginal's spread."""
    z_0 = Z_0.double()
    denoiser.spread = 1.0 if schedule.prediction == "flow" else denoiser.spread
    errors = []
    for k in (100, 200):
        sigmas = schedule.grid(k, 0.5)
        signal = schedule.signal(torch.tensor([sigmas[0]], dtype=torch.float64)).item()
        growth = math.hypot(signal * denoiser.spread, sigmas[0]) / denoiser.spread
        exact = signal * denoiser.mean + growth * (z_0 - denoiser.mean)
        end = invert(denoiser, z_0, schedule, sigmas).points[-1]
        errors.append((end - exact).abs().max().item())
    assert errors[1] < 0.05
    assert errors[0] / errors[1] > 1.5


def test_refinement_makes_z_T_replayable_without_the_record(curved, eps_schedule):
    sigmas = eps_schedule.grid(4, 0.25)
    plain = invert(curved, Z_0, eps_schedule, sigmas)
    refined = invert(curved, Z_0, eps_schedule, sigmas, refine=20)
    error = [(denoise(curved, r.z_T, eps_schedule, sigmas) - Z_0).abs().max().item() for r in (plain, refined)]
    assert error[1] < 1e-3 < error[0]


def test_another_denoiser_gets_corrections_of_its_own(curved, eps_schedule):
    sigmas = eps_schedule.grid(2)
    record = invert(curved, Z_0, eps_schedule, sigmas)
    other = type(curved)(seed=7)
    other.key = "sibling"
    z_T = record.z_T.clone().requires_grad_()  # walked, although it is unshifted
    assert (denoise(other, z_T, eps_schedule, sigmas, record=record) - Z_0).abs().max() < 1e-4
    assert for_denoiser(record, curved, eps_schedule) is record


def test_recomputation_in_the_backward_pass_gives_the_same_gradient(curved, eps_schedule):
    sigmas = eps_schedule.grid(4)
    record = invert(curved, Z_0, eps_schedule, sigmas)
    gradients = []
    for recompute in (False, True):
        z_T = (record.z_T + 0.1).requires_grad_()
        denoise(curved, z_T, eps_schedule, sigmas, record=record, recompute=recompute).square().sum().backward()
        gradients.append(z_T.grad)
    assert torch.equal(*gradients)
    assert gradients[0].isfinite().all()
    assert gradients[0].abs().min() > 0


def test_a_record_of_another_grid_or_size_is_refused(curved, eps_schedule):
    record = invert(curved, Z_0, eps_schedule, eps_schedule.grid(4))
    with pytest.raises(MismatchError, match="another grid"):
        denoise(curved, record.z_T, eps_schedule, eps_schedule.grid(2), record=record)
    with pytest.raises(MismatchError, match="holds latents of"):
        denoise(curved, record.z_T[:1], eps_schedule, record.sigmas, record=record)


def test_the_grid_is_trailing_and_ends_at_zero(eps_schedule):
    sigmas = eps_schedule.grid(4)
    table = eps_schedule.sigmas
    assert sigmas == (table[999], table[749], table[499], table[249], 0.0)


@pytest.mark.parametrize(("k", "depth"), [(0, 1.0), (1001, 1.0), (4, 0.0), (4, 1.1), (4, 0.003)])
def test_an_impossible_grid_is_refused(eps_schedule, k, depth):
    with pytest.raises(BadValueError):
        eps_schedule.grid(k, depth)


def test_a_negative_refinement_is_refused(curved, eps_schedule):
    with pytest.raises(BadValueError):
        invert(curved, Z_0, eps_schedule, eps_schedule.grid(2), refine=-1)


def test_a_record_is_frozen(curved, eps_schedule):
    record = invert(curved, Z_0, eps_schedule, eps_schedule.grid(1))
    assert isinstance(record, Record)
    with pytest.raises(AttributeError):
        record.z_T = Z_0
