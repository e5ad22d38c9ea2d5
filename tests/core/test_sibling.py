"""The few-step sibling: its target is right, everything in it learns, its file and its state come back."""

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="the sibling is distilled with diffusers (extra: train)")

from torch import multiprocessing, nn  # noqa: E402

from demo import architecture, train_sibling  # noqa: E402
from demo.train_sibling import HOP, ConsistencyPath, LowRank, Sibling, consistency_loss, predict_with, publish  # noqa: E402
from demo.training import start_run  # noqa: E402
from ldu.schedule import NoiseSchedule  # noqa: E402
from ldu.trajectory import slope  # noqa: E402

NOISE, Z = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8)


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return architecture.make_unet().eval().requires_grad_(False)


@pytest.fixture
def sibling(unet):
    """A sibling of rank 2 that adds something everywhere."""
    made = Sibling(unet, 2)
    for more in made.additions:
        nn.init.normal_(more.up, std=0.05)
    return made


def test_at_the_smallest_timestep_the_end_of_the_path_is_the_latent_itself():
    """Whatever the network says there."""
    t = torch.zeros(3, dtype=torch.long)
    assert torch.equal(ConsistencyPath().end(Z, NOISE, t), Z)
    assert not torch.equal(ConsistencyPath().end(Z, NOISE, t + 1), Z)


class SameNoise:
    """Predicts the same noise everywhere."""

    key = "same noise"

    def __call__(self, z, sigma):
        return z - sigma[:, None, None, None] * NOISE


def test_the_teachers_step_is_the_steps_of_the_walk():
    """DDIM on z_vp is an Euler step on z_sigma = z_vp * sqrt(1 + sigma^2)."""
    path, t, s = ConsistencyPath(), torch.full((3,), 500), torch.full((3,), 480)
    sigmas = (1 / path.alphas - 1).sqrt()
    high, low = sigmas[500].item(), sigmas[480].item()
    schedule = NoiseSchedule(tuple(sigmas.tolist()), "eps")
    z = Z * schedule.spread(high)
    walked = z + (low - high) * slope(SameNoise(), z, high, 0.0)
    assert torch.allclose(path.step(Z, NOISE, t, s), walked / schedule.spread(low), atol=1e-5)


def test_a_model_whose_paths_all_end_at_one_picture_has_nothing_to_learn():
    """And one that sees another end has."""
    path, t = ConsistencyPath(), torch.tensor([200, 600, 999])

    def predict(weights, z_t, t, condition):
        signal, spread = path.levels(t)
        return (z_t - signal * weights["end"]) / spread

    ends, batch = {"end": Z}, (Z, NOISE, NOISE)
    assert consistency_loss(path, predict, (ends, ends, ends), batch, t) < 1e-4
    assert consistency_loss(path, predict, ({"end": Z + 1}, ends, ends), batch, t) > 0.9


def test_the_teacher_stops_at_the_smallest_timestep():
    """From the first timesteps its step ends at 0, where the target is the step's own end."""
    seen = []

    def predict(weights, z_t, t, condition):
        seen.append(t.tolist())
        return torch.zeros_like(z_t)

    consistency_loss(ConsistencyPath(), predict, ({}, {}, {}), (Z, NOISE, NOISE), torch.tensor([1, HOP, HOP + 1]))
    assert seen[1] == [0, 0, 1]


def test_every_addition_learns_and_nothing_else(unet, sibling):
    """All gradients are there, finite and not zero; teacher and target get none."""
    average, teacher = Sibling(unet, 2), dict(unet.named_parameters())
    models, batch = (sibling(teacher), average(teacher), teacher), (Z, NOISE, torch.randn(3, 77, 128))
    consistency_loss(ConsistencyPath(), predict_with(unet), models, batch, torch.tensor([5, 300, 900])).backward()
    for name, parameter in sibling.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name
    assert all(parameter.grad is None for parameter in [*average.parameters(), *unet.parameters()])


def test_a_fresh_sibling_adds_nothing(unet):
    weights = dict(unet.named_parameters())
    added = Sibling(unet, 2)(weights)
    assert all(torch.equal(added[name], weight) for name, weight in weights.items())


def run_of(model, path):
    return start_run(model, path, 60, 0.5, rank=0, compiled=multiprocessing.Event())


def test_a_training_that_was_stopped_goes_on_where_it_was(tmp_path):
    """Weights, average and step come back from the state file."""
    weight, stopped = torch.randn(6, 4, 3, 3), LowRank(torch.randn(6, 4, 3, 3), 2)
    run = run_of(stopped, tmp_path / "state.pt")
    for _ in range(3):
        run.advance(stopped(weight).square().mean(), 1e-2)
    run.save()
    fresh = LowRank(weight, 2)
    again = run_of(fresh, tmp_path / "state.pt")
    assert again.step == 3
    assert torch.equal(fresh(weight), stopped(weight))
    assert all(torch.equal(value, run.average.values[name]) for name, value in again.average.values.items())
    assert not torch.equal(again.average.values["up"], fresh.up)


def published(sibling, unet, folder):
    """Publish a sibling as its training would, and return the file."""
    torch.save({"average": sibling.state_dict(), "step": 7, "spent": 60.0}, folder / "state.pt")
    assert publish(folder / "state.pt", unet, folder / "lora.safetensors") == 7
    return folder / "lora.safetensors"


def test_the_published_lora_adds_what_was_learnt(unet, sibling, tmp_path):
    """In fp16, to every weight, at the strength that is asked for."""
    path, before = published(sibling, unet, tmp_path), dict(unet.named_parameters())
    wanted = sibling(before)
    added = architecture.make_unet()
    added.load_state_dict(unet.state_dict())
    train_sibling.add_sibling(added, path)
    for name, weight in added.named_parameters():
        change = (wanted[name] - before[name]).abs().max().item()
        assert torch.allclose(weight, wanted[name], atol=max(2e-3 * change, 1e-7)), name
    train_sibling.add_sibling(added, path, strength=-1.0)
    assert all(torch.allclose(weight, before[name], atol=1e-6) for name, weight in added.named_parameters())


def test_a_lora_of_another_model_is_refused(unet, sibling, tmp_path):
    """Before anything is added."""
    path = published(sibling, unet, tmp_path)
    part = nn.ModuleDict({"conv_in": nn.Conv2d(4, 64, 3)})
    before = part["conv_in"].weight.clone()
    with pytest.raises(KeyError, match="other weights"):
        train_sibling.add_sibling(part, path)
    assert torch.equal(part["conv_in"].weight, before)
