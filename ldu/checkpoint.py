"""rho on disk: one safetensors file, tensors plus a card that says what it was trained for.

Files come from strangers, so everything is checked before anything is built: format, version, card, names, shapes and
dtypes against the architecture that the card describes, and that every value is finite.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import BadFileError, BadValueError, MismatchError
from .schedule import Prediction
from .shift_unet import ShiftConfig, ShiftUNet
from .whole_file import written_whole

_FORMAT = "ldu.rho"
_VERSION = 1
_AGAIN = "copy it again from where it came, or choose another"
_MAX_BYTES = 512 * 2**20
_MAX_HEADER_BYTES = 10 * 2**20


@dataclass(frozen=True)
class RhoCard:
    """What a rho was trained for.

    Args:
        model_family: the host's or library's name of the architecture, such as "SD15".
        model_hash: fingerprint of the checkpoint's weights.
        prediction: "eps", "v" or "flow".
        k_steps: steps of the walk.
        depth: where T lies, as a fraction of the training timesteps.
        sigmas: the grid of the walk, falling, 0 last.
        rounds: how often invert - shift - denoise was repeated.
        budget_levels: the pixel budget in training, 0..255.
        prompt: the personalization prompt, with S* for the token.
        training: the other settings and what was measured, for the reader.
    """

    model_family: str
    model_hash: str
    prediction: Prediction
    k_steps: int
    depth: float
    sigmas: tuple[float, ...]
    rounds: int = 1
    budget_levels: float = 10.0
    prompt: str = ""
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.prediction not in ("eps", "v", "flow") or not isinstance(self.training, dict):
            raise BadValueError("The card of this rho does not name a known prediction type.")
        whole = all(type(n) is int and n >= 1 for n in (self.k_steps, self.rounds))
        real = all(type(x) in (int, float) and math.isfinite(x) for x in (self.depth, self.budget_levels))
        falling = (
            all(type(s) is float and math.isfinite(s) for s in self.sigmas) and len(self.sigmas) == self.k_steps + 1
        )
        text = all(type(s) is str for s in (self.model_family, self.model_hash, self.prompt))
        if not (whole and real and text and falling and 0 < self.depth <= 1 and 0 <= self.budget_levels <= 255):
            raise BadValueError("The card of this rho holds a value of the wrong kind or range.")


def require_fit(
    card: RhoCard, *, model_family: str, prediction: Prediction, latent_channels: int, rho: ShiftUNet
) -> None:
    """Raise if rho cannot be used with this model at all.

    Raises:
        MismatchError: another family, prediction or number of latent channels.
    """
    if card.model_family != model_family or card.prediction != prediction:
        raise MismatchError(
            f"This rho was trained for {card.model_family} ({card.prediction} prediction), but the loaded model is "
            f"{model_family} ({prediction} prediction): load the model it was trained for, or train a new rho."
        )
    if rho.config.latent_channels != latent_channels:
        raise MismatchError(
            f"This rho shifts latents of {rho.config.latent_channels} channels, but the model's have "
            f"{latent_channels}: load the model it was trained for, or train a new rho."
        )


def save_rho(path: Path, rho: ShiftUNet, card: RhoCard) -> None:
    """Write rho and its card to a .safetensors file; a file of that name appears only when it is complete."""
    described = json.dumps({"config": asdict(rho.config), "card": asdict(card)})
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in rho.state_dict().items()}
    write_safetensors(path, tensors, {"ldu.format": _FORMAT, "ldu.version": str(_VERSION), "ldu.rho": described})


def load_rho(path: Path) -> tuple[ShiftUNet, RhoCard]:
    """Read a rho and its card, on the CPU, in evaluation mode and frozen.

    Raises:
        BadFileError: not a complete and valid rho of a version known here.
    """
    tensors, metadata = read_safetensors(path)
    if metadata.get("ldu.format") != _FORMAT:
        raise BadFileError(
            f"{path.name} is a safetensors file but not a rho: it carries no {_FORMAT} mark; "
            "choose one that Train ρ or Save ρ wrote."
        )
    if metadata.get("ldu.version") != str(_VERSION):
        raise BadFileError(
            f"{path.name} has format version {metadata.get('ldu.version')!r}, this pack reads {_VERSION}: "
            "update the pack."
        )
    config, card = _parse(path, metadata.get("ldu.rho", ""))
    with torch.device("meta"):  # a hostile description must not cost memory
        expected = ShiftUNet(config).state_dict()
    require_tensors(path, tensors, expected)
    rho = ShiftUNet(config)
    rho.load_state_dict(tensors)
    return rho.eval().requires_grad_(False), card


def _parse(path: Path, described: str) -> tuple[ShiftConfig, RhoCard]:
    try:
        parsed = json.loads(described)
        parsed["card"]["sigmas"] = tuple(parsed["card"]["sigmas"])  # JSON knows no tuples
        return _build(ShiftConfig, parsed["config"]), _build(RhoCard, parsed["card"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, BadValueError) as error:
        raise BadFileError(f"{path.name} describes itself in a way that cannot be read ({error}): {_AGAIN}.") from error


def _build(kind: Any, values: Mapping[str, Any]) -> Any:  # noqa: ANN401  (either of two dataclasses)
    return kind(**{f.name: values[f.name] for f in fields(kind) if f.name in values})


def require_tensors(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise unless names, shapes and dtypes are those expected and every value is finite.

    Raises:
        BadFileError: naming the first tensor that is wrong.
    """
    if tensors.keys() != expected.keys():
        odd = sorted(tensors.keys() ^ expected.keys())[0]
        raise BadFileError(
            f"{path.name} does not hold the tensors it describes; the first that differs is {odd!r}; {_AGAIN}."
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape or tensor.dtype != expected[name].dtype:
            raise BadFileError(
                f"{path.name} holds {name!r} as {tuple(tensor.shape)} {tensor.dtype}, "
                f"expected {tuple(expected[name].shape)} {expected[name].dtype}."
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadFileError(f"{path.name} holds values in {name!r} that are infinite or not numbers: {_AGAIN}.")


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors and the text metadata of a safetensors file of at most 512 MiB.

    Raises:
        BadFileError: missing, too large, truncated or not a safetensors file.
    """
    _require_readable(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise BadFileError(f"{path.name} is not a complete safetensors file ({error}): {_AGAIN}.") from error


def _require_readable(path: Path) -> None:
    if path.suffix.lower() != ".safetensors":
        raise BadFileError(f"Weights are read from .safetensors files only, but {path.name} came.")
    if not path.is_file():
        raise BadFileError(f"There is no file {path.name}.")
    if path.stat().st_size > _MAX_BYTES:
        raise BadFileError(f"{path.name} is larger than 512 MiB, which no file of this pack is.")
    with path.open("rb") as file:
        if int.from_bytes(file.read(8), "little") > _MAX_HEADER_BYTES:
            raise BadFileError(
                f"{path.name} is not a complete safetensors file (its header cannot be that long): {_AGAIN}."
            )


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, complete or not at all; one of that name is replaced.

    Raises:
        BadFileError: it cannot be written.
    """
    with written_whole(path, force=True) as unfinished:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_file(dict(tensors), unfinished, metadata=dict(metadata))
        except SafetensorError as error:
            raise OSError(str(error)) from error
