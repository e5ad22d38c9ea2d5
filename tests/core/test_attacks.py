"""The adversary's parts: what a thief loads, what a token learns, what random noise is."""

import pytest
import torch

from ldu.attacks.random_noise import noise_at_equal_psnr
from ldu.attacks.textual_inversion import InversionConfig, fit_token
from ldu.attacks.thief import thief_view
from ldu.errors import BadImageError, BadValueError
from ldu.losses import noise_prediction_loss
from ldu.statistics import bootstrap_interval


@pytest.mark.parametrize("size", [(64, 64), (100, 64), (64, 200), (32, 40), (257, 129)])
def test_a_thief_sees_the_centre_square_at_the_training_resolution(size):
    assert thief_view(torch.rand(1, 3, *size) * 255, 64).shape == (1, 3, 64, 64)


def test_a_picture_of_the_training_size_is_seen_as_it_is():
    levels = (torch.rand(1, 3, 64, 64) * 255).round()
    assert torch.equal(thief_view(levels, 64), levels)


def test_an_impossible_training_resolution_is_refused():
    with pytest.raises(BadValueError, match="multiple of 8"):
        thief_view(torch.zeros(1, 3, 64, 64), 63)


class TokenDenoiser:
    """A denoiser whose estimate is the token itself, broadcast over the latent."""

    key = "token"

    def __init__(self, token):
        self.token = token

    def __call__(self, z, sigma):
        del sigma
        return self.token[0][None, :, None, None].expand_as(z)


def test_the_token_learns_what_the_pictures_have_in_common(eps_schedule):
    target = torch.tensor([1.0, -2.0, 0.5, 3.0])
    latents = [target[None, :, None, None].expand(1, 4, 2, 3), target[None, :, None, None].expand(1, 4, 4, 4)]
    initial = torch.zeros(1, 4)
    losses = []
    config = InversionConfig(ti_steps=300, learning_rate=5e-2, draws=4)
    generator = torch.Generator().manual_seed(0)
    token = fit_token(
        TokenDenoiser,
        latents,
        eps_schedule,
        initial,
        config,
        generator=generator,
        on_step=lambda _, loss: losses.append(loss),
    )
    assert (token[0] - target).abs().max() < 0.1
    assert len(losses) == 300
    assert not initial.any()
    assert not token.requires_grad


def test_the_same_seed_learns_the_same_token(eps_schedule):
    def fit(seed):
        generator = torch.Generator().manual_seed(seed)
        return fit_token(
            TokenDenoiser,
            [torch.ones(1, 4, 2, 2)],
            eps_schedule,
            torch.zeros(1, 4),
            InversionConfig(5),
            generator=generator,
        )

    assert torch.equal(fit(1), fit(1))


def test_every_token_embedding_gets_a_gradient(eps_schedule):
    token = torch.zeros(1, 4, requires_grad=True)
    loss = noise_prediction_loss(
        TokenDenoiser(token), torch.ones(2, 4, 2, 2), eps_schedule, generator=torch.Generator().manual_seed(0)
    )
    loss.mean().backward()
    assert token.grad.isfinite().all()
    assert token.grad.all()


def test_no_pictures_and_impossible_settings_are_refused(eps_schedule):
    with pytest.raises(BadImageError, match="at least one picture"):
        fit_token(TokenDenoiser, [], eps_schedule, torch.zeros(1, 4), InversionConfig(), generator=torch.Generator())
    with pytest.raises(BadValueError):
        InversionConfig(ti_steps=-1)


def test_random_noise_is_as_visible_as_the_protection():
    original = (torch.rand(2, 3, 40, 40) * 255).round()
    protected = (
        (original + torch.randn(2, 3, 40, 40) * torch.tensor([2.0, 6.0])[:, None, None, None]).round().clamp(0, 255)
    )
    noisy = noise_at_equal_psnr(original, protected, generator=torch.Generator().manual_seed(0))
    wanted, reached = ((x - original).square().mean(dim=(1, 2, 3)).sqrt() for x in (protected, noisy))
    assert torch.allclose(wanted, reached, rtol=0.02)
    assert torch.equal(noisy, noisy.round())


def test_no_protection_is_matched_by_no_noise():
    original = torch.full((1, 3, 8, 8), 100.0)
    assert torch.equal(noise_at_equal_psnr(original, original, generator=torch.Generator()), original)


def test_the_interval_holds_the_mean_and_shrinks_with_more_data():
    values = torch.randn(400, generator=torch.Generator().manual_seed(0)).tolist()
    low, high = bootstrap_interval(values)
    assert low < sum(values) / 400 < high
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    few = bootstrap_interval(values[:40])
    assert few[1] - few[0] > 2 * (high - low)
