"""Print what the demo world is worth: one row a claim, with its gate, mean and 95 % bootstrap interval.

    python benchmarks/demo_world.py --rows vae,identity      some rows (seconds each)
    python benchmarks/demo_world.py --full --subjects 4      all of them (about three minutes a subject)

Similarities are cosines of the identity network's embeddings. "Fréchet" is the Fréchet distance between
diagonal Gaussians over the identity network's pooled features, each divided by its spread over clean
portraits; with 16 pictures a full covariance would mostly measure the sample size.
"""

import argparse
import hashlib
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import demo_attacks as attacks  # noqa: E402

from demo import checker, pipeline  # noqa: E402
from demo.dataset import HELD_OUT  # noqa: E402
from demo.identity import IdentityNet, load_identity  # noqa: E402
from demo.people import BACKGROUNDS, HAIR_COLOURS, HAIR_STYLES, sample_identity, sample_nuisance  # noqa: E402
from demo.portraits import photograph  # noqa: E402
from demo.train_identity import held_out_photos, nearest_neighbour_hits, to_batch  # noqa: E402
from demo.train_vae import held_out_batch, psnr_against_render  # noqa: E402

GENERATIONS = 16
CLEAN_PICTURES = 4
FIRST_SUBJECT = HELD_OUT + 500
BUDGETS = (16, 4)


@dataclass(frozen=True)
class Row:
    """One measured claim; `gate` says in words what was asked."""

    name: str
    values: Tensor
    unit: str
    gate: str = ""

    def __str__(self) -> str:
        """Lay out mean, interval and gate."""
        low, high = bootstrap(self.values)
        mean = self.values.float().mean().item()
        return (
            f"{self.name:58s} {mean:8.3f} [{low:.3f}, {high:.3f}] {self.unit:5s} n={len(self.values):<4d} {self.gate}"
        )


def bootstrap(values: Tensor, draws: int = 2000) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(len(values), (draws, len(values)), generator=generator)
    means = values.float()[rows].mean(1)
    return means.quantile(0.025).item(), means.quantile(0.975).item()


def subject_photos(subject: int, count: int, first: int = 0) -> Tensor:
    """Return photos `first`... of an unseen person, (count, 3, 128, 128) in [-1, 1]."""
    person = sample_identity(FIRST_SUBJECT + subject)
    nuisances = [sample_nuisance(HELD_OUT * 2 + subject * 1000 + first + i) for i in range(count)]
    return to_batch(np.stack([photograph(person, nuisance) for nuisance in nuisances]))


