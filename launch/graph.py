"""Fills the shipped workflow, in ComfyUI's API format, with the wishes of the command line.

A place is a class of nodes and the name of an input; names between them are links to follow. Where the workflow keeps
a value in a node of its own (a stock Primitive), it is changed there, for all that use it. What a workflow does not
have is not added: an option that finds no place is refused, so that nobody believes it took effect.
"""

import copy
import json
from collections.abc import Collection, Mapping
from typing import Any

from launch import PACK, LaunchError

Graph = dict[str, dict[str, Any]]

WORKFLOWS = PACK / "workflows" / "api"
Place = tuple[str, ...]

SETTINGS: dict[str, tuple[Place, ...]] = {
    "budget": (
        *(("LDU_TrainRho", "budget"), ("LDU_FitToBudget", "budget"), ("LDU_RefinePixels", "budget")),
        ("LDU_ProtectFolder", "budget"),
    ),
    "strength": (("LDU_ApplyRhoShift", "strength"), ("LDU_ProtectFolder", "strength")),
    "k": (("LDU_TrainRho", "k"), ("LDU_InvertToZT", "k")),
    "depth": (("LDU_TrainRho", "depth"), ("LDU_InvertToZT", "depth")),
    "train_steps": (("LDU_TrainRho", "steps"),),
    "refine_steps": (("LDU_RefinePixels", "steps"), ("LDU_ProtectFolder", "refine_steps")),
    "prompt": (("LDU_TrainRho", "prompt"), ("LDU_TrainRho", "conditioning", "prompt")),
    "initial_word": (("LDU_TrainRho", "initial_word"), ("LDU_TrainRho", "conditioning", "initial_word")),
    "word_steps": (("LDU_TrainRho", "conditioning", "steps"),),
    "word_rate": (("LDU_TrainRho", "conditioning", "learning_rate"),),
    "judges_word": (("LDU_MeasureLoss", "conditioning", "initial_word"),),
    "judges_steps": (("LDU_MeasureLoss", "conditioning", "steps"),),
    "judges_rate": (("LDU_MeasureLoss", "conditioning", "learning_rate"),),
    "seed": (
        *(("LDU_TrainRho", "seed"), ("LDU_TrainRho", "conditioning", "seed")),
        *(("LDU_ApplyRhoShift", "seed"), ("LDU_RefinePixels", "seed"), ("LDU_ProtectFolder", "seed")),
    ),
    "format": (("LDU_SaveProtected", "file_format"), ("LDU_ProtectFolder", "file_format")),
    "quality": (("LDU_SaveProtected", "quality"), ("LDU_ProtectFolder", "quality")),
    "rho": (("LDU_LoadRho", "file"),),
}
DEMO_LOADER = "LDU_LoadDemoCheckpoint"
CHECKPOINT_LOADER = "CheckpointLoaderSimple"
PICTURE_LOADER = "LDU_LoadPicture"
FOLDER_NODES = ("LDU_LoadPictureFolder", "LDU_ProtectFolder")
SAVER = "LDU_SaveProtected"
SAVE_IN = "protected"  # of the output folder, where nodes keep other files too, such as a trained rho
MEASURED = ("LDU_Compare", "LDU_MeasureLoss")
IN_ONE_LIST = 10  # inputs that the host's Create List takes
PRIMITIVE_VALUE = "value"
OF_SUBJECT = ("LDU_TrainRho", "LDU_TextualInversion", "LDU_ChooseDecoy")  # take all pictures of a subject at once


def load_workflow(name: str) -> Graph:
    """Read one of the shipped workflows in API format, without its plots and previews: nobody sees them here.

    The host's loss graph also fails on a training of one step.
    """
    graph = json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8"))
    for node in graph.values():
        if "previews" in node["inputs"]:
            node["inputs"]["previews"] = 0
    return {number: node for number, node in graph.items() if node["class_type"] != "LossGraphNode"}


