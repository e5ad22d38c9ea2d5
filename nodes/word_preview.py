"""What a word shows so far: a picture drawn with it now and then while it is being learnt.

z_0 = denoise(noise, PREVIEW_STEPS) under the prompt with the word as it stands, always from the same noise: what
changes from one preview to the next is what the word has learnt. There is no guidance, so pictures are softer than a
sampler's.
"""

import torch
from PIL import Image

from ..ldu.budget import WHITE, to_levels
from ..ldu.model import Denoiser
from ..ldu.shapes import Latent
from ..ldu.trajectory import denoise
from .host import HostAutoencoder, HostSession, preview

PREVIEW_STEPS = 8  # evaluations of the model for each picture, without gradient
MOST = 4  # pictures in one training
HostPreview = tuple[str, Image.Image, int]


class WordPreview:
    """Draws with a word when it is due, and keeps the picture for the progress bar until the next one."""

    def __init__(self, session: HostSession, coder: HostAutoencoder, shape: tuple[int, ...], count: int) -> None:
        """Draw `count` times in a training, from one latent (1, channels, height, width) of noise."""
        self._session, self._coder, self._count = session, coder, count
        noise = torch.randn((1, *shape[1:]), generator=torch.Generator().manual_seed(0))
        self._noise: Latent = noise.to(session.device)
        self.shown: HostPreview | None = None

    def is_due(self, step: int, steps: int) -> bool:
        """Tell whether a picture belongs to this step, from 1 to `steps`; the last one always is, if any."""
        return step in {round(steps * (number + 1) / self._count) for number in range(self._count)}

    def draw(self, denoiser: Denoiser) -> None:
        """Draw a picture with the word's denoiser and show it from now on."""
        schedule = self._session.schedule
        with torch.no_grad():
            z_0 = denoise(denoiser, self._noise, schedule, schedule.grid(PREVIEW_STEPS))
            self.shown = preview(to_levels(self._coder.decode(z_0)).clamp(0, WHITE))
