"""Nodes around the picture itself: load it, size it for the model, keep the budget, compare, save.

A host IMAGE is NHWC in [0, 1]. What leaves these nodes is always round(255 x) / 255 in float32, so that the saved
file holds the very levels that were measured: the stock Save Image truncates instead of rounding.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..ldu.budget import WHITE, fit_to_budget, resize, to_working_size
from ..ldu.errors import BadImageError, BadValueError, MismatchError
from ..ldu.metrics import measure_visibility
from ..ldu.picture import PictureInfo, load_picture, save_png
from ..ldu.shapes import Levels, Mask, Pixels
from .host import require_pictures, training_resolution
from .types import PictureInfoSocket

# The host calls these class methods by the names of a node's inputs; its base class declares **kwargs.
# pyright: reportIncompatibleMethodOverride=false

CATEGORY = "LDU"
UNCHANGED_GREY = 128  # levels


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
            search_aliases=["load image", "protect", "cloak", "glaze", "anti-dreambooth", "poison"],
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
        return f"There is no picture {image!r} in the input folder."

    @classmethod
    def fingerprint_inputs(cls, image: str) -> str:
        """Load again when the file's content has changed."""
        return hashlib.sha256(Path(folder_paths.get_annotated_filepath(image)).read_bytes()).hexdigest()

    @classmethod
    def execute(cls, image: str) -> io.NodeOutput:
        """Load the picture, show it and say what was converted."""
        picture = load_picture(folder_paths.get_annotated_filepath(image))
        alpha = torch.full(picture.levels.shape[:2], WHITE) if picture.alpha is None else picture.alpha
        return io.NodeOutput(
            to_image(picture.as_batch()),
            1 - alpha[None].float() / WHITE,
            picture.info,
            ui={"images": [_shown_file(image)], "text": (picture.info.note,)},
        )


class WorkingSize(io.ComfyNode):
    """Resize a picture to what the model was trained on."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return io.Schema(
            node_id="LDU_WorkingSize",
            display_name="Resize to Working Size",
            category=CATEGORY,
            description=(
                "Resizes to the model's training resolution: the whole picture, aspect kept, sides in multiples of 8. "
                "A picture longer than 4:1 gets a smaller short side, so that its area stays within bounds."
            ),
            search_aliases=["resize", "scale", "resolution", "protect"],
            inputs=[
                io.Image.Input("image", tooltip="Pictures of any size from 8 x 8 pixels."),
                io.Model.Input("model", optional=True, tooltip="Tells the training resolution when short_side is 0."),
                io.Int.Input(
                    "short_side",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Length of the short side in pixels, 64 or more; 0 takes it from the model.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="At the working size, in whole levels.")],
        )

    @classmethod
    def execute(cls, image: Tensor, short_side: int, model: Any = None) -> io.NodeOutput:  # noqa: ANN401
        """Resize bicubically with antialiasing."""
        if not short_side and model is None:
            raise BadValueError("The short side is 0 and no model is connected: connect a MODEL or set a length.")
        levels = to_levels(image, "image")
        return io.NodeOutput(to_image(to_working_size(levels, short_side or training_resolution(model))))


class FitToBudget(io.ComfyNode):
    """Carry the difference of two decodes over to the original."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return io.Schema(
            node_id="LDU_FitToBudget",
            display_name="Fit to Budget",
            category=CATEGORY,
            description=(
                "Adds the difference between the two decodes to the original at its own size and lets no value change "
                "by more than the budget. The VAE's own error cancels; no difference gives back the original exactly."
            ),
            search_aliases=["protect", "cloak", "glaze", "anti-dreambooth", "poison", "clip", "epsilon"],
            inputs=[
                io.Image.Input("original", tooltip="The picture at its own size, from Load Picture."),
                io.Image.Input("clean", tooltip="VAE decode of the unshifted latent, at the working size."),
                io.Image.Input("protected", tooltip="VAE decode of the protected latent, of the same size as clean."),
                io.Float.Input(
                    "budget",
                    default=10.0,
                    min=0.0,
                    max=255.0,
                    step=0.5,
                    tooltip="Largest change of a value, in levels of 255, rounded down. More protects more, and shows.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where to protect: 1 protects, 0 leaves the picture as it is. Resized to the original.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The protected picture in whole levels.")],
        )

    @classmethod
    def execute(
        cls, original: Tensor, clean: Tensor, protected: Tensor, budget: float, mask: Tensor | None = None
    ) -> io.NodeOutput:
        """Fit, in whole levels."""
        levels = to_levels(original, "original")
        decodes = to_pixels(clean, "clean decode"), to_pixels(protected, "protected decode")
        where = None if mask is None else fit_mask(mask, levels)
        return io.NodeOutput(to_image(fit_to_budget(levels, *decodes, budget, where)))


