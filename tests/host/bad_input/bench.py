"""The bench that bad inputs are tried on: good ones of every kind, and the ways to call what they go to."""

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .. import tiny_models as tiny


class RefusedError(Exception):
    """What the host or the command line said before anything ran."""


@dataclass(frozen=True)
class Case:
    """One mistake.

    Args:
        where: the node or command that it is made at, as people know it.
        what: what came, in words.
        says: a regular expression that the message must hold.
        attempt: makes the mistake on a bench; raises what is said.
    """

    where: str
    what: str
    says: str
    attempt: Callable[["Bench"], Any]


class Bench:
    """Good inputs, made once, and ways to hand them over.

    Args:
        host: the fixture of that name.
        place: a folder for files that are no input of the host's.
    """

    def __init__(self, host: Any, place: Path) -> None:
        self.host, self.place = host, place
        self.prepared: set[Path] = set()

    def put(self, path: Path, content: bytes) -> Path:
        """Write a file that belongs to the mistake."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.prepared.add(path)
        return path

    def node(self, kind_name: str, /, **given: Any) -> Any:
        """Run a node as the host does: its own check first, then with its defaults for what is not given."""
        kind = self.host.classes[kind_name]
        schema = kind.define_schema()
        inputs = {each.id: each.default for each in schema.inputs if getattr(each, "default", None) is not None} | given
        if "validate_inputs" in vars(kind):
            checked = kind.validate_inputs.__func__.__code__.co_varnames[1:2]
            verdict = kind.validate_inputs(**{key: inputs[key] for key in checked})
            if verdict is not True:
                raise RefusedError(verdict)
        if schema.is_input_list:
            whole = {key for key in inputs if isinstance(inputs[key], list) and not key.endswith("conditioning")}
            inputs = {key: value if key in whole else [value] for key, value in inputs.items()}
        return kind.execute(**inputs)

    def graph(self, graph: dict[str, Any]) -> None:
        """Hand a graph over to the host's own check."""
        import execution

        from launch.server import refusal

        valid, error, _, node_errors = asyncio.run(execution.validate_prompt("id", copy.deepcopy(graph), None))
        if not valid:
            import json

            raise RefusedError(refusal(json.dumps({"error": error, "node_errors": node_errors}).encode()))

    def input_file(self, name: str, content: bytes) -> str:
        """Put a file into the input folder and return its name."""
        self.put(self.host.base / "input" / "bad" / name, content)
        return f"bad/{name}"


def picture(height: int = 64, width: int = 72, count: int = 1, colours: int = 3, seed: int = 0) -> torch.Tensor:
    """Return an IMAGE of noise in whole levels."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, height, width, colours, generator=generator) * 255).round() / 255


@cache
def model(family: str = "sd1") -> Any:
    """Return a tiny MODEL."""
    with torch.inference_mode():
        return tiny.model(family)


@cache
def vae(family: str = "sd1") -> Any:
    """Return a tiny VAE."""
    with torch.inference_mode():
        return tiny.vae(family)


@cache
def clip(family: str = "sd1") -> Any:
    """Return a tiny CLIP."""
    with torch.inference_mode():
        return tiny.clip(family)


def condition(family: str = "sd1", width: int | None = None) -> list[Any]:
    """Return a CONDITIONING of a family, or one of another width."""
    made = tiny.conditioning(family)
    return made if width is None else [[torch.zeros(1, 77, width), made[0][1]]]


def walked(bench: Bench, **settings: Any) -> Any:
    """Return z_T and its record."""
    given = {"model": model(), "latent": tiny.latents(), "k": 4, "depth": 0.5, "conditioning": condition(), **settings}
    return bench.node("LDU_InvertToZT", **given).args


def rho(bench: Bench, channels: int = 4, **card: Any) -> Any:
    """Return an untrained rho with a card of its own."""
    return tiny.random_rho(bench.host, model(), channels, **card)
