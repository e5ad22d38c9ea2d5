"""Why the shift of z_T alone does little: what each way of changing a picture can reach at the same visibility.

    python -m benchmarks.reach          both tables, four pictures: ten minutes of a busy core
    python -m benchmarks.reach --row    one picture, hardly measured

A picture is changed in one direction until the change's RMS is 4 levels (36 dB), through
    z_T       a shift of z_T, denoised with the record, decoded and carried over as `ldu.protect` does
    z_0       a shift of the latent itself, without a walk
    pixels    a change of the pixels
in the steepest direction of the personalizer's loss on the file, in that of its contrast, or at random; both with the
loss's own weights, where `ldu.refine` has those of velocity.
Directions are found and judged on different draws of noise. The rise is that of the loss beside the clean picture's:
    latent    of z_0 before it is decoded; what the walk brings
    file      of the encoding of the 8-bit picture; what a thief trains on
    empty     of the file, under the empty prompt: what makes the picture hard to learn under any prompt
    own       file minus empty: what makes it hard to learn this person
    coarse    share of the change's energy in waves of 16 pixels and longer
The second table has shifts of z_T of a tenth of its spread: how much of them the walk passes on (RMS of the change of
z_0 beside the shift's), how visible that is, and how much of the change of z_0 the 8-bit file gives back when encoded.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.efficacy.ours import Shift
from benchmarks.efficacy.subjects import drawn_people
from benchmarks.table import print_table, provenance, with_interval
from benchmarks.world import World, compute_on, load_world, usual_device
from demo.pipeline import WEIGHTS
from ldu.attacks.textual_inversion import InversionConfig
from ldu.budget import compose, residual_levels, to_levels, to_pixels
from ldu.losses import noise_prediction_loss
from ldu.metrics import psnr_db
from ldu.model import Denoiser
from ldu.protect import Subject, WalkConfig, decode, prepare
from ldu.shapes import Latent, Levels
from ldu.train import Surrogate
from ldu.trajectory import denoise

VISIBLE = 4.0  # levels, RMS
TENTH = 0.1
BATCH = 16
TINY = 1e-20
FIRST = 40  # of the tuning people, whom no thief of a table meets
WAYS = ("z_T", "z_0", "pixels")
DIRECTIONS = ("of the loss", "of its contrast", "at random")
HEAD = (
    "changed",
    "direction",
    "n",
    "PSNR dB",
    "coarse %",
    "latent, rise %",
    "file, rise %",
    "empty, rise %",
    "own, points",
)
PASSED_HEAD = ("shift of z_T", "n", "passed on", "RMS in levels", "back from the file")
BANDS = {"coarse third": (0.0, 1 / 3), "middle third": (1 / 3, 2 / 3), "fine third": (2 / 3, 2.0)}


@dataclass
class Case:
    """One picture with the models and all that is measured of it.

    Args:
        surrogate: the models, a personalizer of the person's pictures among them.
        subject: the picture, ready to be walked.
        draws: of t and noise, for a slope and for a loss.
    """

    surrogate: Surrogate
    subject: Subject
    draws: int

    def z_0(self, way: str, change: Tensor) -> Latent:
        """Return the changed latent before it is decoded, for ways that have one."""
        record = self.subject.record
        if way == "z_0":
            return record.z_0 + change
        models = self.surrogate
        return denoise(models.walker, record.z_T + change, models.schedule, record.sigmas, record=record)

    def residual(self, way: str, change: Tensor) -> Levels:
        """Return what a change does to the picture, in levels."""
        if way == "pixels":
            return change
        return residual_levels(self.subject.decoded_clean, decode(self.surrogate.autoencoder, self.z_0(way, change)))

    def encoded(self, residual: Levels) -> Latent:
        """Return what a thief trains on: the encoding of the 8-bit picture; differentiable."""
        return self.surrogate.autoencoder.encode(to_pixels(compose(self.subject.working, residual, 255))).float()

    def loss(self, denoiser: Denoiser, z_0: Latent, seed: int) -> Tensor:
        """Return the mean loss of a latent (1, c, h, w) over the draws of a seed."""
        generator = torch.Generator().manual_seed(seed)
        parts = [z_0.expand(BATCH, -1, -1, -1)] * (self.draws // BATCH)
        losses = [noise_prediction_loss(denoiser, part, self.surrogate.schedule, generator=generator) for part in parts]
        return torch.cat(losses).mean()

    def direction(self, way: str, name: str) -> Tensor:
        """Return a direction of unit RMS."""
        start = {"z_T": self.subject.record.z_T, "z_0": self.subject.record.z_0, "pixels": self.subject.working}[way]
        if name == "at random":
            return _unit(torch.randn(start.shape, generator=torch.Generator().manual_seed(5)).to(start))
        change = torch.zeros_like(start).requires_grad_()
        z_0 = self.encoded(self.residual(way, change))
        slope = self._slopes[0] if name == "of the loss" else self._slopes[1]
        return _unit(torch.autograd.grad(z_0, change, slope)[0])

    @cached_property
    def _slopes(self) -> tuple[Latent, Latent]:
        """Return the slope of the personalizer's loss at the picture, and the same at a contrast of 1."""
        with torch.no_grad():
            z_0 = self.encoded(torch.zeros_like(self.subject.working))
        own, common = (self._slope(denoiser, z_0) for denoiser in (self.surrogate.adversary, self.surrogate.walker))
        return own, own - (own * common).sum() / common.square().sum().clamp(min=TINY) * common

    def _slope(self, denoiser: Denoiser, z_0: Latent) -> Latent:
        z_0 = z_0.detach().requires_grad_()
        return torch.autograd.grad(self.loss(denoiser, z_0, seed=1), z_0)[0]

    @torch.no_grad()  # a measurement
    def row(self, way: str, name: str, direction: Tensor) -> list[float]:
        """Return what the table says of a direction, from PSNR on."""
        change = direction * self._length(way, direction)
        residual = self.residual(way, change)
        latent = float("nan") if way == "pixels" else self._rises(self.z_0(way, change))[0]
        file, empty = self._rises(self.encoded(residual))
        seen = psnr_db(self.subject.working, compose(self.subject.working, residual, 255))
        return [float(seen), 100 * _coarse(residual), latent, file, empty, file - empty]

    def _rises(self, z_0: Latent) -> list[float]:
        """Return by how many per cent the personalizer's loss and the empty prompt's are higher than on the picture."""
        return [100 * (own / clean - 1).item() for own, clean in zip(self._losses(z_0), self._clean, strict=True)]

    def _losses(self, z_0: Latent) -> list[Tensor]:
        """Return both losses on draws that found no direction."""
        return [self.loss(denoiser, z_0, seed=2) for denoiser in (self.surrogate.adversary, self.surrogate.walker)]

    @cached_property
    def _clean(self) -> list[Tensor]:
        return self._losses(self.subject.record.z_0)

    def _length(self, way: str, direction: Tensor) -> float:
        """Return the length at which the residual's RMS is VISIBLE; the walk bends, so it is approached."""
        length = VISIBLE if way == "pixels" else TENTH
        for _ in range(8):
            length *= VISIBLE / max(_rms(self.residual(way, direction * length)), 1e-6)
        return length

    @torch.no_grad()  # a measurement
    def passed(self, direction: Tensor) -> list[float]:
        """Return how much of a shift of z_T arrives in z_0, how visible it is, and what the file gives back of it."""
        shift = direction * TENTH
        moved = self.z_0("z_T", shift) - self.subject.record.z_0
        residual = self.residual("z_T", shift)
        back = self.encoded(residual) - self.encoded(torch.zeros_like(residual))
        return [_rms(moved) / _rms(shift), _rms(residual), ((moved * back).sum() / moved.square().sum()).item()]

    def band(self, low: float, high: float) -> Tensor:
        """Return a random direction in z_T of spatial frequencies between two shares of the highest."""
        spectrum = torch.fft.fft2(self.direction("z_T", "at random"))
        return _unit(torch.fft.ifft2(spectrum * _between(spectrum, low, high)).real)

    def strongest(self, steps: int = 8) -> Tensor:
        """Return the shift of z_T that the walk passes on most, by power iteration on its derivative."""
        direction = self.direction("z_T", "at random")
        for _ in range(steps):
            with torch.no_grad():
                moved = self.z_0("z_T", TENTH * direction) - self.z_0("z_T", -TENTH * direction)
            change = torch.zeros_like(direction).requires_grad_()
            direction = _unit(torch.autograd.grad(self.z_0("z_T", change), change, moved)[0])
        return direction


