"""The bench of base and sibling: the walk changes hands as it says, and its numbers are those of the models."""

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("diffusers", reason="the benchmarks run on diffusers (extra: train)")

from benchmarks.few_step import exact, protection, walk
from ldu.protect import Subject
from ldu.trajectory import denoise, invert

from .conftest import GaussianDenoiser

SHOWN = ("error", "PSNR", "gain, none", "gain, record")


class Same:
    """An autoencoder that changes nothing."""

    def encode(self, x):
        return x

    def decode(self, z):
        return z


@pytest.fixture
def z_0():
    return torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def models(schedule, walker):
    return SimpleNamespace(walker=walker, schedule=schedule, autoencoder=Same())


def test_a_record_that_was_handed_over_brings_the_other_model_back_to_the_picture(eps_schedule, z_0):
    base, other = GaussianDenoiser(eps_schedule), GaussianDenoiser(eps_schedule, mean=-0.5, key="other")
    sigmas = eps_schedule.grid(4, 0.5)
    record = invert(base, z_0[:1], eps_schedule, sigmas)
    levels = torch.zeros(1, 3, 64, 64)
    subject = protection.hand_over(Subject(levels, levels, None, levels, record), models(eps_schedule, other))
    assert subject.record.denoiser_key == "other"
    nudged = record.z_T + 1e-6
    assert torch.allclose(denoise(other, nudged, eps_schedule, sigmas, record=subject.record), z_0[:1], atol=1e-4)
    assert not torch.allclose(denoise(other, nudged, eps_schedule, sigmas), z_0[:1], atol=1e-2)


def measured(schedule, denoiser, z_0, k, up):
    record = invert(GaussianDenoiser(schedule), z_0, schedule, schedule.grid(up, 0.5))
    cells = walk.measure(models(schedule, denoiser), record, z_0, k, 0.5)
    return {name: float(cell.split()[0]) if cell else None for name, cell in zip(SHOWN, cells, strict=True)}


def test_a_walk_of_many_steps_comes_back_and_one_step_misses(eps_schedule, z_0):
    many, one = (measured(eps_schedule, GaussianDenoiser(eps_schedule), z_0, k, k) for k in (50, 1))
    assert many["error"] < 0.1 < one["error"]
    assert many["PSNR"] > one["PSNR"]


class ExactEnd(GaussianDenoiser):
    """The perfect sibling of a Gaussian's model: from any point it answers with where the ODE through it ends."""

    def __call__(self, z, sigma):
        return self.mean + (z - self.mean) * self.spread / (self.spread**2 + sigma[:, None, None, None] ** 2).sqrt()


def test_a_perfect_sibling_comes_back_in_one_step_and_misses_in_more(eps_schedule, z_0):
    """Its answer is an end and no slope: a step of the walk towards it leaves the path."""
    sibling = ExactEnd(eps_schedule, key="sibling")
    one, four = (measured(eps_schedule, sibling, z_0, k, 400)["error"] for k in (1, 4))
    assert one < 0.02
    assert four > 5 * one
    assert measured(eps_schedule, GaussianDenoiser(eps_schedule), z_0, 4, 400)["error"] < four


def test_a_linear_model_passes_a_shift_on_alike_with_the_record_and_without(eps_schedule, z_0):
    cells = measured(eps_schedule, GaussianDenoiser(eps_schedule, mean=-0.5, key="other"), z_0, 4, 4)
    assert cells["gain, none"] == pytest.approx(cells["gain, record"], abs=2e-3)
    assert cells["gain, none"] > 0.1


def test_a_finer_walk_up_has_no_record_for_the_walk_down(eps_schedule, z_0):
    cells = measured(eps_schedule, GaussianDenoiser(eps_schedule), z_0, 2, 25)
    assert cells["gain, none"] is cells["gain, record"] is None


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize(("name", "kind"), [("the exact model", GaussianDenoiser), ("its perfect sibling", ExactEnd)])
def test_the_closed_form_is_what_the_walk_does(eps_schedule, name, kind, k):
    sigmas = eps_schedule.grid(k, 0.5)
    z_0 = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    z_T = z_0 * (1 + (sigmas[0] / exact.SPREAD) ** 2) ** 0.5 / eps_schedule.spread(sigmas[0])
    back = denoise(kind(eps_schedule, mean=0.0, spread=exact.SPREAD), z_T, eps_schedule, sigmas)
    assert back.item() - 1 == pytest.approx(exact.excess(exact.ANSWERS[name], sigmas), abs=1e-6)
