"""Write the workflows in ComfyUI's API format, as run.py and the tests send them, from the ones people open.

`python -m tools.export_api` rewrites workflows/api/*.json; with `--check` it only names those that are stale. Each
blueprint gets a twin too, inside a small workflow that feeds it, and a workflow that holds a copy of a blueprint gets
the present one.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from comfy_cli.workflow_to_api import convert_ui_to_api

from launch import PACK
from launch.private import private_folder
from launch.server import serving
from launch.setup import present_host

WORKFLOWS = PACK / "workflows"
TWINS = WORKFLOWS / "api"  # one level down: the host lists the top level only
BLUEPRINTS = PACK / "subgraphs"
SAMPLE = "ldu_sample_portrait.png"

Graph = dict[str, Any]


def main() -> int:
    """Write or check all twins and copies; the exit status tells whether some were stale."""
    parser = argparse.ArgumentParser(description="Regenerate workflows/api/*.json and copies of blueprints.")
    parser.add_argument("--check", action="store_true", help="write nothing, name what is stale")
    check = parser.parse_args().check
    twins = refresh_copies() | convert_all(live_object_info())
    stale = find_stale(twins)
    for path in stale:
        print(f"{'stale: ' if check else 'wrote: '}{path.relative_to(PACK)}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(twins[path], "utf-8")
    return int(check and bool(stale))


def convert_all(object_info: dict[str, Any]) -> dict[Path, str]:
    """Return the text of every twin by its path."""
    sources = {TWINS / path.name: with_present_copies(read(path)) for path in sorted(WORKFLOWS.glob("*.json"))}
    sources |= {TWINS / twin_name(path): around(read(path)) for path in sorted(BLUEPRINTS.glob("*.json"))}
    return {path: convert(graph, object_info) for path, graph in sources.items()}


def twin_name(blueprint: Path) -> str:
    """Return how the twin of a blueprint is called: "LDU Stress Test.json" is blueprint_stress_test.json."""
    words = blueprint.stem.removeprefix("LDU ").lower().replace("-", "_").replace(" ", "_")
    return f"blueprint_{words}.json"


def refresh_copies() -> dict[Path, str]:
    """Return the text of every workflow whose copy of a blueprint is not the present one."""
    fresh = {path: with_present_copies(read(path)) for path in sorted(WORKFLOWS.glob("*.json"))}
    changed = {path: workflow for path, workflow in fresh.items() if workflow != read(path)}
    return {path: json.dumps(workflow, indent=2, ensure_ascii=False) + "\n" for path, workflow in changed.items()}


def with_present_copies(workflow: Graph) -> Graph:
    """Return a workflow in which each copy of a blueprint, known by its id, is the blueprint as it is on disk."""
    present = {each["id"]: each for path in BLUEPRINTS.glob("*.json") for each in definitions(read(path))}
    if not definitions(workflow):
        return workflow
    copies = [present.get(each["id"], each) for each in definitions(workflow)]
    return {**workflow, "definitions": {**workflow["definitions"], "subgraphs": copies}}


def definitions(graph: Graph) -> list[Graph]:
    """Return the subgraphs that a workflow or blueprint holds."""
    return graph.get("definitions", {}).get("subgraphs", [])


def read(path: Path) -> Graph:
    """Return a workflow or blueprint as it is on disk."""
    return json.loads(path.read_text("utf-8"))


def convert(graph: Graph, object_info: dict[str, Any]) -> str:
    """Return a workflow in API format, with the nodes' titles."""
    return json.dumps(convert_ui_to_api(graph, object_info), indent=2, ensure_ascii=False) + "\n"


def find_stale(twins: dict[Path, str]) -> list[Path]:
    """Return the twins that are missing or differ from what they should be."""
    return [path for path, text in twins.items() if not path.is_file() or path.read_text("utf-8") != text]


def live_object_info() -> dict[str, Any]:
    """Ask a private ComfyUI with the pack what its nodes look like."""
    with private_folder() as base, serving(present_host(), base, cpu=True) as server:
        return server.ask("/object_info")


def around(blueprint: Graph) -> Graph:
    """Return the blueprint inside a workflow: demo checkpoint and picture in front, a saving node behind."""
    (face,) = blueprint["nodes"]
    nodes = [
        node(2, "LDU_LoadDemoCheckpoint", {}, ["model", "clip", "vae"]),
        node(3, "LDU_LoadPicture", {"image": SAMPLE}, ["image", "mask", "info"]),
        face,
        node(4, "LDU_SaveProtected", {"filename_prefix": "%name%_protected", "metadata": False}, []),
    ]
    picture = (3, 0, "IMAGE")
    sources = {"model": (2, 0, "MODEL"), "clip": (2, 1, "CLIP"), "vae": (2, 2, "VAE"), "image": picture}
    sources |= {"original": picture, "protected": picture}
    slots = [(slot["name"], number) for number, slot in enumerate(face["inputs"]) if slot["name"] in sources]
    wires = [(*sources[name][:2], face["id"], slot, sources[name][2]) for name, slot in slots]
    wires += [(face["id"], 0, 4, 0, "IMAGE"), (3, 2, 4, 1, "LDU_PICTURE_INFO")]
    links = [[number, *wire] for number, wire in enumerate(wires, 1)]
    for number, _, _, target, slot, _ in links:
        next(n for n in nodes if n["id"] == target)["inputs"][slot]["link"] = number
    return {**blueprint, "nodes": nodes, "links": links}


def node(number: int, kind: str, values: dict[str, Any], outputs: list[str]) -> Graph:
    """Return a node of a workflow as the front end writes it, as far as the converter reads it."""
    inputs = [{"name": "image", "type": "IMAGE"}, {"name": "info", "type": "LDU_PICTURE_INFO"}] if not outputs else []
    return {
        "id": number,
        "type": kind,
        "mode": 0,
        "inputs": inputs,
        "outputs": [{"name": name} for name in outputs],
        "widgets_values": list(values.values()),
    }


if __name__ == "__main__":
    sys.exit(main())
