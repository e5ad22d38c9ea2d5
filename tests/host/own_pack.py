"""A copy of the pack in which words are learnt for a moment only, for which run.py has no options."""

import json
import shutil
from pathlib import Path

from launch import PACK

FEW = {"LDU_TextualInversion": ("steps", 2), "LDU_MeasureLoss": ("draws", 4), "KSampler": ("steps", 2)}


def own_pack(folder):
    """Copy the pack to a folder that is not there yet and shorten its workflows."""
    copy_code(PACK, folder, leave_out=("efficacy",))
    for twin in (folder / "workflows" / "api").glob("*.json"):
        graph = json.loads(twin.read_text("utf-8"))
        for node in graph.values():
            if node["class_type"] in FEW:
                name, value = FEW[node["class_type"]]
                assert name in node["inputs"]
                node["inputs"][name] = value
        twin.write_text(json.dumps(graph), "utf-8")


def copy_code(source, target, leave_out):
    """Copy a folder without what is compiled or hidden, and without what is left out at its top."""

    def unwanted(folder, names):
        at_top = Path(folder) == source
        return [n for n in names if n == "__pycache__" or (at_top and (n.startswith(".") or n in leave_out))]

    shutil.copytree(source, target, ignore=unwanted)
