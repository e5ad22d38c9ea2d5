"""What other machines, and other ways to start ComfyUI, ask of the nodes; acted out on this one."""

import mimetypes
import sys
from pathlib import Path
from types import SimpleNamespace

import comfy.model_management as mm
import folder_paths
import pytest
import torch

from . import tiny_models as tiny


class OnMps(torch.Tensor):
    """A tensor that refuses what Apple's GPUs do not have: numbers of 64 bits."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        result = super().__torch_function__(func, types, args, kwargs or {})
        if func is torch.Tensor.cpu:
            return result.as_subclass(torch.Tensor)
        if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."
            )
        return result


def test_the_noise_levels_are_read_from_a_device_without_float64(host):
    read, model = host.module("nodes.host").read_schedule, tiny.model("sd1")
    levels, buffers = read(model).sigmas, model.get_model_object("model_sampling")._buffers
    buffers["sigmas"] = buffers["sigmas"].as_subclass(OnMps)
    with pytest.raises(TypeError, match="MPS"):
        buffers["sigmas"].double()
    assert read(model).sigmas == levels


def test_a_model_that_novram_keeps_out_is_told_apart_from_one_that_does_not_fit(host, monkeypatch):
    require = host.module("nodes.host.memory").require_full_load
    partly = SimpleNamespace(model=SimpleNamespace(model_lowvram=True), model_size=lambda: 2**20, loaded_size=int)
    unsupported = host.module("ldu.errors").UnsupportedModelError
    with pytest.raises(unsupported, match="but only a part fits: close other programs"):
        require(partly)
    monkeypatch.setattr(mm, "vram_state", mm.VRAMState.NO_VRAM)
    with pytest.raises(unsupported, match="but --novram keeps it out: start ComfyUI without it"):
        require(partly)


def test_the_pack_loads_before_there_is_an_input_folder(host, monkeypatch, tmp_path):
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "not made yet"))
    for name, node in host.classes.items():
        if name.startswith("LDU_"):
            assert node.GET_SCHEMA().node_id == name


def test_no_picture_of_a_folder_is_passed_over_where_python_does_not_know_its_ending(host, tmp_path, monkeypatch):
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: (None, None))
    for name in ("a.webp", "b.JFIF", "c.avif", "notes.txt"):
        (tmp_path / name).touch()
    assert host.module("nodes.picture_folder").pictures_in(tmp_path) == ["a.webp", "b.JFIF", "c.avif"]


class TestStateOfATraining:
    @pytest.fixture
    def trainings(self, host, tmp_path, monkeypatch):
        """Return where the state is kept, and what makes a training of nothing that keeps its state as a real one."""
        path = tmp_path / "state.safetensors"
        monkeypatch.setattr(host.module("nodes.training_run"), "state_path", lambda _: path)
        return path, lambda: _Training(host)

    @pytest.mark.skipif(sys.platform != "linux", reason="only there it is told which files are mapped")
    def test_one_that_goes_on_does_not_hold_its_file_which_windows_would_not_replace(self, host, trainings):
        path, make = trainings
        make().save(path)
        training = make()
        host.module("nodes.training_run").run(training, SimpleNamespace(say=lambda _: None))
        assert training.held == [False] * 11

    def test_one_that_cannot_be_kept_goes_on_and_says_what_that_means(self, host, trainings, monkeypatch):
        path, make = trainings
        path.mkdir()  # in the place of the file
        said, training = [], make()
        host.module("nodes.training_run").run(training, SimpleNamespace(say=said.append))
        assert training.state.step == 12
        assert "Cancelling would lose this training" in said[0]

    def test_a_file_that_cannot_be_removed_does_not_end_a_training_that_is_done(self, host, trainings, monkeypatch):
        def refuse(*_, **__):
            raise PermissionError(13, "in use")

        path, make = trainings
        path.touch()
        monkeypatch.setattr(Path, "unlink", refuse)
        host.module("nodes.training_run").forget(make())


class _Training:
    fingerprint, subjects = "0" * 64, (None,)
    config = SimpleNamespace(train_steps=12)

    def __init__(self, host):
        self.kept, shift_unet = host.module("ldu.training_state"), host.module("ldu.shift_unet")
        self.rho = shift_unet.ShiftUNet(shift_unet.ShiftConfig(4))
        self.optimizer = torch.optim.Adam(self.rho.parameters())
        for weight in self.rho.parameters():
            weight.grad = torch.ones_like(weight)
        self.optimizer.step()
        self.state = self.kept.TrainingState(step=1)
        self.held = []

    def protected(self, _):
        return torch.zeros(1, 3, 8, 8)

    def save(self, path):
        state = torch.Generator().get_state()
        self.kept.save_training(path, self.state, self.rho, self.optimizer, state, self.fingerprint)

    def resume(self, path):
        generator = torch.Generator()
        self.state = self.kept.load_training(path, self.rho, self.optimizer, generator, self.fingerprint)

    def run(self):
        while self.state.step < self.config.train_steps:
            self.state.step += 1
            self.held.append("state.safetensors" in Path("/proc/self/maps").read_text())
            yield SimpleNamespace(step=self.state.step, evaluation=None)
