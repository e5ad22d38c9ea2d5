"""What a training of rho is built from, changed one thing at a time; `ldu` itself has no switch for any of it.

without_record     the corrections are 0: the shifted z_T is denoised as a plain sampler does
plain_decode       D(z_0) is taken to be x, so that the residual is D(z_0_protected) - x
at_z_0             a walk of no steps: z_T is z_0
BeforeDecoding     E gives back what D was given: the loss is taken on the latent, not on the file
towards            loss = - || z_0 - E(y) ||^2, a pull towards the latent of a target picture y
FreeShift          a shift of its own for one picture in the place of rho's
"""

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from benchmarks.baselines.target import target_picture
from ldu.budget import to_pixels
from ldu.model import Autoencoder
from ldu.protect import Subject
from ldu.schedule import NoiseSchedule, Weighting
from ldu.shapes import Latent, PerSample, Pixels
from ldu.shift_unet import ShiftConfig, ShiftUNet
from ldu.train import Surrogate
from ldu.trajectory import Record


def without_record(subject: Subject) -> Subject:
    """Return the subject with no corrections on its way down."""
    nothing = tuple(map(torch.zeros_like, subject.record.corrections))
    return replace(subject, record=replace(subject.record, corrections=nothing))


def plain_decode(subject: Subject) -> Subject:
    """Return the subject so that the decoded picture itself is published, the VAE's error with it."""
    return replace(subject, decoded_clean=to_pixels(subject.working))


def at_z_0(subject: Subject) -> Subject:
    """Return the subject with a walk of no steps, so that what is shifted is z_0."""
    record = subject.record
    return replace(subject, record=Record(record.z_0, (record.z_0,), (), (0.0,), record.denoiser_key))


class BeforeDecoding:
    """An autoencoder whose encoder gives back what its decoder was given last."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        self._autoencoder = autoencoder
        self._given: Latent | None = None

    def decode(self, z: Latent) -> Pixels:
        """Return the decoded picture and keep z, with its gradient."""
        self._given = z
        return self._autoencoder.decode(z)

    def encode(self, x: Pixels) -> Latent:
        """Return what was decoded to x before it was clipped and rounded."""
        del x
        assert self._given is not None  # training decodes first
        return self._given


def before_decoding(surrogate: Surrogate) -> Surrogate:
    """Return the models so that the loss is taken on the latent before decoding."""
    return replace(surrogate, autoencoder=BeforeDecoding(surrogate.autoencoder))


class Pull(NoiseSchedule):
    """Noise levels at which a distance counts as a loss to be made small: its weight is -1."""

    def loss_weight(self, sigma: PerSample, weighting: Weighting = "own") -> PerSample:
        """Return -1 at each noise level."""
        del weighting
        return -torch.ones_like(sigma)


@dataclass(frozen=True)
class Constant:
    """A denoiser that sees the same latent (1, c, h, w) in everything."""

    latent: Latent
    key: str = "constant"

    def __call__(self, z: Latent, sigma: PerSample) -> Latent:
        """Return the latent."""
        del sigma
        return self.latent.expand_as(z)


def towards(surrogate: Surrogate, like: Pixels) -> Surrogate:
    """Return the models so that the latent of the file is pulled to that of the target picture (at the size of `like`).

    Source: the textural loss of Mist, Liang & Wu 2023, section 3.
    """
    with torch.no_grad():
        target = surrogate.autoencoder.encode(target_picture(like))
    schedule = surrogate.schedule
    pull = Pull(**{field.name: getattr(schedule, field.name) for field in fields(schedule)})
    return replace(surrogate, adversary=Constant(target), schedule=pull)


class FreeShift(ShiftUNet):
    """The shift of one picture, each value free within rho's bound; it starts at 0 and looks at nothing."""

    def __init__(self, z_T: Latent) -> None:
        nn.Module.__init__(self)  # none of rho's layers
        self.config = ShiftConfig(z_T.shape[1], key_channels=0)
        self.raw = nn.Parameter(torch.zeros_like(z_T))

    def forward(self, z_T: Latent, sigma: PerSample, key: Tensor | None = None) -> Latent:
        """Return the shift, like z_T, each value within +-bound."""
        del z_T, sigma, key
        return self.config.bound * torch.tanh(self.raw / self.config.bound)


def beyond_when_normal(gaussian_rms: float) -> float:
    """Return what `share_beyond` gives for a normal residual of this RMS, a share of the budget.

    E max(0, |r| - 1) = 2 (s phi(1 / s) - Q(1 / s)) for r of standard deviation s.
    """
    at = 1 / gaussian_rms
    density, tail = math.exp(-(at**2) / 2) / math.sqrt(2 * math.pi), math.erfc(at / math.sqrt(2)) / 2
    return 2 * (gaussian_rms * density - tail)
