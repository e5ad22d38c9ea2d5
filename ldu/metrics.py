"""Measure how far a protected picture is from its original, on whole 0..255 levels as a reader of the file sees them.

d = protected - original        max|d| levels, mean|d| levels
PSNR = 10 log10(255^2 / mean d^2) dB
SSIM = Wang et al. 2004: Gaussian window of 11 pixels and sigma 1.5, valid positions only, mean over RGB
"""

import math
from dataclasses import dataclass

import torch

from .errors import MismatchError
from .shapes import Levels, Mask

SSIM_WINDOW = 11  # pixels
STRIP = 512  # rows at a time, so that a large photograph needs little memory


@dataclass(frozen=True)
class Visibility:
    """How visible a change is, in numbers that JSON can hold.

    Attributes:
        max_abs_levels: Largest change of a value, whole levels.
        mean_abs_levels: Mean change of a value, levels.
        changed_share: Share of values, 0..1, that changed at all.
        psnr_db: Peak signal-to-noise ratio; None if the pictures are identical.
        ssim: Structural similarity, at most 1.
    """

    max_abs_levels: int
    mean_abs_levels: float
    changed_share: float
    psnr_db: float | None
    ssim: float

    def __str__(self) -> str:
        """Say it in one sentence."""
        if self.psnr_db is None:
            return "The pictures are identical, pixel for pixel."
        return (
            f"Largest change {self.max_abs_levels} of 255 levels, mean {self.mean_abs_levels:.2f}, "
            f"{self.changed_share:.0%} of values changed, PSNR {self.psnr_db:.2f} dB, SSIM {self.ssim:.4f}."
        )


def measure_visibility(original: Levels, protected: Levels) -> Visibility:
    """Compare whole levels 0..255 of two batches of equal shape.

    Raises:
        MismatchError: if their shapes differ.
    """
    psnr = psnr_db(original, protected)
    return Visibility(
        max_abs_levels=max_abs_levels(original, protected),
        mean_abs_levels=_change(original, protected).abs().mean().item(),
        changed_share=1 - share_within(original, protected, 0),
        psnr_db=None if math.isinf(psnr) else psnr,
        ssim=ssim(original, protected),
    )


def say_where(original: Levels, protected: Levels, mask: Mask) -> str:
    """Say how a picture (1, 3, h, w) changed where a mask (1, 1, h, w) in [0, 1] protects it, and where it spares it.

    Raises:
        MismatchError: if the shapes differ.
    """
    change, inside = _change(original, protected).abs(), (mask > 0).expand_as(original)
    within, spared = change[inside], change[~inside]
    said = (
        f"Where the mask protects ({inside.float().mean().item():.0%} of the picture): "
        f"mean change {within.mean().item():.2f}, largest {within.max().item():.0f} levels"
    )
    return f"{said}; elsewhere: largest {spared.max().item():.0f}." if spared.numel() else f"{said}."


def max_abs_levels(original: Levels, protected: Levels) -> int:
    """Measure the largest change of a value, in levels."""
    return round(_change(original, protected).abs().max().item())


def share_within(original: Levels, protected: Levels, budget_levels: float) -> float:
    """Measure the share of values, 0..1, that changed by at most the budget."""
    within = _change(original, protected).abs() <= budget_levels
    return within.count_nonzero().item() / within.numel()


def psnr_db(original: Levels, protected: Levels) -> float:
    """Measure the peak signal-to-noise ratio in dB over the whole batch, infinite for identical pictures."""
    mean_square = _change(original, protected).square().mean(dtype=torch.float64).item()
    return math.inf if mean_square == 0 else 10 * math.log10(255**2 / mean_square)


def ssim(original: Levels, protected: Levels) -> float:
    """Measure the mean structural similarity over the batch; a picture below 11 pixels gets a smaller window."""
    from kornia.metrics import ssim as ssim_map  # a second to import, and brought by the host, not by torch

    _change(original, protected)
    shortest = min(original.shape[-2:])
    window = min(SSIM_WINDOW, shortest - 1 + shortest % 2)
    positions = original.shape[-2] - window + 1
    total = 0.0
    for top in range(0, positions, STRIP):
        rows = slice(top, top + STRIP + window - 1)
        clean, shown = (levels[..., rows, :].contiguous() / 255 for levels in (original, protected))
        similar = ssim_map(clean, shown, window, eps=0.0, padding="valid")
        total += similar.mean(dtype=torch.float64).item() * similar.shape[-2]
    return total / positions


def _change(original: Levels, protected: Levels) -> Levels:
    if original.shape != protected.shape:
        raise MismatchError(
            f"Only pictures of one size can be compared, got {list(original.shape)} and {list(protected.shape)}: "
            "resize one, or choose its own original."
        )
    return protected.float() - original.float()
