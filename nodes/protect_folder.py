"""Protect Folder: what the other nodes do, picture by picture, each saved before the next one is read.

The host keeps whatever travels between nodes until a run is over, for every picture of a list. Here one picture at a
time is in memory, however many the folder holds, and a run that was stopped goes on where it stopped.
"""

from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..ldu.errors import BadFileError, BadImageError, MismatchError, NonFiniteError, UnsupportedModelError
from ..ldu.flatness import measure_flat, say_small
from ..ldu.metrics import max_abs_levels
from ..ldu.naming import MARK, say_links
from ..ldu.picture import Picture, load_picture
from ..ldu.refine import RefineConfig
from ..ldu.saved_file import FileFormat
from ..ldu.shapes import Levels
from ..ldu.wording import DEMO_WARNING, LEFT_OUT, SAVED
from .estimate import GOES_ON, Pace, Teller, say_few_steps
from .files import fingerprint_of
from .folder_tasks import (
    Outcome,
    Task,
    can_be_done,
    in_words,
    inside_output,
    make_folder,
    open_picture,
    say_there,
    tasks,
)
from .folder_walk import FolderWalk
from .host import (
    as_a_part,
    is_demo,
    is_further_of_a_list,
    progress_bar,
    require_vae,
    stop_if_asked,
    training_resolution,
)
from .images import require_one_mask, to_image
from .inputs import budget_input, format_input, mask_input, quality_input, seed_input, strength_input
from .picture_folder import FOLDER_TOOLTIP, folder_inside_input, folder_is_there, input_folders, no_picture, stamps
from .picture_writer import Writer
from .types import RhoSocket, TrainedRho
from .walk import say_trained_for
from .walk_checks import require_trained_with_record
from .wording import ALIASES, CATEGORY, MODEL_TOOLTIP, VAE_TOOLTIP, aloud, report

SHOWN = 8  # pictures on the node
ONE_OF_EACH = (
    "Protect Folder works on a whole folder at once, but a list came into one of its inputs, such as the masks of Load "
    "Picture Folder: connect one mask, one ρ and one personalization, or protect each picture by the single nodes."
)


