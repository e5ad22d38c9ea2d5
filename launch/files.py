"""Which file goes where, and the rules that keep what people already have safe."""

import json
import os
import re
import secrets
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch import LaunchError
from ldu.errors import BadFileError
from ldu.naming import MARK, is_picture, say_links
from ldu.whole_file import written_whole
from ldu.wording import one_line

LENGTH_BYTES = 8  # of a safetensors file: how long the header behind them is
_PROTECTED = re.compile(rf"{MARK}(_\d+_)?$")  # with the number that Save Protected gives
HEADER_LIMIT = 100 * 2**20  # bytes, the safetensors format's own


@dataclass(frozen=True)
class Job:
    """A picture, or a folder of them, and where what is protected goes."""

    source: Path
    target: Path


def plan(images: list[Path], out: str | None, *, force: bool, ending: str = ".png") -> list[Job]:
    """Decide where each picture's protected version goes.

    Args:
        images: The pictures.
        out: A file or folder, as it was typed; None for a file beside each picture.
        force: Whether existing files may be replaced.
        ending: Of the new files.

    Raises:
        LaunchError: A picture is not there, or a target is taken.
    """
    for image in images:
        if not image.is_file():
            star = "*" in image.name  # which shells under Windows leave as it is
            advice = "a * stands for nothing here, name them or their folder" if star else "check the name"
            raise LaunchError(f"There is no picture at {image}: {advice}.")
    jobs = [Job(image, _target(image, out, several=len(images) > 1, ending=ending)) for image in images]
    require_distinct([job.target for job in jobs])
    for job in jobs:
        require_free(job.target, images, force=force)
    return jobs


def plan_folder(folder: Path, out: str | None, *, force: bool = False) -> Job:
    """Decide where the protected versions of a folder's pictures go: beside it, or where the user says.

    Args:
        folder: The originals.
        out: A folder, as it was typed; None for one beside it.
        force: Whether existing files may be replaced.

    Raises:
        LaunchError: They would lie among the originals, where a file is, or where nothing can be saved.
    """
    source = folder.resolve()
    if out is None and not source.name:
        raise LaunchError(f"{source} is a whole drive: say with --out where the protected pictures are to go.")
    target = Path(out or source.with_name(source.name + MARK)).resolve()
    # A name in other letters, or a mount, can be the same folder.
    if source.is_relative_to(target) or (target.exists() and any(map(target.samefile, (source, *source.parents)))):
        raise LaunchError(f"{target} holds the originals: choose another folder for what is saved.")
    if target.exists() and not target.is_dir():
        raise LaunchError(f"{target} is a file, but a folder's name is needed.")
    if force and target.is_relative_to(source) and any(is_picture(path.name) for path in target.rglob("*")):
        raise LaunchError(
            f"{target} lies among the originals and holds pictures, which may be originals too: leave --force out, or "
            "choose a folder outside of them."
        )
    require_writable(target)
    return Job(source, target)


def pictures_of(job: Job) -> list[Path]:
    """Return the pictures of a folder and its sub-folders, sorted, as paths inside it.

    Raises:
        LaunchError: There is none, or one is a link to a file in the target folder, which could be replaced there.
    """
    files = (path for path in job.source.rglob("*") if path.is_file() and not path.is_relative_to(job.target))
    names = sorted(path.relative_to(job.source) for path in files if is_picture(path.name))
    names = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    if not names:
        said = f"There is no picture in the folder {job.source}: put PNG, JPEG or WebP files there."
        raise LaunchError("\n".join([said, *say_links(job.source)]))
    for name in names:
        if (job.source / name).resolve().is_relative_to(job.target):
            raise LaunchError(f"{job.target} holds the original of {name}: choose another folder for what is saved.")
    return names


def seems_protected(image: Path) -> bool:
    """Tell by its name or that of a folder above it whether a picture is protected already."""
    return any(map(_PROTECTED.search, (image.stem, *image.absolute().parent.parts)))


def require_distinct(targets: list[Path]) -> None:
    """Refuse to save two things in one file."""
    if len({as_on_disk(str(target.resolve())) for target in targets}) < len(targets):
        raise LaunchError("Two files would be saved under one name: choose different names.")


def as_on_disk(name: str) -> str:
    """Return what a disk tells names apart by: those of Windows and macOS take upper and lower case for the same."""
    if sys.platform == "darwin":
        name = unicodedata.normalize("NFC", name)
    return name.casefold() if sys.platform in ("win32", "darwin") else name