def fill(graph: Graph, wishes: dict[str, Any], places: Mapping[str, tuple[Place, ...]] = SETTINGS) -> Graph:
    """Return a copy of the graph in which each wish (a key of `places`) has its value.

    Raises:
        LaunchError: A wish has no place in this workflow.
    """
    filled = copy.deepcopy(graph)
    for option, value in wishes.items():
        found = _find(filled, places[option])
        if not found:
            raise LaunchError(f"--{option.replace('_', '-')} has no effect in this workflow: leave it out.")
        for inputs, name in found:
            inputs[name] = value
    return filled


def value_of(graph: Graph, option: str) -> Any:  # noqa: ANN401
    """Read the value that an option has in the graph; None where it has no place."""
    return next((inputs[name] for inputs, name in _find(graph, SETTINGS[option])), None)


def use_checkpoint(graph: Graph, file_name: str) -> Graph:
    """Return a copy of the graph that loads the user's checkpoint: the demo's loader has the same outputs."""
    changed = copy.deepcopy(graph)
    for node in nodes_of(changed, DEMO_LOADER):
        node.update(class_type=CHECKPOINT_LOADER, inputs={"ckpt_name": file_name})
    return changed


def having_place(graph: Graph, wishes: dict[str, Any]) -> dict[str, Any]:
    """Return the wishes that this workflow has a place for: nobody typed them, so the others are none to refuse."""
    return {option: value for option, value in wishes.items() if value_of(graph, option) is not None}


def use_rho(graph: Graph, file_name: str) -> Graph:
    """Return a copy of the graph that loads a trained rho where it would train one; nothing else is learnt then."""
    changed = copy.deepcopy(graph)
    for node in nodes_of(changed, "LDU_TrainRho"):
        node.update(class_type="LDU_LoadRho", inputs={"file": file_name})
    for node in nodes_of(changed, "LDU_ProtectFolder"):
        for name in ("personalization", "refine_steps"):
            node["inputs"].pop(name, None)
    return changed


def use_folder(graph: Graph, name: str, save_in: str, pictures: int) -> Graph:
    """Return a copy of the graph that works on a folder of the input folder and saves in one of the output folder.

    Args:
        graph: The workflow, which has a folder of its own.
        name: The folder of originals.
        save_in: The folder of protected pictures.
        pictures: How many there are, from which follows how long it takes.
    """
    changed = copy.deepcopy(graph)
    for node in (node for class_type in FOLDER_NODES for node in nodes_of(changed, class_type)):
        node["inputs"]["folder"] = name
    for node in nodes_of(changed, "LDU_ProtectFolder"):
        node["inputs"]["save_in"] = save_in
        node["_meta"] = {**node.get("_meta", {}), "pictures": pictures}
    return changed


def judge_the_file(graph: Graph) -> Graph:
    """Return a copy of the graph that measures the picture read back from its file, which a lossy format changes."""
    changed = copy.deepcopy(graph)
    for number, saver in changed.items():
        if saver["class_type"] == SAVER:
            made = saver["inputs"]["image"]
            for node in (node for class_type in MEASURED for node in nodes_of(changed, class_type)):
                if node["inputs"]["protected"] == made:
                    node["inputs"]["protected"] = [number, 1]
    return changed


def with_pictures(graph: Graph, names: list[str]) -> Graph:
    """Return the graph for pictures of one subject: what belongs to a picture is repeated, what is of the
    subject gets them all. Each is saved in a folder of its number in `names`, inside SAVE_IN.

    Args:
        graph: The workflow, which has one picture.
        names: Files in the input folder.
    """
    own = _belongs_to_picture(graph)
    whole = copy.deepcopy({node: content for node, content in graph.items() if node not in own})
    for number, name in enumerate(names):
        for node in own:
            content = copy.deepcopy(graph[node])
            content["inputs"] = {key: _relinked(value, own, number) for key, value in content["inputs"].items()}
            content["_meta"] = {**content.get("_meta", {}), "picture": number}
            whole[_id(node, number)] = content
            if content["class_type"] == PICTURE_LOADER:
                content["inputs"]["image"] = name
            elif content["class_type"] == SAVER:
                content["inputs"]["filename_prefix"] = f"{SAVE_IN}/{number}/{content['inputs']['filename_prefix']}"
    return whole if len(names) == 1 else _with_lists(whole, own, len(names))


