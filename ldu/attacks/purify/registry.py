"""All purifiers by name, and the language that lists them: one recipe a line, its links joined by "+".

    jpeg 75                    a name and its strength; without a number the usual one
    jpeg 75 + resize 0.5       one after the other
    diffpure 100 25            a second number: model evaluations
    jpeg 50..95                in training only: drawn anew each time
Empty lines and what follows a "#" are left out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ...errors import BadValueError
from .contract import DiffusionModel, Purify, Tools
from .diffusion import DiffuseAndDenoise, VaeRoundTrip
from .edge_preserving import AdverseCleaner
from .grid import GridPure
from .image import Crop, Flip, GaussianBlur, GaussianNoise, Jpeg, Median, Nothing, Platform, ResizeAndBack
from .impress import Impress
from .upscaling import NoisyUpscaling

Need = Literal["autoencoder", "latent", "pixel", "upscale"]
Kind = Literal["none", "real", "whole", "odd"]

WORDS: dict[Need, str] = {
    "autoencoder": "a VAE",
    "latent": "a diffusion model and its VAE",
    "pixel": "a diffusion model that works on pixels",
    "upscale": "a super-resolution model",
}
TIMESTEPS = 1000  # a paper's t counts in these, whatever the model was trained on


@dataclass(frozen=True)
class Entry:
    """One purifier as it is listed.

    Args:
        does: what it does and what its strength means, for people.
        usual: the usual strength.
        bounds: the smallest and the largest one.
        kind: which numbers between them.
        needs: the tool it cannot do without.
        make: builds it from strength, steps (None = the usual number) and tools that hold what it needs.
        steps: whether it takes a number of model evaluations.
        gradient: whether it computes gradients itself.
    """

    does: str
    usual: float
    bounds: tuple[float, float]
    kind: Kind
    make: Callable[[float, int | None, Tools], Purify]
    needs: Need | None = None
    steps: bool = False
    gradient: bool = False

    def nearest(self, strength: float) -> float:
        """Return the nearest strength that it takes."""
        low, high = self.bounds
        strength = min(max(strength, low), high)
        if self.kind == "odd":
            return 2 * math.floor(strength / 2) + 1
        return round(strength) if self.kind == "whole" else strength


def _img2img(strength: float, steps: int | None, tools: Tools) -> Purify:
    """Walk back in the steps that a sampler of 50 steps would spend on this strength."""
    assert tools.latent is not None  # `build` has looked
    return DiffuseAndDenoise(
        tools.latent, strength, steps or math.ceil(50 * strength), 0.0, tools.tick, tools.recompute
    )


def _diffpure(model: DiffusionModel | None, t: float, steps: int | None, tools: Tools) -> Purify:
    """Walk back in a tenth of the timesteps, as PDM-Pure does."""
    assert model is not None  # `build` has looked
    return DiffuseAndDenoise(model, t / TIMESTEPS, steps or math.ceil(t / 10), 1.0, tools.tick, tools.recompute)


def _gridpure(rounds: float, steps: int | None, tools: Tools) -> Purify:
    return GridPure(_diffpure(tools.pixel, 10, steps or 10, tools), round(rounds))


def _vae(_strength: float, _steps: int | None, tools: Tools) -> Purify:
    assert tools.autoencoder is not None  # `build` has looked
    return VaeRoundTrip(tools.autoencoder)


def _impress(iterations: float, _steps: int | None, tools: Tools) -> Purify:
    assert tools.autoencoder is not None  # `build` has looked
    return Impress(tools.autoencoder, round(iterations), tick=tools.tick)


def _upscale(sigma: float, _steps: int | None, tools: Tools) -> Purify:
    assert tools.upscale is not None  # `build` has looked
    return NoisyUpscaling(sigma, tools.upscale)


def _plain(make: Callable[[float], Purify]) -> Callable[[float, int | None, Tools], Purify]:
    return lambda strength, _steps, _tools: make(strength)


ENTRIES: dict[str, Entry] = {
    "none": Entry("nothing", 0, (0, 0), "none", _plain(lambda _: Nothing())),
    "jpeg": Entry("JPEG at a quality", 75, (1, 100), "whole", _plain(lambda s: Jpeg(round(s)))),
    "blur": Entry("Gaussian blur, pixels", 5, (1, 99), "odd", _plain(lambda s: GaussianBlur(round(s)))),
    "noise": Entry("Gaussian noise, share of the range", 0.05, (0, 1), "real", _plain(GaussianNoise)),
    "median": Entry("median filter, pixels", 3, (1, 99), "odd", _plain(lambda s: Median(round(s)))),
    "resize": Entry("resize by a factor and back", 0.5, (0.05, 1), "real", _plain(ResizeAndBack)),
    "crop": Entry("crop a share of each side and enlarge", 0.1, (0, 0.9), "real", _plain(Crop)),
    "flip": Entry("mirror", 0, (0, 0), "none", _plain(lambda _: Flip())),
    "platform": Entry(
        "upload: fit to a longest side, JPEG 80", 2048, (64, 16384), "whole", _plain(lambda s: Platform(round(s)))
    ),
    "clean": Entry(
        "AdverseCleaner, passes", 64, (0, 1000), "whole", lambda s, _, tools: AdverseCleaner(round(s), tools.tick)
    ),
    "vae": Entry("VAE round trip", 0, (0, 0), "none", _vae, needs="autoencoder"),
    "img2img": Entry("img2img at a strength", 0.15, (0, 1), "real", _img2img, needs="latent", steps=True),
    "diffpure": Entry(
        "DiffPure in latents, t of 1000",
        100,
        (0, 1000),
        "whole",
        lambda t, steps, tools: _diffpure(tools.latent, t, steps, tools),
        needs="latent",
        steps=True,
    ),
    "impress": Entry("IMPRESS, iterations", 3000, (0, 100_000), "whole", _impress, needs="autoencoder", gradient=True),
    "pixel-diffpure": Entry(
        "DiffPure or PDM-Pure in pixels, t of 1000",
        100,
        (0, 1000),
        "whole",
        lambda t, steps, tools: _diffpure(tools.pixel, t, steps, tools),
        needs="pixel",
        steps=True,
    ),
    "gridpure": Entry("GrIDPure, rounds", 20, (0, 1000), "whole", _gridpure, needs="pixel", steps=True),
    "upscale": Entry("noisy upscaling, share of noise", 0.1, (0, 1), "real", _upscale, needs="upscale"),
}

STRESS_SUITE = (
    *("none", "jpeg 90", "jpeg 75", "jpeg 50", "blur 3", "blur 5", "blur 9", "noise 0.05", "noise 0.1", "median 3"),
    *("resize 0.5", "jpeg 75 + resize 0.5", "crop 0.1 + flip", "platform 2048", "clean 64", "vae"),
    *("img2img 0.15", "diffpure 15", "diffpure 50", "diffpure 100", "diffpure 150", "diffpure 250", "impress 3000"),
    *("pixel-diffpure 100", "gridpure 20", "upscale 0.1"),
)
"""The published stress tests with their published strengths."""


def entry(name: str) -> Entry:
    """Return a purifier's entry.

    Raises:
        BadValueError: there is none of that name.
    """
    if name not in ENTRIES:
        raise BadValueError(f"There is no purifier named {name!r}: choose one of {', '.join(ENTRIES)}.")
    return ENTRIES[name]
