"""Save Protected: picture files with nothing inside but pixels and colour profile, and what they are worth."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..ldu.errors import BadFileError, BadImageError, BadValueError
from ..ldu.naming import MARK
from ..ldu.picture import PictureInfo, load_picture
from ..ldu.saved_file import FileFormat, require_holds
from ..ldu.shapes import Levels
from ..ldu.wording import DEMO_WARNING, MEASURED, UNPUBLISH
from .host import may_embed_metadata, nothing, sources
from .images import require_one_size, to_image, to_levels
from .inputs import format_input, quality_input
from .output_names import is_taken, require_inside_output
from .picture_writer import Writer, Written, say_unprotected_beside
from .saved_before import LEFT_AS_IT_IS, say_other
from .saved_names import NAME, next_files, own_file, own_files, require_known, require_room
from .types import PictureInfoSocket
from .wording import ALIASES, CATEGORY, aloud

DEMO_LOADER = "LDU_LoadDemoCheckpoint"
UNCHECKED = "No platform was checked: platform_check needs the picture before, connected to original."
GAP = "Nothing of it goes on to the nodes behind, and a Protection Report on a list with such a gap is not made."
NO_INFO = PictureInfo("picture.png", "RGB", 0, 0)  # of a picture that nobody tells about
EMBEDDED = "Prompt and workflow are in the file, as metadata asks: whoever gets it can read how it was made."
NOT_EMBEDDED = "metadata embedded nothing, for ComfyUI was started with --disable-metadata."
NOT_IN_A_PNG = "metadata embedded nothing, for only a png holds it: choose that format, or switch metadata off."
NUMBERED_TOOLTIP = (
    "On: a number behind the name, so that each file is a new one. Off: the name alone, for folders; what is there "
    "already stays and is not made again, and a picture that the format cannot hold is named and left out. Needs info, "
    "original and %name%."
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
                "Saves a picture under the name of its original, with the original's alpha and colour profile and "
                "without EXIF, GPS, thumbnail, prompt or workflow. Never replaces a file. Without numbers a run over a "
                "folder that was stopped goes on."
            ),
            search_aliases=[*ALIASES, "save image", "export", "jpeg", "webp", "batch", "resume"],
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Image.Input("image", lazy=True, tooltip="The protected pictures; each becomes one file."),
                PictureInfoSocket.Input(
                    "info",
                    optional=True,
                    tooltip="From Load Picture: gives name, alpha and colour profile. Leave it out where several "
                    "pictures come from Purify, which would get each other's.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default=f"{NAME}{MARK}",
                    tooltip="Name inside the output folder, with subfolders if wanted; %name% is the original's name, "
                    "with its sub-folder if it comes from Load Picture Folder.",
                ),
                io.Boolean.Input(
                    "metadata",
                    default=False,
                    advanced=True,
                    tooltip="Embed prompt and workflow, in a png only; they tell everybody how the picture was made.",
                ),
                io.Image.Input(
                    "original",
                    optional=True,
                    tooltip="The picture before, of the same size: a jpeg or webp file is measured against it.",
                ),
                format_input(optional=True),
                quality_input(optional=True),
                io.Boolean.Input(
                    "platform_check",
                    default=False,
                    optional=True,
                    tooltip="With the original: say how much of the change is left after an upload that fits the "
                    "picture to 2048 pixels and saves it as JPEG 80.",
                ),
                io.Boolean.Input("numbered", default=True, optional=True, tooltip=NUMBERED_TOOLTIP),
            ],
            outputs=[
                io.String.Output(
                    display_name="file", is_output_list=True, tooltip="Names inside the output folder, one a picture."
                ),
                io.Image.Output(
                    display_name="saved",
                    tooltip="The pictures as the readers of the files see them, to be compared and measured.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, numbered: bool | None = True, **_: object) -> str:
        """Look each time, without numbers, which files are there."""
        return "" if numbered else token_hex(8)  # not NaN: the host puts it into the prompt, and NaN is no JSON

    @classmethod
    def check_lazy_status(
        cls,
        info: PictureInfo | None = None,
        file_format: str = "png",
        filename_prefix: str | None = None,
        image: Tensor | None = None,
        original: Tensor | None = None,
        numbered: bool = True,
        **_: object,
    ) -> list[str]:
        """Ask for the picture, and with it for all work on it, only if it can be saved and is not there yet.

        Raises:
            BadImageError: if the original is transparent and the format cannot be; numbered only.
            BadValueError: if no file can have such a name, or without numbers something is missing.
        """
        form = FileFormat(file_format)
        if filename_prefix is not None:
            require_inside_output(filename_prefix)
            if not numbered:
                known = require_known(filename_prefix, info, original)[0]
                stays = is_taken(own_file(filename_prefix, known, form)[0]) or _why_not(form, known)
                return [] if stays or image is not None else ["image"]
            require_room(filename_prefix, info or NO_INFO, form)
        if info is not None:
            require_holds(form, info)
        return ["image"] if image is None else []

    @classmethod
    def execute(
        cls,
        image: Tensor | None,
        filename_prefix: str,
        metadata: bool,
        info: PictureInfo | None = None,
        original: Tensor | None = None,
        file_format: str = "png",
        quality: int = 90,
        platform_check: bool = False,
        numbered: bool = True,
    ) -> io.NodeOutput:
        """Save the pictures one by one; return the files' names and what is in them.

        Without numbers a picture that is there already is given as it is, and nothing of one that is left out; then
        `image` may be None, for nobody asked for it.
        """
        writer = Writer(FileFormat(file_format, quality), platform_check)
        further = _say_undone(metadata, platform_check, original, writer.form)
        if _is_made_with_demo(cls.hidden):
            further.append(DEMO_WARNING)
        if not numbered:
            stays = _what_stays(filename_prefix, *require_known(filename_prefix, info, original), image, writer.form)
            if stays is not None:
                written, subfolder, left_out = stays
                return _output(written, subfolder, [*left_out, *further])
        if image is None:
            raise BadValueError("A saved picture was removed just now, while it was looked for: run again.")
        pictures = to_levels(image, "picture to save")
        befores = _originals(original, image)
        if info is not None and info.alpha is not None and len(pictures) > 1:
            further.append(f"All {len(pictures)} pictures got the alpha of {info.name}.")
        info = info or replace(NO_INFO, width=pictures.shape[-1], height=pictures.shape[-2])
        paths, subfolder = (next_files if numbered else own_files)(filename_prefix, info, writer.form, pictures)
        texts = _workflow_texts(cls.hidden) if metadata and may_embed_metadata() else {}
        try:
            written = [
                _named(writer.write(path, levels, info, before, texts))
                for path, levels, before in zip(paths, pictures.split(1), befores, strict=True)
            ]
        except BadImageError as error:  # such as a WebP longer than that format allows
            if numbered:
                raise
            return _output([], subfolder, [f"Left out: {error}", GAP])
        return _output(written, subfolder, [*([EMBEDDED] if texts and writer.form.keeps_levels else []), *further])


def _why_not(form: FileFormat, info: PictureInfo) -> str:
    """Say why a format cannot hold a picture; nothing if it can."""
    try:
        require_holds(form, info)
    except BadImageError as error:
        return str(error)
    return ""


def _what_stays(
    prefix: str, info: PictureInfo, original: Tensor, image: Tensor | None, form: FileFormat
) -> tuple[list[Written], str, list[str]] | None:
    """Return the file that is there already, or nothing of a picture that is left out; None if it is to be saved."""
    target, subfolder = own_file(prefix, info, form)
    if not is_taken(target):
        why = _why_not(form, info)
        return ([], subfolder, [f"Left out: {why}", GAP]) if why else None
    try:
        saved = load_picture(target).as_batch()
    except BadFileError as error:
        return [], subfolder, [f"Left out: {error} {target.name} was left as it is.", GAP]
    before = to_levels(original, "original")
    came = None if image is None else to_levels(image, "picture to save")
    doubt = say_other(before, saved, came, target.name, form)
    said = [doubt or f"{target.name}: {LEFT_AS_IT_IS}", *say_unprotected_beside(target, info)]
    return [Written(target, saved, said)], subfolder, []


def _named(written: Written) -> Written:
    """Put a file's name before all that is said of it: of a list all is said in one box."""
    return replace(written, said=[f"{written.path.name}: {line}" for line in written.said])


