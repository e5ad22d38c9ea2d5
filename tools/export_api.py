"""Write the workflows in ComfyUI's API format, as run.py and the tests send them, from the ones people open.

`python -m tools.export_api` rewrites workflows/api/*.json; with `--check` it only names those that are stale. The
blueprint gets a twin too, inside a small workflow that feeds it.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from comfy_cli.workflow_to_api import convert_ui_to_api

from launch import PACK
from launch.host import Host
from launch.private import private_folder
from launch.server import serving
from launch.setup import cache_root

WORKFLOWS = PACK / "workflows"
TWINS = WORKFLOWS / "api"  # one level down: the host lists the top level only
BLUEPRINT = PACK / "subgraphs" / "LDU Protect.json"
SAMPLE = "ldu_sample_portrait.png"

Graph = dict[str, Any]


def main() -> int:
    """Write or check all twins; the exit status tells whether some were stale."""
    parser = argparse.ArgumentParser(description="Regenerate workflows/api/*.json.")
    parser.add_argument("--check", action="store_true", help="write nothing, name what is stale")
    check = parser.parse_args().check
    twins = convert_all(live_object_info())
    stale = find_stale(twins)
    for path in stale:
        print(f"{'stale: ' if check else 'wrote: '}{path.relative_to(PACK)}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(twins[path], "utf-8")
    return int(check and bool(stale))


def convert_all(object_info: dict[str, Any]) -> dict[Path, str]:
    """Return the text of every twin by its path."""
    sources = {TWINS / path.name: read(path) for path in sorted(WORKFLOWS.glob("*.json"))}
    sources[TWINS / "blueprint.json"] = around(read(BLUEPRINT))
    return {path: convert(graph, object_info) for path, graph in sources.items()}


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
    comfyui = Path(os.environ.get("COMFYUI_DIR") or cache_root() / "ComfyUI")
    with private_folder() as base, serving(Host(Path(sys.executable), comfyui), base, cpu=True) as server:
        return server.ask("/object_info")


def around(blueprint: Graph) -> Graph:
    """Return the blueprint inside a workflow: demo checkpoint and picture in front, a saving node behind."""
    (protect,) = blueprint["nodes"]
    nodes = [
        node(2, "LDU_LoadDemoCheckpoint", {}, ["model", "clip", "vae"]),
        node(3, "LDU_LoadPicture", {"image": SAMPLE}, ["image", "mask", "info"]),
        protect,
        node(4, "LDU_SaveProtected", {"filename_prefix": "%name%_protected", "metadata": False}, []),
    ]
    sources = {"model": (2, 0, "MODEL"), "clip": (2, 1, "CLIP"), "vae": (2, 2, "VAE"), "image": (3, 0, "IMAGE")}
    slots = [(slot["name"], number) for number, slot in enumerate(protect["inputs"]) if slot["name"] in sources]
    wires = [(*sources[name][:2], protect["id"], slot, sources[name][2]) for name, slot in slots]
    wires += [(protect["id"], 0, 4, 0, "IMAGE"), (3, 2, 4, 1, "LDU_PICTURE_INFO")]
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
