"""What the visibility numbers mean."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from ldu.errors import MismatchError
from ldu.metrics import max_abs_levels, measure_visibility, psnr_db, share_within, ssim


def pair(height=24, width=31):
    generator = torch.Generator().manual_seed(0)
    original = torch.randint(10, 246, (1, 3, height, width), generator=generator).float()
    return original, original + torch.randint(-10, 11, original.shape, generator=generator)


def test_identical_pictures_say_so_also_in_json():
    original, _ = pair()
    visibility = measure_visibility(original, original.clone())
    assert json.loads(json.dumps(dataclasses.asdict(visibility))) == {
        "max_abs_levels": 0,
        "mean_abs_levels": 0,
        "changed_share": 0,
        "psnr_db": None,
        "ssim": pytest.approx(1),
    }
    assert str(visibility) == "The pictures are identical, pixel for pixel."


def test_one_level_everywhere_is_48_db():
    original, _ = pair()
    visibility = measure_visibility(original, original + 1)
    assert visibility.psnr_db == pytest.approx(20 * math.log10(255))
    assert (visibility.max_abs_levels, visibility.mean_abs_levels, visibility.changed_share) == (1, 1, 1)
    assert str(visibility).startswith(
        "Largest change 1 of 255 levels, mean 1.00, 100% of values changed, PSNR 48.13 dB"
    )


def test_the_largest_change_counts_in_both_directions():
    original, _ = pair()
    protected = original.clone()
    protected[0, 0, 0, 0] -= 7
    protected[0, 1, 0, 0] += 5
    assert max_abs_levels(original, protected) == 7
    assert share_within(original, protected, 5) == pytest.approx(1 - 1 / original.numel())


@pytest.mark.parametrize("strip", [3, 512])
def test_ssim_agrees_with_scikit_image(monkeypatch, strip):
    monkeypatch.setattr("ldu.metrics.STRIP", strip)
    original, protected = pair()
    expected = structural_similarity(
        *(np.moveaxis(levels[0].numpy(), 0, -1) for levels in (original, protected)),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1,
    )
    assert ssim(original, protected) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (2, 30), (10, 10), (11, 11)])
def test_small_pictures_have_an_ssim_too(size):
    original, protected = pair(*size)
    assert ssim(original, original) == pytest.approx(1, abs=1e-4)
    assert ssim(original, protected) < 1


def test_psnr_of_identical_pictures_is_infinite():
    assert psnr_db(*2 * [pair()[0]]) == math.inf


def test_pictures_of_different_size_are_not_compared():
    for measure in (measure_visibility, ssim, psnr_db, max_abs_levels):
        with pytest.raises(MismatchError, match="one size"):
            measure(pair(8, 9)[0], pair(9, 8)[0])
