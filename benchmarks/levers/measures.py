"""What a lever did to each picture, read as the 8-bit file.

loss = personalization loss under a token and a prompt that no training here has used; gain = its rise against clean, %
at equal dB     the picture's change scaled to that PSNR, so that no lever wins by being more visible
over noise      its gain minus that of white noise of the same PSNR
after JPEG      the gain of its JPEG of quality 75 over the JPEG of the original
"""

from dataclasses import dataclass

import torch

from benchmarks.efficacy.visible import as_visible_as
from ldu.attacks.purify.image import Jpeg
from ldu.attacks.random_noise import noise_at_equal_psnr
from ldu.budget import to_levels, to_pixels
from ldu.metrics import measure_visibility
from ldu.shapes import Levels
from ldu.train import Surrogate, thief_loss

QUALITY = 75


@dataclass(frozen=True)
class Measured:
    """One picture.

    Args:
        max_levels: largest change of a value.
        psnr_db: None if nothing changed.
        ssim: to the original.
        used: mean change as a share of the budget.
        gain: of the loss, %.
        equal_db: PSNR that was reached when that of the judge was wanted.
        over_noise: gain at that PSNR minus that of noise, %.
        after_jpeg: gain at that PSNR after a JPEG, %.
    """

    max_levels: int
    psnr_db: float | None
    ssim: float
    used: float
    gain: float
    equal_db: float | None
    over_noise: float
    after_jpeg: float


class Judge:
    """Somebody with a token of their own."""

    def __init__(self, surrogate: Surrogate, draws: int, equal_db: float) -> None:
        """Keep the models, the judge's personalizer among them, how many draws a loss takes, and the PSNR of all."""
        self._surrogate, self._draws, self._equal_db = surrogate, draws, equal_db
        self._known: dict[bytes, float] = {}

    def loss(self, levels: Levels) -> float:
        """Return the mean loss of a picture (1, 3, h, w); the draws are the same for all."""
        name = levels.round().byte().cpu().numpy().tobytes()
        if name not in self._known:
            losses = thief_loss(self._surrogate, levels, draws=self._draws)
            self._known[name] = sum(losses) / len(losses)
        return self._known[name]

    def gain(self, before: Levels, after: Levels) -> float:
        """Return the rise of the loss, %."""
        return 100 * (self.loss(after) / self.loss(before) - 1)

    def measure(self, original: Levels, protected: Levels, budget_levels: float) -> Measured:
        """Measure one picture (1, 3, h, w), both in whole levels on the CPU."""
        scaled = as_visible_as(to_pixels(original), to_pixels(protected), self._equal_db, budget_levels)
        equal = to_levels(scaled).round()
        noise = noise_at_equal_psnr(original, equal, generator=torch.Generator().manual_seed(0))
        shown = measure_visibility(original, protected)
        return Measured(
            shown.max_abs_levels,
            shown.psnr_db,
            shown.ssim,
            shown.mean_abs_levels / budget_levels,
            self.gain(original, protected),
            measure_visibility(original, equal).psnr_db,
            self.gain(original, equal) - self.gain(original, noise),
            self.gain(_jpeg(original), _jpeg(equal)),
        )


def _jpeg(levels: Levels) -> Levels:
    return to_levels(Jpeg(QUALITY)(to_pixels(levels), generator=torch.Generator())).round()
