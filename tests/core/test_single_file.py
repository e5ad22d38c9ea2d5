"""A checkpoint of one file in Stable Diffusion's own layout is loaded with nothing fetched."""

import pytest
import torch
from safetensors.torch import save_file

pytest.importorskip("diffusers", reason="needs the extra eval")

from benchmarks import single_file
from benchmarks.world import load_world
from demo.pipeline import WEIGHTS, read_checkpoint


@pytest.fixture
def demo_family(monkeypatch):
    """The demo checkpoint's sizes in the place of SD1.x's: its file has the same layout."""
    widths = {"block_out_channels": [64, 128, 192], "layers_per_block": 1}
    family = {
        "unet": single_file.FAMILIES[768]["unet"] | widths | {
            "cross_attention_dim": 128,
            "sample_size": 16,
            "down_block_types": ["CrossAttnDownBlock2D"] * 2 + ["DownBlock2D"],
            "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 2,
        },
        "vae": single_file.FAMILIES[768]["vae"] | {"block_out_channels": [64, 64, 64, 128], "layers_per_block": 1},
        "text_encoder": single_file.FAMILIES[768]["text_encoder"]
        | {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4},
    }  # fmt: skip
    monkeypatch.setattr(single_file, "FAMILIES", {128: family})
    monkeypatch.setattr(single_file, "_PADDING", {128: "<|endoftext|>"})


@pytest.mark.usefixtures("demo_family")
@torch.no_grad()
def test_a_file_of_stable_diffusions_layout_gives_the_models_that_are_in_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = tmp_path / "stranger.safetensors"
    save_file(read_checkpoint(WEIGHTS)[1], path)  # without the metadata that tell a demo checkpoint
    world, known = load_world(path), load_world(WEIGHTS)
    assert not world.demo
    assert world.resolution == known.resolution
    prompts = ["a photo of a person with red hair", ""]
    assert torch.equal(world.tokens(prompts), known.tokens(prompts))
    condition = known.condition(prompts)
    assert torch.allclose(world.condition(prompts), condition, atol=1e-5)
    x = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = known.encode(x)
    assert torch.allclose(world.encode(x), z, atol=1e-4)
    sigma = torch.tensor([0.5, 3.0])
    assert torch.allclose(world.denoiser(condition)(z, sigma), known.denoiser(condition)(z, sigma), atol=1e-3)
    assert torch.equal(torch.tensor(world.schedule.sigmas), torch.tensor(known.schedule.sigmas))


@pytest.mark.parametrize(("spread", "velocity"), [(0.2, True), (0.01, False)])
def test_sd2_tells_by_its_weights_whether_it_predicts_velocity(tmp_path, spread, velocity):
    path = tmp_path / "sd2.safetensors"
    bias = spread * torch.randn(640, generator=torch.Generator().manual_seed(0))
    save_file({single_file.CONTEXT: torch.zeros(4, 1024), single_file.TELLING: bias}, path)
    assert single_file.look_into(path) == (1024, velocity)


@pytest.mark.parametrize("weights", [{"a": torch.zeros(1)}, {single_file.CONTEXT: torch.zeros(4, 2048)}])
def test_what_is_neither_sd1_nor_sd2_is_refused_in_one_sentence(tmp_path, weights):
    save_file(weights, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other.safetensors is no checkpoint of SD1.x or SD2.x in one file"):
        load_world(tmp_path / "other.safetensors")
