"""Picture files: load one or a folder of them as their readers do, save the protected ones with nothing else inside."""

import hashlib
import json
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..ldu.budget import WHITE
from ..ldu.errors import BadFileError, BadValueError
from ..ldu.picture import Picture, PictureInfo, load_picture, save_png
from .images import to_image, to_levels
from .types import PictureInfoSocket
from .walk import ALIASES, CATEGORY

# The host calls these class methods by the names of a node's inputs; its base class declares **kwargs.
# pyright: reportIncompatibleMethodOverride=false


class LoadPicture(io.ComfyNode):
    """Decode a file of the input folder as its readers do."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return io.Schema(
            node_id="LDU_LoadPicture",
            display_name="Load Picture",
            category=CATEGORY,
            description=(
                "Loads a picture as other programs see it: upright, its exact 8-bit values, first frame. The stock "
                "Load Image decodes JPEG differently, so a budget measured against it is not the file's."
            ),
            search_aliases=[*ALIASES, "load image", "open"],
            inputs=[
                io.Combo.Input(
                    "image",
                    options=_input_pictures(),
                    upload=io.UploadType.image,
                    image_folder=io.FolderType.input,
                    tooltip="A picture in the input folder: PNG, JPEG, WebP, TIFF and others, of any size and mode.",
                )
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="RGB at the picture's own size."),
                io.Mask.Output(display_name="mask", tooltip="1 where the picture is transparent, 0 where opaque."),
                PictureInfoSocket.Output(
                    display_name="info", tooltip="Name, alpha, colour profile and what was converted."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, image: str | None) -> bool | str:
        """Accept any file inside the host's folders, also one pasted after the list was made."""
        if image is None or folder_paths.exists_annotated_filepath(image):
            return True
        return f"There is no picture {image!r} in the input folder: put it there, or choose another one."

    @classmethod
    def fingerprint_inputs(cls, image: str) -> str:
        """Load again when the file's content has changed."""
        return hashlib.sha256(Path(folder_paths.get_annotated_filepath(image)).read_bytes()).hexdigest()

    @classmethod
    def execute(cls, image: str) -> io.NodeOutput:
        """Load the picture, show it and say what was converted."""
        picture = load_picture(folder_paths.get_annotated_filepath(image))
        return io.NodeOutput(
            to_image(picture.as_batch()),
            _transparency(picture),
            picture.info,
            ui={"images": [_shown_file(image)], "text": (picture.info.note,)},
        )


class LoadPictureFolder(io.ComfyNode):
    """Decode every picture of a folder of the input folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return io.Schema(
            node_id="LDU_LoadPictureFolder",
            display_name="Load Picture Folder",
            category=CATEGORY,
            description="Loads all pictures of a folder inside the input folder, sorted by name, as Load Picture does.",
            search_aliases=[*ALIASES, "load image", "batch", "dataset"],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=_input_folders(),
                    tooltip="A folder inside the input folder, of pictures of one subject.",
                )
            ],
            outputs=[
                io.Image.Output(display_name="image", is_output_list=True, tooltip="One by one, each at its own size."),
                io.Mask.Output(
                    display_name="mask",
                    is_output_list=True,
                    tooltip="1 where a picture is transparent, 0 where opaque.",
                ),
                PictureInfoSocket.Output(
                    display_name="info",
                    is_output_list=True,
                    tooltip="Name, alpha, colour profile and what was converted.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None) -> bool | str:
        """Accept a folder inside the input folder, also one made after the list was."""
        if folder is None or _folder_inside_input(folder).is_dir():
            return True
        return f"There is no folder {folder!r} in the input folder: make it there, or choose another one."

    @classmethod
    def fingerprint_inputs(cls, folder: str) -> tuple[tuple[str, int, int], ...]:
        """Load again when a file came, went or changed."""
        stats = [(file.name, file.stat()) for file in _pictures_in(_folder_inside_input(folder))]
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)

    @classmethod
    def execute(cls, folder: str) -> io.NodeOutput:
        """Load the pictures and say what was converted."""
        pictures = [load_picture(file) for file in _pictures_in(_folder_inside_input(folder))]
        if not pictures:
            raise BadFileError(f"There is no picture in the folder {folder!r}: put PNG, JPEG or WebP files there.")
        return io.NodeOutput(
            [to_image(picture.as_batch()) for picture in pictures],
            [_transparency(picture) for picture in pictures],
            [picture.info for picture in pictures],
            ui={"text": ("\n".join(f"{picture.info.name}: {picture.info.note}" for picture in pictures),)},
        )


class SaveProtected(io.ComfyNode):
    """Save pictures with nothing in their files but pixels and colour profile."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return io.Schema(
            node_id="LDU_SaveProtected",
            display_name="Save Protected",
            category=CATEGORY,
            description=(
                "Saves a PNG named after its original, with the original's alpha and colour profile and without EXIF, "
                "GPS, thumbnail, prompt or workflow. Never replaces a file."
            ),
            search_aliases=[*ALIASES, "save image", "export"],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="The protected pictures; each becomes one file."),
                PictureInfoSocket.Input(
                    "info", optional=True, tooltip="From Load Picture: gives name, alpha and colour profile."
                ),
                io.String.Input(
                    "filename_prefix",
                    default="%name%_protected",
                    tooltip="Name inside the output folder, with subfolders if wanted; %name% is the original's name.",
                ),
                io.Boolean.Input(
                    "metadata",
                    default=False,
                    advanced=True,
                    tooltip="Embed prompt and workflow in the file; they tell everybody how the picture was made.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="file", is_output_list=True, tooltip="Names inside the output folder, one a picture."
                )
            ],
        )

    @classmethod
    def execute(
        cls, image: Tensor, filename_prefix: str, metadata: bool, info: PictureInfo | None = None
    ) -> io.NodeOutput:
        """Save the pictures one by one under the next free numbers and return the files' names."""
        pictures = to_levels(image, "picture to save").to(torch.uint8).movedim(1, -1).cpu()
        height, width = pictures.shape[1:3]
        info = info or PictureInfo("picture.png", "RGB", width, height)
        prefix = filename_prefix.replace("%name%", Path(info.name).stem)
        folder, stem, counter, subfolder = next_free(prefix, width, height)
        saved = []
        for number, levels in enumerate(pictures, counter):
            name = f"{stem}_{number:05}_.png"
            save_png(folder / name, levels, info.alpha, info.icc, text=_workflow_texts(cls.hidden) if metadata else {})
            saved.append(ui.SavedResult(name, subfolder, io.FolderType.output))
        names = [Path(subfolder, each.filename).as_posix() for each in saved]
        return io.NodeOutput(names, ui=ui.SavedImages(saved))


