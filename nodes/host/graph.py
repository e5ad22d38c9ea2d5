"""Of the host's graphs: what is connected, and an output that holds nothing, whose takers the host passes over."""

from collections.abc import Mapping
from typing import Any

from comfy_execution.graph_utils import ExecutionBlocker, is_link


def nothing(why: str | None = None) -> ExecutionBlocker:
    """Return an output for whose takers there is nothing to do; the host says why, or not a word."""
    return ExecutionBlocker(why)


def sources(inputs: Mapping[str, Any]) -> list[str]:
    """Return the numbers of the nodes that a node's inputs come from; widgets can hold lists as well as links do."""
    return [value[0] for value in inputs.values() if is_link(value)]
