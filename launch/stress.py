"""Asks whether a protection holds: runs the stress-test workflow in a private ComfyUI and keeps what it found.

Originals alone are protected first; with protected versions beside them these are tested instead. What is left behind
is one folder: the gallery as a picture, the report as a page and as JSON, and the protected pictures if made here.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch import LaunchError
from launch.console import say, tell
from launch.delivery import Delivery
from launch.files import as_on_disk, deliver, require_distinct, require_free
from launch.graph import (
    SAVER,
    SETTINGS,
    Graph,
    Place,
    fill,
    links_to,
    load_workflow,
    nodes_of,
    numbers_of,
    use_checkpoint,
)
from launch.host import Host, probe, require_packages
from launch.options import IDENTITIES
from launch.private import link_folder, link_model, private_folder
from launch.protect import TRAINING_OF_CHECKPOINTS, Order, measure, serving_alone
from launch.result import told_by
from ldu.naming import LONGEST_NAME, MARK, is_picture, protected_names, shortened

WORKFLOW = "stress_test"
GALLERY, REPORT_NODE, FOLDER_LOADER = "LDU_ThiefsGallery", "LDU_ProtectionReport", "LDU_LoadPictureFolder"
FILE, IMAGE = 0, 1  # outputs of the node that saves the protected pictures
LOADED_IMAGE, LOADED_FILE = 0, 3  # and of the one that loads a folder of them
TOLD_OF_MAKING = ("rho", "strength", "shift_seed", "refined")  # of the report: how the pictures were protected
NOBODY, _, INSIGHTFACE = IDENTITIES
FACES = "buffalo_l"  # InsightFace's pack
ORIGINALS, PROTECTED = "originals", "protected"  # folders inside the input folder
FIRST = "_00001_.png"  # behind the name of a picture that is saved in an empty folder
PAGE, DATA, PICTURE = "report.html", "report.json", "gallery.png"
_DRAWN_BY_WORD = ("samples", "positive")  # from what a gallery is given back to the word that was learnt

PLACES: Mapping[str, tuple[Place, ...]] = SETTINGS | {
    "judges_word": tuple((GALLERY, side, *_DRAWN_BY_WORD, "initial_word") for side in ("clean", "image")),
    "thief_steps": tuple((GALLERY, side, *_DRAWN_BY_WORD, "steps") for side in ("clean", "image")),
    "thief_rate": tuple((GALLERY, side, *_DRAWN_BY_WORD, "learning_rate") for side in ("clean", "image")),
    "thief_seed": ((GALLERY, "clean", "samples", "seed"),),
    "lora_prompt": tuple((GALLERY, side, *_DRAWN_BY_WORD, "text") for side in ("clean", "protected", "image")),
    "lora_steps": (("TrainLoraNode", "steps"),),
    "lora_rate": (("TrainLoraNode", "learning_rate"),),
    "pictures": (("RepeatLatentBatch", "amount"),),
    "purifiers": (("LDU_Purify", "purifiers"),),
    "lora_purifier": ((GALLERY, "name", "purifiers"),),  # one, for this thief learns from all that he gets at once
    "identity": ((GALLERY, "identity"),),
    "public_photos": ((REPORT_NODE, "public_photos"),),
    "report_budget": ((REPORT_NODE, "budget"),),
    "folder": ((FOLDER_LOADER, "folder"),),
}
# The demo's thieves learn in big steps; these are usual for Stable Diffusion. Real faces need a network of their own.
OF_CHECKPOINTS = TRAINING_OF_CHECKPOINTS | {
    "thief_steps": 1500,
    "thief_rate": 0.005,
    "lora_steps": 500,
    "lora_rate": 1e-4,
    "identity": NOBODY,
}


@dataclass(frozen=True)
class StressOrder(Order):
    """What to test.

    Attributes:
        originals: Photographs of one person or thing.
        protected: Their protected versions in the same order; empty to protect them first.
        out: The folder for what comes out.
        json: Where the report's numbers are to be kept as well; None for nowhere else.
    """

    originals: list[Path]
    protected: list[Path]
    out: Path
    json: Path | None = None


def originals_in(named: list[Path]) -> list[Path]:
    """Return the pictures that were named, or those of the one folder that was, without its sub-folders.

    Raises:
        LaunchError: There is none in the folder, or something was named beside it.
    """
    if not any(path.is_dir() for path in named):
        return named
    if len(named) > 1:
        raise LaunchError("Give one folder, or several pictures, but not both.")
    found = sorted(path for path in named[0].iterdir() if path.is_file() and is_picture(path.name))
    pictures = [path for path in found if not path.name.startswith(".")]
    if not pictures:
        raise LaunchError(f"There is no picture in the folder {named[0]}: put PNG, JPEG or WebP files there.")
    return pictures


def default_out(named: Path) -> Path:
    """Return the folder beside the picture or folder that was named first."""
    place, name = (named.resolve(), named.resolve().name) if named.is_dir() else (named, named.stem)
    return place.parent / f"{name}_stress"


def require_pictures(order: StressOrder) -> None:
    """Refuse pictures that the workflow could not take, and files in the way of what will be saved.

    Raises:
        LaunchError: Which, and why.
    """
    for picture in (*order.originals, *order.protected):
        if not picture.is_file():
            raise LaunchError(f"There is no picture at {picture}.")
        if not is_picture(picture.name):
            raise LaunchError(f"{picture} does not end like a picture: give PNG, JPEG or WebP files.")
    if hidden := [picture for picture in order.originals if picture.name.startswith(".")]:
        raise LaunchError(f"{hidden[0]} is hidden by the dot that its name begins with: rename it.")
    if order.protected and len(order.protected) != len(order.originals):
        counts = f"{len(order.originals)} originals and {len(order.protected)} protected pictures"
        raise LaunchError(f"There are {counts}: give one protected version of each, in the same order.")
    if len({as_on_disk(picture.name) for picture in order.originals}) < len(order.originals):
        raise LaunchError("Two originals have the same name: rename one of them.")
    asked = filter(None, (order.json, order.keep_log))
    made = [] if order.protected else _names_of_made(order.originals)
    targets = [*(order.out / name for name in (PICTURE, PAGE, DATA, *made)), *asked]
    require_distinct(targets)
    inputs = [*order.originals, *order.protected, *filter(None, [order.checkpoint])]
    for target in targets:
        require_free(target, inputs, force=order.force)


def stress(order: StressOrder, host: Host) -> None:
    """Run the test, tell the report as text, and save what came out.

    Raises:
        LaunchError: Something in the way, in one sentence.
    """
    cpu = not probe(host) or order.cpu
    measure(host, list(zip(order.originals, order.protected, strict=False)))  # before hours of work, not after them
    with private_folder() as base:
        graph = prepare_graph(order, base)
        (identity,) = {node["inputs"]["identity"] for node in nodes_of(graph, GALLERY)}
        if identity == INSIGHTFACE:
            bring_face_network(host, base)
        elif identity == NOBODY:
            say(
                "Nobody compares faces: what thieves draw is shown. --identity insightface measures it, for real faces."
            )
        output, made = base / "output", set() if order.protected else {*map(Path, _names_of_made(order.originals))}
        protected = Delivery(output, lambda name: order.out / name if name in made else None, order.force)
        with serving_alone(order, host, base, cpu=cpu) as server:
            entry = protected.run(server, graph)
            tell(_said(entry, graph))  # first: what cannot be saved after hours of work was said at least
            found = results(entry, graph, output)
            keep({name: file for name, file in found.items() if file.relative_to(output) not in protected.known}, order)


def keep(found: Mapping[str, Path], order: StressOrder) -> None:
    """Save what was found: what cannot be saved does not keep the rest from it.

    Raises:
        LaunchError: One of them could not be, and the others were.
    """
    targets = {order.out / name: file for name, file in found.items()}
    if order.json:
        targets[order.json] = found[DATA]
    failed: list[LaunchError] = []
    saved: list[str] = []
    for target, file in targets.items():
        try:
            require_free(target, [*order.originals, *order.protected], force=order.force)
            deliver(file.read_bytes(), target, force=order.force)
            saved.append(str(target))
        except LaunchError as error:
            failed.append(error)
    if failed:
        if saved:
            say(f"Saved: {', '.join(saved)}.")
        raise failed[0]


def _names_of_made(originals: list[Path]) -> list[str]:
    """Return what Save Protected calls the protected versions of a folder's pictures in an empty output folder."""
    own = protected_names(sorted(picture.name for picture in originals), "").values()
    return [f"{shortened(name, LONGEST_NAME)}{MARK}{FIRST}" for name in own]


