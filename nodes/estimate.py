"""What long work says on its node: time, memory, and what is unusual about the model, the pictures or the ρ.

Train ρ tells its time before the first step from the preparation of its pictures, Textual Inversion and Refine in
Pixels from a pass without gradient. Protect Folder learns it from its first picture.
What Train ρ says of a few-step model Invert to z_T says too, for k is chosen on both.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..ldu.checkpoint import RhoCard
from ..ldu.flatness import hint
from ..ldu.shapes import Levels, Mask
from ..ldu.train import TrainConfig
from ..ldu.wording import one_line
from .host import few_step_kind, is_a_part, say_on_node
from .types import ModelTag
from .wording import of_each

# In units of what the preparation of a picture took; with the demo checkpoint, k 2, on a CPU: 0.173 s, a step 0.595 s,
# an evaluation 0.361 s.
STEP = 3.5
EVALUATION = 2.1
WITH_GRADIENT = 2.3  # a step in units of its pass without gradient; demo checkpoint on a CPU: 1.9 to 2.5
GIB = 2**30
GOES_ON = "Cancel when you like: the next run goes on from here."
KEEPS_NOTHING = "Cancelling keeps nothing."
PAPER_WALK = (4, 1.0)  # k and depth
SECOND = 1.0  # between two messages of a Pace, at least


class Teller:
    """Says on the node at work what is known so far; each new message replaces the last, memory and remarks stay."""

    def __init__(self) -> None:
        self.text = self.memory = ""
        self.remarks: list[str] = []

    def begin(self, wanted: float, free: float) -> None:
        """Show how many bytes the work wants in all, and how many are free for it."""
        self.memory = say_memory(wanted, free)
        self.say(self.text)

    def say(self, text: str) -> None:
        """Show a text, the memory and the remarks."""
        self.text = text
        say_on_node("\n".join(filter(None, [text, self.memory, *self.remarks])))


class Pace:
    """Says how long the rest of some work will take, from what its parts have taken; the first one warms up."""

    def __init__(self, teller: Teller, total: int, closing: str, unit: str = "step") -> None:
        """Start the clock for `total` parts; `closing` says what cancelling means."""
        self._teller, self._total, self._closing, self._unit = teller, total, closing, unit
        self._done, self._said = 0, float("-inf")
        self._started = self._first = time.perf_counter()

    def foretell(self, forward: Callable[[], object]) -> None:
        """Say before the first part how long all will take, from one's pass without gradient, which is done twice.

        Nothing is tried where nothing is to be done, or nobody would read it.

        Args:
            forward: waits for the device; the first pass warms up.
        """
        if self._done or not self._total or is_a_part():
            return
        with torch.no_grad():
            forward()
            started = time.perf_counter()
            forward()
        one = WITH_GRADIENT * (time.perf_counter() - started)
        self._teller.say(say_rest(one, self._total, self._closing, self._unit))
        self._started = time.perf_counter()

    def tick(self) -> None:
        """Count one more part as done, and say what is left, at most once a second."""
        now = time.perf_counter()
        self._done += 1
        if self._done == 1:
            self._first = now
        left = self._total - self._done
        if left and now - self._said >= SECOND:
            one = (now - self._first) / (self._done - 1) if self._done > 1 else now - self._started
            self._teller.say(say_rest(one, left, self._closing, self._unit))
            self._said = now

    @property
    def took(self) -> str:
        """Sum up, for the node to show in the end."""
        return f"{_count(self._done, self._unit)} in {duration(time.perf_counter() - self._started)}."


def say_time(preparation: float, config: TrainConfig, pictures: int) -> str:
    """Estimate the training from the time that the preparation of one picture took.

    Args:
        preparation: seconds for k + 1 evaluations, one encoding and one decoding.
        config: steps, batch and evaluations.
        pictures: how many there are.
    """
    evaluations = config.train_steps // config.evaluate_every if config.evaluate_every else 0
    units = config.train_steps * config.batch * STEP + evaluations * min(pictures, 4) * EVALUATION
    return f"{config.train_steps} steps, about {duration(units * preparation)}. {GOES_ON}"


def say_rest(seconds: float, left: int, closing: str = GOES_ON, unit: str = "step") -> str:
    """Say how long what is left will take, from the seconds that one part took."""
    return f"{_count(left, unit)} to go, about {duration(seconds * left)}. {closing}"


def say_memory(wanted: float, free: float) -> str:
    """Say how many bytes the training will want and how many are free."""
    said = f"About {wanted / GIB:.1f} GiB of memory wanted, {free / GIB:.1f} GiB free."
    return said if wanted <= free else f"{said} It may not fit: close other programs, or start ComfyUI with --cpu."


def duration(seconds: float) -> str:
    """Write a duration in the largest unit that suits it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'s' * (number != 1)}"


def remarks(
    model: Any,  # noqa: ANN401
    pictures: Sequence[Levels],
    masks: Sequence[Mask | None],
    side: int,
    config: TrainConfig,
) -> list[str]:
    """Say what is unusual about the model and the pictures; nothing where all is usual."""
    hints = [hint(each, config.budget_levels, side, mask) for each, mask in zip(pictures, masks, strict=True)]
    return [*say_few_steps(model), *of_each(hints)]


def say_few_steps(model: Any) -> list[str]:  # noqa: ANN401
    """Say that a model was distilled to few steps, and how sure that is."""
    kind = few_step_kind(model)
    if kind is None:
        return []
    return [f"{kind} Its predictions are made for 1 to 8 steps: keep k at 1 to 4. Nothing here was measured on one."]


def say_another_walk(config: TrainConfig) -> list[str]:
    """Say that a training as published has another walk than the paper's."""
    k_steps, depth = PAPER_WALK
    if (config.k_steps, config.depth) == PAPER_WALK:
        return []
    return [f"In the paper k is {k_steps} and depth {depth:g}; here they are {config.k_steps} and {config.depth:g}."]


def say_other_training(card: RhoCard, tag: ModelTag, config: TrainConfig, prompt: str) -> list[str]:
    """Say in what a rho to go on from was trained otherwise: for another checkpoint, walk or prompt."""
    was, now = (card.k_steps, card.depth), (config.k_steps, config.depth)
    walks = ["k = {} and depth = {:g}".format(*walk) for walk in (was, now)]
    differing = [
        ("another checkpoint", "the one that is loaded", card.model_hash != tag.fingerprint),
        (*walks, was != now),
        (f"“{one_line(card.prompt)}”", f"“{prompt}”", bool(card.prompt) and card.prompt != prompt),
    ]
    said = "The ρ to go on from was trained for {}, this training is for {}."
    return [said.format(then, this) for then, this, differs in differing if differs]
