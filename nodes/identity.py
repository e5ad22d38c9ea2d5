"""The identity networks that a user can choose from."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import folder_paths

from ..demo.identity import load_identity
from ..ldu.backends.insightface import NAME as INSIGHTFACE_NAME
from ..ldu.backends.insightface import FaceIdentity
from ..ldu.budget import to_pixels
from ..ldu.evidence.likeness import Embed
from .images import as_a_thief_loads_it

NOBODY, DEMO, INSIGHTFACE = "none", "demo portraits", "insightface"
CHOICES = [NOBODY, DEMO, INSIGHTFACE]
TOOLTIP = (
    "Who compares faces. demo portraits: a small network that knows the demo's drawn people and nobody else: "
    "for photographs its numbers mean nothing. "
    "insightface: real faces, if you have installed it; its models are for non-commercial research only."
)
DEMO_SIDE = 128  # pixels, at which the demo's network was trained


class Network(NamedTuple):
    """An identity network and how to name it in a report."""

    embed: Embed
    name: str


def open_network(choice: str) -> Network | None:
    """Load the chosen network; None for none."""
    opener = _OPENERS.get(choice)
    return None if opener is None else opener()


def _demo() -> Network:
    net = load_identity()
    return Network(
        lambda picture: net(to_pixels(as_a_thief_loads_it(picture, DEMO_SIDE)))[0],
        "the demo's identity network, which knows the demo's drawn portraits only: "
        "for photographs its numbers mean nothing",
    )


def _insightface() -> Network:
    return Network(FaceIdentity(Path(folder_paths.models_dir) / "insightface"), INSIGHTFACE_NAME)


_OPENERS: dict[str, Callable[[], Network]] = {DEMO: _demo, INSIGHTFACE: _insightface}