def _output(written: Sequence[Written], subfolder: str, further: Sequence[str] = ()) -> io.NodeOutput:
    """Return what the node gives of files, and says of them."""
    shown = [ui.SavedResult(each.path.name, subfolder, io.FolderType.output) for each in written]
    told = [line for each in written for line in each.said]
    said = "\n".join([*dict.fromkeys([*told, *further]), MEASURED, UNPUBLISH])
    return io.NodeOutput(
        [Path(subfolder, each.path.name).as_posix() for each in written] or [nothing()],
        to_image(torch.cat([each.seen for each in written])) if written else nothing(),
        ui={**ui.SavedImages(shown).as_dict(), "text": (said,), **aloud(said)},
    )


def _originals(original: Tensor | None, image: Tensor) -> list[Levels] | list[None]:
    if original is None:
        return [None] * len(image)
    befores = to_levels(original, "original")
    require_one_size(original, image, "connect the one that Fit to Budget has.")
    return list(befores.split(1))


def _say_undone(metadata: bool, platform_check: bool, original: Tensor | None, form: FileFormat) -> list[str]:
    """Say which wishes could not be met."""
    unchecked = [UNCHECKED] if platform_check and original is None else []
    if not metadata:
        return unchecked
    lacking = NOT_EMBEDDED if not may_embed_metadata() else "" if form.keeps_levels else NOT_IN_A_PNG
    return [*unchecked, lacking] if lacking else unchecked


def _is_made_with_demo(hidden: Any) -> bool:  # noqa: ANN401
    """Tell whether the demo checkpoint is among what the workflow makes a node's picture from."""
    prompt: dict[str, dict[str, Any]] = getattr(hidden, "prompt", None) or {}
    above, seen = [getattr(hidden, "unique_id", None)], set()
    while above:
        number = above.pop()
        if number in prompt and number not in seen:
            seen.add(number)
            above += sources(prompt[number]["inputs"])
    return any(prompt[number]["class_type"] == DEMO_LOADER for number in seen)


def _workflow_texts(hidden: Any) -> dict[str, str]:  # noqa: ANN401  (the host's holder of hidden inputs)
    texts = {"prompt": hidden.prompt, **(hidden.extra_pnginfo or {})}
    return {keyword: json.dumps(value) for keyword, value in texts.items() if value is not None}


NODES = [SaveProtected]
