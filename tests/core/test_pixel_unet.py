"""The demo world's UNet of pixels: what the purifiers that need one get from it."""

import numpy as np
import pytest
import torch
from torch.nn import functional

pytest.importorskip("diffusers", reason="the demo world is trained with diffusers (extra: train)")

from demo import pixel_unet
from demo.dataset import HELD_OUT
from demo.people import sample_identity, sample_nuisance
from demo.portraits import photograph
from demo.train_identity import to_batch
from demo.train_pixel_unet import SquareFeed, large_portrait
from ldu.attacks.purify.contract import Tools
from ldu.attacks.purify.recipe import build, parse
from ldu.metrics import psnr_db


def seeded():
    return torch.Generator().manual_seed(0)


def closeness(x, y):
    return psnr_db(*(127.5 * (each + 1) for each in (x, y)))


@pytest.fixture(scope="module")
def faces():
    """The middles of two portraits of people it has never seen, twice the demo world's size: (2, 3, 128, 128)."""
    seeds = (HELD_OUT + 71, HELD_OUT + 72)
    drawn = [photograph(sample_identity(seed), sample_nuisance(seed), 256)[64:192, 64:192] for seed in seeds]
    return to_batch(np.stack(drawn))


@pytest.fixture(scope="module")
def net():
    return pixel_unet.load()


def noisy(x, share):
    """Noise of a standard deviation that is a share of the range."""
    return (x + 2 * share * torch.randn(x.shape, generator=seeded())).clamp(-1, 1)


def test_diffpure_in_pixels_takes_noise_away(net, faces):
    spoilt = noisy(faces, 0.1)
    purify = build(parse("pixel-diffpure 100 5")[0], Tools(pixel=pixel_unet.pixel_model(net)))
    assert closeness(purify(spoilt, generator=seeded()), faces) > closeness(spoilt, faces) + 3


def test_enlarging_takes_noise_away_and_beats_bicubic(net, faces):
    small = noisy(functional.avg_pool2d(faces, 2), 0.1)
    larger = pixel_unet.upscale(net, small)
    assert larger.shape == faces.shape
    assert closeness(larger, faces) > closeness(pixel_unet.enlarge(small), faces) + 3


def test_no_low_resolution_is_zeros_and_any_size_of_eights_is_taken(net):
    x, t = torch.randn(1, 3, 24, 40, generator=seeded()), torch.tensor([50])
    (alone,) = net(x, t)
    assert torch.equal(alone, net(x, t, torch.zeros_like(x))[0])
    assert not torch.equal(alone, net(x, t, torch.ones_like(x))[0])


def test_the_weights_come_back_as_their_fp16_selves(net, tmp_path):
    fresh = pixel_unet.PixelUNet()
    pixel_unet.save(fresh, tmp_path / "net.safetensors")
    again = pixel_unet.load(tmp_path / "net.safetensors").state_dict()
    assert all(torch.equal(again[name], value.half().float()) for name, value in fresh.state_dict().items())


def test_half_of_the_squares_that_it_learns_from_have_their_low_resolution_beside_them():
    large = np.stack([large_portrait(0)])
    squares, beside, t = SquareFeed(large[:, ::2, ::2], large, seed=0).batch(6)
    assert squares.shape == beside.shape == (6, 3, pixel_unet.SQUARE, pixel_unet.SQUARE)
    assert not beside[:3].any()
    assert t[:3].max() < 400
    for square, low in zip(squares[3:], beside[3:], strict=True):
        assert closeness(square[None], low[None]) > closeness(square[None], low.roll(8, -1)[None])
