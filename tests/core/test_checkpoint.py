"""rho files: what was saved comes back, and nothing else is believed."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from ldu.checkpoint import RhoCard, load_rho, read_safetensors, require_fit, save_rho
from ldu.errors import BadFileError, BadValueError, MismatchError
from ldu.shift_unet import ShiftConfig, ShiftUNet

CARD = RhoCard(
    "SD15",
    "abc",
    "eps",
    2,
    0.5,
    (2.0, 1.0, 0.0),
    budget_levels=10,
    prompt="a photo of S* person",
    training={"steps": 3},
)


@pytest.fixture
def rho():
    torch.manual_seed(0)
    net = ShiftUNet(ShiftConfig(4, width=16))
    torch.nn.init.normal_(net.conv_out.weight)
    return net


@pytest.fixture
def saved(rho, tmp_path):
    path = tmp_path / "rho.safetensors"
    save_rho(path, rho, CARD)
    return path


def rewrite(path, *, change=None, metadata=None):
    tensors, old = read_safetensors(path)
    if change:
        change(tensors)
    save_file(tensors, path, metadata={**old, **(metadata or {})})
    return path


def described(saved, **card):
    _, metadata = read_safetensors(saved)
    parsed = json.loads(metadata["ldu.rho"])
    parsed["card"] |= card
    return {"ldu.rho": json.dumps(parsed)}


def test_rho_and_card_come_back_as_they_were(rho, saved):
    loaded, card = load_rho(saved)
    assert card == CARD
    assert all(torch.equal(a, b) for a, b in zip(rho.state_dict().values(), loaded.state_dict().values(), strict=True))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_an_ending_in_capitals_is_the_same_ending(saved):
    assert load_rho(saved.rename(saved.with_suffix(".SAFETENSORS")))[1] == CARD


def test_no_unfinished_file_is_left_when_writing_fails(rho, tmp_path):
    with pytest.raises(TypeError):
        save_rho(
            tmp_path / "rho.safetensors",
            rho,
            RhoCard("SD15", "abc", "eps", 1, 0.5, (1.0, 0.0), training={"bad": object()}),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_rho_that_cannot_be_written_gets_one_sentence(rho, tmp_path):
    (tmp_path / "ldu").write_bytes(b"a file, no folder")
    with pytest.raises(BadFileError, match="cannot be written"):
        save_rho(tmp_path / "ldu" / "rho.safetensors", rho, CARD)
    assert [path.name for path in tmp_path.iterdir()] == ["ldu"]


@pytest.mark.parametrize("length", [0, 4, 200, -1])
def test_a_truncated_file_is_refused(saved, length):
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(BadFileError, match="not a complete safetensors file"):
        load_rho(saved)


def test_a_pickle_is_refused_unopened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    for name in ("rho.pt", "rho.safetensors"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(BadFileError):
            load_rho(path)


def test_a_header_that_claims_to_be_huge_is_refused(tmp_path):
    path = tmp_path / "rho.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(BadFileError, match="header"):
        load_rho(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "lora.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(BadFileError, match="not a rho"):
        load_rho(path)


def test_a_newer_version_is_named(saved):
    with pytest.raises(BadFileError, match="version '2'"):
        load_rho(rewrite(saved, metadata={"ldu.version": "2"}))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadFileError, match=r"no file gone\.safetensors"):
        load_rho(tmp_path / "gone.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("conv_in.weight"),
        lambda tensors: tensors.update(extra=torch.zeros(1)),
        lambda tensors: tensors.update({"conv_in.bias": torch.zeros(3)}),
        lambda tensors: tensors.update({"conv_in.bias": torch.zeros(16, dtype=torch.float64)}),
        lambda tensors: tensors.update({"conv_in.bias": torch.full((16,), float("nan"))}),
    ],
    ids=["missing", "extra", "shape", "dtype", "not finite"],
)
def test_tensors_that_do_not_fit_the_description_are_refused(saved, change):
    with pytest.raises(BadFileError):
        load_rho(rewrite(saved, change=change))


@pytest.mark.parametrize(
    "card",
    [
        {"prediction": "x"},
        {"k_steps": 0},
        {"k_steps": 2.5},
        {"depth": 2},
        {"depth": "half"},
        {"sigmas": [1.0]},
        {"sigmas": 3},
        {"budget_levels": -1},
        {"training": []},
        {"prompt": 5},
    ],
    ids=str,
)
def test_a_card_with_impossible_values_is_refused(saved, card):
    with pytest.raises(BadFileError, match="describes itself"):
        load_rho(rewrite(saved, metadata=described(saved, **card)))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"config": 3, "card": {}}', "[" * 20000])
def test_a_description_that_is_none_is_refused(saved, text):
    with pytest.raises(BadFileError, match="describes itself"):
        load_rho(rewrite(saved, metadata={"ldu.rho": text}))


def test_a_hostile_architecture_is_refused_before_anything_is_built(saved):
    _, metadata = read_safetensors(saved)
    parsed = json.loads(metadata["ldu.rho"])
    for hostile in ({"width": 10**9}, {"width": 48.0}, {"levels": 2.5}, {"width": 512, "levels": 6}):
        changed = {**parsed, "config": parsed["config"] | hostile}
        with pytest.raises(BadFileError):
            load_rho(rewrite(saved, metadata={"ldu.rho": json.dumps(changed)}))


def test_a_rho_of_another_family_prediction_or_channel_count_is_refused(rho):
    fits = {"model_family": "SD15", "prediction": "eps", "latent_channels": 4}
    require_fit(CARD, **fits, rho=rho)
    for wrong in ({"model_family": "SDXL"}, {"prediction": "v"}, {"latent_channels": 16}):
        with pytest.raises(MismatchError):
            require_fit(CARD, **{**fits, **wrong}, rho=rho)


def test_a_card_cannot_be_made_with_impossible_values():
    with pytest.raises(BadValueError):
        RhoCard("SD15", "abc", "eps", 0, 0.5, (0.0,))
