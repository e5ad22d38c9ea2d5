"""The field's two best with other settings than their papers': whether tuning, as ours had, would serve them.

Each keeps its objective; what differs is how many steps are taken, how long they are, and from which budget the
change is scaled to the PSNR of all. Three times the steps are tried at the paper's length, a share of the budget, and
at a third of it that falls to nothing.
"""

from dataclasses import dataclass

import torch

from benchmarks.baselines import METHODS, advdm, anti_dreambooth
from benchmarks.baselines.pgd import climb, publish
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
        stride: its paper's step, as a share of the budget.
        more: how many times its steps.
        shorter: by what its step is divided.
        decay: let the step fall to a hundredth.
        budget_levels: largest change, before it is scaled.
    """

    method: str
    stride: float
    more: int = 1
    shorter: float = 1.0
    decay: bool = False
    budget_levels: float = BUDGET

    def __call__(self, case: Case) -> list[Levels]:
        """Return the case's photos protected."""
        x, method = to_pixels(torch.cat(case.photos)).cpu(), METHODS[self.method]
        assert method.objective is not None  # both climb
        loss_of = method.objective(case.world, x, torch.Generator().manual_seed(case.config.seed))
        found = climb(
            x,
            loss_of,
            steps=self.more * method.steps,
            budget_levels=self.budget_levels,
            stride=self.stride / self.shorter,
            decay=self.decay,
        )
        return list(to_levels(publish(x, found, self.budget_levels)).round().split(1))


def _settings(title: str, method: str, stride: float) -> dict[str, Lever]:
    return {
        title: Tuned(method, stride),
        f"{title}, {MORE} times the steps": Tuned(method, stride, more=MORE),
        f"{title}, {MORE} times the steps, shorter": Tuned(method, stride, more=MORE, shorter=MORE, decay=True),
        f"{title}, from {2 * BUDGET:g} levels": Tuned(method, stride, budget_levels=2 * BUDGET),
    }


FIELD: dict[str, Lever] = _settings("AdvDM", "advdm", advdm.STRIDE) | _settings("FSMG", "fsmg", anti_dreambooth.STRIDE)