def _transparency(picture: Picture) -> Tensor:
    """Return the host's MASK of a picture: 1 - alpha."""
    alpha = torch.full(picture.levels.shape[:2], WHITE) if picture.alpha is None else picture.alpha
    return 1 - alpha[None].float() / WHITE


def _input_folders() -> list[str]:
    root = Path(folder_paths.get_input_directory())
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _folder_inside_input(folder: str) -> Path:
    root = folder_paths.get_input_directory()
    path = Path(root) / folder
    if not folder_paths.is_within_directory(root, str(path)):
        raise BadValueError(f"The folder {folder!r} lies outside the input folder: move the pictures there.")
    return path


def _pictures_in(folder: Path) -> list[Path]:
    names = [file.name for file in folder.iterdir() if file.is_file()]
    return [folder / name for name in sorted(folder_paths.filter_files_content_types(names, ["image"]))]


def _input_pictures() -> list[str]:
    files = [file.name for file in Path(folder_paths.get_input_directory()).iterdir() if file.is_file()]
    return sorted(folder_paths.filter_files_content_types(files, ["image"]))


def _shown_file(annotated: str) -> ui.SavedResult:
    """Point the node's preview at the file itself: a copy in the temp folder would outlive the picture."""
    name, folder = folder_paths.annotated_filepath(annotated)
    kind = next(
        (kind for kind in io.FolderType if folder == folder_paths.get_directory_by_type(kind.value)),
        io.FolderType.input,
    )
    path = Path(name)
    return ui.SavedResult(path.name, "" if path.parent == Path() else path.parent.as_posix(), kind)


def next_free(prefix: str, width: int, height: int) -> tuple[Path, str, int, str]:
    """Return folder, stem, next number and subfolder for a new file inside the output folder.

    Raises:
        BadValueError: if the prefix leads out of the output folder.
    """
    output = folder_paths.get_output_directory()
    if "\0" in prefix:
        raise BadValueError(f"The prefix {prefix!r} holds a zero byte, which cannot stand in a name; leave it out.")
    if not folder_paths.is_within_directory(output, str(Path(output, prefix).parent)):
        raise BadValueError(f"The prefix {prefix!r} leads out of the output folder; give a name inside it.")
    try:
        folder, stem, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, width, height)
    except OSError as error:
        reason = error.strerror or error
        raise BadValueError(f"No folder can be made for the prefix {prefix!r} ({reason}); give another one.") from error
    return Path(folder), stem, counter, subfolder


def _workflow_texts(hidden: Any) -> dict[str, str]:  # noqa: ANN401  (the host's holder of hidden inputs)
    texts = {"prompt": hidden.prompt, **(hidden.extra_pnginfo or {})}
    return {keyword: json.dumps(value) for keyword, value in texts.items() if value is not None}


NODES = [LoadPicture, LoadPictureFolder, SaveProtected]
