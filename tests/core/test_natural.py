"""BRISQUE of pictures that were published and drawn: taken once, kept with the results, left out with a word."""

import sys
from types import ModuleType

import numpy as np
import pytest
from skimage import data, filters, util

from benchmarks.efficacy import natural
from benchmarks.efficacy.cells import CLEAN, Cell
from benchmarks.efficacy.lab import Lab, Setup, write_json
from benchmarks.efficacy.tables import read
from demo.pipeline import WEIGHTS

CELLS = [
    Cell("LoRA", method, budget, person=person) for method, budget in ((CLEAN, 0.0), ("fsmg", 8.0)) for person in (0, 1)
]
BRIGHTNESS = {CELLS[0]: (10, 20), CELLS[1]: (10, 40), CELLS[2]: (30, 50), CELLS[3]: (30, 80)}  # published, drawn


class Brightness:
    """The package as it is called; its score is the mean brightness, made of the arrays of one that it had."""

    def __init__(self, url):
        assert url is False

    def score(self, picture):
        assert picture.shape == (8, 8, 3)
        assert picture.dtype == np.uint8
        return float(self.scale_features([np.array([picture.mean()])])[0])

    def scale_features(self, features):
        return np.array([float(feature) for feature in features])


@pytest.fixture
def package(monkeypatch):
    library = ModuleType("brisque")
    library.BRISQUE = Brightness
    library.__spec__ = type(sys.__spec__)("brisque", None)
    monkeypatch.setitem(sys.modules, "brisque", library)
    monkeypatch.setattr(natural, "version", lambda name: "0")
    natural._score.cache_clear()
    yield library
    natural._score.cache_clear()


@pytest.fixture
def lab(tmp_path):
    """Return a lab whose cells were run before the package was there."""
    lab = Lab(Setup(WEIGHTS, tmp_path))
    for cell, (published, drawn) in BRIGHTNESS.items():
        pictures = {"published": published, "drawn": drawn}
        grey = {name: np.full((3, 3, 8, 8), level, np.uint8) for name, level in pictures.items()}
        np.savez_compressed(lab.path(cell).with_suffix(".npz"), **grey)
        write_json(lab.path(cell), {"effect": {"identity": 0.5}})
    return lab


@pytest.mark.usefixtures("package")
def test_it_is_written_into_results_that_lack_it_and_beside_clean_pictures_in_the_table(lab):
    assert natural.take(lab, CELLS) == ""
    found = lab.found(CELLS[2])
    assert found == {"effect": {"identity": 0.5}, "brisque": {"published": 30, "drawn": 50, "version": "0"}}
    assert list(natural.rows(read(lab, CELLS))) == [
        ["LoRA", "none", "clean", "2", "10", "30 [20, 40]", "-"],
        ["LoRA", "none", "fsmg 8", "2", "30", "65 [50, 80]", "35 [30, 40]"],
    ]


def test_what_was_taken_is_not_taken_again(lab, package):
    natural.take(lab, CELLS)
    package.BRISQUE = None
    natural._score.cache_clear()
    assert natural.take(lab, CELLS) == ""


def test_without_the_package_it_is_left_out_with_a_word_and_results_stay_as_they_are(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "brisque", None)  # as where it is not installed
    assert "BRISQUE of 4 cells is left out" in natural.take(lab, CELLS)
    assert lab.found(CELLS[0]) == {"effect": {"identity": 0.5}}
    assert not list(natural.rows(read(lab, CELLS)))


def test_results_without_pictures_are_none_of_its_business(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "brisque", None)
    assert natural.take(Lab(Setup(WEIGHTS, tmp_path)), CELLS) == ""


def test_the_package_itself_finds_a_photo_better_than_the_same_blurred_or_noisy():
    pytest.importorskip("brisque", reason="the extra quality is not installed")
    photo = data.astronaut()
    blurred, noisy = filters.gaussian(photo, 3, channel_axis=2), util.random_noise(photo, var=0.02, rng=0)
    scores = [
        natural.brisque(levels.transpose(2, 0, 1)[None]) for levels in map(util.img_as_ubyte, (photo, blurred, noisy))
    ]
    assert 0 < scores[0] < 20
    assert min(scores[1:]) > 50
