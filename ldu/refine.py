"""Refine a protected picture in its pixels: spend what the shift left of the budget on the same loss.

    loss     = loss_personalize(E(purify(compose(x, residual))))                  as `train` has it
    residual <- clip(residual + length * sign(d loss / d residual), -b, b)        signed steps at the working size
or, where a PSNR is to be kept, with m the slopes' running mean and r the root mean square that the PSNR leaves,
    residual <- clip(residual + length * m / rms(m), -b, b), and shrunk to r
Signed steps use all of the budget everywhere. Those along the slope spend a given visibility where it counts most and
leave flat areas cleaner; for that the budget should be well above r (10 levels at 34 dB: r = 5).
The shift of z_T reaches only what the decoder can paint, and that part survives purifiers; pixels also reach the
directions that the encoder amplifies. At the picture's own size the refinement is added to the change that is there.

Source: projected gradient descent in L-infinity and in L2, Madry et al. 2018, section 2.1; its momentum, Dong et al.
2018, eq. 6; on a diffusion loss, AdvDM (Liang et al. 2023).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .budget import WHITE, compose, resize, resize_mask, to_working_size, whole_budget
from .errors import BadValueError, MismatchError
from .losses import require_finite
from .schedule import Weighting
from .shapes import Levels, Mask, Resized
from .train import Purifier, Surrogate, published_loss

_FIRST_STRIDE = 1 / 4  # of the budget, or of r; steps get shorter, so that few reach the border and still settle
_LAST_STRIDE = 1 / 32
_MOMENTUM = 0.7  # of steps along the slope; signed ones do worse with it
LARGEST_PSNR = 60  # decibels; a quarter of a level
_TINY = 1e-20  # a picture without any slope stays where it is


@dataclass(frozen=True)
class RefineConfig:
    """How a picture is refined.

    Args:
        budget_levels: largest change of a pixel value, in levels of 0..255.
        psnr_db: PSNR that the picture keeps at the working size, at least; 0 = whatever the budget allows.
        refine_steps: gradient steps; 0 leaves the picture as it is.
        draws: draws of t and noise per step.
        weighting: how much each noise level counts in the loss.
        seed: of all draws.
    """

    budget_levels: float = 10.0
    psnr_db: float = 0.0
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
        if not 0 <= self.psnr_db <= LARGEST_PSNR:
            raise BadValueError(
                f"The PSNR to keep is 0 to {LARGEST_PSNR} dB, but {self.psnr_db} came; with 0 only the budget counts."
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

    def run(self) -> Iterator[float]:
        """Take each step and yield the loss before it, higher = better protected."""
        steps, bound = self._config.refine_steps, whole_budget(self._config.budget_levels)
        rule = _AlongSlope(self._config.psnr_db) if self._config.psnr_db else _Signed(bound)
        for step in range(steps):
            change = self._change.detach().requires_grad_()  # a new step: the slope is taken at this point alone
            loss = self._loss(change)
            require_finite(loss, "refinement's loss", step)
            (slope,) = torch.autograd.grad(loss, change)
            length = rule.reach * (_FIRST_STRIDE + (_LAST_STRIDE - _FIRST_STRIDE) * step / steps)
            whole = self._start + change.detach() + length * rule.direction(slope)  # a result
            self._change = rule.held(whole.clamp(-bound, bound)) - self._start
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


class _Signed:
    """All of the budget, everywhere."""

    def __init__(self, reach: float) -> None:
        """Keep how far the change may reach, in levels."""
        self.reach = reach

    def direction(self, slope: Tensor) -> Tensor:
        """Return where to step, about 1 in size."""
        return slope.sign()

    def held(self, change: Tensor) -> Tensor:
        """Return a change that is within the budget as it may stay."""
        return change


class _AlongSlope(_Signed):
    """As much as a PSNR leaves, where it counts most."""

    def __init__(self, psnr_db: float) -> None:
        """Start without a heading."""
        super().__init__(WHITE * 10 ** (-psnr_db / 20))
        self._heading: Tensor | float = 0.0

    def direction(self, slope: Tensor) -> Tensor:
        """Return the running mean of the slopes, 1 in size."""
        self._heading = slope / _rms(slope) + _MOMENTUM * self._heading
        return self._heading / _rms(self._heading)

    def held(self, change: Tensor) -> Tensor:
        """Return the change, shrunk where it is more than the PSNR leaves."""
        return change * (self.reach / _rms(change)).clamp(max=1)


def _rms(change: Tensor) -> Tensor:
    return change.square().mean().sqrt().clamp(min=_TINY)
