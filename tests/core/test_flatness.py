"""Flat areas of a picture."""

import pytest
import torch

from ldu.errors import MismatchError
from ldu.flatness import flat_areas, hint, measure_flat


def noise(height=64, width=64, spread=20.0):
    return (128 + spread * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))).clamp(0, 255)


def half_flat():
    """Return a picture whose left half is one colour."""
    picture = noise()
    picture[..., :32] = 200
    return picture


def test_one_colour_is_flat_and_grain_is_not():
    flat = flat_areas(half_flat())
    assert flat.shape == (1, 1, 64, 64)
    assert flat[..., :28].all()
    assert not flat[..., 36:].any()


def test_brightness_does_not_matter():
    assert flat_areas(torch.full((1, 3, 16, 16), 255.0)).all()
    assert flat_areas(torch.zeros(1, 3, 16, 16)).all()


def test_only_the_change_in_flat_areas_counts():
    original = half_flat()
    protected = original.clone()
    protected[..., 40:] += 9
    assert measure_flat(original, protected).max_abs_levels == 0
    protected[..., :20] += 6
    found = measure_flat(original, protected)
    assert found.max_abs_levels == 6
    assert found.mean_abs_levels == pytest.approx(6 * 20 / (64 * found.share), rel=1e-4)
    assert "may be seen" in str(found)


def test_a_picture_without_flat_areas_has_nothing_to_say():
    assert str(measure_flat(noise(), noise() + 5)) == ""
    assert hint(noise(512, 512), 10, 512) == ""


def test_flat_and_small_pictures_get_a_hint_before_anything_is_done():
    assert "flat" in hint(half_flat(), 10, 64)
    assert hint(half_flat(), 4, 64) == ""
    assert "small (64 x 64 pixels beside the model's 512)" in hint(noise(), 10, 512)


def test_flat_areas_that_are_spared_get_no_hint():
    spared = torch.ones(1, 1, 64, 64)
    assert "flat" in hint(half_flat(), 10, 64, spared)
    spared[..., :32] = 0
    assert hint(half_flat(), 10, 64, spared) == ""


def test_pictures_of_two_sizes_are_no_pair():
    with pytest.raises(MismatchError, match="one size"):
        measure_flat(noise(), noise(32, 32))
