"""Opens the pack in the real ComfyUI for somebody who has none: one command, one address."""

import shutil
from pathlib import Path

from launch import PACK
from launch.console import say
from launch.host import Host, probe
from launch.private import lay_out
from launch.server import serving
from launch.setup import cache_root

PROTECT_WORKFLOW = "/?template=protect&source=ldu"
SAMPLES = PACK / "workflows" / "samples"


def serve(host: Host, *, cpu: bool, port: int | None) -> None:
    """Run ComfyUI with the pack and the sample pictures in place until it ends or Ctrl-C is pressed."""
    base = cache_root() / "ui"
    base.mkdir(parents=True, exist_ok=True)
    lay_out(base)
    put_samples(base / "input")
    with serving(host, base, cpu=not probe(host) or cpu, port=port) as server:
        say(f"Open this in a browser: {server.address}{PROTECT_WORKFLOW}")
        say("The other workflows are under Templates > ldu. Ctrl-C ends it.")
        server.wait()


def put_samples(folder: Path) -> None:
    """Copy the samples, pictures and folders of pictures, to `folder`, leaving what is there already."""
    for sample in sorted(SAMPLES.rglob("*.png")):
        target = folder / sample.relative_to(SAMPLES)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(sample, target)
