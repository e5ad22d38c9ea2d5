"""Distil a few-step sibling of the demo UNet: a LoRA with which one step from any noise level ends where the ODE ends.

    f(z_t, c, t)  = c_skip(t) z_t + c_out(t) (z_t - sqrt(1 - alpha_bar_t) noise_pred) / sqrt(alpha_bar_t)
    z_s           = one DDIM step of the teacher from z_t, HOP timesteps down
    loss          = Huber(f(z_t, c, t), f_average(z_s, c, s))

f is the identity at t = 0 (c_skip = 1, c_out = 0), so what is agreed on along the teacher's path is its end. The
teacher is the demo UNet without classifier-free guidance, since the walk has none; t is uniform, since the walk visits
other timesteps than those of one grid. `f_average` has an exponential average of the LoRA, which is also what is
published. Half of the captions are left empty: the walk's prompt is the empty one.

The end travels up from t = 0 hop by hop, and every hop waits for the average. A training of a few hundred steps
therefore hops further (a 20-step grid, not the paper's 50) and averages over fewer steps than the paper's.

    python -m demo.train_sibling --minutes 40

Source: Luo et al. 2023 (Latent Consistency Models), algorithm 1, and LCM-LoRA, section 3; the LoRA in the single-file
names of the kohya scripts, which ComfyUI reads.
"""

import argparse
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import torch
from diffusers import LCMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.func import functional_call

from ldu.whole_file import written_whole

from . import architecture
from .dataset import cache_folder, load_dataset
from .pipeline import WEIGHTS, load_diffusers, tokenize
from .precision import bfloat16_is_fast
from .train_unet import LatentFeed, encode_pictures, load_vae
from .training import Run, start_run, train_together

SIBLING = WEIGHTS.with_name("ldu_demo_few_step_lora.safetensors")
RANK = 32
PEAK_RATE = 1e-3
BATCH = 16
AVERAGE_DECAY = 0.8
EMPTY_SHARE = 0.45  # beside the tenth that the feed leaves empty: half in all
HOP = 50  # timesteps
HUBER = 1e-3
HEAD = "lora_unet_"

Weights = dict[str, Tensor]
Predict = Callable[[Weights, Tensor, Tensor, Tensor], Tensor]
"""noise_pred of z_t (b, 4, h, w) at t (b,) under conditions (b, 77, width), by a UNet with these weights."""


class LowRank(nn.Module):
    """What is added to one weight: up @ down, nothing at first."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        """Make the factors for a weight (out, in, ...): up (out, rank) of zeros, down (rank, in * ...) random."""
        super().__init__()
        fan_in = weight[0].numel()
        self.up = nn.Parameter(torch.zeros(len(weight), rank))
        self.down = nn.Parameter(torch.empty(rank, fan_in).uniform_(-1, 1) / fan_in**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with the addition."""
        return weight + (self.up @ self.down).view_as(weight)


def adapted(unet: nn.Module) -> list[str]:
    """Return the names of all linear and convolutional weights."""
    return [f"{name}.weight" for name, part in unet.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]


class Sibling(nn.Module):
    """The additions to all linear and convolutional weights of a UNet."""

    def __init__(self, unet: UNet2DConditionModel, rank: int = RANK) -> None:
        """Make additions of zero."""
        super().__init__()
        self.names = adapted(unet)
        self.additions = nn.ModuleList(LowRank(unet.get_parameter(name), rank) for name in self.names)

    def forward(self, weights: Weights) -> Weights:
        """Return a UNet's weights with the additions."""
        added = {name: more(weights[name]) for name, more in zip(self.names, self.additions, strict=True)}
        return weights | added


