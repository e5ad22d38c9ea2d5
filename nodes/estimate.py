"""What Train ρ says before it starts: time, memory, and what is unusual about the model, the pictures or the ρ.

What it says of a few-step model Invert to z_T says too, for k is chosen on both.
"""

from collections.abc import Sequence
from typing import Any

from ..ldu.flatness import hint
from ..ldu.shapes import Levels
from ..ldu.train import TrainConfig
from .host import few_step_kind, say_on_node
from .types import TrainedRho

# In units of what the preparation of a picture took; with the demo checkpoint, k 2, on a CPU: 0.173 s, a step 0.595 s,
# an evaluation 0.361 s.
STEP = 3.5
EVALUATION = 2.1
GIB = 2**30


class Teller:
    """Says on the node what is known so far; each new message replaces the last, memory and remarks stay."""

    def __init__(self, node: str | None) -> None:
        self._node = node
        self.memory = ""
        self.remarks: list[str] = []

    def say(self, text: str) -> None:
        """Show a text, the memory and the remarks."""
        say_on_node(self._node, "\n".join(filter(None, [text, self.memory, *self.remarks])))


def say_time(preparation: float, config: TrainConfig, pictures: int) -> str:
    """Estimate the training from the time that the preparation of one picture took.

    Args:
        preparation: seconds for k + 1 evaluations, one encoding and one decoding.
        config: steps, batch and evaluations.
        pictures: how many there are.
    """
    evaluations = config.train_steps // config.evaluate_every if config.evaluate_every else 0
    units = config.train_steps * config.batch * STEP + evaluations * min(pictures, 4) * EVALUATION
    return f"{config.train_steps} steps, about {duration(units * preparation)}. Cancel when you like: it continues."


def say_rest(seconds: float, steps: int) -> str:
    """Say how long the remaining steps will take, from what a step took."""
    left = f"{steps} step{'s' * (steps != 1)} to go"
    return f"{left}, about {duration(seconds * steps)}. Cancel when you like: it continues."


def say_memory(wanted: float, free: float) -> str:
    """Say how many bytes the training will want and how many are free."""
    said = f"About {wanted / GIB:.1f} GiB of memory wanted, {free / GIB:.1f} GiB free."
    return said if wanted <= free else f"{said} It may not fit: choose smaller pictures, or close other programs."


def duration(seconds: float) -> str:
    """Write a duration in the largest unit that suits it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def remarks(
    model: Any,  # noqa: ANN401
    pictures: Sequence[Levels],
    side: int,
    config: TrainConfig,
    given: TrainedRho | None,
    prompt: str,
) -> list[str]:
    """Say what is unusual about the model, the pictures and the rho to go on from; nothing where all is usual."""
    hints = [hint(picture, config.budget_levels, side) for picture in pictures]
    numbered = [f"Picture {n}: {said}" if len(pictures) > 1 else said for n, said in enumerate(hints, 1) if said]
    return [*say_few_steps(model), *numbered, *say_other_subject(given, prompt)]


def say_few_steps(model: Any) -> list[str]:  # noqa: ANN401
    """Say that a model was distilled to few steps, and how sure that is."""
    kind = few_step_kind(model)
    if kind is None:
        return []
    return [f"{kind} Its predictions are made for 1 to 8 steps: keep k at 1 to 4. Nothing here was measured on one."]


def say_other_subject(given: TrainedRho | None, prompt: str) -> list[str]:
    """Say that a rho to go on from was trained for another prompt."""
    if given is None or not given.card.prompt or given.card.prompt == prompt:
        return []
    return [f"The ρ to go on from was trained for “{given.card.prompt}”, this training is for “{prompt}”."]
