"""The host's real executor, without a server, for graphs on the demo checkpoint."""

import pytest

from benchmarks.executor import new_executor, run
from launch import PACK

__all__ = ["WEIGHTS", "needs_weights", "new_executor", "run"]

WEIGHTS = PACK / "demo" / "weights" / "ldu_demo.safetensors"

needs_weights = pytest.mark.skipif(not WEIGHTS.is_file(), reason="the demo checkpoint is not there")
