"""The losses of a training for the stock plot, which divides by how far they are apart."""

from collections.abc import Sequence
from typing import Any

from .host import nothing


def loss_map(losses: Sequence[float]) -> Any:  # noqa: ANN401  (the host's LOSS_MAP, or what stands for nothing)
    """Return a LOSS_MAP; where no curve can be drawn, as after a single step, the plot is passed over.

    Args:
        losses: one a step, in order.
    """
    return {"loss": list(losses)} if len(set(losses)) > 1 else nothing()
