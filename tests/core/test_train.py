"""Training: it learns, its price moves both ways, and an interruption loses nothing."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from ldu.attacks.purify.contract import Tools
from ldu.attacks.purify.recipe import for_training, parse
from ldu.budget import to_pixels
from ldu.checkpoint import read_safetensors, write_safetensors
from ldu.errors import BadFileError, BadImageError, BadValueError, MismatchError
from ldu.lagrangian import DualVariable, root_mean_square, share_beyond
from ldu.protect import prepare
from ldu.shift_unet import ShiftConfig, ShiftUNet
from ldu.train import ShiftTraining, Surrogate, TrainConfig, thief_loss

from .conftest import GaussianDenoiser

CONFIG = TrainConfig(
    budget_levels=10, k_steps=2, depth=0.3, train_steps=6, learning_rate=5e-3, evaluate_every=3, visibility_target=0.5
)


@pytest.fixture
def surrogate(curved, autoencoder, eps_schedule):
    return Surrogate(curved, autoencoder, eps_schedule, 64, curved)


def training(surrogate, picture, config=CONFIG, **options):
    torch.manual_seed(0)
    rho = ShiftUNet(ShiftConfig(4, width=16))
    return ShiftTraining(surrogate, [prepare(surrogate, picture, None, config)], rho, config, **options)


def test_other_noise_levels_make_another_training(surrogate, picture):
    levels = tuple(1.5 * sigma for sigma in surrogate.schedule.sigmas)
    others = [replace(surrogate.schedule, sigmas=levels), replace(surrogate.schedule, prediction="v")]
    trainings = [training(replace(surrogate, schedule=each), picture) for each in (surrogate.schedule, *others)]
    assert len({each.fingerprint for each in trainings}) == 3


def test_every_parameter_of_rho_gets_a_finite_gradient_that_is_not_zero(surrogate, picture):
    run = training(surrogate, picture)
    run.step()  # the first step only reaches the last convolution, which starts at zero
    run.step()
    for name, parameter in run.rho.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_training_raises_the_adversarys_loss_on_the_published_picture(surrogate, picture):
    config = TrainConfig(
        k_steps=2, depth=0.3, train_steps=40, learning_rate=1e-2, evaluate_every=0, visibility_target=1.0
    )
    expects_grey = GaussianDenoiser(surrogate.schedule, mean=0.0, spread=0.1)
    run = training(replace(surrogate, adversary=expects_grey), picture * 0 + 128, config)
    before = run.evaluate()
    list(run.run())
    assert run.evaluate() > 1.02 * before


def test_the_picture_stays_within_its_budget_whatever_rho_does(surrogate, picture):
    run = training(surrogate, picture)
    torch.nn.init.normal_(run.rho.conv_out.weight, std=10.0)
    change = (run.protected(run.subjects[0]) - picture).abs()
    assert change.max() == 10
    assert run.protected(run.subjects[0]).shape == picture.shape


def test_an_untrained_rho_changes_nothing(surrogate, picture):
    run = training(surrogate, picture)
    assert torch.equal(run.protected(run.subjects[0]), picture)


def test_the_mask_spares_what_it_covers(surrogate, picture):
    mask = torch.zeros(1, 1, 80, 100)
    mask[..., :50] = 1
    run = ShiftTraining(
        surrogate, [prepare(surrogate, picture, mask, CONFIG)], training(surrogate, picture).rho, CONFIG
    )
    torch.nn.init.normal_(run.rho.conv_out.weight, std=10.0)
    change = (run.protected(run.subjects[0]) - picture).abs()
    assert not change[..., 50:].any()
    assert change[..., :50].any()


def test_the_price_rises_while_the_picture_is_too_visible_and_falls_while_it_is_not(surrogate, picture):
    strict = TrainConfig(
        k_steps=1, depth=0.3, train_steps=8, learning_rate=5e-2, visibility_target=0.01, evaluate_every=0
    )
    prices = [report.price for report in training(surrogate, picture, strict).run()]
    assert prices[-1] > prices[1] > 0
    slack = TrainConfig(k_steps=1, depth=0.3, train_steps=8, price=1.0, learning_rate=1e-5, evaluate_every=0)
    prices = [report.price for report in training(surrogate, picture, slack).run()]
    assert all(later < earlier for earlier, later in pairwise(prices))


def test_the_price_never_falls_below_zero():
    dual = DualVariable(0.01, rate=1.0)
    dual.update(0.1, target=0.5)
    assert dual.price == 0.0
    dual.update(0.6, target=0.5)
    assert dual.price == pytest.approx(math.log(1.2))


def test_the_price_rises_and_falls_alike_and_never_by_more_than_its_rate():
    dual = DualVariable(1.0, rate=0.1)
    dual.update(1.0, target=0.5)
    dual.update(0.25, target=0.5)
    assert dual.price == pytest.approx(1.0)
    for value, price in ((100.0, 1.1), (0.0, 1.0)):
        dual.update(value, target=0.5)
        assert dual.price == pytest.approx(price)


@pytest.mark.parametrize("measure", [root_mean_square, share_beyond])
def test_visibility_grows_with_the_residual_and_has_a_gradient(measure):
    small, large = torch.full((1, 3, 4, 4), 12.0), torch.full((1, 3, 4, 4), 20.0, requires_grad=True)
    assert measure(small, 10.0) < measure(large, 10.0)
    measure(large, 10.0).backward()
    assert large.grad.abs().min() > 0


def test_visibility_of_no_change_at_all_has_a_finite_gradient():
    residual = torch.zeros(1, 3, 4, 4, requires_grad=True)
    root_mean_square(residual, 10.0).backward()
    assert residual.grad.isfinite().all()


def test_an_interrupted_training_continues_with_the_very_same_numbers(surrogate, picture, tmp_path):
    whole = training(surrogate, picture)
    list(whole.run())
    first = training(surrogate, picture)
    for report in first.run():
        if report.step == 4:
            break
    torch.rand(3, generator=first.generator)  # an interrupt in the middle of the fifth step
    first.save(tmp_path / "state.safetensors")
    second = training(surrogate, picture)
    second.resume(tmp_path / "state.safetensors")
    list(second.run())
    assert second.state.losses == whole.state.losses
    assert second.state.evaluations == [tuple(e) for e in whole.state.evaluations]
    for a, b in zip(whole.rho.parameters(), second.rho.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_state_of_another_training_is_refused(surrogate, picture, tmp_path):
    training(surrogate, picture).save(tmp_path / "state.safetensors")
    other = training(surrogate, picture.flip(-1))
    with pytest.raises(MismatchError, match="other pictures or settings"):
        other.resume(tmp_path / "state.safetensors")


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors: {**tensors, "generator": torch.zeros(3, dtype=torch.uint8)},
        lambda tensors: {**tensors, "adam.x.exp_avg": torch.zeros(1)},
        lambda tensors: {**tensors, "adam": torch.zeros(1), "adam.0": torch.zeros(1)},
        lambda tensors: {**tensors, "adam.0.exp_avg": tensors["adam.0.exp_avg"] * math.nan},
    ],
    ids=["random state", "number of a weight", "name of a moment", "a moment that is no number"],
)
def test_a_damaged_state_is_refused_and_leaves_the_training_as_it_was(surrogate, picture, tmp_path, damage):
    path = tmp_path / "state.safetensors"
    first = training(surrogate, picture)
    first.step()
    first.save(path)
    tensors, metadata = read_safetensors(path)
    write_safetensors(path, damage(tensors), metadata)
    second, drawn = training(surrogate, picture), training(surrogate, picture).generator.get_state()
    with pytest.raises(BadFileError, match="not a complete training state"):
        second.resume(path)
    assert (second.state.step, dict(second.optimizer.state)) == (0, {})
    assert torch.equal(second.generator.get_state(), drawn)


def test_a_state_belongs_to_its_purifiers(surrogate, picture, tmp_path):
    def against(text):
        return training(surrogate, picture, purifiers=for_training(parse(text), Tools()))

    against("jpeg 60..95").save(tmp_path / "state.safetensors")
    against("jpeg 60..95").resume(tmp_path / "state.safetensors")
    with pytest.raises(MismatchError, match="other pictures or settings"):
        against("jpeg 50..95").resume(tmp_path / "state.safetensors")


def test_more_steps_may_be_asked_for_later(surrogate, picture, tmp_path):
    first = training(surrogate, picture)
    list(first.run())
    first.save(tmp_path / "state.safetensors")
    longer = training(surrogate, picture, TrainConfig(**{**vars(CONFIG), "train_steps": 8}))
    longer.resume(tmp_path / "state.safetensors")
    assert [report.step for report in longer.run()] == [7, 8]


def test_it_stops_early_when_nothing_is_gained(surrogate, picture):
    config = TrainConfig(k_steps=1, train_steps=50, learning_rate=1e-9, evaluate_every=1, patience=2)
    assert len(list(training(surrogate, picture, config).run())) == 3


def test_the_personalizer_is_fitted_again_on_the_protected_pictures(surrogate, picture):
    seen = []

    def refit(latents):
        seen.append(latents[0].shape)
        return surrogate.adversary

    config = TrainConfig(k_steps=1, train_steps=5, refit_every=2, evaluate_every=0)
    list(training(surrogate, picture, config, refit=refit).run())
    assert seen == [(1, 4, 8, 8)] * 2


def test_purifiers_are_applied_before_the_adversary(surrogate, picture):
    def grey(x, generator):
        del generator
        return x * 0

    run = training(surrogate, picture, purifiers=[grey])
    run.step()
    assert not any(parameter.grad.any() for parameter in run.rho.parameters())


def test_several_rounds_shift_several_times(surrogate, picture):
    config = TrainConfig(**{**vars(CONFIG), "rounds": 2})
    run = training(surrogate, picture, config)
    run.step()
    assert run.rho.conv_out.weight.grad.any()


def test_the_thief_sees_the_same_draws_for_every_picture(surrogate, picture):
    assert thief_loss(surrogate, picture, draws=4, seed=1) == thief_loss(surrogate, picture.clone(), draws=4, seed=1)


def test_no_pictures_and_impossible_settings_are_refused(surrogate, picture):
    with pytest.raises(BadImageError, match="at least one picture"):
        ShiftTraining(surrogate, [], training(surrogate, picture).rho, CONFIG)
    for wrong in ({"batch": 0}, {"learning_rate": 0.0}, {"train_steps": -1}, {"rounds": 0}):
        with pytest.raises(BadValueError):
            TrainConfig(**wrong)


def test_a_walk_of_no_shift_decodes_to_the_clean_decode(surrogate, picture):
    subject = prepare(surrogate, picture, None, CONFIG)
    assert torch.equal(surrogate.autoencoder.encode(to_pixels(subject.working)), subject.record.z_0)
