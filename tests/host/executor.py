"""The host's real executor, without a server, for graphs on the demo checkpoint."""

import asyncio
import copy

import execution
import pytest

from launch import PACK

WEIGHTS = PACK / "demo" / "weights" / "ldu_demo.safetensors"

needs_weights = pytest.mark.skipif(not WEIGHTS.is_file(), reason="the demo checkpoint is not there")


class Ear:
    """What the executor wants of a server; it keeps what it hears."""

    client_id = "test"
    last_node_id = last_prompt_id = None

    def __init__(self):
        self.sockets_metadata = {}
        self.heard = []

    def send_sync(self, event, data, sid=None):
        self.heard.append((event, data))


def new_executor(cache):
    """Return an executor as main.py makes it for --cache-classic, --cache-lru 3, --cache-none, or its default."""
    arguments = {"lru": 3 * (cache == "LRU"), "ram": 2.0 * (cache == "RAM_PRESSURE"), "ram_inactive": 8.0}
    return execution.PromptExecutor(Ear(), cache_type=execution.CacheType[cache], cache_args=arguments)


def run(executor, graph, extra_data=None):
    """Validate and run a graph; return its outputs and the nodes that worked."""
    graph = copy.deepcopy(graph)
    valid, error, wanted, node_errors = asyncio.run(execution.validate_prompt("id", graph, None))
    assert valid, (error, node_errors)
    executor.server.heard.clear()
    executor.execute(graph, "id", {"client_id": "test", **(extra_data or {})}, wanted)
    assert executor.success, str(executor.status_messages[-1])  # anything else would be shortened
    worked = {data["node"] for event, data in executor.server.heard if event == "executing"} - {None}
    return executor.history_result["outputs"], worked
