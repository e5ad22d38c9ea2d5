"""Checks array shapes in the core while tests run, and makes it importable."""

import sys
from pathlib import Path

import torch
from jaxtyping import install_import_hook

torch.set_num_threads(1)  # the arrays are tiny: more threads only wait for each other

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT), str(ROOT / "tests")]  # last: the host's nodes.py must win over our nodes/

# all that holds arrays, but for what refuses files and wrong sizes itself, with messages of its own
SHAPED = (
    "attacks", "backends", "budget", "lagrangian", "losses", "model", "protect", "schedule", "shift_unet", "train",
    "trajectory",
)  # fmt: skip
LONGEST = [
    *("host/test_workflows", "host/test_run_protect", "browser/test_every_template", "browser/test_as_a_user"),
    *("browser/test_languages", "host/test_run_stress", "browser/test_three_clicks", "browser/test_new_nodes"),
    *("core/test_efficacy", "core/test_levers", "browser/test_front_end", "host/test_benchmarks"),
]
"""Files that begin first where several processes share the tests, so that none is left alone with one at the end."""


def pytest_collection_modifyitems(items):
    """Put the longest files first and leave the order inside each as it is."""
    ranks = {ROOT / "tests" / f"{name}.py": rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONGEST)))


install_import_hook([f"ldu.{name}" for name in SHAPED], "shape_check.check")
