"""The field's two best with other settings than their papers': whether tuning, as ours had, would serve them.

What differs is how many steps are taken, and from which budget the change is scaled to the PSNR of all.
"""

from dataclasses import dataclass

import torch

from benchmarks.baselines import METHODS
from benchmarks.levers.case import Case
from benchmarks.levers.switches import Lever
from ldu.budget import to_levels, to_pixels
from ldu.shapes import Levels

BUDGET = 16.0  # levels, from which `benchmarks.efficacy` scales them
MORE = 3


@dataclass(frozen=True)
class Tuned:
    """A method of the field with settings of ours.

    Args:
        method: its name among the baselines.
        more: how many times its steps.
        budget_levels: largest change, before it is scaled.
    """

    method: str
    more: int = 1
    budget_levels: float = BUDGET

    def __call__(self, case: Case) -> list[Levels]:
        """Return the case's photos protected."""
        x, method = to_pixels(torch.cat(case.photos)).cpu(), METHODS[self.method]
        generator, steps = torch.Generator().manual_seed(case.config.seed), self.more * method.steps
        found = method.protect(case.world, x, budget_levels=self.budget_levels, steps=steps, generator=generator)
        return list(to_levels(found).round().split(1))


def _settings(title: str, method: str) -> dict[str, Lever]:
    return {
        title: Tuned(method),
        f"{title}, {MORE} times the steps": Tuned(method, more=MORE),
        f"{title}, from {2 * BUDGET:g} levels": Tuned(method, budget_levels=2 * BUDGET),
    }


FIELD: dict[str, Lever] = _settings("AdvDM", "advdm") | _settings("FSMG", "fsmg")
