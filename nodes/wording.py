"""What is said on more than one node: where it is found, what its sockets are, and what it reports."""

import json
from collections.abc import Sequence
from typing import Any

from comfy_api.latest import ui

CATEGORY = "LDU"
ALIASES = [
    *("ldu", "unlearning", "protect", "cloak", "immunize", "poison", "adversarial"),
    *("glaze", "nightshade", "mist", "photoguard", "anti-dreambooth", "metacloak", "advdm"),
]
MODEL_TOOLTIP = "The checkpoint to be protected against, from Load Checkpoint."
BEFORE_TOOLTIP = "The picture before. Behind Purify: the original that Purify gives out."
VAE_TOOLTIP = "Of the same checkpoint as the model."
K_TOOLTIP = "Steps of the walk, up and down: few cost less. 1, 2, 4 and 8 are usual."
DEPTH_TOOLTIP = (
    "Where T lies, as a fraction of the training timesteps: 1 = pure noise, 0.25 = a quarter of the way. "
    "0.1 to 0.5 is usual."
)


def report(numbers: dict[str, Any], text: str | None = None, remarks: Sequence[str] = ()) -> dict[str, Any]:
    """Return a node's UI output: numbers as JSON under "ldu" for programs, and a text shown on the node.

    The remarks are what of the text people should read wherever it came from; `run.py` finds them by the numbers.
    """
    shown = {} if text is None else ui.PreviewText(text).as_dict()
    told = {**numbers, "remarks": list(remarks)} if remarks else numbers
    return {"ldu": (json.dumps(told),), **shown}


def aloud(text: str) -> dict[str, Any]:
    """Return the part of a node's UI output that a message says after the run where the canvas is too small to read."""
    return {"ldu_aloud": (text,)}


def of_each(said: Sequence[str]) -> list[str]:
    """Return what is said of some pictures, each with its number if there are several; nothing of an empty text."""
    return [f"Picture {n}: {text}" if len(said) > 1 else text for n, text in enumerate(said, 1) if text]