def _rms(x: Tensor) -> float:
    return x.square().mean().sqrt().item()


def _unit(x: Tensor) -> Tensor:
    return x / x.square().mean().sqrt()


def _between(like: Tensor, low: float, high: float) -> Tensor:
    """Say which spatial frequencies (h, w) lie between two shares of the highest along an axis."""
    rows, columns = (torch.fft.fftfreq(side).abs() * 2 for side in like.shape[-2:])
    radius = torch.maximum(rows[:, None], columns[None]).to(like.device)
    return (radius >= low) & (radius < high)


def _coarse(residual: Levels) -> float:
    energy = torch.fft.fft2(residual).abs().square()
    return (energy * _between(energy, 0, 2 / 16 + 1e-6)).sum().item() / energy.sum().item()


def cases(world: World, people: int, pictures: int, draws: int, ti_steps: int) -> Iterator[Case]:
    """Give the cases of people whom no thief meets, each with a personalizer of their own pictures."""
    for person in drawn_people(people, use="tuning", first=FIRST, seen=0):
        generator = torch.Generator().manual_seed(0)
        surrogate = Shift(inversion=InversionConfig(ti_steps=ti_steps)).surrogate(world, person.stolen, generator)
        for photo in to_levels(person.stolen).round().to(world.device).split(1)[:pictures]:
            yield Case(surrogate, prepare(surrogate, photo, None, WalkConfig()), draws)


