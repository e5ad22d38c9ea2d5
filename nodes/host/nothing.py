"""An output that holds nothing: the host passes over the nodes that it is connected to."""

from comfy_execution.graph_utils import ExecutionBlocker


def nothing(why: str | None = None) -> ExecutionBlocker:
    """Return an output for whose takers there is nothing to do; the host says why, or not a word."""
    return ExecutionBlocker(why)
