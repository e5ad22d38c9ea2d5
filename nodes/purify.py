"""Purify: what a thief does to protected pictures first, to be looked at, measured and trained against."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..ldu.attacks.purify.contract import Tools
from ..ldu.attacks.purify.recipe import Recipe, build, chained, parse, require_fixed, require_trainable
from ..ldu.attacks.purify.registry import ENTRIES, WORDS, Entry, Need
from ..ldu.budget import to_levels as as_levels
from ..ldu.budget import to_pixels as as_pixels
from ..ldu.errors import BadValueError, LduError
from ..ldu.metrics import psnr_db
from ..ldu.shapes import Levels
from .host import nothing, progress_bar, stop_if_asked
from .images import require_one_size, to_image, to_levels
from .inputs import seed_input
from .purifier_models import HostModels
from .types import PurifiersSocket
from .wording import ALIASES, CATEGORY, report

ONE_BY_ONE, AS_A_CHAIN = "one by one", "as a chain"
WHOLE = 1000  # units of progress for each recipe
WIDEST_MEDIAN = 9  # pixels; Pillow's takes 5 s a megapixel there and 430 s at 99, and lets nothing else run meanwhile
HERE: frozenset[Need] = frozenset({"autoencoder", "latent"})
SUITE = """none
jpeg 75
jpeg 50
blur 5
noise 0.05
median 3
resize 0.5
jpeg 75 + resize 0.5
platform 2048
# with a model: diffpure 100, img2img 0.15, vae, impress 300"""
TRAINED_AGAINST = """none
jpeg 60..95
blur 3..5
noise 0.01..0.06
resize 0.5..0.9
jpeg 75..95 + resize 0.5..0.9
# costs more: diffpure 50..150 4"""
NO_ORIGINAL = (
    "Purify gives out an original only if one came into it: connect the picture before its protection to its original."
)
AVAILABLE = {name: entry for name, entry in ENTRIES.items() if entry.needs is None or entry.needs in HERE}
TRAINABLE = {name: entry for name, entry in AVAILABLE.items() if not entry.gradient}


def _language(entries: Mapping[str, Entry]) -> str:
    """Say how a list is written and what may stand in it, each with its usual strength."""
    numbers = {name: "" if entry.kind == "none" else f" {entry.usual:g}" for name, entry in entries.items()}
    known = "; ".join(f"{name}{numbers[name]} ({entry.does})" for name, entry in entries.items())
    return f'One a line, "+" joins what follows each other, "#" begins a comment. With usual strengths: {known}.'


class Purify(io.ComfyNode):
    """Do to pictures what a thief would."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_Purify",
            display_name="Purify",
            category=CATEGORY,
            search_aliases=[*ALIASES, "jpeg", "diffpure", "impress", "img2img", "adversecleaner", "robustness"],
            description="Does what a thief may do to get rid of a protection: JPEG, blur, noise, resizing, DiffPure, "
            "img2img, IMPRESS. Gives one picture for each line of the list; what follows runs once for each.",
            inputs=[
                io.Image.Input("image", tooltip="Pictures at their own size, which is kept."),
                io.String.Input("purifiers", default=SUITE, multiline=True, tooltip=_language(AVAILABLE)),
                io.Combo.Input(
                    "mode",
                    options=[ONE_BY_ONE, AS_A_CHAIN],
                    default=ONE_BY_ONE,
                    tooltip="Each line on its own, or all of them one after the other.",
                ),
                seed_input("Of noise and crops; any number."),
                io.Model.Input("model", optional=True, tooltip="For diffpure, img2img and impress."),
                io.Vae.Input("vae", optional=True, tooltip="For vae, diffpure, img2img and impress."),
                io.Conditioning.Input(
                    "conditioning",
                    optional=True,
                    tooltip="For diffpure and img2img, usually the empty prompt. SD1 and SD2 take zeros without one, "
                    "others need it.",
                ),
                io.Image.Input(
                    "original",
                    optional=True,
                    tooltip="The picture before its protection, of the same size; given out again to compare with.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", is_output_list=True, tooltip="One for each line."),
                io.String.Output(display_name="name", is_output_list=True, tooltip="What was done to it."),
                io.Image.Output(
                    display_name="original",
                    is_output_list=True,
                    tooltip="The picture before, once for each purified one: take it as the original of Compare and "
                    "Adversary's Loss. From the loader, several pictures would meet the wrong originals.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, purifiers: str | None = None) -> bool | str:
        """Say what is wrong with the list before anything runs."""
        return _what_is_wrong(purifiers, require_fixed)

    @classmethod
    def execute(
        cls,
        image: Tensor,
        purifiers: str,
        mode: str,
        seed: int,
        model: Any = None,  # noqa: ANN401
        vae: Any = None,  # noqa: ANN401
        conditioning: list[Any] | None = None,
        original: Tensor | None = None,
    ) -> io.NodeOutput:
        """Return the purified pictures, their names and the original of each."""
        recipes = _read(purifiers, require_fixed)
        recipes = [chained(recipes)] if mode == AS_A_CHAIN else recipes
        given = HostModels(model, vae, conditioning)
        given.require(recipes)
        levels, bar = to_levels(image, "image"), progress_bar(WHOLE * len(recipes))
        if original is not None:
            require_one_size(original, image, "connect the one that Fit to Budget has.")
        results = []
        for number, recipe in enumerate(recipes):
            with given.opened_for(recipe, levels.shape) as (tools, device):
                results.append(_purified(recipe, levels, tools, device, seed, Ticker(bar, number)))
        names, images = [str(recipe) for recipe in recipes], [to_image(result) for result in results]
        numbers = {"nfe": {"purify": given.evaluations}}
        # One for each: the host puts lists together by number and repeats the last item of the shorter.
        befores = (
            [nothing(NO_ORIGINAL), *[nothing()] * (len(recipes) - 1)] if original is None else [original] * len(recipes)
        )
        return io.NodeOutput(images, names, befores, ui=report(numbers, _distances(levels, results, names)))


class TrainingPurifiers(io.ComfyNode):
    """Choose what the protection shall withstand."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_TrainingPurifiers",
            display_name="Purifiers for Training",
            category=CATEGORY,
            search_aliases=[*ALIASES, "expectation over transformations", "eot", "robust", "train"],
            description="What Train ρ and Refine in Pixels assume a thief does first: each step draws one line, and a "
            "strength from its range. Keep the line none, so that the untouched picture counts too.",
            inputs=[
                io.String.Input(
                    "purifiers",
                    default=TRAINED_AGAINST,
                    multiline=True,
                    tooltip=f'A range such as "jpeg 60..95" is drawn from. {_language(TRAINABLE)}',
                )
            ],
            outputs=[PurifiersSocket.Output(display_name="purifiers", tooltip="For Train ρ and Refine in Pixels.")],
        )

    @classmethod
    def validate_inputs(cls, purifiers: str | None = None) -> bool | str:
        """Say what is wrong with the list before anything runs."""
        return _what_is_wrong(purifiers, require_trainable)

    @classmethod
    def execute(cls, purifiers: str) -> io.NodeOutput:
        """Return the recipes."""
        return io.NodeOutput(tuple(_read(purifiers, require_trainable)))


