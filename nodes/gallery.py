"""Thief's Gallery: what thieves learnt from the clean, the protected and the purified pictures, side by side."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..ldu.errors import BadValueError, MismatchError
from ..ldu.evidence.gallery import CLEAN, PROTECTED, Attempt, Thief
from ..ldu.evidence.gallery_picture import Exhibit, draw_gallery
from ..ldu.evidence.gallery_picture import to_levels as as_levels
from ..ldu.evidence.likeness import find_person, measure_likeness
from ..ldu.evidence.record import Losses
from ..ldu.picture import save_png
from ..ldu.saved_file import as_uint8
from ..ldu.shapes import Levels
from .identity import CHOICES, NOBODY, TOOLTIP, open_network
from .images import split_pictures, to_image, to_levels
from .output_names import next_free
from .types import GallerySocket, LossesSocket
from .wording import ALIASES, CATEGORY, report

NOTHING_DONE = "none"  # what Purify calls a picture that it left alone
Cells = dict[str, tuple[Levels, ...]]


class ThiefsGallery(io.ComfyNode):
    """Show what thieves learnt, and mark the worst case for the user."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_ThiefsGallery",
            display_name="Thief's Gallery",
            category=CATEGORY,
            search_aliases=[*ALIASES, "grid", "contact sheet", "identity", "robustness"],
            description="One picture of what a thief's model draws after learning from the clean, the protected and "
            "the purified pictures. The worst for you is framed.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="What the thief's model drew, one IMAGE or list item for each name."),
                io.String.Input(
                    "name",
                    force_input=True,
                    optional=True,
                    tooltip="What had been done to the pictures that the thief had: from Purify or Textual Inversion. "
                    "Nothing connected: they were the protected ones.",
                ),
                io.Image.Input("clean", optional=True, tooltip="What it drew after learning from the originals."),
                io.Image.Input(
                    "protected",
                    optional=True,
                    tooltip="What it drew after learning from the protected pictures, if they are not among image.",
                ),
                io.Image.Input("person", optional=True, tooltip="Photographs of the person, to compare with."),
                io.Float.Input(
                    "similarity",
                    force_input=True,
                    optional=True,
                    tooltip="Your own identity similarities, one for each column from clean to the right, -1 to 1. "
                    "They replace those of the identity network.",
                ),
                LossesSocket.Input(
                    "losses", optional=True, tooltip="From Adversary's Loss, one for each column to the right of clean."
                ),
                GallerySocket.Input("above", optional=True, tooltip="Another gallery, whose rows come first."),
                io.String.Input("thief", default="Textual Inversion", tooltip="Name of the row: attack or person."),
                io.Combo.Input("identity", options=CHOICES, default=NOBODY, tooltip=TOOLTIP),
                io.Int.Input(
                    "side", default=256, min=64, max=1024, step=8, tooltip="Of a cell in pixels; 192 to 384 is usual."
                ),
                io.String.Input(
                    "save_as",
                    default="",
                    optional=True,
                    tooltip="Name inside the output folder, with subfolders if wanted; empty = only show it. The file "
                    "holds neither prompt nor workflow.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The gallery as one picture."),
                io.String.Output(display_name="worst", tooltip="What was marked, and why."),
                GallerySocket.Output(display_name="gallery", tooltip="For Protection Report, or the next gallery."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: list[Tensor],
        thief: list[str],
        identity: list[str],
        side: list[int],
        name: list[str] | None = None,
        clean: list[Tensor] | None = None,
        protected: list[Tensor] | None = None,
        person: list[Tensor] | None = None,
        similarity: list[float] | None = None,
        losses: list[Losses] | None = None,
        above: list[tuple[Exhibit, ...]] | None = None,
        save_as: list[str] | None = None,
    ) -> io.NodeOutput:
        """Return the picture, what was marked, and the rows."""
        cells = _cells(image, name, clean, protected)
        people = tuple(split_pictures(person)) if person else ()
        attempts, compared_by = _compare(cells, people, identity[0])
        attempts = _with_numbers(attempts, similarity, losses)
        compared_by = "numbers that were given" if similarity else compared_by
        row = Exhibit(Thief(thief[0].strip() or "a thief", attempts, compared_by), tuple(cells.values()), people)
        rows = (*(above[0] if above else ()), row)
        levels = as_levels(draw_gallery(rows, side[0]))
        drawn, name_of_file = to_image(levels), (save_as or [""])[0].strip()
        text = "\n".join(str(each.thief) for each in rows)
        # no cls for the preview: no prompt goes into its file
        shown = _saved(levels, name_of_file) if name_of_file else ui.PreviewImage(drawn)
        told: dict[str, Any] = {**shown.as_dict(), **report(_numbers(rows), text)}
        return io.NodeOutput(drawn, text, rows, ui=told)


