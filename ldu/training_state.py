"""An interrupted training on disk: rho, the optimiser's moments, the price, the random state and the history.

It continues with the very numbers that an uninterrupted training would have had, but for a personalizer that is learnt
again (`refit_every`): that one is not kept, and is learnt once more from the pictures as they are by then.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import read_safetensors, require_tensors, write_safetensors
from .errors import BadFileError, MismatchError
from .shift_unet import ShiftUNet

_FORMAT = "ldu.training_state"


@dataclass
class TrainingState:
    """Where a training stands.

    Args:
        step: optimiser steps done.
        price: the dual variable.
        losses: loss_personalize of each step.
        evaluations: (step, loss of the picture as a thief loads it) of each evaluation.
    """

    step: int = 0
    price: float = 0.0
    losses: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)


def save_training(
    path: Path,
    state: TrainingState,
    rho: ShiftUNet,
    optimizer: torch.optim.Adam,
    random_state: Tensor,
    settings: str,
) -> None:
    """Write everything that `load_training` needs; `settings` names the run (a digest of its inputs)."""
    tensors = {f"rho.{name}": tensor.detach().cpu().contiguous() for name, tensor in rho.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": tensor.cpu().contiguous() for name, tensor in moments.items()}
    tensors["generator"] = random_state
    metadata = {"ldu.format": _FORMAT, "ldu.settings": settings, "ldu.state": json.dumps(asdict(state))}
    write_safetensors(path, tensors, metadata)


def load_training(
    path: Path, rho: ShiftUNet, optimizer: torch.optim.Adam, generator: torch.Generator, settings: str
) -> TrainingState:
    """Restore a training in place and return where it stood.

    Raises:
        BadFileError: not a complete training state.
        MismatchError: it belongs to other inputs or settings.
    """
    tensors, metadata = read_safetensors(path)
    if metadata.get("ldu.format") != _FORMAT:
        raise BadFileError(f"{path.name} is not a training state of this pack.")
    if metadata.get("ldu.settings") != settings:
        raise MismatchError(f"{path.name} belongs to a training with other pictures or settings: start anew.")
    weights = {name.removeprefix("rho."): t for name, t in tensors.items() if name.startswith("rho.")}
    require_tensors(path, weights, rho.state_dict())
    try:
        moments = _moments(tensors)
        state = TrainingState(**json.loads(metadata["ldu.state"]))
        state.evaluations = [(step, loss) for step, loss in state.evaluations]  # JSON knows no tuples
        generator.set_state(tensors["generator"])  # first, for it refuses what is none and then nothing has changed
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise BadFileError(f"{path.name} is not a complete training state: {error}") from error
    rho.load_state_dict(weights)
    return state


def _moments(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Return the optimiser's moments by the number of their weight.

    Raises:
        ValueError: they are not named as they are saved, or hold values that are not finite.
    """
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("adam."):
            _, index, kind = name.split(".")
            moments.setdefault(int(index), {})[kind] = tensor
            if not tensor.isfinite().all():
                raise ValueError(f"{name} holds values that are infinite or not numbers")
    return moments
