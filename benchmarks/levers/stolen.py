"""What thieves learn from what each lever made, all at one PSNR: the rank that counts, beside the loss's.

The thief's and the judge's code and numbers are those of `benchmarks.efficacy`, on people that no table there uses, in
float32.
"""

import math
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.efficacy.lab import GENERATIONS, PRIOR
from benchmarks.efficacy.measures import Effect, Judge
from benchmarks.efficacy.subjects import Person, drawn_people
from benchmarks.efficacy.visible import as_visible_as
from benchmarks.levers.bench import Bench
from benchmarks.levers.field import FIELD
from benchmarks.levers.switches import LEVERS, Lever
from benchmarks.thieves import DEMO, prior_pictures, steal
from ldu.budget import to_levels, to_pixels
from ldu.metrics import psnr_db

CLEAN = "clean pictures"
MET: dict[str, Lever] = LEVERS | FIELD
SEED = 0  # of the thieves, as those of `benchmarks.efficacy` have it


class Thieves:
    """They take what a bench has made; every result is a file of that bench."""

    def __init__(self, bench: Bench) -> None:
        """Keep the bench; the judge is loaded when it is first asked."""
        self._bench, self._judge = bench, Judge()
        self._people: dict[int, Person] = {}
        self._prior: Tensor | None = None

    def found(self, thief: str, name: str, number: int) -> dict[str, Any] | None:
        """Return a result if it is there."""
        return self._bench.found(_titled(thief, name), number)

    def run(self, thief: str, name: str, number: int) -> dict[str, Any]:
        """Return what a thief got from a person's pictures after a lever, measured now if it is not there."""
        return self.found(thief, name, number) or self._measured(thief, name, number)

    def _measured(self, thief: str, name: str, number: int) -> dict[str, Any]:
        published = self._published(name, number)
        effect = self._effect(thief, published, self._person(number))
        psnr = psnr_db(to_levels(self._person(number).stolen), to_levels(published))
        found = {
            "name": name, "thief": thief, "person": number, "effect": asdict(effect),
            "psnr_db": None if math.isinf(psnr) else psnr,
        }  # fmt: skip
        self._bench.keep(_titled(thief, name), number, found)
        return found

    def _published(self, name: str, number: int) -> Tensor:
        """Return a person's pictures as they would be published, as visible as those of all levers."""
        clean, settings = self._person(number).stolen, self._bench.settings
        if name == CLEAN:
            return clean
        self._bench.run(name, number, MET[name])
        made = to_pixels(self._bench.made(name, number))
        return as_visible_as(clean, made, settings.equal_db, settings.budget_levels)

    def _effect(self, thief: str, published: Tensor, person: Person) -> Effect:
        world, how = self._bench.world, DEMO[thief]
        if self._prior is None and how.kind == "DreamBooth":
            self._prior = prior_pictures(world, how, PRIOR, generator=torch.Generator().manual_seed(SEED))
        prior = published[:0] if self._prior is None else self._prior
        how = replace(how, steps=self._bench.settings.thief_steps or how.steps)
        (drawn,) = steal(world, published[None], prior, how, prompts=[how.prompt], count=GENERATIONS, seed=SEED)
        return self._judge.effect(drawn, person.seen)

    def _person(self, number: int) -> Person:
        if number not in self._people:
            (self._people[number],) = drawn_people(1, use="tuning", first=number)
        return self._people[number]


def _titled(thief: str, name: str) -> str:
    return f"{thief} after {name}"
