"""The two models that are compared."""

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from benchmarks.world import World, load_world
from demo.train_sibling import SIBLING, add_sibling
from ldu.protect import WalkModels


@dataclass(frozen=True)
class Pair:
    """One world and the same world with a distilled UNet; they share VAE, text encoder and schedule.

    Args:
        base: as the checkpoint is.
        lora: the file with what the sibling's weights have more.
    """

    base: World
    lora: Path

    @cached_property
    def sibling(self) -> World:
        """The world with the LoRA added to its UNet's weights."""
        return replace(self.base, unet=add_sibling(copy.deepcopy(self.base.unet), self.lora))

    @cached_property
    def base_models(self) -> WalkModels:
        """The base's walk, with the empty prompt."""
        return self.base.walk_models()

    @cached_property
    def sibling_models(self) -> WalkModels:
        """The sibling's."""
        return self.sibling.walk_models()


def load_pair(lora: Path = SIBLING) -> Pair:
    """Load the demo checkpoint in float32 on the CPU; the LoRA is read when the sibling is first asked for."""
    return Pair(load_world(device=torch.device("cpu")), lora)
