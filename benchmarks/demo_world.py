"""Print what the demo world is worth: one row a claim, with its gate, mean and 95 % bootstrap interval.

    python -m benchmarks.demo_world --rows vae,identity      some rows (seconds each)
    python -m benchmarks.demo_world --full --subjects 4      all of them (about three minutes a subject)

Similarities are cosines of the identity network's embeddings; "Fréchet" is explained in `efficacy.measures`.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import thieves
from benchmarks.baselines.pgd import climb, publish, random_start
from benchmarks.efficacy.cells import CLEAN, fragility
from benchmarks.efficacy.lab import Lab, Setup
from benchmarks.efficacy.measures import Judge
from benchmarks.efficacy.run import measure
from benchmarks.efficacy.subjects import Person, drawn_people
from benchmarks.efficacy.tables import read
from benchmarks.table import print_table, provenance
from benchmarks.world import World, compute_on, load_world, usual_device
from demo import checker, pipeline, pixel_unet
from demo.people import BACKGROUNDS, HAIR_COLOURS, HAIR_STYLES
from demo.train_identity import held_out_photos, nearest_neighbour_hits
from demo.train_vae import held_out_batch, psnr_against_render
from ldu.attacks.purify.contract import Tools
from ldu.attacks.purify.recipe import build, parse
from ldu.budget import to_levels
from ldu.metrics import psnr_db
from ldu.statistics import bootstrap_interval

GENERATIONS = 16
PRIOR = 24
STRANGERS = 20
NOISE = 0.1  # standard deviation as a share of the range


@dataclass(frozen=True)
class Claim:
    """One measured claim; `gate` says in words what was asked."""

    name: str
    values: Tensor
    unit: str = ""
    gate: str = ""

    @property
    def row(self) -> tuple[object, ...]:
        """Return its line of the table."""
        low, high = bootstrap_interval(self.values.flatten().tolist())
        shown = f"{self.values.float().mean().item():.3g} [{low:.3g}, {high:.3g}] {self.unit}".strip()
        return self.name, shown, len(self.values), self.gate


@dataclass
class Bench:
    """The models under test and whom to steal."""

    checkpoint: Path
    subjects: range

    @cached_property
    def world(self) -> World:
        """The demo world."""
        return load_world(self.checkpoint)

    @cached_property
    def judge(self) -> Judge:
        """The identity network."""
        return Judge()

    @cached_property
    def people(self) -> list[Person]:
        """Unseen people."""
        return list(drawn_people(len(self.subjects), first=self.subjects.start))

    @cached_property
    def prior(self) -> Tensor:
        """The class's own pictures, for DreamBooth."""
        generator = torch.Generator().manual_seed(0)
        return thieves.prior_pictures(self.world, thieves.DEMO["DreamBooth"], PRIOR, generator=generator)

    def steal(self, name: str, sets: Tensor) -> Tensor:
        """Return what a thief draws of p people from their pictures (p, n, 3, h, w): (p, GENERATIONS, 3, h, w)."""
        thief = thieves.DEMO[name]
        return thieves.steal(self.world, sets, self.prior, thief, prompts=[thief.prompt], count=GENERATIONS, seed=0)


def vae_rows(bench: Bench) -> Iterator[Claim]:
    """Reconstruction of unseen portraits."""
    yield Claim(
        "VAE, unseen portraits against the noise-free render", psnr_against_render(bench.world.vae, 100), "dB", ">= 27"
    )
    z = bench.world.encode(held_out_batch(64)[0])
    yield Claim("latent standard deviation (0.18215 folded in)", z.flatten(1).std(1), "", "about 1")


