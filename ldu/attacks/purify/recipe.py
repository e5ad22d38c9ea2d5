"""Recipes: purifiers as text, read and built. The language is described in `registry`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch

from ...errors import BadValueError
from ...shapes import Pixels
from .contract import Purify, Tools
from .image import Chain
from .registry import STRESS_SUITE, WORDS, Entry, Need, entry

NUMBER = r"\d+(?:\.\d+)?|\.\d+"
LINK = re.compile(
    rf"(?P<name>[a-z][a-z0-9-]*)(?:\s+(?P<low>{NUMBER})(?:\.\.(?P<high>{NUMBER}))?(?:\s+(?P<steps>\d{{1,9}}))?)?"
)


@dataclass(frozen=True)
class Link:
    """One purifier of a recipe.

    Args:
        name: as in the registry.
        low: its strength, or the smallest that is drawn.
        high: the largest that is drawn.
        steps: model evaluations; None = the usual number.
    """

    name: str
    low: float
    high: float
    steps: int | None = None

    def __str__(self) -> str:
        """Say it as it is read."""
        entered = entry(self.name)
        if entered.kind == "none":
            return self.name
        span = f"{self.low:g}" if self.low == self.high else f"{self.low:g}..{self.high:g}"
        return f"{self.name} {span}" + ("" if self.steps is None else f" {self.steps}")

    def drawn(self, generator: torch.Generator) -> "Link":
        """Return the link with a strength drawn uniformly from its range."""
        share = float(torch.rand(1, generator=generator))
        strength = entry(self.name).nearest(self.low + share * (self.high - self.low))
        return replace(self, low=strength, high=strength)


@dataclass(frozen=True)
class Recipe:
    """Purifiers one after the other, as data."""

    links: tuple[Link, ...]

    def __str__(self) -> str:
        """Say it as it is read."""
        return " + ".join(map(str, self.links))

    @property
    def needs(self) -> frozenset[Need]:
        """What its links need."""
        return frozenset(need for link in self.links if (need := entry(link.name).needs))

    @property
    def gradient(self) -> bool:
        """Whether one of its links computes gradients itself."""
        return any(entry(link.name).gradient for link in self.links)

    @property
    def fixed(self) -> bool:
        """Whether nothing is drawn."""
        return all(link.low == link.high for link in self.links)


def parse(text: str) -> list[Recipe]:
    """Return the recipes of a text.

    Raises:
        BadValueError: there is none, or a line cannot be read; the message quotes the line.
    """
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    recipes = [Recipe(tuple(_link(part.strip(), line) for part in line.split("+"))) for line in lines if line]
    if not recipes:
        raise BadValueError('The list of purifiers is empty: give one a line, such as "jpeg 75".')
    return recipes


def _link(part: str, line: str) -> Link:
    match = LINK.fullmatch(part.lower())
    if match is None:
        raise BadValueError(
            f"The purifier {part[:60]!r} in the line {line[:60]!r} cannot be read: write a name and a strength, "
            'such as "jpeg 75", joined by "+" where several follow each other.'
        )
    entered = entry(match["name"])
    low = entered.usual if match["low"] is None else float(match["low"])
    high = low if match["high"] is None else float(match["high"])
    _check(part, entered, low, high, match["steps"])
    return Link(match["name"], low, high, int(match["steps"]) if match["steps"] else None)


def _check(part: str, entered: Entry, low: float, high: float, steps: str | None) -> None:
    smallest, largest = entered.bounds
    if low > high:
        raise BadValueError(f"The range of the purifier {part!r} runs downwards: write the smaller number first.")
    if not smallest <= low <= high <= largest or any(entered.nearest(s) != s for s in (low, high)):
        kind = {"none": "no number", "real": "a number", "whole": "a whole number", "odd": "an odd number"}[
            entered.kind
        ]
        span = "" if entered.kind == "none" else f" from {smallest:g} to {largest:g}"
        raise BadValueError(f"The purifier {part!r} ({entered.does}) takes {kind}{span}.")
    if steps is not None and (not entered.steps or int(steps) < 1):
        raise BadValueError(f"The purifier {part!r} ({entered.does}) takes no number of steps, or 1 or more of them.")


def chained(recipes: Iterable[Recipe]) -> Recipe:
    """Return one recipe that does all of them one after the other."""
    return Recipe(tuple(link for recipe in recipes for link in recipe.links))


def build(recipe: Recipe, tools: Tools) -> Purify:
    """Return the purifier that a recipe describes.

    Raises:
        BadValueError: the tools miss something that it needs, or it leaves a strength to be drawn.
    """
    require_fixed(recipe)
    _require(recipe, tools)
    made = tuple(entry(link.name).make(link.low, link.steps, tools) for link in recipe.links)
    return made[0] if len(made) == 1 else Chain(made)


def require_fixed(recipe: Recipe) -> None:
    """Raise if a recipe leaves a strength to be drawn.

    Raises:
        BadValueError: with the recipe.
    """
    if not recipe.fixed:
        raise BadValueError(
            f"The purifier {str(recipe)!r} leaves its strength open, which only training can draw: write one number."
        )


def require_trainable(recipe: Recipe) -> None:
    """Raise if a recipe has no gradient to train against.

    Raises:
        BadValueError: with the recipe.
    """
    if recipe.gradient:
        raise BadValueError(
            f"The purifier {str(recipe)!r} optimises the picture itself and cannot be trained against: leave it out."
        )


def _require(recipe: Recipe, tools: Tools) -> None:
    for need in sorted(recipe.needs):
        if getattr(tools, need) is None:
            raise BadValueError(f"The purifier {str(recipe)!r} needs {WORDS[need]}, but there is none.")


@dataclass(frozen=True)
class TrainingPurifier:
    """A recipe as `train` takes it: strengths are drawn anew at each call, gradients flow.

    Args:
        recipe: with fixed strengths or ranges.
        tools: the models that are trained against.
    """

    recipe: Recipe
    tools: Tools = field(repr=False)

    def __call__(self, x: Pixels, generator: torch.Generator) -> Pixels:
        """Return the purified pictures."""
        links = tuple(link.drawn(generator) for link in self.recipe.links)
        return build(Recipe(links), self.tools)(x, generator=generator)


def for_training(recipes: Iterable[Recipe], tools: Tools) -> list[TrainingPurifier]:
    """Return purifiers to train against.

    Raises:
        BadValueError: one of them has no useful gradient, or the tools miss something that it needs.
    """
    chosen = list(recipes)
    for recipe in chosen:
        _require(recipe, tools)
        require_trainable(recipe)
    return [TrainingPurifier(recipe, tools) for recipe in chosen]


def stress_suite(tools: Tools) -> list[Recipe]:
    """Return the published stress tests that these tools allow."""
    recipes = parse("\n".join(STRESS_SUITE))
    return [recipe for recipe in recipes if all(getattr(tools, need) is not None for need in recipe.needs)]
