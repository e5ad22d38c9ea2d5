"""Bfloat16 on a processor that has none, at the speed of float32.

A product of bfloat16 numbers is exact in float32, and processors with bfloat16 add products up in float32 as well: to
widen what goes in, compute in float32 and round what comes out gives their numbers but for the order of the sums.
Attention alone is rounded less than theirs, which round its weights in between.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_ATTENTION = _aten._scaled_dot_product_flash_attention_for_cpu.default
_SLOW = {
    *(_aten.convolution.default, _aten.convolution_backward.default),
    *(_aten.mm.default, _aten.addmm.default, _aten.bmm.default, _aten.baddbmm.default),
    *(_ATTENTION, _aten._scaled_dot_product_flash_attention_for_cpu_backward.default),
}
"""What PyTorch computes value by value there; all else is fast enough."""


class Bfloat16ByFloat32(TorchDispatchMode):
    """Inside, products of bfloat16 tensors are computed in float32 and rounded to bfloat16; gradients too."""

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Compute one operation."""
        kwargs = kwargs or {}
        if func not in _SLOW or not any(map(_is_narrow, args)):
            return func(*args, **kwargs)
        made = func(*map(_wide, args), **kwargs)
        if func is _ATTENTION:  # the second is the sums' logarithm, which stays float32
            return _narrow(made[0]), made[1]
        return tuple(map(_narrow, made)) if isinstance(made, tuple) else _narrow(made)


@cache
def use_from_now_on() -> None:
    """Compute like this until the process ends; what was asked for once is not asked for twice."""
    Bfloat16ByFloat32().__enter__()


def _is_narrow(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16


def _wide(value: Any) -> Any:  # noqa: ANN401
    return value.float() if _is_narrow(value) else value


def _narrow(value: Any) -> Any:  # noqa: ANN401
    return value.to(torch.bfloat16) if isinstance(value, torch.Tensor) else value
