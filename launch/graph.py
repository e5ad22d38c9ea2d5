"""Fills the shipped workflow, in ComfyUI's API format, with the wishes of the command line.

A node is addressed by its class, a value by the name of its input; see SETTINGS. What a workflow does not have is not
added: an option that finds no place is refused, so that nobody believes it took effect.
"""

import copy
import json
from typing import Any

from launch import PACK, LaunchError

Graph = dict[str, dict[str, Any]]

WORKFLOWS = PACK / "workflows" / "api"
SETTINGS = {
    "budget": (("LDU_TrainRho", "budget"), ("LDU_FitToBudget", "budget")),
    "strength": (("LDU_ApplyRhoShift", "strength"),),
    "k": (("LDU_TrainRho", "k"), ("LDU_InvertToZT", "k")),
    "depth": (("LDU_TrainRho", "depth"), ("LDU_InvertToZT", "depth")),
    "train_steps": (("LDU_TrainRho", "steps"),),
    "prompt": (("LDU_TrainRho", "prompt"), ("LDU_TextualInversion", "prompt")),
    "initial_word": (("LDU_TrainRho", "initial_word"), ("LDU_TextualInversion", "initial_word")),
    "seed": (("LDU_TrainRho", "seed"), ("LDU_TextualInversion", "seed"), ("LDU_ApplyRhoShift", "seed")),
    "rho": (("LDU_LoadRho", "rho"),),
}
DEMO_LOADER = "LDU_LoadDemoCheckpoint"
CHECKPOINT_LOADER = "CheckpointLoaderSimple"


def load_workflow(name: str) -> Graph:
    """Read one of the shipped workflows in API format."""
    return json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8"))


def fill(graph: Graph, wishes: dict[str, Any]) -> Graph:
    """Return a copy of the graph in which each wish (a key of SETTINGS) has its value.

    Raises:
        LaunchError: A wish has no place in this workflow.
    """
    filled = copy.deepcopy(graph)
    for option, value in wishes.items():
        places = _places(filled, option)
        if not places:
            raise LaunchError(f"--{option.replace('_', '-')} has no effect in this workflow: leave it out.")
        for node, name in places:
            node["inputs"][name] = value
    return filled


def value_of(graph: Graph, option: str) -> Any:  # noqa: ANN401
    """Read the value that an option has in the graph; None where it has no place."""
    return next((node["inputs"][name] for node, name in _places(graph, option)), None)


def use_checkpoint(graph: Graph, file_name: str) -> Graph:
    """Return a copy of the graph that loads the user's checkpoint: the demo's loader has the same outputs."""
    changed = copy.deepcopy(graph)
    for node in nodes_of(changed, DEMO_LOADER):
        node.update(class_type=CHECKPOINT_LOADER, inputs={"ckpt_name": file_name})
    return changed


def nodes_of(graph: Graph, class_type: str) -> list[dict[str, Any]]:
    """Return the nodes of one class."""
    return [node for node in graph.values() if node["class_type"] == class_type]


def _places(graph: Graph, option: str) -> list[tuple[dict[str, Any], str]]:
    return [
        (node, name)
        for class_type, name in SETTINGS[option]
        for node in nodes_of(graph, class_type)
        if name in node["inputs"]
    ]