class ProtectFolder(io.ComfyNode):
    """Protect every picture of a folder with one rho."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return io.Schema(
            node_id="LDU_ProtectFolder",
            display_name="Protect Folder",
            category=CATEGORY,
            description="Protects all pictures of a folder with one ρ, one after the other, refines each in its pixels "
            "if a personalization is connected, and saves each at once under its own name. What is there already "
            "stays: a run that was stopped goes on. A file that cannot be read is named and left out.",
            search_aliases=[*ALIASES, "batch", "dataset", "save image"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip=MODEL_TOOLTIP),
                io.Vae.Input("vae", tooltip=VAE_TOOLTIP),
                RhoSocket.Input(
                    "rho",
                    display_name="ρ",
                    lazy=True,
                    tooltip="From Train ρ or Load ρ; not asked for when nothing is left to do.",
                ),
                io.Combo.Input("folder", options=input_folders(), tooltip=FOLDER_TOOLTIP),
                budget_input(),
                strength_input(),
                seed_input("Key of the shift; any number, another one gives another shift."),
                io.String.Input(
                    "save_in",
                    default=f"%folder%{MARK}",
                    tooltip="Folder inside the output folder; %folder% is the name of the folder of originals.",
                ),
                format_input(),
                quality_input(),
                io.Conditioning.Input(
                    "conditioning", optional=True, tooltip="Condition of the walk, the same as ρ was trained with."
                ),
                mask_input(" One mask serves all pictures."),
                io.Conditioning.Input(
                    "personalization",
                    optional=True,
                    lazy=True,
                    tooltip="The personalization prompt, from Textual Inversion: connect it to refine each picture in "
                    "its pixels. Nothing connected = the shift alone.",
                ),
                io.Int.Input(
                    "refine_steps",
                    optional=True,
                    default=RefineConfig.refine_steps,
                    min=0,
                    max=10000,
                    tooltip="Gradient steps on the pixels of each picture, if a personalization is connected; each "
                    "four evaluations of the model. 20 to 100 is usual. 0 = the shift alone.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="file", is_output_list=True, tooltip="Names inside the output folder, one a picture."
                ),
                io.String.Output(display_name="report", tooltip="What became of each picture."),
                io.Image.Output(
                    display_name="original",
                    tooltip="An example, before: the first picture that this run saved, or the first of all if none.",
                ),
                io.Image.Output(
                    display_name="saved", tooltip="The same picture after, as the readers of its file see it."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None) -> bool | str:
        """Accept a folder inside the input folder, also one made after the list was."""
        return folder_is_there(folder)

    @classmethod
    def fingerprint_inputs(cls, folder: str | None, save_in: str | None, file_format: str | None, **_: object) -> str:
        """Work again when a picture came, went or changed, or when a saved one is gone; where one is linked, look."""
        if folder is None or save_in is None or file_format is None:
            return token_hex(8)
        return fingerprint_of((stamps(folder), [task.target.exists() for task in tasks(folder, save_in, file_format)]))

    @classmethod
    def check_lazy_status(
        cls,
        model: Any,  # noqa: ANN401
        folder: str,
        save_in: str,
        file_format: str,
        rho: TrainedRho | None = None,
        **connected: object,
    ) -> list[str]:
        """Ask for rho and the personalization, and with them for their training, only if there is something to do.

        Raises:
            MismatchError: if a list came into an input, for whose first item the whole folder would be protected.
        """
        if is_further_of_a_list():
            raise MismatchError(ONE_OF_EACH)
        form = FileFormat(file_format)
        missing = (task for task in tasks(folder, save_in, file_format) if not task.target.exists())
        if not any(can_be_done(task, form, model) for task in missing):
            return []
        refines = connected.get("refine_steps", 1) and "personalization" in connected
        wanted = {"rho": rho} | ({"personalization": connected["personalization"]} if refines else {})
        return [name for name, value in wanted.items() if value is None]

    @classmethod
    def execute(
        cls,
        model: Any,  # noqa: ANN401
        vae: Any,  # noqa: ANN401
        folder: str,
        budget: float,
        strength: float,
        seed: int,
        save_in: str,
        file_format: str,
        quality: int,
        rho: TrainedRho | None = None,
        conditioning: list[Any] | None = None,
        mask: Tensor | None = None,
        personalization: list[Any] | None = None,
        refine_steps: int = RefineConfig.refine_steps,
    ) -> io.NodeOutput:
        """Protect and save what is not there yet; return all files, the report and the first pair."""
        if mask is not None:
            require_one_mask(mask)
        if rho is not None:
            require_vae(vae, model)
            require_trained_with_record(rho)
        todo = tasks(folder, save_in, file_format)
        if not todo:
            raise BadFileError("\n".join([no_picture(folder), *say_links(folder_inside_input(folder))]))
        steps = 0 if personalization is None else refine_steps
        walk = FolderWalk(model, vae, rho, conditioning, budget, strength, seed, mask, personalization, steps)
        form = FileFormat(file_format, quality)
        outcomes = _work_through(todo, walk, Writer(form))
        done = [outcome for outcome in outcomes if outcome.kind != LEFT_OUT]
        if not done:
            raise BadFileError(outcomes[0].said)
        about = [] if rho is None else [f"ρ was {say_trained_for(rho)}."]
        about += say_links(folder_inside_input(folder))
        text = "\n".join([in_words(outcomes, form, budget), *about])
        numbers = {
            "nfe": walk.evaluations,
            "refine_steps": steps,
            "pictures": [outcome.as_dict() for outcome in outcomes],
        }
        seen = [f"{each.task.name}: {each.said}" for each in outcomes if each.kind == SAVED and each.notable]
        shown = [_shown(outcome.task.target) for outcome in done[:SHOWN]]
        return io.NodeOutput(
            [inside_output(outcome.task.target) for outcome in done],
            "\n".join([text, *(f"{outcome.task.name}: {outcome.said}" for outcome in outcomes)]),
            *_example(done),
            ui={
                **ui.SavedImages(shown).as_dict(),
                **report(numbers, text, [*say_few_steps(model), *seen]),
                **aloud(f"{DEMO_WARNING}\n{text}" if is_demo(model) else text),
            },
        )


def _example(done: list[Outcome]) -> tuple[Tensor, Tensor]:
    """Return a picture before and after, one that this run saved if there is any.

    Raises:
        BadFileError: if all of them were moved meanwhile.
    """
    for outcome in sorted(done, key=lambda outcome: outcome.kind != SAVED):
        with suppress(BadFileError):
            before, after = (load_picture(path) for path in (outcome.task.source, outcome.task.target))
            return to_image(before.as_batch()), to_image(after.as_batch())
    raise BadFileError("All pictures were saved, and then moved or removed: none is left to be shown.")


def _work_through(todo: list[Task], walk: FolderWalk, writer: Writer) -> list[Outcome]:
    """Do one task after the other; stops at once when the user cancels."""
    outcomes: list[Outcome] = []
    bar, teller = progress_bar(len(todo)), Teller()
    pace = Pace(teller, sum(not task.target.exists() for task in todo), GOES_ON, "picture")
    for number, task in enumerate(todo, 1):
        stop_if_asked()
        fits, counted = any(outcome.kind == SAVED for outcome in outcomes), not task.target.exists()
        outcomes.append(_outcome(task, walk, writer, teller, fits))
        bar.update_absolute(number)
        if counted:
            pace.tick()
    return outcomes


def _outcome(task: Task, walk: FolderWalk, writer: Writer, teller: Teller, fits: bool) -> Outcome:
    """Do one task; `fits` says that the models did another picture, so that this one alone can be what does not fit."""
    if task.target.exists():
        return say_there(task, walk.budget, writer.form)
    try:
        picture = open_picture(task, writer.form, walk.model)
    except (BadFileError, BadImageError) as error:
        # Of these BadFileError is not caught below: a disk that is full will not do for the next picture either.
        return Outcome(task, LEFT_OUT, str(error), notable=True)
    try:
        if walk.refine_steps:
            teller.begin(*walk.memory(picture))
        with as_a_part():
            protected = walk.protect(picture)
        make_folder(task.target.parent)
        written = writer.write(task.target, protected, picture.info, picture.as_batch())
    except (BadImageError, NonFiniteError) as error:
        return Outcome(task, LEFT_OUT, str(error), notable=True)
    except UnsupportedModelError as error:  # such as a long picture beside which the whole model has no room
        if not fits:
            raise
        return Outcome(task, LEFT_OUT, str(error), notable=True)
    change, visible = max_abs_levels(picture.as_batch(), written.seen), _visible(walk, picture, written.seen)
    said = " ".join([f"up to {change} of 255 levels changed.", *written.said, *visible])
    return Outcome(task, SAVED, said, change, notable=len(written.said) > 1 or bool(visible))


def _visible(walk: FolderWalk, picture: Picture, saved: Levels) -> list[str]:
    """Say where the change is likely to be seen: in flat areas, or because the picture is small."""
    original = picture.as_batch()
    flat = measure_flat(original, saved)
    small = say_small(original, training_resolution(walk.model))
    return [*([str(flat)] if flat.notable else []), *([small] if small else [])]


def _shown(target: Path) -> ui.SavedResult:
    place = Path(inside_output(target))
    return ui.SavedResult(place.name, place.parent.as_posix(), io.FolderType.output)


NODES = [ProtectFolder]