def bring_face_network(host: Host, base: Path) -> None:
    """Link the user's models of InsightFace to where the gallery looks, before thieves learn for hours.

    Raises:
        LaunchError: They are not there, or what runs them is not.
    """
    require_packages(host, f"--identity {INSIGHTFACE}", "insightface", "onnxruntime")
    models = [host.comfyui / "models" / INSIGHTFACE, Path.home() / ".insightface"]
    found = next((folder for folder in models if any((folder / "models" / FACES).glob("*.onnx"))), None)
    if found is None:
        raise LaunchError(
            f"There are no models of InsightFace in {models[0] / 'models' / FACES}: put the .onnx files of its pack "
            f"{FACES} there (free for non-commercial research only), or choose another --identity."
        )
    link_folder(found, base / "models" / INSIGHTFACE)


def prepare_graph(order: StressOrder, base: Path) -> Graph:
    """Put copies of the pictures and a link to the checkpoint into the base directory, and fill the workflow."""
    graph, wishes = load_workflow(WORKFLOW), order.wishes
    pairs = sorted(zip(order.originals, order.protected or order.originals, strict=True), key=lambda pair: pair[0].name)
    for name in (ORIGINALS, PROTECTED):
        (base / "input" / name).mkdir()
    for number, (original, protected) in enumerate(pairs):  # folders are read in the order of their names
        shutil.copyfile(original, base / "input" / ORIGINALS / original.name)
        shutil.copyfile(protected, base / "input" / PROTECTED / f"{number:06}_{protected.name}")
    if order.checkpoint:
        graph = use_checkpoint(graph, link_model(order.checkpoint, base, "checkpoints"))
        wishes = OF_CHECKPOINTS | wishes
    graph = fill(graph, {**wishes, "folder": ORIGINALS}, PLACES)
    if "purifiers" in wishes:
        graph = with_lora_purifier(graph, wishes["purifiers"])
    return with_own_protected(graph) if order.protected else graph


