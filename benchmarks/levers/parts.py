"""What a training of rho is built from, changed one thing at a time; `ldu` itself has no switch for any of it.

at_z_0             a walk of no steps: z_T is z_0
BeforeDecoding     E gives back what D was given: the loss is taken on the latent, not on the file
towards            loss = - || z_0 - E(y) ||^2, a pull towards the latent of a target picture y
FreeShift          a shift of its own for one picture in the place of rho's
shifted_at_each_level    the model sees z + rho(z) at every noise level of the walk below the first
Structure          what is held is the structure that is lost, over several scales, and not the RMS
LearningLora       a personalizer of a word and of a LoRA that goes on learning
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from kornia.metrics import ssim
from peft import LoraConfig
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.baselines.target import target_picture
from benchmarks.thieves import ATTENTION, DEMO, condition_with
from benchmarks.world import World
from ldu.losses import noise_prediction_loss
from ldu.metrics import SSIM_WINDOW
from ldu.model import Autoencoder, Denoiser
from ldu.protect import Subject
from ldu.schedule import NoiseSchedule, Weighting
from ldu.shapes import Latent, LatentOfAnySize, Levels, PerSample, Pixels, TokenEmbedding
from ldu.shift_unet import ShiftConfig, ShiftUNet
from ldu.train import Surrogate, TrainConfig
from ldu.trajectory import Record


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


@dataclass(frozen=True)
class ShiftedBelow:
    """A denoiser that sees z + rho(z) in the place of z at noise levels below the first, where z is shifted itself.

    Its key comes from one fixed seed: the backward pass evaluates each step again and must see the same.
    """

    walker: Denoiser
    rho: ShiftUNet
    schedule: NoiseSchedule
    first: float

    @property
    def key(self) -> str:
        """The walker's: an unshifted walk is its own."""
        return self.walker.key

    def __call__(self, z: Latent, sigma: PerSample) -> Latent:
        """Return what the walker makes of the shifted latent."""
        level = sigma[0].item()
        if level >= self.first * (1 - 1e-6):
            return self.walker(z, sigma)
        spread = self.schedule.spread(level)
        key = self.rho.draw_key(z, generator=torch.Generator().manual_seed(0))
        return self.walker(z + spread * self.rho(z / spread, sigma, key), sigma)


def shifted_at_each_level(surrogate: Surrogate, rho: ShiftUNet, first: float) -> Surrogate:
    """Return the models so that rho, which shifts z_T at the noise level `first`, has a say at the others too."""
    return replace(surrogate, walker=ShiftedBelow(surrogate.walker, rho, surrogate.schedule, first))


class Structure:
    """A measure of visibility: sqrt(1 - SSIM) over SCALES sizes, each half the last.

    It is scaled so that noise at the target of `ldu.train` counts as its RMS.

    Source: the scales, Wang et al. 2003 (MS-SSIM); the product over them is a mean here.
    """

    SCALES = 3

    def __init__(self, working: Levels, budget_levels: float) -> None:
        """Keep the picture (1, 3, h, w), and how much structure noise costs it."""
        self._working = working
        aimed = TrainConfig.visibility_target
        noise = torch.randn(working.shape, generator=torch.Generator().manual_seed(0)).to(working)
        self._unit = self._lost(aimed * budget_levels * noise) / aimed

    def __call__(self, residual: Levels, budget_levels: float) -> Tensor:
        """Return it as a share of the budget."""
        del budget_levels  # the unit's
        return self._lost(residual) / self._unit

    def _lost(self, residual: Levels) -> Tensor:
        before, after, found = self._working / 255, (self._working + residual) / 255, []
        for _ in range(self.SCALES):
            found.append(1 - ssim(before, after, SSIM_WINDOW).mean())
            before, after = (functional.avg_pool2d(each, 2) for each in (before, after))
        return (torch.stack(found).mean().clamp(min=0) + 1e-12).sqrt()  # sqrt has no slope at 0


class LearningLora:
    """A personalizer of a fixed word and of a LoRA that goes on learning each time it is asked for."""

    def __init__(self, world: World, token: TokenEmbedding, *, steps: int, seed: int) -> None:
        """Start with a LoRA that changes nothing; `steps` are those of each call, at the rate of the thief's LoRA."""
        self._schedule, self._steps, thief = world.schedule, steps, DEMO["LoRA"]
        self._generator = torch.Generator().manual_seed(seed)
        theirs = world.unfrozen()
        theirs.unet.requires_grad_(False)
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # peft draws the additions' start
            theirs.unet.add_adapter(LoraConfig(r=thief.rank, lora_alpha=thief.rank, target_modules=list(ATTENTION)))
        self._weights = [weight for weight in theirs.unet.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(self._weights, thief.learning_rate)
        with torch.no_grad():
            self._denoiser = theirs.denoiser(condition_with(world, token[None], world.personal_prompt("S*")))
            self.wordless = theirs.denoiser(world.condition([""]))

    def __call__(self, latents: Sequence[LatentOfAnySize]) -> Denoiser:
        """Let it learn from these latents (1, c, h, w) in turn and return it, frozen."""
        self._freeze(frozen=False)
        for step in range(self._steps):
            drawn = latents[step % len(latents)].expand(2, -1, -1, -1)
            loss = noise_prediction_loss(self._denoiser, drawn, self._schedule, generator=self._generator).mean()
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        self._freeze(frozen=True)
        return self._denoiser

    def _freeze(self, *, frozen: bool) -> None:
        for weight in self._weights:
            weight.requires_grad_(not frozen)
