"""The few-step sibling in the host: its own LoRA loader reads the file, and the walk goes down by it."""

import shutil
from types import SimpleNamespace

import pytest
import torch

from demo import pipeline
from demo.train_sibling import SIBLING, add_sibling
from ldu.backends import diffusers as backend
from ldu.trajectory import denoise, invert

from .tiny_models import latents

for file in (pipeline.WEIGHTS, SIBLING):
    if not file.is_file():
        pytest.skip(f"{file.name} is not there", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("executor_mode")

K, DEPTH = 2, 0.25


@pytest.fixture(scope="module")
def models(host):
    """The demo checkpoint as the pack loads it, alone and with the LoRA as the host's loader adds it."""
    folder = host.base / "models" / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SIBLING, folder)
    with torch.inference_mode():
        base, clip, _ = host.module("nodes.weights").load_demo(pipeline.WEIGHTS)
        (sibling,) = host.classes["LoraLoaderModelOnly"]().load_lora_model_only(base, SIBLING.name, 1.0)
        empty = host.classes["CLIPTextEncode"]().encode(clip, "")[0]
    return SimpleNamespace(base=base, sibling=sibling, empty=empty)


def test_the_hosts_lora_loader_takes_every_addition(models):
    from demo.train_sibling import adapted

    assert len(models.sibling.patches) == len(adapted(pipeline.load_diffusers()[1]))


def test_up_with_the_base_and_down_by_the_sibling_is_the_same_in_the_host_and_in_diffusers(host, models):
    latent = latents()
    up = host.classes["LDU_InvertToZT"].execute(models.base, latent, K, DEPTH, 0, models.empty)
    z_T, record, _ = up.args
    shifted = z_T | {"samples": z_T["samples"] + 0.1}
    ours = host.classes["LDU_FewStepDenoise"].execute(models.sibling, shifted, record, models.empty).args[0]

    _, unet, text, tokenizer, scheduler = pipeline.load_diffusers()
    schedule, condition = backend.read_schedule(scheduler), backend.TextEncoder(text, tokenizer).encode("")
    sigmas, scale = schedule.grid(K, DEPTH), models.base.get_model_object("latent_format").scale_factor
    with torch.no_grad():
        own = invert(walker(unet, schedule, condition), latent["samples"] * scale, schedule, sigmas)
        down = walker(add_sibling(unet), schedule, condition)
        theirs = denoise(down, own.z_T + 0.1, schedule, sigmas, record=own)
    assert (ours["samples"] * scale - theirs).abs().max() < 1e-3 * theirs.abs().max()


def walker(unet, schedule, condition):
    """Bind a condition to the UNet as its weights are now."""
    bound = backend.DiffusersDenoiser(unet, schedule, {"encoder_hidden_states": condition})
    assert bound.key  # read before the LoRA is added
    return bound


def test_a_lora_is_no_few_step_model_until_the_sampling_says_so(host, models):
    import comfy_extras.nodes_model_advanced as advanced

    say = host.module("nodes.estimate").say_few_steps
    (lcm,) = advanced.ModelSamplingDiscrete().patch(models.sibling, "lcm", False)
    assert say(models.base) == say(models.sibling) == []
    assert "keep k at 1 to 4" in say(lcm)[0]
