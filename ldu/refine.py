"""Refine a protected picture in its pixels, against the same loss and within the same budget.

    z        = E(purify(compose(x, residual)))                    what a thief trains on, as `train` has it
    slope_z  = d loss(z, S*) / dz - contrast * c * d loss(z, empty) / dz
    slope    = dz/d residual applied to slope_z
    residual <- clip(residual + length * w m / rms(m), -b, b), shrunk until rms(residual / w) <= r
with loss(z, prompt) the personalization loss, c such that at a contrast of 1 slope_z is at right angles to that under
the empty prompt, m the running mean of w * slope, r the wanted visibility and w how well a place hides a change; or
without a limit to visibility
    residual <- clip(residual + length * sign(slope), -b, b)
Signed steps use all of the budget everywhere. The others spend a given visibility where it counts most; for that r
should be well below the budget. Both work at the working size, on the shift's own residual: where r leaves no room,
pixels take the shift's place as far as that raises the loss.
    w = min(1, flat + s / 12)        s: standard deviation of the picture's grey levels within 5 x 5 pixels
Nearly all that makes a picture hard for the personalizer makes it hard under any prompt, and a thief learns the person
through that, spoilt. What is left at a contrast of 1 lowers p(S* | z), the classifier that the model implies: the thief
learns somebody else.
The shift of z_T reaches only what the decoder can paint; pixels also reach the directions that the encoder amplifies.
At the picture's own size the refinement is added to the change that is there.

Source: what hides a change, the texture masking of Chou & Li 1995, simplified; projected gradient descent in
L-infinity and in L2, Madry et al. 2018, section 2.1; its momentum, Dong et al. 2018, eq. 6; on a diffusion loss, AdvDM
(Liang et al. 2023); the implied classifier, Ho & Salimans 2022 (Classifier-Free Guidance), section 3.2, and Li et al.
2023 (Diffusion Classifier); the projection, Yu et al. 2020 (Gradient Surgery), section 2.3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .budget import compose, resize, resize_mask, to_working_size, whole_budget
from .errors import BadValueError, MismatchError
from .losses import require_finite
from .model import Denoiser
from .schedule import Weighting
from .shapes import Latent, Levels, Mask, Resized
from .train import Purifier, Surrogate, mean_loss, published_latent

_FIRST_STRIDE = 1 / 4  # of the budget, or of r; steps get shorter, so that few reach the border and still settle
_LAST_STRIDE = 1 / 32
_MOMENTUM = 0.7  # of steps along the slope; signed ones do worse with it
_WINDOW = 5  # pixels at the working size
_BUSY = 12  # levels; a standard deviation that hides a change whole
TINY = 1e-20  # a picture without any slope stays where it is


@dataclass(frozen=True)
class RefineConfig:
    """How a picture is refined.

    Args:
        budget_levels: largest change of a pixel value, in levels of 0..255.
        visibility: largest RMS of the residual at the working size, where there is no mask or it is above 0, as a share
            of the budget; 0 = no such limit, and signed steps instead of those along the slope.
        flat: how much change a flat area takes beside a busy one, above 0 to 1; it is seen there first.
        contrast: how much of the slope that the loss under the empty prompt shares is taken out, 0 to 1. With 0 a thief
            learns spoilt pictures, with 1 somebody else.
        refine_steps: gradient steps; 0 leaves the picture as it is, within the budget.
        draws: draws of t and noise per step.
        weighting: how much each noise level counts in the loss.
        seed: of all draws.
    """

    budget_levels: float = 10.0
    visibility: float = 0.5
    flat: float = 0.5
    contrast: float = 1.0
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
        if not 0 <= self.visibility <= 1:
            raise BadValueError(
                f"The visibility is a share of the budget, 0 to 1, but {self.visibility} came; "
                "with 0 only the budget counts."
            )
        if not 0 < self.flat <= 1:
            raise BadValueError(
                f"Flat areas take a share of the change, above 0 to 1, but {self.flat} came; with 1 they take it all."
            )
        if not 0 <= self.contrast <= 1:
            raise BadValueError(
                f"The contrast is a share of what is hard for any prompt, 0 to 1, but {self.contrast} came; "
                "with 0 all of that counts."
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
        self._working: Resized = to_working_size(original, surrogate.resolution)
        self._start = to_working_size(protected, surrogate.resolution) - self._working
        self._mask_at_work = None if mask is None else resize_mask(mask, self._working)
        self._change = torch.zeros_like(self._working)
        # Full size is needed for what is saved alone: an accelerator need not hold it.
        self._original, self._protected = original.cpu(), protected.cpu()
        self._mask = None if mask is None else mask.cpu()
        self._generator = torch.Generator().manual_seed(config.seed)

    def run(self) -> Iterator[float]:
        """Take each step and yield the loss before it, higher = better protected."""
        steps, bound = self._config.refine_steps, whole_budget(self._config.budget_levels)
        rule = self._along_slope(bound) if self._config.visibility else _Signed(bound)
        for step in range(steps):
            change = self._change.detach().requires_grad_()  # a new step: the slope is taken at this point alone
            loss, slope = self._slope(change)
            require_finite(loss, "refinement's loss", step)
            length = rule.reach * (_FIRST_STRIDE + (_LAST_STRIDE - _FIRST_STRIDE) * step / steps)
            whole = self._start + change.detach() + length * rule.direction(slope)  # a result
            self._change = rule.held(whole.clamp(-bound, bound)) - self._start
            yield loss.item()

    def _along_slope(self, bound: int) -> "_AlongSlope":
        """Return the rule of a limited visibility: the limit holds where the picture may change."""
        mask, hidden = self._mask_at_work, hiding(self._working, self._config.flat)
        where = mask[0, 0] > 0 if mask is not None and mask.any() else None
        return _AlongSlope(self._config.visibility * bound, hidden, where)

    def _slope(self, change: Tensor) -> tuple[Tensor, Tensor]:
        """Return the personalizer's loss with a change of the working picture, and where to step."""
        z_0 = self._published(change)
        loss, slope = self._contrasted(self._surrogate.adversary, z_0)
        return loss, torch.autograd.grad(z_0, change, slope)[0]

    def _published(self, change: Tensor) -> Latent:
        """Return what a thief trains on if the working picture is changed so, with its graph."""
        own = change if self._mask_at_work is None else change * self._mask_at_work
        published = compose(self._working, self._start + own, self._config.budget_levels)
        return published_latent(self._surrogate, published, self._purifiers, self._generator)

    def _contrasted(self, denoiser: Denoiser, z_0: Latent) -> tuple[Tensor, Latent]:
        """Return a denoiser's loss on a latent, and its slope there less what the empty prompt's shares with it."""
        drawn = self._generator.get_state()
        loss, slope = self._loss_and_slope(denoiser, z_0)
        if self._config.contrast:
            self._generator.set_state(drawn)
            _, common = self._loss_and_slope(self._surrogate.walker, z_0)
            share = (slope * common).sum() / common.square().sum().clamp(min=TINY)
            slope = slope - self._config.contrast * share * common
        return loss, slope

    def _loss_and_slope(self, denoiser: Denoiser, z_0: Latent) -> tuple[Tensor, Latent]:
        """Return a denoiser's loss on a latent (1, c, h, w) and its gradient there."""
        z_0 = z_0.detach().requires_grad_()  # the encoder is passed once, for the sum of what is found here
        loss = mean_loss(
            denoiser,
            z_0,
            self._surrogate.schedule,
            draws=self._config.draws,
            weighting=self._config.weighting,
            generator=self._generator,
        )
        return loss.detach(), torch.autograd.grad(loss, z_0)[0]

    @property
    def refined(self) -> Levels:
        """Return the picture as it would be saved now, at its own size, on the CPU."""
        own = resize(self._change.cpu(), *self._original.shape[-2:])
        own = own if self._mask is None else own * self._mask
        return compose(self._original, self._protected - self._original + own, self._config.budget_levels)


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
    """No more than a root mean square of what is seen, where it counts most."""

    def __init__(self, reach: float, hidden: Tensor, where: Tensor | None) -> None:
        """Keep the RMS, in levels, how well each place hides a change, and where it counts; no heading yet."""
        super().__init__(reach)
        self._hidden, self._where, self._heading = hidden, where, torch.zeros_like(hidden)

    def direction(self, slope: Tensor) -> Tensor:
        """Return the running mean of the slopes as it is seen, 1 in size."""
        seen = slope * self._hidden
        self._heading = seen / self._rms(seen) + _MOMENTUM * self._heading
        return self._hidden * self._heading / self._rms(self._heading)

    def held(self, change: Tensor) -> Tensor:
        """Return the change, shrunk if it is more than that."""
        return change * (self.reach / self._rms(change / self._hidden)).clamp(max=1)

    def _rms(self, change: Tensor) -> Tensor:
        part = change if self._where is None else change[..., self._where]
        return part.square().mean().sqrt().clamp(min=TINY)


def hiding(picture: Levels, flat: float) -> Tensor:
    """Return how well each place of a picture (n, 3, h, w) hides a change, (n, 1, h, w), from `flat` to 1."""
    margin = _WINDOW // 2
    grey = functional.pad(picture.mean(1, keepdim=True), (margin,) * 4, mode="replicate")
    mean, square = (functional.avg_pool2d(each, _WINDOW, 1) for each in (grey, grey.square()))
    return (flat + (square - mean.square()).clamp(min=0).sqrt() / _BUSY).clamp(max=1)
