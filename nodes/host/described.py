"""A short name for objects of other packs: their kinds, and the numbers, texts and tensors in them.

What they do cannot be told from outside. The same name means the same answers; another one may mean the same, too,
which costs some evaluations or a sentence and makes nothing wrong.
"""

import hashlib
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from ...ldu.fingerprint import fingerprint_weights

_DEEPEST = 20  # of what lies in one another
_SAME_ANSWERS = {"optimized_attention_override", "torch.compile"}  # attention's kernel, and compiled code
_OF_CONTROL = ("cond_hint_original", "strength", "timestep_percent_range", "control_model", "previous_controlnet")


def describe(value: Any) -> str:  # noqa: ANN401
    """Return a digest of an object and of what lies in it; empty where there is nothing."""
    digest, parts = hashlib.sha256(), list(_parts(value, _DEEPEST, {}))
    for part in parts:
        digest.update(f"{part}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:16] if parts else ""


def _parts(value: Any, depth: int, seen: dict[int, Any]) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, str | int | float | bytes):
        yield repr(value)
        return
    if value is None or id(value) in seen or not depth:
        return
    seen[id(value)] = value  # kept: what is gone could give another one its number
    if isinstance(value, Tensor):
        yield fingerprint_weights([("", value)]) if value.numel() else "empty"
    elif isinstance(value, nn.Module):
        yield f"{type(value).__qualname__} {fingerprint_weights([('', torch.zeros(1)), *value.state_dict().items()])}"
    else:
        for key, part in _inside(value):
            found = list(_parts(part, depth - 1, seen))
            if found:
                yield key
                yield from found


def _inside(value: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    """Return what lies in an object that is neither a number nor a text, each part with its name there."""
    if isinstance(value, Mapping):
        named = [(repr(key) if isinstance(key, str | int | tuple) else "", part) for key, part in value.items()]
        return [(key, part) for key, part in named if key.strip("'") not in _SAME_ANSWERS]
    if isinstance(value, list | tuple | set | frozenset):
        return [("", part) for part in value]
    if isinstance(value, MethodType):
        return [("of", value.__self__), ("", value.__func__)]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        return [("function", value.__qualname__), ("", [cells, value.__defaults__])]
    if hasattr(value, "patches_uuid"):  # a MODEL, of which the host counts much that changes no answer
        return [("model", value.model)]
    names = _OF_CONTROL if hasattr(value, "cond_hint_original") else list(getattr(value, "__dict__", ()))
    return [("kind", type(value).__qualname__), *((name, getattr(value, name, None)) for name in names)]


def _is_filled(cell: Any) -> bool:  # noqa: ANN401
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
