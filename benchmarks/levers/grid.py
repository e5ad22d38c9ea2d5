"""The cells of the walk's grid: k steps x depth x rounds x budget, everything else as it is by default."""

from dataclasses import dataclass
from itertools import product
from typing import Any

DEPTHS = (0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Cell:
    """One walk.

    Args:
        k_steps, depth, rounds, budget_levels: as in `ldu.protect.WalkConfig`.
    """

    k_steps: int
    depth: float
    rounds: int = 1
    budget_levels: float = 10.0

    @property
    def name(self) -> str:
        """Return a name for its file."""
        return f"grid k{self.k_steps} depth{self.depth:g} rounds{self.rounds} budget{self.budget_levels:g}"

    @property
    def changes(self) -> dict[str, Any]:
        """What it changes of the configuration."""
        return {
            "k_steps": self.k_steps, "depth": self.depth, "rounds": self.rounds, "budget_levels": self.budget_levels
        }  # fmt: skip


def default(budget_levels: float) -> Cell:
    """Return the cell that the others of its budget are compared with."""
    return Cell(2, 0.25, 1, budget_levels)


def cells() -> list[Cell]:
    """Return all cells, those first that tell most: few steps against many at the usual depth."""
    found = [Cell(k, depth) for k, depth in product((1, 2, 4, 8, 16), DEPTHS)]
    found += [Cell(k, depth, rounds=2) for k, depth in product((2, 4), DEPTHS)]
    found += [Cell(k, depth, budget_levels=16.0) for k, depth in product((1, 2, 4), DEPTHS)]
    return sorted(found, key=lambda cell: (cell.budget_levels, cell.rounds, cell.depth != default(10.0).depth))
