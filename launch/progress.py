"""Runs a graph and turns the nodes' own progress into how much is done and how long the rest will take.

Work is counted in seconds on a reference machine: `COST` says what one step of a node costs there. What has been done
against the time it took gives this machine's speed, and with it the time left.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from launch.console import clock, status_line
from launch.graph import Graph
from launch.server import Server

# Seconds of CPU time for one step with the demo checkpoint; nodes that are not listed cost ONE_OFF in all.
COST = {
    "LDU_TrainRho": 0.95,
    "LDU_TextualInversion": 0.18,
    "LDU_RefinePixels": 0.4,
    "LDU_MeasureLoss": 0.06,
    "TrainLoraNode": 0.3,
    "KSampler": 0.3,
    "LDU_ProtectFolder": 0.5,
}
ONE_OFF = 0.2
STEPS = ("steps", "draws")


def run_with_progress(server: Server, graph: Graph, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Run a graph, show how far it is, and do something else once a second at least."""
    progress = Progress(graph, time.monotonic())

    def tell(nodes: dict[str, Any]) -> None:
        status.show(progress.line(nodes, time.monotonic()))
        meanwhile()

    with status_line() as status:
        return server.run(graph, tell)


@dataclass
class Progress:
    """What one graph has to do and has done."""

    graph: Graph
    started: float
    _work: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        self._work = {node: _cost(content) for node, content in self.graph.items()}

    def line(self, nodes: dict[str, Any], now: float) -> str:
        """Describe where things are.

        Args:
            nodes: The host's progress of each node that has begun: value, max, state.
            now: In seconds, on the clock of `started`.
        """
        done = sum(self._work.get(node, 0.0) * _share(state) for node, state in nodes.items())
        part = done / sum(self._work.values())
        running = next((node for node, state in nodes.items() if state["state"] == "running"), None)
        left = f"{clock((now - self.started) * (1 - part) / part)} left" if part > 0.02 else "time left: not known yet"
        return f"{part:4.0%}  {left}  {self._describe(running, nodes)}"

    def _describe(self, node: str | None, nodes: dict[str, Any]) -> str:
        if node is None or node not in self.graph:
            return ""
        title = self.graph[node].get("_meta", {}).get("title") or self.graph[node]["class_type"]
        value, total = nodes[node]["value"], nodes[node]["max"]
        return f"{title} {value:.0f}/{total:.0f}" if total > 1 else title


def _cost(content: dict[str, Any]) -> float:
    per_step, inputs = COST.get(content["class_type"]), content["inputs"]
    if per_step is None:
        return ONE_OFF
    refining = COST["LDU_RefinePixels"] * inputs.get("refine_steps", 0)  # each picture of a folder
    pictures = content.get("_meta", {}).get("pictures", 1)
    steps = next((inputs[name] for name in STEPS if isinstance(inputs.get(name), int)), pictures)
    return (per_step + refining) * steps


def _share(state: dict[str, Any]) -> float:
    return 1.0 if state["state"] == "finished" else min(1.0, state["value"] / max(state["max"], 1))
