"""The sockets of this pack and what travels through them."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..ldu.attacks.textual_inversion import InversionConfig
from ..ldu.checkpoint import RhoCard
from ..ldu.refine import RefineConfig
from ..ldu.schedule import Prediction
from ..ldu.shift_unet import ShiftUNet
from ..ldu.trajectory import Record

PictureInfoSocket = io.Custom("LDU_PICTURE_INFO")
RecordSocket = io.Custom("LDU_RECORD")
RhoSocket = io.Custom("LDU_RHO")
PersonalizerSocket = io.Custom("LDU_PERSONALIZER")
PurifiersSocket = io.Custom("LDU_PURIFIERS")  # recipes, built with the models that a training has loaded
LossesSocket = io.Custom("LDU_LOSSES")
GallerySocket = io.Custom("LDU_GALLERY")
RefinedSocket = io.Custom("LDU_REFINED")


@dataclass(frozen=True)
class ModelTag:
    """What a z_T or a rho must know of the model it belongs to.

    Args:
        family: the host's name of the architecture, such as "SD15".
        fingerprint: digest of the checkpoint's weights and patches.
        prediction: what the model predicts.
    """

    family: str
    fingerprint: str
    prediction: Prediction


@dataclass(frozen=True)
class ZTag:
    """Travels in a LATENT under the key "ldu" and says that its samples are a z_T in unit variance.

    Args:
        model: the model of the walk.
        sigmas: the grid, falling, 0 last.
        depth: where T lies, as a fraction of the training timesteps.
    """

    model: ModelTag
    sigmas: tuple[float, ...]
    depth: float

    @property
    def k_steps(self) -> int:
        """The number of steps of the walk."""
        return len(self.sigmas) - 1


@dataclass(frozen=True)
class HostRecord:
    """A walk's record with the very LATENT samples it started from, which an unshifted walk gives back bit for bit.

    Args:
        record: the walk's; between nodes it lies where the host keeps what travels.
        samples: of the LATENT.
        model: the model of the walk.
    """

    record: Record
    samples: Tensor
    model: ModelTag

    def on(self, device: torch.device) -> "HostRecord":
        """Return it with the record on a device."""
        record = self.record
        points, corrections = (tuple(z.to(device) for z in each) for each in (record.points, record.corrections))
        return replace(self, record=replace(record, z_T=record.z_T.to(device), points=points, corrections=corrections))


@dataclass(frozen=True)
class TrainedRho:
    """rho with its card, as it travels between nodes.

    Args:
        patcher: rho under the host's memory manager, which must live as long as rho does.
        card: what it was trained for.
    """

    patcher: Any
    card: RhoCard

    @property
    def net(self) -> ShiftUNet:
        """The network itself."""
        return self.patcher.model

    @property
    def as_published(self) -> bool:
        """Whether it was trained as its paper has it; a file from before there was the choice was not."""
        return bool(self.card.training.get("as_published"))


@dataclass(frozen=True)
class RefinedWith:
    """How pictures were refined, for Protection Report.

    Args:
        config: budget, steps and the rest.
        purifiers: what was refined against, in words.
        masked: whether a mask spared a part.
        targeted: whether towards a target.
    """

    config: RefineConfig
    purifiers: str
    masked: bool
    targeted: bool


@dataclass(frozen=True)
class Personalizer:
    """A fitted personalizer that can be fitted again.

    Args:
        clip: the host's CLIP object.
        prompt: with S* for the token.
        initial_word: what a text encoder that learns nothing reads in its place.
        token: the learnt embedding, (vectors, width), on the CPU.
        config: how it is fitted.
        seed: of its draws.
    """

    clip: Any
    prompt: str
    initial_word: str
    token: Tensor
    config: InversionConfig
    seed: int
