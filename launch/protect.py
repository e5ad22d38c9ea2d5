"""Protects pictures: runs the shipped workflow in a private ComfyUI and reports what came out, read from the files."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launch import PACK, LaunchError
from launch.delivery import Delivery
from launch.files import Job, deliver, rho_settings
from launch.graph import (
    SAVE_IN,
    Graph,
    fill,
    having_place,
    judge_the_file,
    load_workflow,
    use_checkpoint,
    with_pictures,
)
from launch.host import Host, probe, run_python
from launch.private import link_model, private_folder
from launch.result import Report, compose, remarks_of, told_by_nodes
from launch.server import Server, serving

# The same as `-m ldu.report`; an embedded Python does not look for modules where it was started.
REPORT = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('ldu.report', run_name='__main__')"

# The demo is small and learns in few steps; these are usual for Stable Diffusion.
TRAINING_OF_CHECKPOINTS = {"train_steps": 300, "word_steps": 500, "word_rate": 0.005}
OF_CHECKPOINTS = TRAINING_OF_CHECKPOINTS | {"judges_steps": 500, "judges_rate": 0.005}


@dataclass(frozen=True, kw_only=True)
class Order:
    """With what to run a workflow.

    Attributes:
        wishes: Values for the workflow, by the names of its places.
        checkpoint: The user's own checkpoint; None for the demo model.
        cpu: Whether to leave a GPU alone.
        force: Whether existing files may be replaced.
        keep_log: Where the server's log is to be kept; None to drop it.
    """

    wishes: dict[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None
    cpu: bool = False
    force: bool = False
    keep_log: Path | None = None


@dataclass(frozen=True)
class ProtectOrder(Order):
    """With what to protect.

    Attributes:
        rho: A trained rho, which saves the training.
        decoy: Whether to lead thieves to somebody else by what the encoder sees, with no training.
    """

    rho: Path | None = None
    decoy: bool = False

    @property
    def workflow(self) -> str:
        """Return the name of the workflow that does it."""
        if self.decoy:
            return "protect_with_decoy"
        return "protect_with_trained_rho" if self.rho else "protect"


def protect(jobs: list[Job], order: ProtectOrder, host: Host) -> list[tuple[Report, list[str]]]:
    """Protect the pictures of one subject, save them, and return a report for each and what the nodes remarked.

    Raises:
        LaunchError: Something in the way, in one sentence.
    """
    started = time.monotonic()
    cpu = not probe(host) or order.cpu
    with private_folder() as base:
        names = [_copy_picture(number, job.source, base / "input") for number, job in enumerate(jobs)]
        graph = prepare_graph(names, order, base)
        delivery = Delivery(base / "output" / SAVE_IN, lambda name: jobs[_number(name)].target, order.force)
        with serving_alone(order, host, base, cpu=cpu) as server:
            device = device_name(server)
            entry = delivery.run(server, graph)
        if len(delivery.known) < len(jobs):
            raise LaunchError("The workflow ended without saving a protected picture; --keep-log FILE keeps its log.")
        originals = [base / "input" / name for name in names]  # as they were when the run began
        saved = [delivery.place / name for name in sorted(delivery.known, key=_number)]  # as they were handed over
        measured = measure(host, list(zip(originals, saved, strict=True)))
    run = {"seconds": round(time.monotonic() - started, 1), "device": device}
    reports = [
        compose(job, order.checkpoint, graph, told_by_nodes(entry, graph, number) | found | run)
        for number, (job, found) in enumerate(zip(jobs, measured, strict=True))
    ]
    return [(report, remarks_of(entry, graph, number)) for number, report in enumerate(reports)]


def prepare_graph(names: list[str], order: ProtectOrder, base: Path) -> Graph:
    """Put links to the models into the base directory, and fill the workflow with them and pictures of its input."""
    graph = load_workflow(order.workflow)
    wishes = dict(order.wishes)
    if order.rho:
        wishes = {**rho_settings(order.rho), **wishes, "rho": link_model(order.rho, base, "ldu")}
    if order.checkpoint:
        graph = use_checkpoint(graph, link_model(order.checkpoint, base, "checkpoints"))
        wishes = having_place(graph, OF_CHECKPOINTS) | wishes
    graph = with_pictures(graph, names)
    return fill(judge_the_file(graph) if wishes.get("format", "png") != "png" else graph, wishes)


def _number(name: Path) -> int:
    """Return which picture a file belongs to, by the folder that it is saved in."""
    return int(name.parts[0])


def _copy_picture(number: int, source: Path, folder: Path) -> str:
    """Copy a picture under its own name, which the messages of the nodes tell, into a folder of its number."""
    (folder / str(number)).mkdir()
    shutil.copyfile(source, folder / str(number) / source.name)
    return f"{number}/{source.name}"


@contextmanager
def serving_alone(order: Order, host: Host, base: Path, *, cpu: bool) -> Iterator[Server]:
    """Run ComfyUI for this command alone, and save its log however the block ends, if somebody wants it."""
    try:
        with serving(host, base, cpu=cpu, locked=True) as server:
            yield server
    finally:
        if order.keep_log:
            deliver((base / "server.log").read_bytes(), order.keep_log, force=order.force)


def device_name(server: Server) -> str:
    """Return the name of what the server computes on."""
    return server.ask("/system_stats")["devices"][0]["name"]


def measure(host: Host, pairs: list[tuple[Path, Path]]) -> list[Report]:
    """Compare originals and saved files, both read back from disk, however many there are.

    Raises:
        LaunchError: One of them cannot be read.
    """
    if not pairs:
        return []
    names = [str(path.resolve()) for pair in pairs for path in pair]
    answer = run_python(host, "-c", REPORT, str(PACK), "-", given=json.dumps(names))
    if answer.returncode:
        raise LaunchError((answer.stderr.strip().splitlines() or ["The saved picture could not be measured."])[-1])
    return json.loads(answer.stdout)
