"""Opens the pack in the real ComfyUI for somebody who has none: one command, one address."""

import os
import shutil
from pathlib import Path

from launch import PACK, LaunchError
from launch.console import last_line, say
from launch.host import Host, probe
from launch.lock import try_lock
from launch.private import lay_out, link_file
from launch.server import serving
from launch.setup import cache_folder

PROTECT_WORKFLOW = "/?template=protect&source=ldu"
SAMPLES = PACK / "workflows" / "samples"
COARSEST_CLOCK = 2.0  # seconds: FAT's


def serve(host: Host, *, cpu: bool, port: int | None, checkpoint: Path | None = None) -> None:
    """Run ComfyUI with the pack and the sample pictures in place until it ends or Ctrl-C is pressed.

    Raises:
        LaunchError: It runs already, does not start, or there is another checkpoint of that name.
    """
    base = cache_folder("ui")
    lock = try_lock(base / "lock")
    if lock is None:  # two of them would tidy each other's files away
        raise LaunchError("It runs already, in another terminal: use that one, or end it with Ctrl-C first.")
    try:
        lay_out(base)
        put_samples(base / "input")
        if checkpoint:
            put_checkpoint(checkpoint, base)
        with serving(host, base, cpu=not probe(host) or cpu, port=port) as server:
            say(f"Open this in a browser: {server.address}{PROTECT_WORKFLOW}")
            say("The other workflows are under Templates > ldu. Ctrl-C ends it.")
            say(f"Pictures come from {base / 'input'} and go to {base / 'output'}; models lie in {base / 'models'}.")
            server.wait()
            words = last_line(server.log)
        raise LaunchError(f"ComfyUI ended by itself; its last words: {words} (all of them: {server.log}).")
    finally:
        os.close(lock)


def put_checkpoint(file: Path, base: Path) -> None:
    """Link a checkpoint to where Load Checkpoint looks; this folder stays, with what the user put there himself.

    Raises:
        LaunchError: That name is taken by another file.
    """
    place, source = base / "models" / "checkpoints" / file.name, file.resolve()  # before the link may go
    if place.is_symlink():  # of an earlier time, and perhaps to another checkpoint
        place.unlink()
    if not place.exists():
        link_file(source, place)
    elif not (place.samefile(source) or _is_copy(place, source)):
        raise LaunchError(f"{place} is there already: remove it, or leave out --checkpoint to load that one.")


def _is_copy(file: Path, source: Path) -> bool:
    """Tell whether a file is what `link_file` makes where it can link nothing."""
    made, given = file.stat(), source.stat()
    return made.st_size == given.st_size and abs(made.st_mtime - given.st_mtime) < COARSEST_CLOCK


def put_samples(folder: Path) -> None:
    """Copy the samples, pictures and folders of pictures, to `folder`, leaving what is there already."""
    for sample in sorted(SAMPLES.rglob("*.png")):
        target = folder / sample.relative_to(SAMPLES)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(sample, target)
