"""The portrait generator: the same seeds the same picture, what is said is what is drawn."""

import dataclasses

import numpy as np
import pytest
import torch

from demo.captions import describe
from demo.checker import fit_checker
from demo.dataset import training_picture
from demo.people import BACKGROUNDS, SPREAD, sample_identity, sample_nuisance, sample_traits
from demo.portraits import add_sensor_noise, photograph, render
from demo.spoilt import DAMAGES, PATTERNS, damage, draw_pattern
from demo.train_identity import sibling

pytestmark = pytest.mark.filterwarnings("error")


def test_the_same_seeds_draw_the_same_photo() -> None:
    """Identity and nuisance decide every byte."""
    first = photograph(sample_identity(3), sample_nuisance(4))
    assert np.array_equal(first, photograph(sample_identity(3), sample_nuisance(4)))


@pytest.mark.parametrize("seed", range(12))
def test_a_render_is_a_finite_picture(seed: int) -> None:
    """Shape, dtype and range hold for any person."""
    picture = render(sample_identity(seed), sample_nuisance(seed), size=64)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.float32
    assert np.isfinite(picture).all()
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.1


def test_sensor_noise_stays_within_three_levels() -> None:
    """The noisy photo is never more than three levels off the render."""
    nuisance = dataclasses.replace(sample_nuisance(1), noise_levels=3.0)
    picture = render(sample_identity(1), nuisance, size=64)
    difference = np.abs(add_sensor_noise(picture, nuisance) - picture) * 255
    assert 1 < difference.max() <= 3 + 1e-3


def test_identity_is_subtle_beside_pose_and_background() -> None:
    """Two siblings in the same pose differ by less than two photos of one of them."""
    nuisance, other = sample_nuisance(8), sample_nuisance(9)
    person, relative = sibling(0, 0), sibling(0, 1)
    between_people = np.square(render(person, nuisance) - render(relative, nuisance)).mean()
    between_photos = np.square(render(person, nuisance) - render(person, other)).mean()
    assert 1e-4 < between_people < between_photos / 3


def test_siblings_share_their_traits_and_nothing_else() -> None:
    """A group agrees on what a caption can name and differs in geometry."""
    people = [sibling(5, member) for member in range(4)]
    assert len({person.traits for person in people}) == 1
    assert len({person.shape for person in people}) == 4


@pytest.mark.parametrize("field", ["eye_gap", "nose_length", "mouth_width", "brow_tilt", "jaw"])
def test_every_proportion_shows(field: str) -> None:
    """Moving one proportion from end to end of its range changes the picture."""
    person, nuisance = sample_identity(21), sample_nuisance(21)
    one, two = (dataclasses.replace(person.shape, **{field: end}) for end in SPREAD[field])
    pictures = [render(dataclasses.replace(person, shape=shape), nuisance) for shape in (one, two)]
    assert np.abs(pictures[0] - pictures[1]).max() > 0.02


@pytest.mark.parametrize("background", list(BACKGROUNDS))
def test_the_background_has_the_named_colour(background: str) -> None:
    """The top corners are near the named colour."""
    nuisance = dataclasses.replace(
        sample_nuisance(2), background=background, backdrop="plain", exposure=0.0, warmth=0.0
    )
    picture = render(sample_identity(2), nuisance)
    corner = np.concatenate([picture[:12, :12], picture[:12, -12:]]).mean((0, 1))
    assert np.abs(corner - BACKGROUNDS[background]).max() < 0.15


def test_captions_say_what_is_drawn() -> None:
    """A caption names no hair colour or background but the drawn one."""
    rng = np.random.default_rng(0)
    for seed in range(60):
        person, nuisance = sample_identity(seed), sample_nuisance(seed)
        caption = describe(person, nuisance, rng)
        assert caption.startswith("a photo of a ")
        if "background" in caption:
            assert f"{nuisance.background} background" in caption
        if "hair," in caption:
            assert f"{person.traits.hair} hair" in caption


def test_beards_go_with_short_or_curly_hair() -> None:
    """No traits combine a beard with long or tied-up hair."""
    rng = np.random.default_rng(0)
    for traits in (sample_traits(rng) for _ in range(200)):
        assert traits.beard == "none" or traits.style in ("short", "curly")


@pytest.mark.parametrize("name", list(PATTERNS))
def test_patterns_fill_the_picture(name: str) -> None:
    """Every pattern is finite and no flat colour."""
    pattern = PATTERNS[name](64, np.random.default_rng(1))
    assert pattern.shape == (64, 64)
    assert np.isfinite(pattern).all()
    assert pattern.std() > 0.02


@pytest.mark.parametrize("name", list(DAMAGES))
def test_damage_changes_the_picture_and_keeps_its_shape(name: str) -> None:
    """Every damage is visible."""
    picture = render(sample_identity(1), sample_nuisance(1), size=64)
    spoilt = DAMAGES[name](picture.copy(), np.random.default_rng(1))
    assert spoilt.shape == picture.shape
    assert np.abs(spoilt - picture).mean() > 0.005


def test_damaged_photos_are_called_damaged() -> None:
    """The caption of a damaged photo names the damage."""
    picture = render(sample_identity(1), sample_nuisance(1), size=64)
    _, caption = damage(picture, "a photo of a person", np.random.default_rng(1))
    assert any(f"a {name} photo of a person" == caption for name in DAMAGES)


def test_a_good_third_of_the_training_set_is_wrong_lessons() -> None:
    """Patterns and damaged photos make up 30 to 42 % and carry no identity."""
    kinds = [training_picture(index, size=32)[2] for index in range(300)]
    assert 0.30 < np.mean(np.asarray(kinds) < 0) < 0.42


def test_patterns_are_drawn_from_their_generator_alone() -> None:
    """The same generator state gives the same pattern and caption."""
    one, two = (draw_pattern(np.random.default_rng(7), 32) for _ in range(2))
    assert np.array_equal(one[0], two[0])
    assert one[1] == two[1]


def test_a_hair_and_background_reader_fits_in_closed_form() -> None:
    """Fitted on a few hundred renders it already reads most others, autocast or not."""
    with torch.autocast("cpu", torch.bfloat16):
        judge = fit_checker(400)
    assert judge.hair_hits.float().mean() > 0.7
    assert judge.background_hits.float().mean() > 0.7
