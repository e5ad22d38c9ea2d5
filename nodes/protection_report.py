"""Protection Report: everything that was measured about a protection, and what was not, in one file."""

import datetime
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..ldu.budget import whole_budget
from ..ldu.errors import BadValueError, MismatchError
from ..ldu.evidence.gallery_picture import Exhibit, draw_gallery
from ..ldu.evidence.page import page
from ..ldu.evidence.record import Losses, Mixture, PictureEntry, Report, as_json, average, survivals
from ..ldu.evidence.sentences import in_words
from ..ldu.evidence.thumbnails import Thumbnails, thumbnails
from ..ldu.flatness import measure_flat
from ..ldu.metrics import measure_visibility
from ..ldu.picture import PictureInfo, load_picture
from ..ldu.shapes import Levels
from ..ldu.whole_file import written_whole
from .gallery import NOTHING_DONE
from .images import split_pictures
from .inputs import USUAL_BUDGET, budget_input
from .output_names import next_free
from .protection_settings import model_and_settings
from .types import GallerySocket, LossesSocket, PictureInfoSocket, RefinedSocket, RhoSocket
from .wording import ALIASES, CATEGORY, report

GALLERY_CELL = 160  # pixels


class ProtectionReport(io.ComfyNode):
    """Sum up what is known of a protection."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_ProtectionReport",
            display_name="Protection Report",
            category=CATEGORY,
            search_aliases=[*ALIASES, "summary", "evaluate", "html", "sha256", "audit"],
            description="Says on one page what was measured about a protection, what it was measured with and what "
            "nobody tested. Saved as HTML and JSON; no original picture is put into them.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("original", tooltip="The pictures before."),
                io.Image.Input("protected", tooltip="The pictures after, of the same sizes."),
                io.String.Input(
                    "file",
                    force_input=True,
                    optional=True,
                    tooltip="From Save Protected, or from Load Picture Folder for files that were there before: the "
                    "report then measures the files and gives their SHA-256.",
                ),
                PictureInfoSocket.Input("info", optional=True, tooltip="From Load Picture: the names of the pictures."),
                LossesSocket.Input("losses", optional=True, tooltip="From Adversary's Loss."),
                io.String.Input("purifier", force_input=True, optional=True, tooltip="The names from Purify."),
                LossesSocket.Input(
                    "purified_losses",
                    optional=True,
                    tooltip="From a second Adversary's Loss, with Purify's image as its protected and Purify's "
                    "original as its original.",
                ),
                GallerySocket.Input("gallery", optional=True, tooltip="From Thief's Gallery."),
                io.Model.Input("model", optional=True, tooltip="The model that was protected against."),
                RhoSocket.Input("rho", display_name="ρ", optional=True, tooltip="Its settings are reported."),
                io.Float.Input(
                    "strength",
                    force_input=True,
                    optional=True,
                    tooltip="That of Apply ρ Shift, to be reported; 0.5 to 1.5 is usual.",
                ),
                io.Int.Input(
                    "shift_seed",
                    force_input=True,
                    optional=True,
                    tooltip="The seed of Apply ρ Shift, to be reported; any number.",
                ),
                RefinedSocket.Input(
                    "refined", optional=True, tooltip="The settings of Refine in Pixels, to be reported."
                ),
                budget_input(tooltip=f"What you asked for, in levels of 255; {USUAL_BUDGET}."),
                io.Int.Input(
                    "public_photos",
                    default=0,
                    min=0,
                    max=10**6,
                    tooltip="How many photos of this subject anybody can find, these included: any number; "
                    "0 = not told.",
                ),
                io.String.Input(
                    "unprotected_files",
                    default="",
                    multiline=True,
                    tooltip="Names of public photos that are not protected, one a line.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="ldu_report",
                    tooltip="Name inside the output folder, with subfolders if wanted.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="The report as text."),
                io.String.Output(display_name="json", tooltip="The same for programs."),
                io.String.Output(display_name="file", tooltip="The page, inside the output folder."),
            ],
        )

    @classmethod
    def execute(
        cls,
        original: list[Tensor],
        protected: list[Tensor],
        budget: list[float],
        public_photos: list[int],
        unprotected_files: list[str],
        filename_prefix: list[str],
        gallery: list[tuple[Exhibit, ...]] | None = None,
        file: list[str] | None = None,
        info: list[PictureInfo] | None = None,
        **measured: list[Any] | None,
    ) -> io.NodeOutput:
        """Return the report as text and as JSON, and where its page is; `measured` are the schema's other inputs."""
        whole_budget(budget[0])
        befores, (afters, alphas) = split_pictures(original), _protected_pictures(protected, file, info)
        names = [each.name for each in info] if info else []
        entries = _entries(befores, afters, names, file or [])
        rows = gallery[0] if gallery else ()
        unprotected = tuple(filter(None, map(str.strip, unprotected_files[0].splitlines())))
        found = Report(
            date=datetime.datetime.now().astimezone().date().isoformat(),
            budget_levels=budget[0],
            pictures=entries,
            thieves=tuple(row.thief for row in rows),
            mixture=_mixture(public_photos[0], len(entries), unprotected),
            **_losses(measured),
            **model_and_settings(measured),
        )
        shown = zip(befores, afters, alphas, strict=True)
        small = [thumbnails(before, after, budget[0], alpha) for before, after, alpha in shown]
        saved = _save(found, small, rows, filename_prefix[0])
        where = f"Saved as {saved} and .json in the output folder"
        told = f"{where}, with the model and all settings.\n\n{in_words(found, settings=False)}"
        return io.NodeOutput(
            f"{where}.\n\n{in_words(found)}", as_json(found), saved, ui=report({"report": saved}, told)
        )


