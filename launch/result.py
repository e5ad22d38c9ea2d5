"""What a run has to say at its end: the same numbers as JSON and as a few lines for people."""

import json
from collections.abc import Sequence
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
UNCHANGED = "nothing: the picture is unchanged"
NOT_SHOWN = "no effect beyond random noise of the same strength was shown"
NOT_JUDGED = "how well was not measured"
ROSE = "a thief's loss rose beyond noise, which does not show that thieves fail; other models were not tried"
NOT_KEPT = "the file's format changed the values again, and the bound of the budget does not hold for it"


def compose(job: Job, checkpoint: Path | None, graph: Graph, found: Report, judged: Report | None = None) -> Report:
    """Make the report on one picture, under exactly KEYS; what nobody told is None.

    Args:
        job: The picture and where it was saved.
        checkpoint: The user's own; None for the demo model.
        graph: As it ran.
        found: What the nodes told and what was measured outside the graph.
        judged: The same with a judge's losses of another picture that stands for this one; None if it has its own.
    """
    known: Report = {key: value_of(graph, option) for key, option in SET_IN_GRAPH.items()}
    known |= {
        "input": str(job.source),
        "output": str(job.target),
        "checkpoint": checkpoint.name if checkpoint else "demo",
        "protects_against": _protects_against(checkpoint, judged or found),
    }
    return {key: found.get(key, known.get(key)) for key in KEYS}


def _protects_against(checkpoint: Path | None, found: Report) -> str:
    """Say what a picture is protected against, as far as it was seen."""
    if checkpoint is None:
        return DEMO
    if found["max_abs_levels"] == 0:
        return UNCHANGED
    asked = found.get("loss_after") is not None
    seen = (NOT_SHOWN if nothing_gained(found) else ROSE) if asked else NOT_JUDGED
    return f"aimed at personalization of {checkpoint.name}: {seen}"


def nothing_gained(found: Report) -> bool:
    """Tell whether the judge was asked, and saw no more than noise does: the interval of the gain is not above 0."""
    interval = found.get("loss_gain_over_random")
    return interval is not None and interval[0] <= 0


def say_thief(losses: Report) -> str:
    """Say what the judge saw."""
    said = say_losses(losses["loss_before"], losses["loss_after"], losses["loss_random"])
    return f"{said}; {NOT_SHOWN}" if nothing_gained(losses) else f"{said}; higher is harder to learn: a sign, no proof"


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


def remarks_of(entry: dict[str, Any], graph: Graph, number: int = 0) -> list[str]:
    """Return what the nodes had to say to people about one picture, each once; the first gets what is said of all."""
    own = [node for node in entry["outputs"] if graph[node].get("_meta", {}).get("picture", 0) == number]
    said = (remark for node in own for told in told_by(entry, node) for remark in told.get("remarks", []))
    return list(dict.fromkeys(said))


def told_by(entry: dict[str, Any], node: str) -> list[Report]:
    """Return what one node told under "ldu" in its outputs; nothing if it did not run."""
    return [json.loads(text) for text in entry["outputs"].get(node, {}).get("ldu", [])]


def in_words(report: Report, remarks: Sequence[str] = ()) -> str:
    """Write a report for people, with what the nodes remarked."""
    lines = [DEMO_WARNING] if report["protects_against"] == DEMO else []
    size = f"{report['width']} x {report['height']} pixels, {say_bytes(report['bytes'])}"
    lines.append(f"{report['input']} -> {report['output']}  ({size})")
    lines.append(_visibility(report))
    if report["loss_after"] is not None:
        lines.append(say_thief(report))
    lines += remarks
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
    return (
        f"{changed}, PSNR {report['psnr_db']:.1f} dB (higher is nearer), SSIM {report['ssim']:.3f} (1 = the same){kept}"
    )
