"""A picture file goes in, a protected file comes out: the whole chain of nodes in the real host."""

import numpy as np
import pytest
import torch
from PIL import Image

from . import tiny_models as tiny

pytestmark = pytest.mark.usefixtures("executor_mode")


def write_picture(host, name, size=(90, 70), alpha=True, seed=0):
    generator = np.random.default_rng(seed)
    levels = generator.integers(0, 256, (size[1], size[0], 4 if alpha else 3), dtype=np.uint8)
    Image.fromarray(levels).save(host.base / "input" / name)
    return levels


def protect(host, models, name, *, strength, budget, condition, k=2, train=None):
    """Run the nodes of the Protect workflow one after the other and return the saved file's levels."""
    model, _, vae = models
    run = {
        node: host.classes[f"LDU_{node}"].execute
        for node in ("LoadPicture", "WorkingSize", "InvertToZT", "ApplyRhoShift", "FewStepDenoise", "FitToBudget")
    }
    original, _, info = run["LoadPicture"](name).args
    rho = train(original) if train else tiny.random_rho(host, model, 4, k_steps=k)
    working = run["WorkingSize"](original, 0, model).args[0]
    latent = host.nodes.VAEEncode().encode(vae, working)[0]
    z_T, record, _ = run["InvertToZT"](model, latent, k, 0.5, 0, condition).args
    shifted = run["ApplyRhoShift"](z_T, rho, strength, 0).args[0]
    protected = run["FewStepDenoise"](model, shifted, record, condition).args[0]
    decoded = [host.nodes.VAEDecode().decode(vae, which)[0] for which in (latent, protected)]
    fitted = run["FitToBudget"](original, *decoded, budget).args[0]
    save = host.classes["LDU_SaveProtected"]
    out = save.PREPARE_CLASS_CLONE(None).execute(fitted, "%name%_protected", False, info)
    saved = out.ui["images"][0]
    return np.asarray(Image.open(host.base / "output" / saved["subfolder"] / saved["filename"]))


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