def _protected_pictures(
    protected: Sequence[Tensor], files: Sequence[str] | None, infos: Sequence[PictureInfo] | None
) -> tuple[list[Levels], list[Tensor | None]]:
    """Return the saved files as their readers see them, or what the graph holds if none were given; and their alpha."""
    in_graph = split_pictures(protected)
    if not files:
        told = infos if infos and len(infos) == len(in_graph) else [None] * len(in_graph)
        return in_graph, [_alpha_of(*each) for each in zip(in_graph, told, strict=True)]
    if len(files) != len(in_graph):
        raise MismatchError(f"There are {len(files)} files for {len(in_graph)} protected pictures: give one for each.")
    loaded = [load_picture(_file(name)[0]) for name in files]
    return [each.as_batch() for each in loaded], [each.alpha for each in loaded]


def _alpha_of(levels: Levels, info: PictureInfo | None) -> Tensor | None:
    """Return the alpha of the original file, where the picture is as large as that still."""
    alpha = None if info is None else info.alpha
    return alpha if alpha is not None and alpha.shape == levels.shape[-2:] else None


def _entries(
    befores: Sequence[Levels], afters: Sequence[Levels], names: Sequence[str], files: Sequence[str]
) -> tuple[PictureEntry, ...]:
    if len(befores) != len(afters):
        raise MismatchError(f"There are {len(befores)} originals for {len(afters)} protected pictures: give pairs.")
    names = names if len(names) == len(befores) else [f"picture {number}" for number in range(1, len(befores) + 1)]
    kept = files or [None] * len(befores)
    return tuple(_entry(*each) for each in zip(names, befores, afters, kept, strict=True))


def _entry(name: str, before: Levels, after: Levels, file: str | None) -> PictureEntry:
    height, width = after.shape[-2:]
    change = measure_visibility(before, after), measure_flat(before, after)
    if file is None:
        return PictureEntry(name, width, height, *change)
    path, told = _file(file)
    return PictureEntry(name, width, height, *change, told, hashlib.sha256(path.read_bytes()).hexdigest())


def _file(name: str) -> tuple[Path, str]:
    """Return where a file is, and its name inside its folder: the output folder, unless the host's ending says which.

    Raises:
        BadValueError: if it lies elsewhere.
    """
    told, folder = folder_paths.annotated_filepath(name)
    root = folder or folder_paths.get_output_directory()
    path = Path(root, told)
    if not folder_paths.is_within_directory(root, str(path)):
        raise BadValueError(f"The file {told!r} lies outside the output folder: take it from Save Protected.")
    return path, told


def _mixture(public: int, protected: int, unprotected: tuple[str, ...]) -> Mixture | None:
    """Return what is public beside the protected pictures; None if nothing was told."""
    if not public and not unprotected:
        return None
    count = max(len(unprotected), public - protected)
    return Mixture(max(public, protected + count), count, unprotected)


def _losses(measured: dict[str, list[Any] | None]) -> dict[str, Any]:
    """Return the losses with and without purifiers; what Purify left alone counts as without."""
    losses: tuple[Losses, ...] = tuple(measured.get("losses") or ())
    purified: tuple[Losses, ...] = tuple(measured.get("purified_losses") or ())
    names = tuple(measured.get("purifier") or ())
    if len(names) != len(purified):
        raise MismatchError(
            f"There are {len(names)} names of purifiers for {len(purified)} losses: connect both from the same Purify."
        )
    pairs = list(zip(names, purified, strict=True))
    losses = losses or tuple(each for name, each in pairs if name == NOTHING_DONE)
    pairs = [(name, each) for name, each in pairs if name != NOTHING_DONE]
    reference = average(losses) if losses else None
    survived = survivals(tuple(name for name, _ in pairs), tuple(each for _, each in pairs), reference)
    return {"losses": losses, "purified": survived}


def _save(found: Report, small: Sequence[Thumbnails], rows: tuple[Exhibit, ...], prefix: str) -> str:
    """Write the page and the JSON under the next free number, and return the page's name inside the output folder."""
    gallery = draw_gallery(rows, GALLERY_CELL, show_person=False) if rows else None
    folder, stem, number, subfolder = next_free(prefix, 0, 0)
    name = f"{stem}_{number:05}_"
    for ending, text in (("json", as_json(found)), ("html", page(found, small, gallery))):
        with written_whole(folder / f"{name}.{ending}") as unfinished:
            unfinished.write_bytes(text.encode("utf-8", "backslashreplace"))  # a file's name need not be Unicode
    return Path(subfolder, f"{name}.html").as_posix()


NODES = [ProtectionReport]
