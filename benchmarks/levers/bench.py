"""Run a lever or a cell of the grid on one person and keep the result as a file, so that an interrupted run goes on.

The folder is named after everything that a result depends on: checkpoint, settings, code.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from benchmarks.baselines.controls import INVERSION
from benchmarks.baselines.cost import Cost, counted
from benchmarks.efficacy.code import BENCH, digest_of
from benchmarks.efficacy.general import TaughtByOthers
from benchmarks.efficacy.lab import GENERATIONS, PRIOR, write_json
from benchmarks.efficacy.subjects import Person, drawn_people
from benchmarks.levers.case import Case
from benchmarks.levers.measures import Judge
from benchmarks.levers.switches import LEVERS, Lever
from benchmarks.table import digest
from benchmarks.thieves import DEMO
from benchmarks.world import World, load_world
from ldu.attacks.textual_inversion import InversionConfig, fit_token
from ldu.backends.diffusers import TextEncoder
from ldu.budget import to_levels
from ldu.shapes import Levels, TokenEmbedding
from ldu.shift_unet import ShiftUNet
from ldu.train import Surrogate, TrainConfig

JUDGE = DEMO["TI"]
"""Whose prompt and learning rate the token has that measures."""
CODE = (
    *("ldu", "ldu/published.py", "benchmarks/decoy.py", "benchmarks/baselines"),
    *(f"benchmarks/efficacy/{name}.py" for name in ("visible", "published", "ours", "general", "decoyed")),
    *(f"benchmarks/levers/{name}.py" for name in ("bench", "case", "field", "measures", "parts", "switches", "stolen")),
    *BENCH,
)


@dataclass(frozen=True)
class Settings:
    """What a result depends on besides its name and its person.

    Args:
        pictures: of each person.
        steps: of a training on all of them.
        alone: of whatever is trained for one picture alone.
        ti_steps: of the tokens.
        draws: of t and noise per loss that is measured.
        others: people that a general rho learns from, a picture of each.
        other_steps: of its training.
        budget_levels: of the levers.
        equal_db: the PSNR to which every lever's change is scaled; at 10 levels the RMS of half of them.
        thief_steps: of the thieves; 0 = their own.
    """

    pictures: int = 2
    steps: int = 40
    alone: int = 20
    ti_steps: int = 80
    draws: int = 16
    others: int = 16
    other_steps: int = 80
    budget_levels: float = 10.0
    equal_db: float = 34.0
    thief_steps: int = 0


THIEVES = Settings(pictures=4, steps=100, alone=25, budget_levels=32.0, equal_db=26.0)
"""As plainly visible as it takes for thieves to fail here. The shift's steps are those of `benchmarks.efficacy`; what
refines a picture, or is trained for one alone, has fewer than there."""
QUICK = Settings(pictures=1, steps=8, alone=8, ti_steps=15, draws=8, others=2, other_steps=4)
QUICK_THIEVES = replace(THIEVES, steps=8, alone=8, ti_steps=15, draws=8, others=2, other_steps=4, thief_steps=4)


class Bench:
    """A world, its people, and a folder of results."""

    def __init__(self, checkpoint: Path, folder: Path, settings: Settings) -> None:
        """Name the folder of the results; models are loaded when they are first needed."""
        self._checkpoint, self.settings = checkpoint, settings
        named = f"{digest(checkpoint)} {settings} {GENERATIONS} {PRIOR} {digest_of(CODE)}"
        self.folder = folder / hashlib.sha256(named.encode()).hexdigest()[:12]

    @cached_property
    def world(self) -> World:
        """The models, on the processor."""
        return load_world(self._checkpoint, torch.device("cpu"))

    def found(self, name: str, number: int) -> dict[str, Any] | None:
        """Return a result if it is there."""
        path = self._path(name, number, "json")
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    def run(self, name: str, number: int, lever: Lever, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return a result, measured now if it is not there; `changes` are of the training's configuration."""
        return self.found(name, number) or self._measured(name, number, lever, changes)

    def _measured(self, name: str, number: int, lever: Lever, changes: dict[str, Any]) -> dict[str, Any]:
        case = self._case(number)
        case = replace(case, config=replace(case.config, **changes))
        protected, cost, seconds = spent(self.world, lever, case)
        judge, budget = self._judge(number), case.config.budget_levels
        pictures = [asdict(judge.measure(*pair, budget)) for pair in zip(case.photos, protected, strict=True)]
        np.save(self._path(name, number, "npy"), torch.cat(protected).byte().numpy())
        found = {"name": name, "person": number, "pictures": pictures, "cost": asdict(cost), "cpu_seconds": seconds}
        self.keep(name, number, found)
        return found

    def keep(self, name: str, number: int, found: dict[str, Any]) -> None:
        """Write a result in one move: a half written one would count as measured."""
        write_json(self._path(name, number, "json"), found)

    def made(self, name: str, number: int) -> Levels:
        """Return what a lever made of a person's pictures, (n, 3, h, w), as it was kept."""
        return torch.from_numpy(np.load(self._path(name, number, "npy"))).float()

    def _path(self, name: str, number: int, suffix: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{''.join(c if c.isalnum() or c in '.-' else '_' for c in name)}_{number}.{suffix}"

    @cache  # noqa: B019  (one bench lives as long as the process)
    def _case(self, number: int) -> Case:
        settings, person = self.settings, self._person(number)
        prompt = self.world.personal_prompt("S*")
        token = self._token("trained", number, person, prompt, replace(INVERSION, ti_steps=settings.ti_steps))
        config = TrainConfig(
            budget_levels=settings.budget_levels, train_steps=settings.steps, evaluate_every=0, seed=number
        )
        return Case(
            world=self.world,
            surrogate=self._surrogate(prompt, token),
            token=token,
            photos=list(to_levels(person.stolen).round().split(1)),
            config=config,
            alone=settings.alone,
            general=self._general,
            made=lambda name: self._made(name, number),
        )

    @cache  # noqa: B019
    def _judge(self, number: int) -> Judge:
        config = InversionConfig(self.settings.ti_steps, JUDGE.learning_rate)
        token = self._token("judge", number, self._person(number), JUDGE.prompt, config)
        return Judge(self._surrogate(JUDGE.prompt, token), self.settings.draws, self.settings.equal_db)

    @cache  # noqa: B019
    def _person(self, number: int) -> Person:
        (person,) = drawn_people(1, use="tuning", first=number, seen=0)
        return replace(person, stolen=person.stolen[: self.settings.pictures])

    def _surrogate(self, prompt: str, token: TokenEmbedding) -> Surrogate:
        models = self.world.walk_models()
        with torch.no_grad():
            adversary = self.world.bind(prompt)(token)
        return Surrogate(models.walker, models.autoencoder, models.schedule, models.resolution, adversary)

    def _token(self, use: str, number: int, person: Person, prompt: str, config: InversionConfig) -> TokenEmbedding:
        """Return a token fitted to the pictures, or the judge's to other ones, from its file if it is there."""
        path = self._path(f"token_{use}", number, "safetensors")
        if not path.exists():
            x = person.stolen if use == "trained" else person.clean
            with torch.no_grad():
                latents = [self.world.encode(one[None]).float() for one in x]
            start = TextEncoder(self.world.text, self.world.tokenizer).initial(self.world.subject)
            generator = torch.Generator().manual_seed(number + (0 if use == "trained" else 1000))
            bind = self.world.bind(prompt)
            token = fit_token(bind, latents, self.world.schedule, start, config, generator=generator)
            save_file({"token": token.cpu().contiguous()}, path)
        return load_file(path)["token"]

    def _made(self, name: str, number: int) -> list[Levels]:
        self.run(name, number, LEVERS[name])
        return list(self.made(name, number).split(1))

    def _general(self) -> ShiftUNet:
        taught = TaughtByOthers(self.settings.others, self.settings.other_steps)
        path = self._path("rho_of_others", 0, "safetensors")
        rho = taught.trained(self.world, self.settings.budget_levels, path).rho
        assert rho is not None  # trained
        return rho


def spent(world: World, lever: Lever, case: Case) -> tuple[list[Levels], Cost, float]:
    """Return what a lever made, on the CPU, what it cost, and the processor's seconds."""
    started = time.process_time()
    with counted(world) as cost:
        protected = [levels.round().cpu() for levels in lever(case)]
    return protected, cost, time.process_time() - started