class Ticker:
    """Moves the progress bar through one recipe's share, and stops at once when the user cancels."""

    def __init__(self, bar: Any, number: int) -> None:  # noqa: ANN401
        self._bar, self._number = bar, number
        self.work, self._done = 1, 0

    def __call__(self) -> None:
        """Count one more evaluation or pass."""
        stop_if_asked()
        self._done = min(self._done + 1, self.work)
        self._bar.update_absolute(self._number * WHOLE + WHOLE * self._done // self.work)

    def finish(self) -> None:
        """Count the recipe as done."""
        self._done = self.work - 1
        self()


def _purified(recipe: Recipe, levels: Levels, tools: Tools, device: torch.device, seed: int, ticker: Ticker) -> Levels:
    """Return the pictures after one recipe, in whole levels on the CPU."""
    purify = build(recipe, replace(tools, tick=ticker))
    ticker.work = max(1, purify.work)
    x = as_pixels(levels.clone()).to(device)  # cloned: gradients may be wanted, which the host's tensors refuse
    result = purify(x, generator=torch.Generator().manual_seed(seed))
    ticker.finish()
    return as_levels(result).round().cpu()


def _distances(levels: Levels, results: Sequence[Levels], names: Sequence[str]) -> str:
    """Return one line for each purifier: how far it went from the input."""
    distances = [psnr_db(levels, result) for result in results]
    said = ["unchanged" if math.isinf(distance) else f"{distance:.1f} dB from the input" for distance in distances]
    return "\n".join(f"{name}: {words}" for name, words in zip(names, said, strict=True))


def _read(text: str, suits: Callable[[Recipe], None]) -> list[Recipe]:
    """Return the recipes of a text that can be used here.

    Raises:
        BadValueError: with the line that cannot.
    """
    recipes = parse(text)
    for recipe in recipes:
        suits(recipe)
        if any(link.name == "median" and link.high > WIDEST_MEDIAN for link in recipe.links):
            raise BadValueError(
                f"The purifier {str(recipe)!r} would hold up all of ComfyUI for minutes, Cancel too: take a median of "
                f"at most {WIDEST_MEDIAN} pixels."
            )
        if lacking := sorted(recipe.needs - HERE):
            wanted = WORDS[lacking[0]]
            raise BadValueError(f"The purifier {str(recipe)!r} needs {wanted}, which no node gives: leave it out.")
    return recipes


def _what_is_wrong(text: str | None, suits: Callable[[Recipe], None]) -> bool | str:
    """Return True, or what is wrong with a list; a linked one comes as None and is read when it runs."""
    try:
        if text is not None:
            _read(text, suits)
    except LduError as error:
        return str(error)
    return True


NODES = [Purify, TrainingPurifiers]