def with_lora_purifier(graph: Graph, purifiers: str) -> Graph:
    """Return the graph whose LoRA thief tries the first purifier of a list, one a line; without any he tries none."""
    real = [line for line in map(str.strip, purifiers.splitlines()) if line not in ("", "none")]
    if real:
        return fill(graph, {"lora_purifier": real[0]}, PLACES)
    galleries = {number for number, node in graph.items() if {"name", "protected"} <= node["inputs"].keys()}
    return _used({number: _of_protected(node) if number in galleries else node for number, node in graph.items()})


def with_own_protected(graph: Graph) -> Graph:
    """Return the graph with a folder of protected pictures in the place of all that makes and saves them."""
    (saver,) = numbers_of(graph, SAVER)
    loader = {"class_type": FOLDER_LOADER, "inputs": {"folder": PROTECTED}, "_meta": {"title": "Protected pictures"}}
    swapped = {number: _relinked(node, saver) for number, node in graph.items()} | {saver: loader}
    return _used(swapped)


def results(entry: dict[str, Any], graph: Graph, output: Path) -> dict[str, Path]:
    """Return the files that the workflow wrote, by the names that they get; protected ones keep those in the report.

    Raises:
        LaunchError: There is no report, or a name leads elsewhere.
    """
    found: dict[str, Path] = {}
    for number, told in entry["outputs"].items():
        for image in told.get("images", []) if graph[number]["class_type"] in (GALLERY, SAVER) else []:
            if image["type"] == "output":
                name = PICTURE if graph[number]["class_type"] == GALLERY else image["filename"]
                found[name] = output / image["subfolder"] / image["filename"]
    (reporter,) = numbers_of(graph, REPORT_NODE)
    page = output / next((told["report"] for told in told_by(entry, reporter) if "report" in told), "")
    if not page.is_file():
        raise LaunchError("The workflow ended without a report; --keep-log FILE keeps its log.")
    found |= {PAGE: page, DATA: page.with_suffix(".json")}
    for name, file in found.items():  # who answers at the port may be somebody else
        if Path(name).name != name or not file.resolve().is_relative_to(output.resolve()):
            raise LaunchError(f"The server named {name!r} among its results, which is no file of its own: run again.")
    return found


def _said(entry: dict[str, Any], graph: Graph) -> str:
    """Return the report's text without its first paragraph, which says where it lay in the private folder."""
    (reporter,) = numbers_of(graph, REPORT_NODE)
    return entry["outputs"][reporter]["text"][0].partition("\n\n")[2]


def _relinked(node: dict[str, Any], saver: str) -> dict[str, Any]:
    """Return a node that takes from a folder's loader what it took from the saving node, and is told of no making."""
    outputs = {FILE: LOADED_FILE, IMAGE: LOADED_IMAGE}
    kept = {
        name: [saver, outputs[value[1]]] if links_to(value, [saver]) else value
        for name, value in node["inputs"].items()
        if not (node["class_type"] == REPORT_NODE and name in TOLD_OF_MAKING)
    }
    return {**node, "inputs": kept}


def _of_protected(gallery: dict[str, Any]) -> dict[str, Any]:
    """Return a gallery without what was drawn from purified pictures: those from the protected ones take its place."""
    kept = {name: value for name, value in gallery["inputs"].items() if name not in ("name", "protected")}
    return {**gallery, "inputs": {**kept, "image": gallery["inputs"]["protected"]}}


def _used(graph: Graph) -> Graph:
    """Return the nodes from which something leads to the report or to a saving node."""
    ends = [*numbers_of(graph, REPORT_NODE), *numbers_of(graph, SAVER)]
    used: set[str] = set()
    while ends:
        number = ends.pop()
        if number not in used:
            used.add(number)
            ends += [value[0] for value in graph[number]["inputs"].values() if links_to(value, graph)]
    return {number: node for number, node in graph.items() if number in used}
