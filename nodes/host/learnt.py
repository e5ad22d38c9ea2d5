"""The name of a CONDITIONING: its numbers', or, if they were learnt, that of what they were learnt from.

Learning again gives other last bits on a GPU; a training that was named after them could not go on after a restart.
"""

from typing import Any

from ...ldu.fingerprint import fingerprint_condition
from .attached import name_attached

_LEARNT = "ldu_learnt"
_OBJECTS = ("control", "hooks", "gligen", "unclip_conditioning")  # of which a digest of numbers knows nothing
_WAY = 1  # of learning; to be counted up when the same source gives another word


def as_learnt(conditioning: list[Any], source: Any) -> list[Any]:  # noqa: ANN401  (nested lists of tensors and numbers)
    """Return a CONDITIONING that bears the name of what it was learnt from, as long as nobody changes it."""
    name = fingerprint_condition([_WAY, source])
    # One text: the host's Train LoRA goes into all lists and tuples that it finds in a condition.
    return [
        [tensor, {**rest, _LEARNT: f"{name} {fingerprint_condition([tensor, rest])}"}] for tensor, rest in conditioning
    ]


def name_condition(conditioning: list[Any]) -> str:
    """Return the name of a CONDITIONING."""
    return fingerprint_condition([_source(*entry) for entry in conditioning])


def _source(tensor: Any, rest: dict[str, Any]) -> list[Any]:  # noqa: ANN401
    own = {key: value for key, value in rest.items() if key != _LEARNT}
    name, _, numbers = rest.get(_LEARNT, "").partition(" ")
    numbered = name if numbers == fingerprint_condition([tensor, own]) else [tensor, own]
    return [numbered, name_attached([own.get(key) for key in _OBJECTS])]