class Compare(io.ComfyNode):
    """Say and show how two pictures differ."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return io.Schema(
            node_id="LDU_Compare",
            display_name="Compare",
            category=CATEGORY,
            description="Measures how much a protected picture differs from its original and shows where.",
            search_aliases=["difference", "psnr", "ssim", "protect", "cloak", "glaze"],
            is_output_node=True,
            inputs=[
                io.Image.Input("original", tooltip="The picture before."),
                io.Image.Input("protected", tooltip="The picture after, of the same size."),
                io.Float.Input(
                    "gain",
                    default=10.0,
                    min=1.0,
                    max=255.0,
                    step=1.0,
                    tooltip="How many times the difference is amplified before it is shown.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="One sentence a picture: levels, PSNR in dB, SSIM."),
                io.Image.Output(display_name="difference", tooltip="Grey level 128 is no change."),
            ],
        )

    @classmethod
    def execute(cls, original: Tensor, protected: Tensor, gain: float) -> io.NodeOutput:
        """Measure each pair and draw the amplified difference."""
        before, after = to_levels(original, "original"), to_levels(protected, "protected picture")
        if before.shape != after.shape:
            raise MismatchError(
                f"The original is {_size(before)} but the protected picture {_size(after)}; "
                "only pictures of one size can be compared."
            )
        report = "\n".join(str(measure_visibility(*pair)) for pair in zip(before.split(1), after.split(1), strict=True))
        difference = to_image((UNCHANGED_GREY + gain * (after - before)).round().clamp(0, WHITE))
        shown = ui.PreviewImage(difference)  # without cls: no prompt goes into the preview file
        return io.NodeOutput(report, difference, ui={**shown.as_dict(), "text": (report,)})


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
            search_aliases=["save image", "export", "protect", "cloak", "glaze", "anti-dreambooth", "poison"],
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
        )

    @classmethod
    def execute(
        cls, image: Tensor, filename_prefix: str, metadata: bool, info: PictureInfo | None = None
    ) -> io.NodeOutput:
        """Save the pictures one by one under the next free numbers."""
        pictures = to_levels(image, "picture to save").to(torch.uint8).movedim(1, -1).cpu()
        height, width = pictures.shape[1:3]
        info = info or PictureInfo("picture.png", "RGB", width, height)
        prefix = filename_prefix.replace("%name%", Path(info.name).stem)
        folder, stem, counter, subfolder = _next_free(prefix, width, height)
        saved = []
        for number, levels in enumerate(pictures, counter):
            name = f"{stem}_{number:05}_.png"
            save_png(folder / name, levels, info.alpha, info.icc, text=_workflow_texts(cls.hidden) if metadata else {})
            saved.append(ui.SavedResult(name, subfolder, io.FolderType.output))
        return io.NodeOutput(ui=ui.SavedImages(saved))


def to_levels(image: Tensor, what: str) -> Levels:
    """Turn an IMAGE into whole levels, NCHW float32.

    Raises:
        BadImageError: if it is no non-empty batch of finite RGB pictures.
    """
    require_pictures(image, what)
    return (image.movedim(-1, 1).float() * WHITE).round().clamp(0, WHITE)


def to_pixels(image: Tensor, what: str) -> Pixels:
    """Turn an IMAGE into pixels in [-1, 1], NCHW float32, without rounding.

    Raises:
        BadImageError: if it is no non-empty batch of finite RGB pictures.
    """
    require_pictures(image, what)
    return image.movedim(-1, 1).float() * 2 - 1


def to_image(levels: Levels) -> Tensor:
    """Turn whole levels into an IMAGE."""
    return levels.movedim(1, -1) / WHITE


def fit_mask(mask: Tensor, levels: Levels) -> Mask:
    """Bring a MASK to the size of its pictures, in [0, 1].

    Raises:
        BadImageError: if it is not finite, or 0 everywhere: a picture left open must not pass for a protected one.
        MismatchError: if there is neither one mask for all pictures nor one for each.
    """
    masks = mask.float().reshape(-1, 1, *mask.shape[-2:])
    if len(masks) not in (1, len(levels)):
        raise MismatchError(f"There are {len(masks)} masks for {len(levels)} pictures; give one, or one for each.")
    if not masks.isfinite().all() or not masks.any():
        raise BadImageError(
            "The mask is 0 everywhere or not finite, so nothing would be protected; "
            "paint where to protect, or disconnect it to protect the whole picture."
        )
    return resize(masks, *levels.shape[-2:]).clamp(0, 1)


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


def _next_free(prefix: str, width: int, height: int) -> tuple[Path, str, int, str]:
    output = folder_paths.get_output_directory()
    if not folder_paths.is_within_directory(output, str(Path(output, prefix).parent)):
        raise BadValueError(f"The prefix {prefix!r} leads out of the output folder; give a name inside it.")
    folder, stem, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, width, height)
    return Path(folder), stem, counter, subfolder


def _workflow_texts(hidden: Any) -> dict[str, str]:  # noqa: ANN401  (the host's holder of hidden inputs)
    texts = {"prompt": hidden.prompt, **(hidden.extra_pnginfo or {})}
    return {keyword: json.dumps(value) for keyword, value in texts.items() if value is not None}


def _size(levels: Levels) -> str:
    count, _, height, width = levels.shape
    return f"{count} of {width} x {height} pixels"


NODES = [LoadPicture, WorkingSize, FitToBudget, Compare, SaveProtected]