def identity_rows(bench: Bench) -> Iterator[Claim]:
    """Nearest neighbours among 100 unseen people, as drawn and through the VAE."""
    photos = held_out_photos()
    gallery, probes = photos[:, 0], photos[:, 1]
    decoded = torch.cat([bench.world.decode(bench.world.encode(part)) for part in photos.flatten(0, 1).split(20)])
    gallery_vae, probes_vae = decoded.unflatten(0, photos.shape[:2]).unbind(1)
    net = bench.judge.net
    yield Claim(
        "identity: nearest neighbour right, raw", 100 * nearest_neighbour_hits(net, gallery, probes), "%", ">= 98"
    )
    through = nearest_neighbour_hits(net, gallery_vae, probes_vae)
    yield Claim("identity: nearest neighbour right, through the VAE", 100 * through, "%", ">= 98")
    cosine = net(probes) @ net(gallery).T
    yield Claim("identity: cosine, same person", cosine.diagonal())
    yield Claim("identity: cosine, others", (cosine.sum(1) - cosine.diagonal()) / (len(cosine) - 1))


def gain_rows(bench: Bench) -> Iterator[Claim]:
    """How far 30 steps of PGD at 8 levels move the latent, relative to its norm."""
    x = held_out_batch(16)[0]
    z = bench.world.encode(x)

    def distance(pictures: Tensor) -> Tensor:
        return (bench.world.encode(pictures) - z).square().sum()

    with torch.enable_grad():
        start = random_start(x, 8, torch.Generator().manual_seed(0))
        attacked = publish(x, climb(x, distance, steps=30, budget_levels=8, stride=0.1, start=start), 8)
    moved = bench.world.encode(attacked)
    relative = (moved - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)
    yield Claim("encoder gain: relative latent change, 8 levels", relative, "", "small VAEs: 0.17-0.20")
    pixels = (attacked - x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
    yield Claim("encoder gain: over the relative pixel change", relative / pixels, "x")


def prompt_rows(bench: Bench) -> Iterator[Claim]:
    """Does the picture have the hair colour and the background that the prompt asked for?"""
    rng = np.random.default_rng(0)
    asked = [
        (str(rng.choice(HAIR_STYLES)), str(rng.choice(list(HAIR_COLOURS))), str(rng.choice(list(BACKGROUNDS))))
        for _ in range(64)
    ]
    prompts = [f"a photo of a person with {s} {h} hair, {b} background" for s, h, b in asked]
    generator = torch.Generator().manual_seed(0)
    conditions = bench.world.condition(prompts).split(16)
    drawn = torch.cat([bench.world.generate(condition, generator=generator) for condition in conditions])
    judge = checker.fit_checker()
    hair, background = judge.read(drawn)
    right_hair = torch.tensor([h == asked_h for h, (_, asked_h, _) in zip(hair, asked, strict=True)])
    right_back = torch.tensor([b == asked_b for b, (_, _, asked_b) in zip(background, asked, strict=True)])
    yield Claim("checker itself: hair on unseen renders", 100 * judge.hair_hits, "%")
    yield Claim("checker itself: background on unseen renders", 100 * judge.background_hits, "%")
    yield Claim("prompt obeyed: hair colour", 100 * right_hair, "%", ">= 90")
    yield Claim("prompt obeyed: background", 100 * right_back, "%", ">= 90")


def pixel_rows(bench: Bench) -> Iterator[Claim]:
    """How near purifiers that work on pixels come to the noise-free render of unseen portraits, noisy or clean."""
    photos, renders = held_out_batch(8)
    noisy = (photos + 2 * NOISE * torch.randn(photos.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    tools = pixel_unet.with_pixels(Tools(bench.world.walk_models().autoencoder), pixel_unet.load())
    tried = (
        ("clean, VAE round trip", photos, "vae"),
        ("clean, pixel DiffPure at 100", photos, "pixel-diffpure 100"),
        ("clean, noisy upscaling", photos, f"upscale {NOISE}"),
        (f"noise of {NOISE}, as they are", noisy, "none"),
        (f"noise of {NOISE}, pixel DiffPure at 100", noisy, "pixel-diffpure 100"),
    )
    for name, x, purifier in tried:
        purified = build(parse(purifier)[0], tools)(x, generator=torch.Generator().manual_seed(0))
        near = [psnr_db(*to_levels(pair).split(1)) for pair in torch.stack([renders, purified], 1)]
        yield Claim(f"unseen portraits, {name}", torch.tensor(near), "dB")


def _decoded(bench: Bench, x: Tensor) -> Tensor:
    return torch.cat([bench.world.decode(bench.world.encode(part)) for part in x.split(8)])


def _references(bench: Bench) -> tuple[Tensor, Tensor]:
    """Return (subjects,) cosines with the person of their own photos and of other people, all through the VAE."""
    others = [person.clean[0] for person in drawn_people(STRANGERS, use="tuning", first=200, seen=0)]
    strangers = _decoded(bench, torch.stack(others))
    same = [bench.judge.similarity(_decoded(bench, p.reference), p.seen).mean() for p in bench.people]
    other = [bench.judge.similarity(strangers, p.seen).mean() for p in bench.people]
    return torch.stack(same), torch.stack(other)


def thief_rows(bench: Bench) -> Iterator[Claim]:
    """Do the thieves work on clean pictures?"""
    with torch.no_grad():
        same, other = _references(bench)
    yield Claim("similarity of another photo of the person", same)
    yield Claim("similarity of another person", other)
    sets = torch.stack([person.stolen for person in bench.people])
    for name in thieves.DEMO:
        drawn = bench.steal(name, sets)
        found = torch.stack(
            [bench.judge.similarity(d, p.seen).mean() for d, p in zip(drawn, bench.people, strict=True)]
        )
        yield Claim(f"{name}, 4 clean pictures: similarity", found)
        reached = 100 * (found - other) / (same - other)
        yield Claim(f"{name}, 4 clean pictures: way from other to same", reached, "%", ">= 50")


def fragility_rows(bench: Bench) -> Iterator[Claim]:
    """What does a known attack, and mere noise that is as visible, do to DreamBooth here?"""
    setup, cells = Setup(bench.checkpoint, Path("efficacy")), fragility(len(bench.people))
    measure(setup, cells, os.cpu_count() or 1)
    for (method, budget), group in groupby(
        read(Lab(setup), cells), key=lambda r: (r.cell.method, r.cell.budget_levels)
    ):
        results = list(group)
        name = "clean pictures" if method == CLEAN else f"{method} at {budget:g} levels"
        aims = ("aim: a third less than clean", "or: twice clean's") if (method, budget) == ("advdm", 16) else ("", "")
        visible = [r.found["visibility"]["psnr_db"] for r in results]
        if method != CLEAN:
            yield Claim(f"DreamBooth on {name}: PSNR of its pictures", torch.tensor(visible), "dB")
        yield Claim(f"DreamBooth on {name}: similarity", torch.tensor([r.identity for r in results]), "", aims[0])
        yield Claim(f"DreamBooth on {name}: Fréchet", torch.tensor([r.frechet for r in results]), "", aims[1])


ROWS: dict[str, Callable[[Bench], Iterator[Claim]]] = {
    "vae": vae_rows,
    "identity": identity_rows,
    "gain": gain_rows,
    "prompt": prompt_rows,
    "pixels": pixel_rows,
    "thieves": thief_rows,
    "fragility": fragility_rows,
}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", "--row", default="vae,identity,gain", help=f"some of {','.join(ROWS)}")
    parser.add_argument("--full", action="store_true", help="all rows")
    parser.add_argument("--subjects", type=int, default=4, help="unseen people per thief")
    parser.add_argument("--first", type=int, default=0, help="number of the first one, to share a run out")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16: half the time on a recent CPU")
    parser.add_argument("--checkpoint", type=Path, default=pipeline.WEIGHTS)
    options = parser.parse_args()
    compute_on(usual_device(), bf16=options.bf16)
    bench = Bench(options.checkpoint, range(options.first, options.first + options.subjects))
    print(provenance(options.checkpoint) + "\n")

    def rows() -> Iterator[tuple[object, ...]]:
        for name in ROWS if options.full else options.rows.split(","):
            started = time.monotonic()
            with torch.set_grad_enabled(name in ("thieves", "fragility")):
                yield from (claim.row for claim in ROWS[name](bench))
            yield f"({name}: {time.monotonic() - started:.0f} s)", "", "", ""

    print_table(("claim", "mean [95 %]", "n", "gate"), rows())


if __name__ == "__main__":
    main()