def require_free(target: Path, inputs: list[Path], *, force: bool) -> None:
    """Refuse a target that is an input, that exists and may not be replaced, or that cannot be written."""
    if target.exists() and any(target.samefile(path) for path in inputs):
        raise LaunchError(f"{target} is one of the inputs, and an input is never written over: choose another name.")
    if target.is_dir():
        raise LaunchError(f"{target} is a folder, but a file's name is needed.")
    if os.path.lexists(target) and not force:  # a link that leads nowhere is in the way, too
        raise LaunchError(f"{target} is there already: move it, choose another name, or add --force.")
    if target.parent.is_file():
        raise LaunchError(f"{target.parent} is a file, but a folder is needed to save {target.name} in.")
    if not target.parent.is_dir() and not target.parent.parent.is_dir():
        raise LaunchError(f"There is no folder {target.parent} to save {target.name} in: make it first.")
    require_writable(target.parent)


def require_writable(folder: Path) -> None:
    """Refuse, before any work, a folder that nothing can be saved in; the nearest one there decides if it is missing.

    A file is made and removed: what permissions say is not the whole truth on network drives and under Windows.
    """
    places = (folder.absolute(), *folder.absolute().parents)
    nearest = next((place for place in places if place.exists()), folder)
    probe = nearest / f".ldu-{secrets.token_hex(8)}.part"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise LaunchError(
            f"Nothing can be saved in {nearest} ({error.strerror}): choose another folder, or allow writing there."
        ) from error


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
    header = _header(file)
    if header is None:
        raise LaunchError(f"{file} is not a safetensors file, or it is cut short: copy it again.")
    size, wanted = file.stat().st_size, _size_told(file, header)
    if size != wanted:
        raise LaunchError(f"{file} has {size} bytes, but {wanted} by its header: it is damaged, copy it again.")


def rho_settings(file: Path) -> dict[str, Any]:
    """Read from a rho's card what the walk must be set to; empty where it does not tell."""
    card = _card(file)
    told = {"k": card.get("k_steps"), "depth": card.get("depth")}
    return told if all(isinstance(number, int | float) for number in told.values()) else {}


def rho_prompt(file: Path) -> str:
    """Read from a rho's card the prompt that it was trained for; empty where it does not tell."""
    prompt = _card(file).get("prompt")
    return one_line(prompt) if isinstance(prompt, str) else ""


def deliver(content: bytes, target: Path, *, force: bool) -> None:
    """Write a file, complete or not at all; its folder is made where it is missing.

    Raises:
        LaunchError: The target has come into being meanwhile, or cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(target, force=force) as unfinished:
            unfinished.write_bytes(content)
    except BadFileError as error:
        raise LaunchError(str(error)) from error
    except OSError as error:
        raise LaunchError(f"{target} cannot be written ({error.strerror or error}).") from error


def _card(file: Path) -> dict[str, Any]:
    """Read a rho's card; empty where there is none."""
    try:
        card = json.loads((_header(file) or {})["__metadata__"]["ldu.rho"])["card"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return card if isinstance(card, dict) else {}


def _header(file: Path) -> dict[str, Any] | None:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
        header = stream.read(length) if 2 <= length <= HEADER_LIMIT else b""
    try:
        content = json.loads(header) if len(header) == length else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _size_told(file: Path, header: dict[str, Any]) -> int:
    """Return how many bytes a safetensors file has by its header.

    Raises:
        LaunchError: The header does not tell.
    """
    try:
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        data = int(max(ends, default=0))
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise LaunchError(f"{file} is not a safetensors file: its header does not say where its data lie.") from error
    with file.open("rb") as stream:
        return LENGTH_BYTES + int.from_bytes(stream.read(LENGTH_BYTES), "little") + data


def _target(image: Path, out: str | None, *, several: bool, ending: str) -> Path:
    name = f"{image.stem}{MARK}{ending}"
    if out is None:
        return image.with_name(name)
    target = Path(out)
    if target.is_dir() or out.endswith(("/", os.sep)):
        return target / name
    if several:
        if target.is_file() or is_picture(target.name):
            raise LaunchError(f"Several pictures are saved in a folder, but --out names the file {out}: name a folder.")
        return target / name
    if target.suffix.lower() != ending:
        hint = ", the one format that keeps every level" if ending == ".png" else " as --format says"
        raise LaunchError(f"--out must end in {ending}{hint}, or in a slash for a folder: got {out}.")
    return target
