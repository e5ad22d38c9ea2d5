"""Names for what other packs attach to a MODEL or a condition: objects that change its answers and tell nothing of how.

An object's name is a number that it keeps for as long as it lives and that no other one gets, in this process or in
another. So the same objects are known again, and other ones cost some evaluations at most; an unfinished training goes
on as long as ComfyUI runs.
"""

import secrets
import weakref
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

_SAME_ANSWERS = ("optimized_attention_override", "torch.compile")  # attention's kernel, and compiled code
_PROCESS = secrets.token_hex(8)  # an unfinished training is kept under its model's name longer than this runs
_numbers = count(1)
_known: dict[int, tuple[Callable[[], Any], int]] = {}  # by the object's address, which another one can have later


def name_attached(value: Any) -> str:  # noqa: ANN401  (nested mappings and lists of numbers, texts and objects)
    """Return a name of all objects in something; empty where there is none."""
    return " ".join(_parts(value))


def _parts(value: Any) -> Iterator[str]:  # noqa: ANN401
    if value is None:
        return
    if isinstance(value, str | int | float):
        yield repr(value)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            inside = [] if key in _SAME_ANSWERS else list(_parts(part))
            yield from [str(key), *inside] if inside else []
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _parts(part)
    else:
        yield f"object {_PROCESS} {_number(value)}"


def _number(value: Any) -> int:  # noqa: ANN401
    address = id(value)
    known = _known.get(address)
    if known is None or known[0]() is not value:
        known = _known[address] = _reference(value, address), next(_numbers)
    return known[1]


def _reference(value: Any, address: int) -> Callable[[], Any]:  # noqa: ANN401
    try:
        return weakref.ref(value, lambda gone: _forget(address, gone))
    except TypeError:  # kept, then: its address must not become another one's
        return lambda: value


def _forget(address: int, gone: "weakref.ref[Any]") -> None:
    if address in _known and _known[address][0] is gone:
        del _known[address]
