"""An output that holds nothing: the host passes over the nodes that it is connected to, without a word."""

from comfy_execution.graph_utils import ExecutionBlocker


def nothing() -> ExecutionBlocker:
    """Return an output for whose takers there is nothing to do."""
    return ExecutionBlocker(None)
