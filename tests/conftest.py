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
install_import_hook([f"ldu.{name}" for name in SHAPED], "shape_check.check")
