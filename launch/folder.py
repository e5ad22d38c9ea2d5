"""Protects a whole folder: the shipped workflow in a private ComfyUI, each picture handed over as soon as it is saved.

The originals are linked into the private folder, not copied. What lies in the target folder already is linked into the
private output folder, where the workflow leaves it as it is: a run that was stopped goes on where it stopped.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.delivery import Delivery
from launch.files import Job, pictures_of
from launch.graph import (
    SAVE_IN,
    Graph,
    fill,
    having_place,
    load_workflow,
    numbers_of,
    use_checkpoint,
    use_folder,
    use_rho,
)
from launch.host import Host, probe
from launch.private import link_file, link_model, private_folder
from launch.protect import OF_CHECKPOINTS, ProtectOrder, device_name, measure, serving_alone
from launch.result import (
    DEMO,
    JUDGE,
    NOT_KEPT,
    Report,
    compose,
    remarks_of,
    say_thief,
    told_by,
    told_by_nodes,
)
from ldu.naming import ENDINGS
from ldu.wording import DEMO_WARNING, SAVED, THERE, say_bytes

JUDGED = ("The first picture", "The same after an upload that recompresses it")


@dataclass(frozen=True)
class FolderReport:
    """What became of a folder.

    Attributes:
        job: The folders.
        pictures: A report for each picture that was saved in this run.
        told: What became of each picture of the folder: name, outcome, said.
        sample: Losses of the first picture, as its file is and after a platform; empty if they were not measured.
        seconds: How long all of it took.
        remarks: What the nodes had to say to people.
        moved: Saved pictures that were moved or removed before they were measured.
    """

    job: Job
    pictures: list[Report]
    told: list[dict[str, str]]
    sample: list[dict[str, Any]]
    seconds: float
    remarks: Sequence[str] = ()
    moved: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give it for programs."""
        others = [each for each in self.told if each["outcome"] != SAVED]
        return {
            "input": str(self.job.source),
            "output": str(self.job.target),
            "pictures": self.pictures,
            "there_already": [each["name"] for each in others if each["outcome"] == THERE],
            "left_out": {each["name"]: each["said"] for each in others if each["outcome"] != THERE},
            "moved": list(self.moved),
            "losses_of_first": self.sample,
            "seconds": self.seconds,
        }

    def in_words(self) -> str:
        """Write it for people."""
        lines = [DEMO_WARNING] if any(report["protects_against"] == DEMO for report in self.pictures) else []
        outcomes = [each["outcome"] for each in self.told]
        counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in dict.fromkeys(outcomes))
        lines += [f"{self.job.source} -> {self.job.target}: {counts}", *self._visibility()]
        lines += [f"{each['name']}: {each['said']}" for each in self.told if each["outcome"] != SAVED]
        lines += [*self.remarks, *(f"{name} was moved or removed before it was measured." for name in self.moved)]
        for losses, which in zip(self.sample, JUDGED, strict=False):
            lines.append(f"{which}: {say_thief(losses)}")
        return "\n".join([*lines, f"{self.seconds} s"])

    def _visibility(self) -> list[str]:
        if not self.pictures:
            return []
        change, budget = max(report["max_abs_levels"] for report in self.pictures), self.pictures[0]["budget_levels"]
        size = say_bytes(sum(report["bytes"] for report in self.pictures))
        kept = "" if change <= budget else f"; {NOT_KEPT}"
        return [f"Largest change {change} of 255 levels (budget {budget}), {size} in all{kept}"]


def protect_folder(job: Job, order: ProtectOrder, host: Host) -> FolderReport:
    """Protect the pictures of a folder and return the report.

    Args:
        job: The folder of originals and the one that the protected pictures go to.
        order: With what.
        host: Where ComfyUI is.

    Raises:
        LaunchError: Something in the way, in one sentence.
    """
    started = time.monotonic()
    cpu = not probe(host) or order.cpu
    with private_folder() as base:
        graph = prepare_graph(job, order, base)
        place = base / "output" / SAVE_IN
        there = set() if order.force else link_existing(job.target, place)
        delivery = Delivery(place, job.target.joinpath, order.force, links=True, known=there)
        with serving_alone(order, host, base, cpu=cpu) as server:
            device = device_name(server)
            entry = delivery.run(server, graph)
    told, sample = told_by_nodes(entry, graph, 0), _losses(entry, graph)
    run = {"nfe": told["nfe"], "train_steps": told.get("train_steps"), "device": device}
    saved = [each for each in told["pictures"] if each["outcome"] == SAVED]
    jobs = [Job(job.source / each["name"], _target(job, each)) for each in saved]
    moved = [each["name"] for each, single in zip(saved, jobs, strict=True) if not single.target.is_file()]
    jobs = [single for single in jobs if single.target.is_file()]
    measured = measure(host, [(job.source, job.target) for job in jobs])
    seconds = round(time.monotonic() - started, 1)
    judged = sample[0] if sample else {}  # one picture, which stands for all
    run |= {"seconds": seconds}
    reports = [
        compose(single, order.checkpoint, graph, found | run, judged | found)
        for single, found in zip(jobs, measured, strict=True)
    ]
    return FolderReport(job, reports, told["pictures"], sample, seconds, remarks_of(entry, graph), moved)


def link_existing(target: Path, place: Path) -> set[Path]:
    """Let the workflow find in `place` what the target folder holds already; return the names inside it."""
    names = set[Path]()
    for file in sorted(target.rglob("*")):
        if file.suffix.lower() in ENDINGS.values() and file.is_file():  # the folder can be anybody's, and large
            name = file.relative_to(target)
            link_file(file, place / name)
            names.add(name)
    return names


def prepare_graph(job: Job, order: ProtectOrder, base: Path) -> Graph:
    """Link the pictures and the models into the base directory, and fill the workflow with them."""
    name, pictures = job.source.name or "pictures", pictures_of(job)
    for picture in pictures:
        link_file((job.source / picture).resolve(), base / "input" / name / picture)
    graph, wishes = use_folder(load_workflow("protect_folder"), name, SAVE_IN, len(pictures)), order.wishes
    if order.rho:
        graph = use_rho(graph, link_model(order.rho, base, "ldu"))
    if order.checkpoint:
        graph = use_checkpoint(graph, link_model(order.checkpoint, base, "checkpoints"))
        wishes = having_place(graph, OF_CHECKPOINTS) | wishes
    return fill(graph, wishes)


def _target(job: Job, told: dict[str, str]) -> Path:
    return job.target / Path(told["file"]).relative_to(SAVE_IN)


def _losses(entry: dict[str, Any], graph: Graph) -> list[dict[str, Any]]:
    """Return what the judge told of the first picture, in the order in which it was asked."""
    found = [told for judge in numbers_of(graph, JUDGE) for told in told_by(entry, judge)]
    return [{key: value for key, value in each.items() if key.startswith("loss_")} for each in found]
