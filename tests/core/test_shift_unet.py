"""rho: the identity at first, bounded for ever, the same for a picture whatever its neighbours."""

import pytest
import torch

from ldu.errors import BadValueError
from ldu.shift_unet import ShiftConfig, ShiftUNet


def build(seed=0, **changes):
    torch.manual_seed(seed)
    return ShiftUNet(ShiftConfig(**{"latent_channels": 4, "width": 16, **changes}))


def shift(rho, z_T, seed=0):
    key = rho.draw_key(z_T, generator=torch.Generator().manual_seed(seed))
    return rho(z_T, torch.full((z_T.shape[0],), 2.0), key)


def stirred(**changes):
    rho = build(**changes)
    torch.nn.init.normal_(rho.conv_out.weight, std=3.0)
    return rho


def test_it_is_the_identity_at_initialisation():
    assert not shift(build(), torch.randn(2, 4, 8, 8)).any()


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (1, 1), (3, 20)])
@pytest.mark.parametrize("channels", [1, 4, 16])
def test_any_size_and_channel_count_comes_back_in_its_own_shape_and_within_the_bound(size, channels):
    z_T = torch.randn(2, channels, *size)
    out = shift(stirred(latent_channels=channels, bound=0.3), z_T)
    assert out.shape == z_T.shape
    assert 0.01 < out.abs().max() <= 0.3


def test_a_picture_does_not_depend_on_its_neighbours():
    rho, z_T = stirred(key_channels=0), torch.randn(3, 4, 8, 8)
    assert torch.allclose(shift(rho, z_T)[1:2], shift(rho, z_T[1:2]), atol=1e-3)


def test_every_parameter_learns():
    rho = stirred()
    shift(rho, torch.randn(2, 4, 8, 8)).square().sum().backward()
    for name, parameter in rho.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_the_first_step_from_the_identity_already_has_a_gradient():
    rho = build()
    (shift(rho, torch.randn(1, 4, 8, 8)) - 1).square().sum().backward()
    assert rho.conv_out.weight.grad.any()


def test_another_key_gives_another_shift_and_the_same_key_the_same():
    rho, z_T = stirred(), torch.randn(1, 4, 8, 8)
    assert torch.equal(shift(rho, z_T, seed=1), shift(rho, z_T, seed=1))
    assert not torch.equal(shift(rho, z_T, seed=1), shift(rho, z_T, seed=2))


@pytest.mark.parametrize(
    "changes",
    [
        {"latent_channels": 0},
        {"width": 7},
        {"levels": 0},
        {"bound": 0.0},
        {"bound": float("nan")},
        {"key_channels": 99},
    ],
)
def test_an_impossible_architecture_is_refused(changes):
    with pytest.raises(BadValueError):
        build(**changes)
