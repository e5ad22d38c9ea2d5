"""Load Picture Folder, and what the nodes know of folders of pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..ldu.budget import resize_mask, to_working_size
from ..ldu.errors import BadFileError, BadImageError, BadValueError
from ..ldu.naming import is_picture, protected_names, say_links
from ..ldu.picture import PictureInfo, load_picture
from .files import TRANSPARENT_TOOLTIP, fingerprint_of, fingerprint_of_linked, in_input_folder, transparency
from .host import progress_bar, stop_if_asked, training_resolution
from .images import to_image
from .known_pictures import note
from .types import PictureInfoSocket
from .wording import ALIASES, CATEGORY

# The host calls these class methods by the names of a node's inputs; its base class declares **kwargs.
# pyright: reportIncompatibleMethodOverride=false

FOLDER_TOOLTIP = "A folder inside the input folder, of pictures of one subject; sub-folders belong to it."
NUMBER_TOOLTIP = (
    "0 = the whole folder; 1, 2 or more = only that picture of it, by name, whatever at_most says. With increment and "
    "as many runs as pictures, a folder of any size is worked through with one picture in memory."
)
Stamp = tuple[str, int, int]
Loaded = tuple[Tensor, Tensor, PictureInfo]


class LoadPictureFolder(io.ComfyNode):
    """Decode the pictures of a folder of the input folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return io.Schema(
            node_id="LDU_LoadPictureFolder",
            display_name="Load Picture Folder",
            category=CATEGORY,
            description=(
                "Loads pictures of a folder inside the input folder, sorted by name, as Load Picture does. "
                "A file that cannot be read is named and left out."
            ),
            search_aliases=[*ALIASES, "load image", "batch", "dataset"],
            inputs=[
                io.Combo.Input("folder", options=input_folders(), tooltip=FOLDER_TOOLTIP),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="To train on the pictures: each is made as small as this model sees it as soon as it is "
                    "read, which saves memory.",
                ),
                io.Int.Input(
                    "at_most",
                    default=0,
                    min=0,
                    max=10**6,
                    optional=True,
                    tooltip="How many pictures, taken evenly from the folder; 0 = all. 4 to 20 are usual for training.",
                ),
                io.Int.Input(
                    "number",
                    display_name="picture number",
                    default=0,
                    min=0,
                    max=10**6,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    optional=True,
                    tooltip=NUMBER_TOOLTIP,
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", is_output_list=True, tooltip="One by one, each at its own size."),
                io.Mask.Output(
                    display_name="mask",
                    is_output_list=True,
                    tooltip=TRANSPARENT_TOOLTIP,
                ),
                PictureInfoSocket.Output(
                    display_name="info",
                    is_output_list=True,
                    tooltip="Name, alpha, colour profile and what was converted.",
                ),
                io.String.Output(
                    display_name="file",
                    is_output_list=True,
                    tooltip="Where each file is, for Protection Report if the pictures are protected already.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None) -> bool | str:
        """Accept a folder inside the input folder, also one made after the list was."""
        return folder_is_there(folder)

    @classmethod
    def fingerprint_inputs(cls, folder: str | None, number: int | None = 0, **_: object) -> str:
        """Load again when a file came, went or changed; of a picture by its number, when that one or its name did."""
        if folder is None:
            return fingerprint_of_linked()
        found = stamps(folder)
        if not number:
            return fingerprint_of(found)
        own = protected_names((name for name, *_ in found), "")
        return fingerprint_of([(stamp, own[stamp[0]]) for stamp in found[number - 1 : number]])

    @classmethod
    def execute(cls, folder: str, model: Any = None, at_most: int = 0, number: int = 0) -> io.NodeOutput:  # noqa: ANN401
        """Load the pictures one after the other and say what was converted."""
        root, side = folder_inside_input(folder), None if model is None else training_resolution(model)
        names = pictures_in(root)
        chosen, own = (
            [_numbered(names, number, folder)] if number else _spread(names, at_most),
            protected_names(names, ""),
        )
        place = f"Picture {number} of {len(names)}: " if number else ""
        loaded: list[Loaded] = []
        said: list[str] = []
        bar = progress_bar(len(chosen))
        for count, name in enumerate(chosen, 1):
            stop_if_asked()
            try:
                loaded.append(_load(root, name, own[name], side, said))
            except BadFileError as error:
                said.append(f"Left out: {error}")
            except BadImageError as error:
                said.append(f"Left out: {name}: {error}")
            bar.update_absolute(count)
        said += say_links(root)
        if not loaded:
            raise BadFileError(place + said[0] if said else no_picture(folder))
        images, masks, infos = (list(each) for each in zip(*loaded, strict=True))
        files = [f"{Path(folder, info.name).as_posix()} [input]" for info in infos]
        return io.NodeOutput(images, masks, infos, files, ui={"text": (place + "\n".join(said),)})


def input_folders() -> list[str]:
    """Return the folders of the input folder."""
    return sorted(entry.name for entry in in_input_folder() if entry.is_dir() and not entry.name.startswith("."))


def folder_is_there(folder: str | None) -> bool | str:
    """Return True, or what is wrong with the name of a folder; a linked one comes as None."""
    try:
        if folder is None or folder_inside_input(folder).is_dir():
            return True
    except OSError as error:  # a name too long for any folder
        return f"No folder can be called {folder!r} ({error.strerror}): choose another one."
    except BadValueError as error:  # a link, or a path, that leads elsewhere
        return str(error)
    return f"There is no folder {folder!r} in the input folder: make it there, or choose another one."


def folder_inside_input(folder: str) -> Path:
    """Return the path of a folder of the input folder.

    Raises:
        BadValueError: if it lies elsewhere.
    """
    root = folder_paths.get_input_directory()
    path = Path(root) / folder
    if not folder_paths.is_within_directory(root, str(path)):
        raise BadValueError(f"The folder {folder!r} lies outside the input folder: move the pictures there.")
    return path


def pictures_in(folder: Path) -> list[str]:
    """Return the pictures of a folder and its sub-folders, sorted, as paths inside it; hidden ones are passed over.

    A link to a file counts wherever it leads: run.py gives a folder to be protected in this way.
    """
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and is_picture(path.name)]
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def stamps(folder: str) -> tuple[Stamp, ...]:
    """Return name, size and time of each picture of a folder, which change when the pictures do."""
    root = folder_inside_input(folder)
    stats = [(name, (root / name).stat()) for name in pictures_in(root)]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def no_picture(folder: str) -> str:
    """Say that a folder is empty."""
    return f"There is no picture in the folder {folder!r}: put PNG, JPEG or WebP files there."


def _numbered(names: list[str], number: int, folder: str) -> str:
    """Return one of the names of a folder's pictures, of which 1 is the first."""
    if not names:
        raise BadFileError(no_picture(folder))
    if number < 0:
        raise BadValueError(f"The picture number is {number}: 1 is the first of the folder, 0 the whole folder.")
    if number > len(names):
        raise BadValueError(
            f"Picture {number} was asked for, but the folder {folder!r} has {len(names)}, and all are done: set the "
            "picture number to 1 to begin again, or to 0 to load the whole folder."
        )
    return names[number - 1]


def _spread(names: list[str], at_most: int) -> list[str]:
    """Return as many names, spread evenly; 0 is all of them."""
    count = min(at_most or len(names), len(names))
    return [names[number * len(names) // count] for number in range(count)]


def _load(root: Path, name: str, own_name: str, side: int | None, said: list[str]) -> Loaded:
    picture = load_picture(root / name)
    levels, mask = picture.as_batch(), transparency(picture)
    if side is not None:
        levels = to_working_size(levels, side)
        mask = resize_mask(mask[None], levels)[0]
    said.append(f"{name}: {note(picture)}")
    return to_image(levels), mask, replace(picture.info, name=name, own_name=own_name)


NODES = [LoadPictureFolder]