def measure(found: Sequence[Case]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], list[list[float]]]]:
    """Give each row's table, name and values of all cases."""
    for way, name in product(WAYS, DIRECTIONS):
        yield HEAD, (way, name), [case.row(way, name, case.direction(way, name)) for case in found]
    shifts: dict[str, Callable[[Case], Tensor]] = {
        name: lambda case, band=band: case.band(*band) for name, band in BANDS.items()
    } | {
        "what the walk passes on most": Case.strongest,
        "steepest of the loss": lambda case: case.direction("z_T", DIRECTIONS[0]),
        "steepest of its contrast": lambda case: case.direction("z_T", DIRECTIONS[1]),
    }
    for name, direction in shifts.items():
        yield PASSED_HEAD, (name,), [case.passed(direction(case)) for case in found]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="store_true", help="one picture, few draws")
    parser.add_argument("--checkpoint", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    device = usual_device()
    compute_on(device, bf16=False)
    world = load_world(options.checkpoint, device)
    print(provenance(options.checkpoint))
    size = (1, 1, BATCH, 20) if options.row else (2, 2, 8 * BATCH, InversionConfig.ti_steps)
    found = list(cases(world, *size))
    tables: dict[tuple[str, ...], list[list[str]]] = {HEAD: [], PASSED_HEAD: []}
    for head, name, values in measure(found):
        print(f"measured: {', '.join(name)}", file=sys.stderr, flush=True)
        tables[head].append([*name, str(len(values)), *_columns(head, values)])
    for head, rows in tables.items():
        print()
        print_table(head, rows)


def _columns(head: Sequence[str], values: Sequence[Sequence[float]]) -> Iterator[str]:
    digits = 1 if head == HEAD else 2
    for column in zip(*values, strict=True):
        yield "-" if column[0] != column[0] else with_interval(column, digits)


if __name__ == "__main__":
    main()
