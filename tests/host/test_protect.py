"""A picture file goes in, a protected file comes out: the whole chain of nodes in the real host."""

import numpy as np
import pytest
import torch
from PIL import Image

from . import tiny_models as tiny
from .node_by_node import protect
from .picture_files import write_picture

pytestmark = pytest.mark.usefixtures("executor_mode")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("alpha", [True, False], ids=["alpha", "opaque"])
def test_strength_0_gives_back_the_same_pixels(host, dtype, alpha):
    levels = write_picture(host, "zero.png", alpha=alpha)
    models = tiny.model("sd1"), None, tiny.vae("sd1", dtype)
    saved = protect(host, models, "zero.png", strength=0.0, budget=10.0, condition=tiny.conditioning("sd1"))
    assert np.array_equal(saved, levels)


@pytest.mark.parametrize("budget", [0.0, 1.0, 2.5, 10.0])
@pytest.mark.parametrize("size", [(64, 64), (51, 97), (200, 66)], ids=str)
def test_the_saved_file_never_leaves_the_budget_however_strong_the_shift(host, budget, size):
    levels = write_picture(host, "strong.png", size, seed=1)
    models = tiny.model("sd1"), None, tiny.vae("sd1")
    saved = protect(host, models, "strong.png", strength=4.0, budget=budget, condition=tiny.conditioning("sd1"))
    change = np.abs(saved.astype(int) - levels.astype(int))
    assert change[..., :3].max() == int(budget)
    assert not change[..., 3].any()


def test_an_sd15_checkpoint_from_the_stock_loader_protects_end_to_end(host):
    checkpoint = host.base / "models" / "checkpoints" / "sd15.safetensors"
    tiny.write_sd15(checkpoint)
    model, clip, vae = host.nodes.CheckpointLoaderSimple().load_checkpoint(checkpoint.name)
    assert type(model.model.model_config).__name__ == "SD15"
    model.model_options["ldu_resolution"] = 64  # a small picture, so that the test is quick
    levels = write_picture(host, "photo.png", (80, 64), alpha=False)

    def train(original):
        settings = {
            "prompt": "a photo of S* person", "initial_word": "person", "budget": 10.0, "k": 2, "depth": 0.5,
            "steps": 3, "learning_rate": 2e-2, "batch": 1, "seed": 0, "visibility": 0.5, "patience": 0,
            "refit_every": 0, "model": model, "vae": vae, "conditioning": condition,
            "walk_conditioning": empty,
        }  # fmt: skip
        return (
            host.classes["LDU_TrainRho"]
            .execute([original], **{name: [value] for name, value in settings.items()})
            .args[0]
        )

    original = host.classes["LDU_LoadPicture"].execute("photo.png").args[0]
    fit = {"prompt": "a photo of S* person", "placeholder": "S*", "initial_word": "person", "vectors": 1, "steps": 2,
           "learning_rate": 5e-3, "seed": 0, "save_as": ""}  # fmt: skip
    listed = {name: [value] for name, value in fit.items()}
    condition = host.classes["LDU_TextualInversion"].execute([model], [clip], [vae], [original], **listed).args[0][0]
    empty = host.nodes.CLIPTextEncode().encode(clip, "")[0]
    saved = protect(host, (model, clip, vae), "photo.png", strength=1.0, budget=10.0, condition=empty, train=train)
    change = np.abs(saved.astype(int) - levels.astype(int))
    assert 0 < change.max() <= 10


def test_a_flat_picture_and_the_smallest_one_are_protected_within_the_budget(host):
    models = tiny.model("sd1"), None, tiny.vae("sd1")
    Image.new("RGB", (64, 64), (255, 0, 128)).save(host.base / "input" / "flat.png")
    Image.new("L", (8, 8), 7).save(host.base / "input" / "tiny.png")
    for name in ("flat.png", "tiny.png"):
        saved = protect(host, models, name, strength=1.0, budget=4.0, condition=tiny.conditioning("sd1"))
        original = np.asarray(Image.open(host.base / "input" / name).convert("RGB"))
        assert np.abs(saved.astype(int) - original).max() <= 4
