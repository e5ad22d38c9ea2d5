"""Print the paper's spiral study: points of a plane spiral, shifted at z_T and denoised in few steps.

    python -m benchmarks.spiral             three tables and docs/pictures/spiral.png
    python -m benchmarks.spiral --quick     the tables in seconds, hardly trained, for a look

Per point z_0 of the spiral (unit variance): invert to z_T, shift by d, denoise in k steps.
    e_R     mean of ||z_0_protected - z_0||^2: how far the sample went
    e_L     mean distance of z_0_protected to the nearest point of the spiral: how far it left the data
The walk up has k steps, and the walk down follows with its record or without ("plain"); "fine" walks up in 100 steps
and down in k without a record.
Brackets hold 95 % bootstrap intervals over the points, those of all trainings pooled.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.spiral_models import ExactDenoiser, distance_to_spiral, noise_levels, spiral, train
from benchmarks.spiral_paper import LITERAL, PAPER, PAPER_K, READINGS, VARIANCES, constant_misfit, misfit
from benchmarks.spiral_picture import Denoised, draw
from benchmarks.table import ROOT, print_table, provenance, with_interval
from ldu.model import Denoiser
from ldu.schedule import NoiseSchedule
from ldu.shapes import Latent
from ldu.trajectory import Record, denoise, invert

PICTURE = ROOT / "docs" / "pictures" / "spiral.png"
K_STEPS, DEPTHS, WALKS = (1, 2, 4, 8, 16), (1.0, 0.5, 0.25), ("record", "plain", "fine")
SHOWN_WALKS = ("record", "plain")
FINE_STEPS, ATOMS, RESAMPLES = 100, 1024, 2000
TRAININGS, TRAIN_STEPS, POINTS = 3, 4000, 200
PICTURE_VARIANCE = 2.0


@dataclass(frozen=True)
class Points:
    """The points that one model is measured on.

    Args:
        u: positions on the spiral, (n,), in [0, 1].
        z_0: the points, (n, 2, 1, 1).
        noise: the direction of each point's shift, the same for every d.
    """

    u: Tensor
    z_0: Latent
    noise: Latent

    @classmethod
    def draw(cls, count: int, *, generator: torch.Generator) -> "Points":
        """Draw fresh points."""
        u = torch.rand(count, generator=generator)
        return cls(u, spiral(u), torch.randn(count, 2, 1, 1, generator=generator))


@dataclass(frozen=True)
class Study:
    """A kind of model: one denoiser for each set of points, and the noise levels that all of them know."""

    name: str
    denoisers: Sequence[Denoiser]
    points: Sequence[Points]
    schedule: NoiseSchedule


@dataclass(frozen=True)
class Walked:
    """Where the points of a study came out, all sets in one.

    Args:
        u: positions on the spiral, (n,).
        z_0: where they started, (n, 2, 1, 1).
        z_0_protected: where they ended.
    """

    u: Tensor
    z_0: Latent
    z_0_protected: Latent

    @property
    def squared(self) -> Tensor:
        """Squared distance from the start, per point."""
        return (self.z_0_protected - self.z_0).square().flatten(1).sum(dim=1)

    @property
    def off_curve(self) -> Tensor:
        """Distance from the spiral, per point."""
        return distance_to_spiral(self.z_0_protected)


def climb(denoiser: Denoiser, z_0: Latent, schedule: NoiseSchedule, k: int, depth: float, walk: str) -> Record:
    """Invert in k steps, or in many for the fine walk."""
    return invert(denoiser, z_0, schedule, schedule.grid(FINE_STEPS if walk == "fine" else k, depth))


def walk_all(study: Study, reading: str, k: int, walk: str, depth: float = 1.0) -> list[Walked]:
    """Invert, shift and denoise every point, once for each d."""
    sigmas = study.schedule.grid(k, depth)
    shift, spread = READINGS[reading], study.schedule.spread(sigmas[0])
    pairs = list(zip(study.denoisers, study.points, strict=True))
    records = [climb(denoiser, p.z_0, study.schedule, k, depth, walk) for denoiser, p in pairs]
    u, z_0 = torch.cat([p.u for p in study.points]), torch.cat([p.z_0 for p in study.points])
    results = []
    for d in VARIANCES:
        ends = [
            denoise(
                denoiser,
                shift(record.z_T, p.noise, d, spread),
                study.schedule,
                sigmas,
                record=record if walk == "record" else None,
            )
            for (denoiser, p), record in zip(pairs, records, strict=True)
        ]
        results.append(Walked(u, z_0, torch.cat(ends)))
    return results


def errors(walked: Walked) -> dict[str, Tensor]:
    """Return e_R and e_L of every point."""
    return {"e_R": walked.squared, "e_L": walked.off_curve}


def literal_rows(study: Study) -> Iterator[tuple[object, ...]]:
    """Give a row for each error, k and walk, under the paper's where it has one."""
    walked = {(k, walk): walk_all(study, LITERAL, k, walk) for k, walk in product(K_STEPS, SHOWN_WALKS)}
    for error, k in product(("e_R", "e_L"), K_STEPS):
        if k in PAPER_K:
            yield (error, k, "paper (its unit)", *(f"{value:.2f}" for value in PAPER[error, k]))
        for walk in SHOWN_WALKS:
            found = [errors(at_d)[error].tolist() for at_d in walked[k, walk]]
            yield (error, k, walk, *(with_interval(values, resamples=RESAMPLES) for values in found))


