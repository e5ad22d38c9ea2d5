"""What a run has to say at its end: the same numbers as JSON and as a few lines for people."""

import json
from pathlib import Path
from typing import Any

from launch.files import Job
from launch.graph import Graph, belongs_to, serves_only, value_of
from ldu.wording import DEMO_WARNING, say_bytes, say_losses

Report = dict[str, Any]

KEYS = (
    "input",
    "output",
    "width",
    "height",
    "bytes",
    "budget_levels",
    "max_abs_levels",
    "psnr_db",
    "ssim",
    "loss_before",
    "loss_after",
    "loss_random",
    "loss_gain_over_random",
    "k_steps",
    "depth",
    "train_steps",
    "refine_steps",
    "nfe",
    "seconds",
    "device",
    "checkpoint",
    "seed",
    "protects_against",
)
NFE = ("protect", "train", "refine", "textual_inversion", "evaluate")
JUDGE = "LDU_MeasureLoss"
SET_IN_GRAPH = {
    "budget_levels": "budget",
    "k_steps": "k",
    "depth": "depth",
    "train_steps": "train_steps",
    "refine_steps": "refine_steps",
    "seed": "seed",
}
DEMO = "demo model only"
NOT_KEPT = "the file's format changed the values again, and the bound of the budget does not hold for it"


def compose(job: Job, checkpoint: Path | None, graph: Graph, found: Report) -> Report:
    """Make the report on one picture, under exactly KEYS; what nobody told is None.

    Args:
        job: The picture and where it was saved.
        checkpoint: The user's own; None for the demo model.
        graph: As it ran.
        found: What the nodes told and what was measured outside the graph.
    """
    known: Report = {key: value_of(graph, option) for key, option in SET_IN_GRAPH.items()}
    known |= {
        "input": str(job.source),
        "output": str(job.target),
        "checkpoint": checkpoint.name if checkpoint else "demo",
        "protects_against": f"personalization of {checkpoint.name}; others were not tried" if checkpoint else DEMO,
    }
    return {key: found.get(key, known.get(key)) for key in KEYS}


def told_by_nodes(entry: dict[str, Any], graph: Graph, number: int) -> Report:
    """Merge what the nodes told of one picture.

    Model evaluations (nfe) are summed over the whole run, by kind: pictures of one subject share their training. What
    a node spends for the judge alone, such as on a word of the judge's own, is evaluation whatever the node calls it.
    """
    told: Report = {}
    nfe = dict.fromkeys(NFE, 0)
    for node in entry["outputs"]:
        judges = serves_only(graph, node, JUDGE)
        for numbers in told_by(entry, node):
            for kind, count in numbers.pop("nfe", {}).items():
                spent_on = "evaluate" if judges else kind
                nfe[spent_on] = nfe.get(spent_on, 0) + count
            told |= numbers if belongs_to(graph, node, number) else {}
    return told | {"nfe": nfe}


def told_by(entry: dict[str, Any], node: str) -> list[Report]:
    """Return what one node told under "ldu" in its outputs; nothing if it did not run."""
    return [json.loads(text) for text in entry["outputs"].get(node, {}).get("ldu", [])]


def in_words(report: Report) -> str:
    """Write a report for people."""
    lines = [DEMO_WARNING] if report["protects_against"] == DEMO else []
    size = f"{report['width']} x {report['height']} pixels, {say_bytes(report['bytes'])}"
    lines.append(f"{report['input']} -> {report['output']}  ({size})")
    lines.append(_visibility(report))
    if report["loss_after"] is not None:
        lines.append(say_losses(report["loss_before"], report["loss_after"], report["loss_random"]))
    lines.append(
        f"{report['seconds']} s on {report['device']}, {sum(report['nfe'].values())} model evaluations, "
        f"checkpoint {report['checkpoint']}, seed {report['seed']}"
    )
    return "\n".join(lines)


def _visibility(report: Report) -> str:
    changed = f"Largest change {report['max_abs_levels']} of 255 levels (budget {report['budget_levels']})"
    if report["psnr_db"] is None:
        return f"{changed}: the picture is the same, pixel for pixel"
    kept = "" if report["max_abs_levels"] <= report["budget_levels"] else f"; {NOT_KEPT}"
    return f"{changed}, PSNR {report['psnr_db']:.1f} dB, SSIM {report['ssim']:.3f}{kept}"
