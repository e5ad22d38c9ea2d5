"""Refine a protected picture in its pixels: spend what the shift left of the budget on the same loss.

    loss     = loss_personalize(E(purify(compose(x, residual))))                  as `train` has it
    residual <- clip(residual + length * sign(d loss / d residual), -b, b)        signed steps at the working size
The shift of z_T reaches only what the decoder can paint, and that part survives purifiers; pixels also reach the
directions that the encoder amplifies. At the picture's own size the refinement is added to the change that is there.

Source: projected gradient descent, Madry et al. 2018, section 2.1; on a diffusion loss, AdvDM (Liang et al. 2023).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .budget import compose, resize, resize_mask, to_working_size, whole_budget
from .errors import BadValueError, MismatchError
from .losses import require_finite
from .schedule import Weighting
from .shapes import Levels, Mask, Resized
from .train import Purifier, Surrogate, published_loss

_FIRST_STRIDE = 1 / 4  # of the budget; steps get shorter, so that few of them reach the border and still settle
_LAST_STRIDE = 1 / 32


@dataclass(frozen=True)
class RefineConfig:
    """How a picture is refined.

    Args:
        budget_levels: largest change of a pixel value, in levels of 0..255.
        refine_steps: gradient steps; 0 leaves the picture as it is.
        draws: draws of t and noise per step.
        weighting: how much each noise level counts in the loss.
        seed: of all draws.
    """

    budget_levels: float = 10.0
    refine_steps: int = 60
    draws: int = 2
    weighting: Weighting = "velocity"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        whole_budget(self.budget_levels)
        if self.refine_steps < 0 or self.draws < 1:
            raise BadValueError(
                f"A refinement takes 0 or more steps of 1 or more draws, but {self.refine_steps} and {self.draws} came."
            )


class Refinement:
    """The refinement of one picture; `run` it, watch it, stop when you like."""

    def __init__(
        self,
        surrogate: Surrogate,
        original: Levels,
        protected: Levels,
        config: RefineConfig,
        *,
        mask: Mask | None = None,
        purifiers: Sequence[Purifier] = (),
    ) -> None:
        """Prepare a picture.

        Args:
            surrogate: the models, the adversary among them.
            original, protected: (1, 3, H, W) in whole levels, on the models' device; without a shift the same.
            config: budget and steps.
            mask: where to protect, (1, 1, H, W) in [0, 1].
            purifiers: what a thief may do first, one drawn per step.

        Raises:
            MismatchError: the two pictures differ in size.
        """
        if original.shape != protected.shape:
            raise MismatchError(
                f"The original is {list(original.shape)} but the protected picture {list(protected.shape)}; "
                "connect the two versions of one picture."
            )
        self._surrogate, self._config, self._purifiers = surrogate, config, purifiers
        self._original, self._protected, self._mask = original, protected, mask
        self._working: Resized = to_working_size(original, surrogate.resolution)
        self._start = to_working_size(protected, surrogate.resolution) - self._working
        self._mask_at_work = None if mask is None else resize_mask(mask, self._working)
        self._change = torch.zeros_like(self._working)
        self._generator = torch.Generator().manual_seed(config.seed)

    @property
    def unshifted(self) -> bool:
        """Whether the protected picture is the original, bit for bit."""
        return torch.equal(self._protected, self._original)

    def run(self) -> Iterator[float]:
        """Take each step and yield the loss before it, higher = better protected."""
        steps, bound = self._config.refine_steps, whole_budget(self._config.budget_levels)
        for step in range(steps):
            change = self._change.detach().requires_grad_()  # a new step: the slope is taken at this point alone
            loss = self._loss(change)
            require_finite(loss, "refinement's loss", step)
            (slope,) = torch.autograd.grad(loss, change)
            length = bound * (_FIRST_STRIDE + (_LAST_STRIDE - _FIRST_STRIDE) * step / steps)
            whole = (self._start + change.detach() + length * slope.sign()).clamp(-bound, bound)  # a result
            self._change = whole - self._start
            yield loss.item()

    def _loss(self, change: Tensor) -> Tensor:
        own = change if self._mask_at_work is None else change * self._mask_at_work
        published = compose(self._working, self._start + own, self._config.budget_levels)
        return published_loss(
            self._surrogate,
            published,
            draws=self._config.draws,
            weighting=self._config.weighting,
            purifiers=self._purifiers,
            generator=self._generator,
        )

    @property
    def refined(self) -> Levels:
        """Return the picture as it would be saved now, at its own size, on the CPU."""
        own = resize(self._change, *self._original.shape[-2:])
        own = own if self._mask is None else own * self._mask
        return compose(self._original, self._protected - self._original + own, self._config.budget_levels).cpu()