def _saved(gallery: Levels, prefix: str) -> ui.SavedImages:
    """Save the gallery with nothing in its file but pixels; unlike Save Protected this records no protected picture."""
    folder, stem, number, subfolder = next_free(prefix, gallery.shape[-1], gallery.shape[-2])
    name = f"{stem}_{number:05}_.png"
    save_png(folder / name, as_uint8(gallery), None, None)
    return ui.SavedImages([ui.SavedResult(name, subfolder, io.FolderType.output)])


def _cells(
    image: Sequence[Tensor],
    name: Sequence[str] | None,
    clean: Sequence[Tensor] | None,
    protected: Sequence[Tensor] | None,
) -> Cells:
    """Return the pictures of each column by its name, in the order of the columns."""
    names = [PROTECTED] * len(image) if not name else list(name)
    if len(image) == 1 and len(set(names)) == 1:  # of one thief who had several pictures, each treated alike
        names = names[:1]
    if len(names) != len(image):
        raise MismatchError(
            f"There are {len(names)} names for {len(image)} lists of pictures: give one name for each item of image."
        )
    if not protected:
        names = [PROTECTED if each == NOTHING_DONE else each for each in names]
    given = [*((CLEAN, each) for each in clean or ()), *((PROTECTED, each) for each in protected or ())]
    taken = {CLEAN} if clean else set()
    if twice := (taken | ({PROTECTED} if protected else set())) & set(names):
        raise BadValueError(f"There are two columns named {min(twice)!r}: leave one of them out, or rename it.")
    cells: dict[str, list[Levels]] = {}
    for column, batch in (*given, *zip(names, image, strict=True)):
        cells.setdefault(column.strip() or "unnamed", []).append(to_levels(batch, f"image of {column!r}"))
    ordered = [column for column in (CLEAN, PROTECTED) if column in cells]
    return {column: tuple(cells[column]) for column in [*ordered, *(each for each in cells if each not in ordered)]}


def _compare(cells: Cells, people: Sequence[Levels], choice: str) -> tuple[tuple[Attempt, ...], str]:
    """Return what was learnt in each column, compared with the person if a network was chosen, and its name."""
    pictures = {column: [one[None] for batch in batches for one in batch] for column, batches in cells.items()}
    network = open_network(choice)
    if network is None:
        return tuple(Attempt(column, pictures=len(shown)) for column, shown in pictures.items()), ""
    if not people:
        raise BadValueError("An identity network compares with the person: connect photographs to person.")
    wanted = find_person(network.embed, people)
    found = {column: measure_likeness(network.embed, wanted, shown) for column, shown in pictures.items()}
    return tuple(
        Attempt(column, each.similarity, None, each.pictures, each.faces, each.interval)
        for column, each in found.items()
    ), network.name


def _with_numbers(
    attempts: tuple[Attempt, ...], similarity: Sequence[float] | None, losses: Sequence[Losses] | None
) -> tuple[Attempt, ...]:
    """Return the attempts with the numbers that were given."""
    if odd := [number for number in similarity or () if not math.isfinite(number)]:
        raise BadValueError(f"A similarity is a number from -1 to 1, but {odd[0]} came: look at what is connected.")
    columns = [attempt.version for attempt in attempts]
    similarities = _one_each("similarities", similarity, columns)
    after = _one_each("losses", losses, [column for column in columns if column != CLEAN])
    if losses:
        after[CLEAN] = losses[0]
    if similarity:
        attempts = tuple(
            replace(each, similarity=similarities[each.version], faces=None, interval=None) for each in attempts
        )
    if losses:
        attempts = tuple(replace(each, loss=_loss(after[each.version], each.version)) for each in attempts)
    return attempts


def _loss(losses: Losses, column: str) -> float:
    return losses.before if column == CLEAN else losses.after


def _one_each(what: str, values: Sequence[Any] | None, columns: Sequence[str]) -> dict[str, Any]:
    if values and len(values) != len(columns):
        raise MismatchError(
            f"There are {len(values)} {what} for {len(columns)} columns ({', '.join(columns)}): one each."
        )
    return dict(zip(columns, values or (), strict=False))


def _numbers(rows: Sequence[Exhibit]) -> dict[str, Any]:
    """Return what programs may want to know."""
    return {"thieves": {row.thief.name: row.thief.worst.version if row.thief.worst else None for row in rows}}


NODES = [ThiefsGallery]