@dataclass
class Bench:
    """The models under test and how much to spend on them."""

    checkpoint: Path
    subjects: range
    ti_steps: int
    db_steps: int

    @cached_property
    def demo(self) -> attacks.Demo:
        """The demo world."""
        return attacks.Demo.of(pipeline.load_diffusers(self.checkpoint))

    @cached_property
    def net(self) -> IdentityNet:
        """The identity network."""
        return load_identity()

    @cached_property
    def spread(self) -> Tensor:
        """Return each feature's standard deviation over unseen clean portraits."""
        return self.net.features(held_out_batch(100)[0]).std(0) + 1e-4

    def similarity(self, generated: Tensor, photos: Tensor) -> Tensor:
        """Return each generated picture's mean cosine with the person's photos."""
        return (self.net(generated) @ self.net(photos).T).mean(1)

    def frechet(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the diagonal Fréchet distance of two sets of pictures in standardised features, shape (1,)."""
        fa, fb = self.net.features(a) / self.spread, self.net.features(b) / self.spread
        return ((fa.mean(0) - fb.mean(0)).square() + (fa.std(0) - fb.std(0)).square()).sum()[None]

    def steal(self, kind: str, x: Tensor, seed: int) -> Tensor:
        """Return GENERATIONS pictures by a thief of `kind` who has pictures x."""
        if kind == "TI":
            stolen = attacks.textual_inversion(self.demo, x, steps=self.ti_steps, seed=seed)
        else:
            stolen = attacks.dreambooth(self.demo, x, steps=self.db_steps, seed=seed)
        generator = torch.Generator().manual_seed(seed + 1)
        return attacks.generate(stolen, [attacks.PROMPT] * GENERATIONS, generator=generator)


def vae_rows(bench: Bench) -> Iterator[Row]:
    """Reconstruction of unseen portraits."""
    yield Row(
        "VAE, unseen portraits against the noise-free render", psnr_against_render(bench.demo.vae, 100), "dB", ">= 27"
    )
    z = bench.demo.encode(held_out_batch(64)[0])
    yield Row("latent standard deviation (0.18215 folded in)", z.flatten(1).std(1), "", "about 1")


def identity_rows(bench: Bench) -> Iterator[Row]:
    """Nearest neighbours among 100 unseen people, as drawn and through the VAE."""
    photos = held_out_photos()
    gallery, probes = photos[:, 0], photos[:, 1]
    decoded = torch.cat([bench.demo.decode(bench.demo.encode(part)) for part in photos.flatten(0, 1).split(20)])
    gallery_vae, probes_vae = decoded.unflatten(0, photos.shape[:2]).unbind(1)
    net = bench.net
    yield Row(
        "identity: nearest neighbour right, raw", 100 * nearest_neighbour_hits(net, gallery, probes), "%", ">= 98"
    )
    through = nearest_neighbour_hits(net, gallery_vae, probes_vae)
    yield Row("identity: nearest neighbour right, through the VAE", 100 * through, "%", ">= 98")
    cosine = net(probes) @ net(gallery).T
    yield Row("identity: cosine, same person", cosine.diagonal(), "")
    yield Row("identity: cosine, others", (cosine.sum(1) - cosine.diagonal()) / (len(cosine) - 1), "")


def gain_rows(bench: Bench) -> Iterator[Row]:
    """How far 30 steps of PGD at 8 levels move the latent, relative to its norm."""
    x = held_out_batch(16)[0]
    with torch.enable_grad():
        attacked = attacks.encoder_attack(bench.demo, x, budget_levels=8, seed=0)
    z, moved = bench.demo.encode(x), bench.demo.encode(attacked)
    relative = (moved - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)
    yield Row("encoder gain: relative latent change, 8 levels", relative, "", "small VAEs: 0.17-0.20")
    pixels = (attacked - x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
    yield Row("encoder gain: over the relative pixel change", relative / pixels, "x")


def prompt_rows(bench: Bench) -> Iterator[Row]:
    """Does the picture have the hair colour and the background that the prompt asked for?"""
    rng = np.random.default_rng(0)
    asked = [
        (str(rng.choice(HAIR_STYLES)), str(rng.choice(list(HAIR_COLOURS))), str(rng.choice(list(BACKGROUNDS))))
        for _ in range(64)
    ]
    prompts = [f"a photo of a person with {s} {h} hair, {b} background" for s, h, b in asked]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat(
        [attacks.generate(bench.demo, prompts[i : i + 16], generator=generator) for i in range(0, 64, 16)]
    )
    judge = checker.fit_checker()
    hair, background = judge.read(drawn)
    right_hair = torch.tensor([h == asked_h for h, (_, asked_h, _) in zip(hair, asked, strict=True)])
    right_back = torch.tensor([b == asked_b for b, (_, _, asked_b) in zip(background, asked, strict=True)])
    yield Row("checker itself: hair on unseen renders", 100 * judge.hair_hits, "%")
    yield Row("checker itself: background on unseen renders", 100 * judge.background_hits, "%")
    yield Row("prompt obeyed: hair colour", 100 * right_hair, "%", ">= 90")
    yield Row("prompt obeyed: background", 100 * right_back, "%", ">= 90")


def _references(bench: Bench) -> tuple[Tensor, Tensor]:
    """Return (subjects,) cosines of other photos of the same person and of another person, VAE-decoded."""
    same, other = [], []
    for subject in bench.subjects:
        photos = subject_photos(subject, CLEAN_PICTURES)
        decoded = bench.demo.decode(bench.demo.encode(subject_photos(subject, GENERATIONS, 100)))
        stranger = bench.demo.decode(bench.demo.encode(subject_photos(subject + 1000, GENERATIONS, 100)))
        same.append(bench.similarity(decoded, photos).mean())
        other.append(bench.similarity(stranger, photos).mean())
    return torch.stack(same), torch.stack(other)


def thief_rows(bench: Bench) -> Iterator[Row]:
    """Do the thieves work on clean pictures?"""
    same, other = _references(bench)
    yield Row("similarity of another photo of the person", same, "")
    yield Row("similarity of another person", other, "")
    for kind in ("TI", "DreamBooth"):
        found = [
            bench.similarity(bench.steal(kind, photos, subject), photos).mean()
            for subject, photos in ((s, subject_photos(s, CLEAN_PICTURES)) for s in bench.subjects)
        ]
        reached = (torch.stack(found) - other) / (same - other)
        yield Row(f"{kind}, 4 clean pictures: similarity", torch.stack(found), "")
        yield Row(f"{kind}, 4 clean pictures: way from other to same", 100 * reached, "%", ">= 50")


def _conditions(bench: Bench, photos: Tensor, seed: int) -> dict[str, Tensor]:
    """Return the pictures a DreamBooth thief gets: clean, attacked, and noise of the attack's strength."""
    found = {"clean": photos}
    for budget in BUDGETS:
        with torch.enable_grad():
            attacked = attacks.advdm(bench.demo, photos, budget_levels=budget, seed=seed)
        found[f"AdvDM {budget} levels"] = attacked
        found[f"noise as strong as AdvDM {budget}"] = attacks.noise_like(photos, attacked, seed)
    return found


def fragility_rows(bench: Bench) -> Iterator[Row]:
    """What does a known attack, and mere noise, do to DreamBooth here?"""
    tables: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
    for subject in bench.subjects:
        photos = subject_photos(subject, CLEAN_PICTURES)
        clean_person = subject_photos(subject, 48, 200)
        for name, x in _conditions(bench, photos, subject).items():
            drawn = bench.steal("DreamBooth", x, subject)
            psnr = -10 * torch.log10(((x - photos) / 2).square().mean() + 1e-10)
            found = bench.similarity(drawn, photos).mean(), bench.frechet(drawn, clean_person)[0], psnr
            tables.setdefault(name, []).append(found)
    for name, table in tables.items():
        similarity, frechet, psnr = (torch.stack(column) for column in zip(*table, strict=True))
        yield Row(f"DreamBooth on {name}: PSNR of its pictures", psnr, "dB")
        yield Row(f"DreamBooth on {name}: similarity", similarity, "", _aim(name, "similarity"))
        yield Row(f"DreamBooth on {name}: Fréchet to the clean person", frechet, "", _aim(name, "Fréchet"))


def _aim(name: str, what: str) -> str:
    if name != "AdvDM 16 levels":
        return ""
    return "aim: a third less than clean" if what == "similarity" else "or: twice clean's"


ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "vae": vae_rows,
    "identity": identity_rows,
    "gain": gain_rows,
    "prompt": prompt_rows,
    "thieves": thief_rows,
    "fragility": fragility_rows,
}


