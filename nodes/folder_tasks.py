"""The pictures of a folder, one by one: where each goes, and what became of it."""

import filecmp
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths

from ..ldu.budget import working_size
from ..ldu.errors import BadFileError, BadImageError, BadValueError
from ..ldu.naming import protected_names
from ..ldu.picture import Picture, load_picture
from ..ldu.saved_file import FileFormat, require_holds
from ..ldu.wording import LEFT_OUT, MEASURED, SAVED, THERE, UNPUBLISH, say_bytes
from .host import stop_if_asked, training_resolution
from .output_names import is_taken
from .picture_folder import folder_inside_input, pictures_in
from .saved_before import LEFT_AS_IT_IS, say_doubt, say_original


@dataclass(frozen=True)
class Task:
    """A picture by its path inside its folder, where it is, and where its protected version goes."""

    name: str
    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a picture.

    Args:
        task: the picture.
        kind: SAVED, THERE or LEFT_OUT.
        said: in a sentence or two.
        change: of a saved one, the largest change of a value as the readers of the file see it, in levels.
        notable: whether people should read what is said.
    """

    task: Task
    kind: str
    said: str
    change: int = 0
    notable: bool = False

    def as_dict(self) -> dict[str, str]:
        """Give it for programs."""
        saved = {} if self.kind == LEFT_OUT else {"file": inside_output(self.task.target)}
        return {"name": self.task.name, "outcome": self.kind, "said": self.said, **saved}


def tasks(folder: str, save_in: str, file_format: str) -> list[Task]:
    """Return what there is to do; the same names whatever is done already.

    Raises:
        BadValueError: if the pictures would be saved outside the output folder, or in no format that there is.
    """
    ending = FileFormat(file_format).ending
    root, output = folder_inside_input(folder), folder_paths.get_output_directory()
    target = Path(output, save_in.replace("%folder%", folder))
    if not folder_paths.is_within_directory(output, str(target)):
        raise BadValueError(f"The folder {save_in!r} leads out of the output folder; give a name inside it.")
    _require_folder(target, save_in)
    names = protected_names(pictures_in(root), ending)
    return [Task(name, root / name, target / protected) for name, protected in names.items()]


def _require_folder(target: Path, save_in: str) -> None:
    """Refuse a place where no folder can be, before anything is worked on."""
    try:
        taken = any(place.exists() and not place.is_dir() for place in (target, *target.parents))
    except OSError as error:  # a name too long for any folder
        raise BadValueError(f"No folder can be called {save_in!r} ({error.strerror}); give another name.") from error
    if taken:
        raise BadValueError(f"There is a file in the place of the folder {save_in!r}; give another name.")


def open_picture(task: Task, form: FileFormat, model: Any) -> Picture:  # noqa: ANN401
    """Return the picture of a task.

    Raises:
        BadFileError, BadImageError: if it cannot be read, held by the format, saved, or walked with the MODEL.
    """
    _require_place(task.target)
    picture = load_picture(task.source)
    require_holds(form, picture.info)
    working_size(picture.info.width, picture.info.height, training_resolution(model))
    return picture


def _require_place(target: Path) -> None:
    """Refuse a picture that cannot be saved in its own place, for which the others need not wait.

    Raises:
        BadFileError: with what is in the way.
    """
    folder, output = target.parent, folder_paths.get_output_directory()
    if not folder_paths.is_within_directory(output, str(folder)):
        raise BadFileError(
            f"The folder {inside_output(folder)} is a link that leads out of the output folder: remove it, or save "
            "elsewhere."
        )
    if any(is_taken(place) and not place.is_dir() for place in (folder, *folder.parents)):
        raise BadFileError(
            f"There is a file in the place of the folder {inside_output(folder)}: rename one of them, or save "
            "elsewhere."
        )
    if is_taken(target):
        raise BadFileError(f"{inside_output(target)} is a link that leads nowhere: remove it, or save elsewhere.")


def make_folder(folder: Path) -> None:
    """Make the folder that a picture is saved in.

    Raises:
        BadFileError: if the disk does not let it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadFileError(
            f"The folder {inside_output(folder)} cannot be made ({error.strerror}): see to the output folder, or save "
            "elsewhere."
        ) from error


def can_be_done(task: Task, form: FileFormat, model: Any) -> bool:  # noqa: ANN401
    """Tell whether the picture of a task can be opened."""
    stop_if_asked()
    try:
        open_picture(task, form, model)
    except (BadFileError, BadImageError):
        return False
    return True


def say_there(task: Task, budget: float, form: FileFormat) -> Outcome:
    """Tell of a picture whose protected version is there already, and whether it may be out of date, or none at all."""
    if filecmp.cmp(task.source, task.target, shallow=False):
        return Outcome(task, THERE, say_original(task.target.name), notable=True)
    try:
        original, saved = (load_picture(path).as_batch() for path in (task.source, task.target))
    except BadFileError as error:
        return Outcome(task, LEFT_OUT, f"{error} Its {task.target.name} was left as it is.", notable=True)
    doubt = say_doubt(original, saved, task.target.name, form, budget)
    return Outcome(task, THERE, doubt or LEFT_AS_IT_IS, notable=doubt is not None)


def in_words(outcomes: Sequence[Outcome], form: FileFormat, budget: float) -> str:
    """Sum up what became of the pictures, with whatever needs somebody's attention."""
    counts = Counter(outcome.kind for outcome in outcomes)
    summary = ", ".join(f"{counts[kind]} {kind}" for kind in (SAVED, THERE, LEFT_OUT) if counts[kind])
    size = sum(_bytes_of(each.task.target) for each in outcomes if each.kind != LEFT_OUT)
    notable = [f"{each.task.name}: {each.said}" for each in outcomes if each.notable]
    return "\n".join(
        [f"{summary}, {say_bytes(size)} in all.", *_say_change(outcomes, form, budget), *notable, MEASURED, UNPUBLISH]
    )


def _bytes_of(saved: Path) -> int:
    """Return how large a file is; 0 where somebody has moved it since it was saved."""
    try:
        return saved.stat().st_size
    except OSError:
        return 0


def _say_change(outcomes: Sequence[Outcome], form: FileFormat, budget: float) -> list[str]:
    changes = [outcome.change for outcome in outcomes if outcome.kind == SAVED]
    if not changes:
        return []
    said = f"Largest change {max(changes)} of 255 levels, asked for at most {budget:g}"
    if form.keeps_levels:
        return [f"{said}."]
    return [f"{said}: {form} changes the values again, the bound of the budget no longer holds for these files."]


def inside_output(target: Path) -> str:
    """Return the name of a saved file inside the output folder."""
    return target.relative_to(folder_paths.get_output_directory()).as_posix()