def belongs_to(graph: Graph, node: str, number: int) -> bool:
    """Tell whether a node works for the picture of this number, alone or with others."""
    return graph[node].get("_meta", {}).get("picture", number) == number


def serves_only(graph: Graph, node: str, class_type: str) -> bool:
    """Tell whether what a node makes is used, and by nodes of that class only."""
    users = (user for user in graph.values() if any(links_to(value, [node]) for value in user["inputs"].values()))
    return {user["class_type"] for user in users} == {class_type}


def nodes_of(graph: Graph, class_type: str) -> list[dict[str, Any]]:
    """Return the nodes of one class."""
    return [node for node in graph.values() if node["class_type"] == class_type]


def numbers_of(graph: Graph, class_type: str) -> list[str]:
    """Return the numbers of the nodes of one class."""
    return [number for number, node in graph.items() if node["class_type"] == class_type]


def links_to(value: Any, nodes: Collection[str]) -> bool:  # noqa: ANN401
    """Tell whether what an input holds is an output of one of those nodes."""
    return isinstance(value, list) and len(value) == 2 and value[0] in nodes


def _find(graph: Graph, places: tuple[Place, ...]) -> list[tuple[dict[str, Any], str]]:
    """Return the inputs of nodes, each with a name in it, at some places."""
    return [
        found
        for class_type, *names in places
        for node in nodes_of(graph, class_type)
        if (found := _follow(graph, node["inputs"], names)) is not None
    ]


def _follow(graph: Graph, inputs: dict[str, Any], names: list[str]) -> tuple[dict[str, Any], str] | None:
    name, *rest = names
    if name not in inputs:
        return None
    if not links_to(inputs[name], graph):
        return None if rest else (inputs, name)
    return _follow(graph, graph[inputs[name][0]]["inputs"], rest or [PRIMITIVE_VALUE])


def _belongs_to_picture(graph: Graph) -> list[str]:
    """Return the loader of the picture and all that follows from it but for what is of the subject."""
    own: set[str] = set()
    grown = {node for node, content in graph.items() if content["class_type"] == PICTURE_LOADER}
    while grown != own:
        own = grown
        grown = own | {
            node
            for node, content in graph.items()
            if content["class_type"] not in OF_SUBJECT
            and any(links_to(value, own) for value in content["inputs"].values())
        }
    return [node for node in graph if node in own]


def _with_lists(whole: Graph, own: list[str], count: int) -> Graph:
    """Let each node of the subject take a list of what it took of one picture."""
    lists: Graph = {}
    for content in whole.values():
        for key, value in content["inputs"].items():
            if content["class_type"] in OF_SUBJECT and links_to(value, own):
                node, slot = value
                links = [[_id(node, number), slot] for number in range(count)]
                content["inputs"][key] = _gather(links, f"all_{node}_{slot}", lists)
    return whole | lists


def _gather(links: list[list[Any]], name: str, lists: Graph) -> list[Any]:
    """Add to `lists` what makes one list of links, and return its output; a long one is made of shorter ones."""
    if len(links) > IN_ONE_LIST:
        parts = [links[start : start + IN_ONE_LIST] for start in range(0, len(links), IN_ONE_LIST)]
        shorter = [_gather(part, f"{name}_{number}", lists) for number, part in enumerate(parts)]
        return _gather(shorter, f"{name}_whole", lists)
    lists[name] = {"class_type": "CreateList", "inputs": {f"inputs.input{n}": link for n, link in enumerate(links)}}
    return [name, 0]


def _relinked(value: Any, own: Collection[str], number: int) -> Any:  # noqa: ANN401
    return [_id(value[0], number), value[1]] if links_to(value, own) else value


def _id(node: str, number: int) -> str:
    return node if number == 0 else f"{node}_{number}"
