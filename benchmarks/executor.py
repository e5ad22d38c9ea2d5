"""The host's real executor, without a server."""

import asyncio
import copy
from typing import Any

Graph = dict[str, Any]


class Ear:
    """What the executor wants of a server; it keeps what it hears."""

    client_id = "test"
    last_node_id = None

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.sockets_metadata: dict[str, Any] = {}
        self.heard: list[tuple[str, Any]] = []

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:  # noqa: ANN401
        """Hear an event."""
        self.heard.append((event, data))


def new_executor(cache: str) -> Any:  # noqa: ANN401
    """Return an executor as main.py makes it for --cache-classic, --cache-lru 3, --cache-none, or its default."""
    import execution  # the host's, on the path once it runs
    from comfy.model_management import total_ram

    memory = total_ram / 1024  # GiB
    arguments = {"lru": 3 * (cache == "LRU"), "ram": 0.0, "ram_inactive": 0.0}
    if cache == "RAM_PRESSURE":
        arguments |= {"ram": min(10.0, max(2.0, memory / 10)), "ram_inactive": min(128.0, memory)}
    return execution.PromptExecutor(Ear(), cache_type=execution.CacheType[cache], cache_args=arguments)


def run(executor: Any, graph: Graph, extra_data: Graph | None = None) -> tuple[Graph, set[str]]:  # noqa: ANN401
    """Validate and run a graph; return its outputs and the nodes that worked."""
    import execution

    graph = copy.deepcopy(graph)
    valid, error, wanted, node_errors = asyncio.run(execution.validate_prompt("id", graph, None))
    assert valid, (error, node_errors)
    executor.server.heard.clear()
    executor.execute(graph, "id", {"client_id": "test", **(extra_data or {})}, wanted)
    assert executor.success, str(executor.status_messages[-1])  # anything else would be shortened
    worked = {data["node"] for event, data in executor.server.heard if event == "executing"} - {None}
    return executor.history_result["outputs"], worked
