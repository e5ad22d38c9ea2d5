"""LDU as its paper has it: what the node trains is what the lab measures under that name."""

import copy

import pytest
import torch

from ldu.errors import BadValueError
from ldu.protect import prepare, shifted_walk
from ldu.published import PublishedTraining
from ldu.shift_unet import ShiftConfig, untrained_rho
from ldu.train import ShiftTraining, Surrogate, TrainConfig
from ldu.trajectory import denoise, invert

CONFIG = TrainConfig(budget_levels=2, k_steps=4, depth=1.0, train_steps=4, evaluate_every=0, price=1.0)


@pytest.fixture
def surrogate(curved, autoencoder, eps_schedule):
    return Surrogate(curved, autoencoder, eps_schedule, 64, curved)


@pytest.fixture
def make(surrogate, picture):
    def made(kind=PublishedTraining, **options):
        rho = untrained_rho(ShiftConfig(4, width=16, key_channels=0))
        return kind(surrogate, [prepare(surrogate, picture, None, CONFIG)], rho, CONFIG, **options)

    return made


def test_its_gradient_is_that_of_the_method_in_the_lab(make, surrogate):
    pytest.importorskip("diffusers", reason="needs the extra eval")
    pytest.importorskip("transformers", reason="needs the extra eval")
    from benchmarks.efficacy import published

    training = make()
    torch.nn.init.normal_(training.rho.conv_out.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    other, (subject,) = copy.deepcopy(training.rho), training.subjects
    training._accumulate(subject)

    sigmas = surrogate.schedule.grid(published.K_STEPS, published.DEPTH)
    z_T = invert(surrogate.walker, subject.record.z_0, surrogate.schedule, sigmas).z_T
    z_0 = published._walked(surrogate, other, z_T, sigmas)
    generator, x = torch.Generator().manual_seed(CONFIG.seed), subject.decoded_clean
    assert (surrogate.autoencoder.decode(z_0) - x).square().mean() > (CONFIG.budget_levels / 127.5) ** 2
    published._objective(
        surrogate.autoencoder, surrogate.adversary, surrogate, z_0, x, CONFIG.budget_levels, generator
    ).backward()
    for ours, theirs in zip(training.rho.parameters(), other.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6 * theirs.grad.abs().max())


def test_a_rho_that_shifts_nothing_publishes_the_decoders_error_within_the_budget(make, picture):
    training = make()
    change = (training.protected(training.subjects[0]) - picture).abs()
    assert 0 < change.max() <= CONFIG.budget_levels
    ours = make(ShiftTraining)
    assert torch.equal(ours.protected(ours.subjects[0]), picture)


def test_its_walk_down_is_a_plain_samplers(make, surrogate):
    training = make()
    torch.nn.init.normal_(training.rho.conv_out.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    (subject,), generator = training.subjects, torch.Generator()
    z_0, shift = shifted_walk(surrogate, training.rho, subject.record, CONFIG, generator)
    plain = denoise(surrogate.walker, subject.record.z_T + shift, surrogate.schedule, subject.record.sigmas)
    assert torch.allclose(z_0, plain, atol=1e-4)
    (ours,) = make(ShiftTraining).subjects
    assert not torch.allclose(
        shifted_walk(surrogate, training.rho, ours.record, CONFIG, generator)[0], plain, atol=1e-2
    )


def test_visibility_has_no_price_there(make):
    training = make()
    assert [report.price for report in training.run()] == [0.0] * CONFIG.train_steps


def test_an_interrupted_training_goes_on_and_is_never_taken_for_ours(make, tmp_path):
    whole = make()
    list(whole.run())
    half = make()
    for _ in range(2):
        half.step()
    half.save(tmp_path / "state.safetensors")
    again = make()
    again.resume(tmp_path / "state.safetensors")
    list(again.run())
    assert all(torch.equal(*pair) for pair in zip(whole.rho.parameters(), again.rho.parameters(), strict=True))
    assert whole.fingerprint != make(ShiftTraining).fingerprint


def test_purifiers_are_refused(make):
    with pytest.raises(BadValueError, match="disconnect them"):
        make(purifiers=[lambda x, generator: x])
