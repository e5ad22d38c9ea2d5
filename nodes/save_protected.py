"""Save Protected: picture files with nothing inside but pixels and colour profile, and what they are worth."""

import glob
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..ldu.errors import LduError, MismatchError
from ..ldu.naming import ENDINGS, MARK, shortened
from ..ldu.picture import PictureInfo, load_picture
from ..ldu.platform_check import after_platform
from ..ldu.saved_file import FileFormat, as_uint8, require_holds, save_picture, say_file
from ..ldu.shapes import Levels
from ..ldu.wording import UNPUBLISH, say_beside
from .host import may_embed_metadata
from .images import to_image, to_levels
from .known_pictures import KNOWN, is_known, remember
from .output_names import LONGEST_NAME, next_free, require_inside_output
from .types import PictureInfoSocket
from .wording import ALIASES, CATEGORY

FORMAT_TOOLTIP = (
    "png keeps every level, and with them the budget. jpeg and webp are smaller and change the values again: then the "
    "file is measured anew, and the budget no longer bounds it."
)
UNCHECKED = "No platform was checked: platform_check needs the picture before, connected to original."
NOT_EMBEDDED = "metadata embedded nothing, for ComfyUI was started with --disable-metadata."
QUALITY_TOOLTIP = "Of jpeg and webp, 1 to 100: 90 to 95 is usual. A png has none."


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
                "without EXIF, GPS, thumbnail, prompt or workflow. Never replaces a file."
            ),
            search_aliases=[*ALIASES, "save image", "export", "jpeg", "webp"],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", lazy=True, tooltip="The protected pictures; each becomes one file."),
                PictureInfoSocket.Input(
                    "info", optional=True, tooltip="From Load Picture: gives name, alpha and colour profile."
                ),
                io.String.Input(
                    "filename_prefix",
                    default=f"%name%{MARK}",
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
                io.Combo.Input(
                    "file_format", options=list(ENDINGS), default="png", optional=True, tooltip=FORMAT_TOOLTIP
                ),
                io.Int.Input("quality", default=90, min=1, max=100, optional=True, tooltip=QUALITY_TOOLTIP),
                io.Boolean.Input(
                    "platform_check",
                    default=False,
                    optional=True,
                    tooltip="With the original: say how much of the change is left after an upload that fits the "
                    "picture to 2048 pixels and saves it as JPEG 80.",
                ),
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
    def check_lazy_status(
        cls,
        info: PictureInfo | None = None,
        file_format: str = "png",
        filename_prefix: str | None = None,
        image: Tensor | None = None,
        **_: object,
    ) -> list[str]:
        """Ask for the picture, and with it for all work on it, only if it can be saved.

        Raises:
            BadImageError: if the original is transparent and the format cannot be.
            BadValueError: if the prefix leads out of the output folder.
        """
        if info is not None:
            require_holds(FileFormat(file_format), info)
        if filename_prefix is not None:
            require_inside_output(filename_prefix)
        return ["image"] if image is None else []

    @classmethod
    def execute(
        cls,
        image: Tensor,
        filename_prefix: str,
        metadata: bool,
        info: PictureInfo | None = None,
        original: Tensor | None = None,
        file_format: str = "png",
        quality: int = 90,
        platform_check: bool = False,
    ) -> io.NodeOutput:
        """Save the pictures one by one under the next free numbers; return the files' names and what is in them."""
        pictures = to_levels(image, "picture to save")
        befores = _originals(original, pictures)
        info = info or PictureInfo("picture.png", "RGB", pictures.shape[-1], pictures.shape[-2])
        writer = Writer(FileFormat(file_format, quality), platform_check)
        name = shortened(Path(info.name).with_suffix("").as_posix(), LONGEST_NAME)
        prefix = filename_prefix.replace("%name%", name)
        folder, stem, counter, subfolder = next_free(prefix, pictures.shape[-1], pictures.shape[-2])
        texts = _workflow_texts(cls.hidden) if metadata and may_embed_metadata() else {}
        written = [
            writer.write(folder / f"{stem}_{number:05}_{writer.form.ending}", levels, info, before, texts)
            for number, (levels, before) in enumerate(zip(pictures.split(1), befores, strict=True), counter)
        ]
        shown = [ui.SavedResult(each.path.name, subfolder, io.FolderType.output) for each in written]
        told = [line for each in written for line in each.said] + _say_undone(metadata, platform_check, original)
        said = "\n".join([*dict.fromkeys(told), UNPUBLISH])
        return io.NodeOutput(
            [Path(subfolder, each.path.name).as_posix() for each in written],
            to_image(torch.cat([each.seen for each in written])),
            ui={**ui.SavedImages(shown).as_dict(), "text": (said,)},
        )


@dataclass(frozen=True)
class Written:
    """One saved picture.

    Args:
        path: of the file.
        seen: its levels as its readers see them, a batch of one.
        said: what there is to know about it, in sentences.
    """

    path: Path
    seen: Levels
    said: list[str]


@dataclass(frozen=True)
class Writer:
    """Saves protected pictures, all in the same way.

    Args:
        form: format and quality.
        platform_check: whether to say what an upload leaves of the change.
    """

    form: FileFormat
    platform_check: bool = False

    def write(
        self,
        path: Path,
        levels: Levels,
        info: PictureInfo,
        original: Levels | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> Written:
        """Save one picture, remember it as protected, and say what is to be said about the file.

        Args:
            path: The new file; its folder must exist.
            levels: A batch of one, whole levels.
            info: Of the original.
            original: Its levels, of the same size.
            texts: To be embedded in a PNG.
        """
        save_picture(path, as_uint8(levels), info, self.form, texts)
        seen = levels if self.form.keeps_levels else load_picture(path).as_batch()
        said = say_file(path, info, self.form, original)
        if original is not None and is_known(as_uint8(original)):
            said.append(KNOWN)
        if original is None or not torch.equal(original, seen):
            said += remember(as_uint8(seen))
        if self.platform_check and original is not None:
            said.append(str(after_platform(original, seen)))
        if (beside := _unprotected_beside(path, info)) is not None:
            said.append(say_beside(beside, "it"))
        return Written(path, seen, said)


def _originals(original: Tensor | None, pictures: Levels) -> list[Levels] | list[None]:
    if original is None:
        return [None] * len(pictures)
    befores = to_levels(original, "original")
    if befores.shape != pictures.shape:
        raise MismatchError(
            f"The original and the picture to save must have one size, but {tuple(original.shape)} and "
            f"{tuple(pictures.movedim(1, -1).shape)} came: connect the one that Fit to Budget has."
        )
    return list(befores.split(1))


def _say_undone(metadata: bool, platform_check: bool, original: Tensor | None) -> list[str]:
    """Say which wishes could not be met."""
    unchecked = [UNCHECKED] if platform_check and original is None else []
    return [*unchecked, NOT_EMBEDDED] if metadata and not may_embed_metadata() else unchecked


def _unprotected_beside(path: Path, info: PictureInfo) -> str | None:
    """Return the name of a picture beside a saved file that is called like the original and was never protected."""
    for file in sorted(path.parent.glob(glob.escape(Path(info.name).stem) + ".*")):
        if file != path and _is_unprotected_picture(file):
            return file.name
    return None


def _is_unprotected_picture(file: Path) -> bool:
    try:
        return not is_known(load_picture(file).levels)
    except LduError:  # not a picture
        return False


def _workflow_texts(hidden: Any) -> dict[str, str]:  # noqa: ANN401  (the host's holder of hidden inputs)
    texts = {"prompt": hidden.prompt, **(hidden.extra_pnginfo or {})}
    return {keyword: json.dumps(value) for keyword, value in texts.items() if value is not None}


NODES = [SaveProtected]