def describe_run(checkpoint: Path) -> str:
    """Name the machine, the commit and the checkpoint."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:16]
    return (
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"commit {commit.stdout.strip() or 'none'}, checkpoint sha256 {digest}"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", "--row", default="vae,identity,gain", help=f"some of {','.join(ROWS)}")
    parser.add_argument("--full", action="store_true", help="all rows")
    parser.add_argument("--subjects", type=int, default=4, help="unseen people per thief")
    parser.add_argument("--first", type=int, default=0, help="number of the first one, to share a run out")
    parser.add_argument("--ti-steps", type=int, default=120)
    parser.add_argument("--db-steps", type=int, default=60)
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16: half the time on a recent CPU")
    parser.add_argument("--checkpoint", type=Path, default=pipeline.WEIGHTS)
    options = parser.parse_args()
    torch.set_autocast_enabled("cpu", options.bf16)
    torch.set_autocast_dtype("cpu", torch.bfloat16)
    torch.set_autocast_cache_enabled(False)  # no context ends here: kept casts would go stale while a thief trains
    bench = Bench(
        options.checkpoint, range(options.first, options.first + options.subjects), options.ti_steps, options.db_steps
    )
    print(describe_run(options.checkpoint))
    for name in ROWS if options.full else options.rows.split(","):
        started = time.monotonic()
        with torch.no_grad() if name not in ("thieves", "fragility") else torch.enable_grad():
            for row in ROWS[name](bench):
                print(row, flush=True)
        print(f"-- {name}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
