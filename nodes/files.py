"""Load Picture: a picture file as its readers see it."""

import hashlib
import secrets
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..ldu.budget import WHITE
from ..ldu.picture import Picture, load_picture
from .images import to_image
from .known_pictures import note
from .types import PictureInfoSocket
from .wording import ALIASES, CATEGORY

# The host calls these class methods by the names of a node's inputs; its base class declares **kwargs.
# pyright: reportIncompatibleMethodOverride=false

MASK_EDITOR = "clipspace-"  # how the front end names what its mask editor writes
MASK_EDITOR_WROTE_IT = (
    "The mask editor has painted a hole into a copy of the picture. Choose the picture itself again, paint on a Load "
    "Image that shows it, and connect the MASK of that: it is 1 where you paint, the place to protect."
)
TRANSPARENT_TOOLTIP = (
    "1 where the picture is transparent, 0 where opaque; not the place to protect, which is the opaque part: put the "
    "stock Invert Mask between."
)


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
                io.Mask.Output(display_name="mask", tooltip=TRANSPARENT_TOOLTIP),
                PictureInfoSocket.Output(
                    display_name="info", tooltip="Name, alpha, colour profile and what was converted."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, image: str | None) -> bool | str:
        """Accept any file inside the host's folders, also one pasted after the list was made."""
        if image is None:
            return True
        if Path(image).name.startswith(MASK_EDITOR):
            return MASK_EDITOR_WROTE_IT
        if folder_paths.exists_annotated_filepath(image):
            return True
        if any(entry.name == image and entry.is_symlink() for entry in in_input_folder()):
            return f"{image} is a link that leads out of the input folder, or nowhere: put the picture itself there."
        return f"There is no picture {image!r} in the input folder: put it there, or choose another one."

    @classmethod
    def fingerprint_inputs(cls, image: str | None) -> str:
        """Load again when the file's content has changed."""
        if image is None:
            return fingerprint_of_linked()
        return fingerprint_of(Path(folder_paths.get_annotated_filepath(image)).read_bytes())

    @classmethod
    def execute(cls, image: str) -> io.NodeOutput:
        """Load the picture, show it and say what was converted."""
        picture = load_picture(folder_paths.get_annotated_filepath(image))
        return io.NodeOutput(
            to_image(picture.as_batch()),
            transparency(picture),
            picture.info,
            ui={"images": [_shown_file(image)], "text": (note(picture),)},
        )


_KEY = secrets.token_bytes(32)  # of this process


def fingerprint_of(value: object) -> str:
    """Return what equals itself only while a value does, for the host's cache.

    The host also writes it into the prompt that it keeps in every PNG, where names of files, paths and times of
    somebody's pictures must not stand: without the key nobody can even try them.
    """
    content = value if isinstance(value, bytes) else repr(value).encode()
    return hashlib.blake2b(content, key=_KEY, digest_size=16).hexdigest()


def fingerprint_of_linked() -> str:
    """Return what changes when any file of the input folder does: which one a linked input means is not known yet."""
    files = [path for path in Path(folder_paths.get_input_directory()).rglob("*") if path.is_file()]
    return fingerprint_of(sorted((path.as_posix(), path.stat().st_mtime_ns) for path in files))


def transparency(picture: Picture) -> Tensor:
    """Return the host's MASK of a picture: 1 - alpha."""
    alpha = torch.full(picture.levels.shape[:2], WHITE) if picture.alpha is None else picture.alpha
    return 1 - alpha[None].float() / WHITE


def in_input_folder() -> list[Path]:
    """Return what lies in the input folder; nothing where it is yet to be made, as --input-directory allows."""
    root = Path(folder_paths.get_input_directory())
    return list(root.iterdir()) if root.is_dir() else []


def _input_pictures() -> list[str]:
    files = [entry.name for entry in in_input_folder() if entry.is_file()]
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


NODES = [LoadPicture]
