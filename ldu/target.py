"""A target: the same picture with somebody else in it, which a thief's encoder shall see in the original's place.

    target  = denoise(z_T, decoy)                    the few-step walk back under a prompt that describes somebody else
    goal    = z_0 + overshoot * (target - z_0)
    slope   = dz/d residual applied to (goal - z)    of - || z - goal ||^2 / 2
Pose, clothes and background are in z_T and stay, so nearly all of the way from z_0 to the target is who is shown. Of
several decoys the one whose target lies farthest is taken: the walk paints over little where the prompt is true
already. Steps take the encoder alone, no evaluation of the denoiser.

Source: a target made of the picture itself, and steps towards what an encoder makes of it, Shan et al. 2023 (Glaze),
section 5; edits by inversion, Mokady et al. 2023 (Null-text Inversion), section 3, and Ju et al. 2024 (Direct
Inversion).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .errors import BadValueError, MismatchError, NonFiniteError
from .model import Denoiser
from .refine import RefineConfig, Refinement
from .schedule import NoiseSchedule
from .shapes import Latent, Levels, Mask
from .train import Surrogate, published_latent
from .trajectory import Record, denoise

DECOYS = tuple(
    f"a photo of a person with {looks}"
    for looks in (
        "short black hair, a beard, dark skin",
        "short blond hair, square glasses, tanned skin",
        "long grey hair, round glasses, fair skin",
        "long black hair, fair skin",
        "curly grey hair, a beard, dark skin",
        "curly red hair, freckles, fair skin",
        "tied-up blond hair, square glasses, dark skin",
        "tied-up brown hair, tanned skin",
    )
)
"""Somebody is as unlike one of them as can be, whoever it is."""

OVERSHOOT = 2.0
"""How far beyond the target the goal lies: what a budget allows ends well before it, and a far goal keeps the steps on
the way there."""

_SAME = 0.02  # of a latent's norm; encoding twice differs by less, an edit by far more


def farthest_edits(
    records: Sequence[Record], decoys: Sequence[Denoiser], schedule: NoiseSchedule
) -> tuple[int, list[Latent]]:
    """Walk each z_T down under each decoy; return the number of the one that ends farthest from z_0, and where it ends.

    Takes k evaluations a decoy and record. All pictures get the same decoy, so that those of one person lead to one
    other.

    Args:
        records: of the walks up, under the empty prompt; of any sizes.
        decoys: the denoiser under each prompt that describes somebody else.
        schedule: of the model.

    Raises:
        NonFiniteError: a walk overflowed.
    """
    edits = [[denoise(decoy, record.z_T, schedule, record.sigmas) for record in records] for decoy in decoys]
    ways = torch.stack([_way(ends, records) for ends in edits])
    if not ways.isfinite().all():
        raise NonFiniteError(
            "A walk under a decoy is not finite: load the model in a wider precision, such as bfloat16."
        )
    farthest = int(ways.argmax())
    return farthest, edits[farthest]


def _way(ends: Sequence[Latent], records: Sequence[Record]) -> Tensor:
    """Return the mean square of how far the walks ended from z_0, each record counting alike."""
    return torch.stack([(end - record.z_0).square().mean() for end, record in zip(ends, records, strict=True)]).mean()


class TowardsTarget(Refinement):
    """Steps on the pixels of one picture until the encoder sees the target; `run` yields the share of the way gone."""

    def __init__(
        self,
        surrogate: Surrogate,
        original: Levels,
        protected: Levels,
        config: RefineConfig,
        *,
        target: Latent,
        mask: Mask | None = None,
    ) -> None:
        """Prepare a picture as `Refinement` does; of the surrogate only the autoencoder counts.

        Args:
            surrogate, original, protected, config, mask: as for `Refinement`; there are no draws, no weighting, no
                contrast and no purifiers.
            target: what the encoder shall see, (1, c, h, w).

        Raises:
            MismatchError: the target is of another size than the picture's latent at the working size.
            BadValueError: it is that latent.
        """
        super().__init__(surrogate, original, protected, config, mask=mask)
        with torch.no_grad():
            start = published_latent(surrogate, self._working, (), self._generator)
        if target.shape != start.shape:
            raise MismatchError(
                f"The target is {list(target.shape)}, but this picture's latent is {list(start.shape)}: make it from "
                "the same picture at its working size."
            )
        self._z, self._way = start, target.to(start) - start
        if self._way.norm() < _SAME * start.norm():
            raise BadValueError(
                "The target is the picture itself, so there is nowhere to go: connect an edit that shows somebody "
                "else, such as Few-step Denoise under Choose a Decoy and without a record."
            )

    def _slope(self, change: Tensor) -> tuple[Tensor, Tensor]:
        z = self._published(change)
        gone = z.detach() - self._z
        share = (gone * self._way).sum() / self._way.square().sum()
        return share, torch.autograd.grad(z, change, self._wanted(z, gone))[0]

    def _wanted(self, z: Latent, gone: Latent) -> Latent:
        """Return where the latent shall go from here."""
        return OVERSHOOT * self._way - gone
