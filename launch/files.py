"""Which file goes where, and the rules that keep what people already have safe."""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch import LaunchError

HEADER_LIMIT = 100 * 2**20  # bytes, the safetensors format's own


@dataclass(frozen=True)
class Job:
    """A picture and the file that its protected version goes to."""

    source: Path
    target: Path


def plan(images: list[Path], out: Path | None, *, force: bool) -> list[Job]:
    """Decide where each picture's protected version goes.

    Raises:
        LaunchError: A picture is not there, or a target is taken.
    """
    for image in images:
        if not image.is_file():
            raise LaunchError(f"There is no picture at {image}: check the name.")
    jobs = [Job(image, _target(image, out, several=len(images) > 1)) for image in images]
    require_distinct([job.target for job in jobs])
    for job in jobs:
        require_free(job.target, images, force=force)
    return jobs


def require_distinct(targets: list[Path]) -> None:
    """Refuse to save two things in one file."""
    if len({target.resolve() for target in targets}) < len(targets):
        raise LaunchError("Two files would be saved under one name: choose different names.")


def require_free(target: Path, inputs: list[Path], *, force: bool) -> None:
    """Refuse a target that is an input, or that exists and may not be replaced."""
    if target.exists() and any(target.samefile(path) for path in inputs):
        raise LaunchError(f"{target} is one of the inputs, and an input is never written over: choose another name.")
    if target.is_dir():
        raise LaunchError(f"{target} is a folder, but a file's name is needed.")
    if target.exists() and not force:
        raise LaunchError(f"{target} is there already: move it, choose another name, or add --force.")
    if not target.parent.is_dir() and not target.parent.parent.is_dir():
        raise LaunchError(f"There is no folder {target.parent} to save {target.name} in: make it first.")


def require_safetensors(file: Path) -> None:
    """Refuse a file that is not safetensors, whatever it is called.

    Raises:
        LaunchError: It is missing, of another format, or cut short.
    """
    if not file.is_file():
        raise LaunchError(f"There is no file at {file}: check the name.")
    if file.suffix.lower() != ".safetensors":
        raise LaunchError(
            f"{file} is not a .safetensors file; other formats can run code and are not loaded: convert it."
        )
    if _header(file) is None:
        raise LaunchError(f"{file} is not a safetensors file, or it is cut short: copy it again.")


def rho_settings(file: Path) -> dict[str, Any]:
    """Read from a rho's card what the walk must be set to; empty where it does not tell."""
    try:
        card = json.loads((_header(file) or {})["__metadata__"]["ldu.rho"])["card"]
        return {"k": card["k_steps"], "depth": card["depth"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def deliver(content: bytes, target: Path, *, force: bool) -> None:
    """Write a file, complete or not at all; its folder is made where it is missing.

    Raises:
        LaunchError: The target has come into being meanwhile, or cannot be written.
    """
    unfinished = target.with_name(f".ldu-{secrets.token_hex(8)}.part")
    try:
        target.parent.mkdir(exist_ok=True)
        unfinished.write_bytes(content)
        if target.exists() and not force:
            raise LaunchError(f"{target} has come into being meanwhile and is left alone: choose another name.")
        unfinished.replace(target)
    except OSError as error:
        raise LaunchError(f"{target} cannot be written ({error.strerror or error}).") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _header(file: Path) -> dict[str, Any] | None:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if 2 <= length <= HEADER_LIMIT else b""
    try:
        content = json.loads(header) if len(header) == length else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _target(image: Path, out: Path | None, *, several: bool) -> Path:
    name = f"{image.stem}_protected.png"
    if out is None:
        return image.with_name(name)
    if out.is_dir() or several or str(out).endswith(("/", os.sep)):
        if out.suffix and not out.is_dir():
            raise LaunchError(f"Several pictures are saved in a folder, but --out names the file {out}: name a folder.")
        return out / name
    if out.suffix.lower() != ".png":
        raise LaunchError(f"--out must end in .png, the one format that keeps every level: got {out}.")
    return out