def predict_with(unet: UNet2DConditionModel) -> Predict:
    """Return noise_pred as a function of the UNet's weights, too."""

    def predict(weights: Weights, z_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        return functional_call(unet, weights, (z_t, t, condition)).sample

    return predict


class ConsistencyPath:
    """The teacher's path and the consistency function on it, on the training schedule."""

    def __init__(self) -> None:
        """Read the schedule."""
        self.scheduler = LCMScheduler(**architecture.SCHEDULE)
        self.alphas = self.scheduler.alphas_cumprod

    def levels(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors of z_0 and of the noise in z_t, (b, 1, 1, 1)."""
        alpha_bar = self.alphas[t][:, None, None, None]
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def add_noise(self, z_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return z_t."""
        signal, spread = self.levels(t)
        return signal * z_0 + spread * noise

    def estimate(self, z_t: Tensor, noise_pred: Tensor, t: Tensor) -> Tensor:
        """Return the estimate of z_0."""
        signal, spread = self.levels(t)
        return (z_t - spread * noise_pred) / signal

    def step(self, z_t: Tensor, noise_pred: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Return z_s, one DDIM step along noise_pred (Song et al. 2021, eq. 12 with sigma = 0)."""
        return self.add_noise(self.estimate(z_t, noise_pred, t), noise_pred, s)

    def end(self, z_t: Tensor, noise_pred: Tensor, t: Tensor) -> Tensor:
        """Return f: where the path from z_t ends, z_t itself at t = 0."""
        scalings: Any = self.scheduler.get_scalings_for_boundary_condition_discrete
        c_skip, c_out = (c[:, None, None, None] for c in scalings(t))  # typed for one timestep, works for many
        return c_skip * z_t + c_out * self.estimate(z_t, noise_pred, t)


def huber(difference: Tensor) -> Tensor:
    """Return the mean of sqrt(d^2 + c^2) - c."""
    return ((difference.square() + HUBER**2).sqrt() - HUBER).mean()


def consistency_loss(
    path: ConsistencyPath,
    predict: Predict,
    models: tuple[Weights, Weights, Weights],
    batch: tuple[Tensor, ...],
    t: Tensor,
) -> Tensor:
    """Return the loss of one batch at timesteps t (b,).

    Args:
        path: schedule and consistency function.
        predict: the network.
        models: weights of the student, of its average and of the teacher.
        batch: z_0 (b, 4, h, w), noise of its shape and conditions (b, 77, width).
        t: timesteps, 1 to 999.
    """
    student, average, teacher = models
    z_0, noise, condition = batch
    z_t, s = path.add_noise(z_0, noise, t), (t - HOP).clamp(min=0)
    with torch.no_grad():  # the target is a constant
        z_s = path.step(z_t, predict(teacher, z_t, t, condition).float(), t, s)
        target = path.end(z_s, predict(average, z_s, s, condition).float(), s)
    return huber(path.end(z_t, predict(student, z_t, t, condition).float(), t) - target)


def train(run: Run, unet: UNet2DConditionModel, feed: LatentFeed, text: nn.Module) -> None:
    """Train until the run's time is up."""
    sibling, average, path, predict = run.model, Sibling(unet), ConsistencyPath(), predict_with(unet)
    teacher: Weights = dict(unet.named_parameters())

    def loss_of_batch() -> Tensor:
        if run.rank:
            run.average.update(run.model)  # as `advance` does for the first worker
        z_0, tokens = feed.batch(BATCH)
        tokens[torch.rand(BATCH) < EMPTY_SHARE] = feed.empty
        average.load_state_dict(run.average.values)
        with torch.no_grad():
            condition, averaged = text(tokens).last_hidden_state, average(teacher)
        models = (sibling(teacher), averaged, teacher)
        batch, t = (z_0, torch.randn_like(z_0), condition), torch.randint(1, len(path.alphas), (BATCH,))
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            return consistency_loss(path, predict, models, batch, t)

    run.train(loss_of_batch, PEAK_RATE, report=10)


def lora_name(weight: str) -> str:
    """Return the name of a weight's addition in a LoRA file, "lora_unet_..."."""
    return HEAD + weight.removesuffix(".weight").replace(".", "_")


def publish(run_state: Path, unet: UNet2DConditionModel, path: Path) -> int:
    """Write the averaged additions of the last saved state as a LoRA in fp16; return its step."""
    state = torch.load(run_state, weights_only=True)
    sibling = Sibling(unet, state["average"]["additions.0.up"].shape[1])
    sibling.load_state_dict(state["average"])
    halves: dict[str, Tensor] = {}
    additions: Any = sibling.additions
    for name, more in zip(sibling.names, additions, strict=True):
        shape = unet.get_parameter(name).shape
        down, up = more.down.view(-1, *shape[1:]), more.up.view(*more.up.shape, *(1 for _ in shape[2:]))
        parts = {"lora_down.weight": down, "lora_up.weight": up, "alpha": torch.tensor(float(len(down)))}
        halves |= {f"{lora_name(name)}.{part}": value.detach().half().contiguous() for part, value in parts.items()}
    note = f"{state['step']} steps of 2 x {BATCH} in {state['spent'] / 60:.0f} minutes"
    with written_whole(path, force=True) as part:
        save_file(halves, part, metadata={"training": note})
    return state["step"]


@torch.no_grad()  # weights are written
def add_sibling(unet: UNet2DConditionModel, path: Path = SIBLING, strength: float = 1.0) -> UNet2DConditionModel:
    """Add the LoRA of a file to the weights of a UNet, in place.

    Raises:
        KeyError: the file was not made for this UNet.
    """
    factors, names = load_file(path), adapted(unet)
    if {key.partition(".")[0] for key in factors} != set(map(lora_name, names)):
        raise KeyError(f"{path.name} adds to other weights than this UNet has.")
    for name in names:
        down, up = (factors[f"{lora_name(name)}.lora_{part}.weight"].float().flatten(1) for part in ("down", "up"))
        scale = strength * factors[f"{lora_name(name)}.alpha"].item() / len(down)
        weight = unet.get_parameter(name)
        weight += scale * (up @ down).view_as(weight)
    return unet


def work(
    rank: int, compiled: Event, sibling: Sibling, minutes: float, latents: tuple[Tensor, Tensor], captions: list[str]
) -> None:
    """Train as one of several workers."""
    run = start_run(sibling, state_file(), minutes, AVERAGE_DECAY, rank=rank, compiled=compiled)
    _, unet, text, tokenizer, _ = load_diffusers()
    tokens = tokenize(tokenizer, captions)[:, None]
    train(run, unet, LatentFeed(latents, tokens, tokenize(tokenizer, [""])[0], run.draw_seed), text)


def state_file() -> Path:
    """Return where the state of the training lies."""
    return cache_folder() / "sibling_state.pt"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--publish", type=Path, help="write the last state's average there and stop")
    options = parser.parse_args()
    torch.manual_seed(0)
    unet = load_diffusers()[1]
    if options.publish is None:
        data = load_dataset(cache_folder())
        latents = encode_pictures(load_vae(architecture.FIRST), data, cache_folder() / "latents.pt")
        train_together(work, Sibling(unet), options.minutes, latents, data.captions)
    publish(state_file(), unet, options.publish or cache_folder() / SIBLING.name)


if __name__ == "__main__":
    main()