@dataclass(frozen=True)
class Candidate:
    """One way to read the study, with the four curves it gives."""

    misfit: float
    setting: tuple[str, str, float, str]
    curves: dict[tuple[str, int], tuple[float, ...]]


def candidates(study: Study, reading: str) -> Iterator[Candidate]:
    """Measure a reading at every depth, with every walk, e_R as a squared and as a plain distance."""
    for depth, walk in product(DEPTHS, WALKS):
        walked = {k: walk_all(study, reading, k, walk, depth) for k in PAPER_K}
        for form in ("squared", "distance"):
            curves = {}
            for k in PAPER_K:
                moved = [w.squared if form == "squared" else w.squared.sqrt() for w in walked[k]]
                curves["e_R", k] = tuple(m.mean().item() for m in moved)
                curves["e_L", k] = tuple(w.off_curve.mean().item() for w in walked[k])
            yield Candidate(misfit(curves), (study.name, walk, depth, form), curves)


def reading_rows(studies: Sequence[Study]) -> Iterator[tuple[object, ...]]:
    """Give each reading's nearest candidate, d = 1 and d = 2.5 of each curve, under the paper's own."""
    yield ("the paper", "", "", "", "", *_ends(PAPER), "0.00")
    yield ("(nothing ever changes)", "", "", "", "", *["1 to 1"] * 4, f"{constant_misfit():.2f}")
    for reading in READINGS:
        every = [candidate for study in studies for candidate in candidates(study, reading)]
        best = min(every, key=lambda candidate: candidate.misfit)
        yield (reading, *best.setting, *_ends(best.curves), f"{best.misfit:.2f}")


def _ends(curves: dict[tuple[str, int], tuple[float, ...]]) -> Iterator[str]:
    return (f"{curves[curve][0]:.2f} to {curves[curve][-1]:.2f}" for curve in PAPER)


def make_studies(schedule: NoiseSchedule, trainings: int, steps: int, count: int) -> list[Study]:
    """Train the models and lay out the points, the same ones for both kinds."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(trainings)]
    points = [Points.draw(count, generator=generator) for generator in generators]
    trained = [train(schedule, steps, generator=generator) for generator in generators]
    exact = ExactDenoiser(spiral(torch.linspace(0, 1, ATOMS)))
    return [Study("trained", trained, points, schedule), Study("exact", [exact] * trainings, points, schedule)]


def save_picture(study: Study, path: Path) -> None:
    """Draw the curves of the walk with its record, and where the points came out."""
    walked = {k: walk_all(study, LITERAL, k, "record") for k in K_STEPS}
    curves = {
        (error, k): [errors(at_d)[error].mean().item() for at_d in walked[k]]
        for error, k in product(("e_R", "e_L"), K_STEPS)
    }
    at = VARIANCES.index(PICTURE_VARIANCE)
    denoised = [Denoised(k, walked[k][at].u, walked[k][at].z_0_protected.flatten(1)) for k in PAPER_K]
    draw(curves, denoised, PICTURE_VARIANCE).save(path, optimize=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short training, 40 points")
    parser.add_argument("--picture", type=Path, help=f"where to draw (default {PICTURE.name}, nowhere with --quick)")
    options = parser.parse_args(arguments)
    trainings, steps, count = (1, 200, 40) if options.quick else (TRAININGS, TRAIN_STEPS, POINTS)
    made_by, studies = provenance(), make_studies(noise_levels(), trainings, steps, count)
    with torch.no_grad():
        for study in studies:
            print(f"\n{study.name} model, {LITERAL}, full depth:\n")
            print_table(("error", "k", "walk", *(f"d = {d}" for d in VARIANCES)), literal_rows(study))
        ends = [f"{error}, k = {k}" for error, k in PAPER]
        head = ("reading", "model", "walk", "depth", "e_R as", *ends, "misfit")
        print(f"\nWhat d may mean, each reading at its nearest to the paper, d = {VARIANCES[0]} to {VARIANCES[-1]}:\n")
        print_table(head, reading_rows(studies))
        if picture := options.picture or (None if options.quick else PICTURE):
            save_picture(studies[0], picture)
    print(f"\n{made_by}\n- {trainings} trainings of {steps} steps, {count} points each; {ATOMS} atoms")


if __name__ == "__main__":
    main()
