"""Nodes around the picture itself: size it for the model, keep the budget, compare."""

from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..ldu.budget import WHITE, fit_to_budget, to_working_size
from ..ldu.errors import BadValueError
from ..ldu.flatness import hint, measure_flat
from ..ldu.metrics import measure_visibility, say_where
from ..ldu.saved_file import say_expected
from ..ldu.shapes import Levels, Mask
from .host import training_resolution
from .images import fit_mask, mask_of_each, require_one_size, to_image, to_levels, to_pixels
from .inputs import budget_input, mask_input
from .wording import ALIASES, BEFORE_TOOLTIP, CATEGORY, of_each, report

# The host calls these class methods by the names of a node's inputs; its base class declares **kwargs.
# pyright: reportIncompatibleMethodOverride=false

UNCHANGED_GREY = 128  # levels


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
            search_aliases=[*ALIASES, "resize", "scale", "resolution"],
            inputs=[
                io.Image.Input("image", tooltip="Pictures of any size from 8 x 8 pixels."),
                io.Model.Input("model", optional=True, tooltip="Tells the training resolution when short_side is 0."),
                io.Int.Input(
                    "short_side",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Short side in pixels, 64 or more: 512 for SD1.x, 1024 for SDXL. 0 takes it from the "
                    "model.",
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
            search_aliases=[*ALIASES, "clip", "epsilon", "linf"],
            inputs=[
                io.Image.Input("original", tooltip="The picture at its own size, from Load Picture."),
                io.Image.Input("clean", tooltip="VAE decode of the unshifted latent, at the working size."),
                io.Image.Input("protected", tooltip="VAE decode of the protected latent, of the same size as clean."),
                budget_input(),
                mask_input(),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The protected picture in whole levels.")],
        )

    @classmethod
    def execute(
        cls, original: Tensor, clean: Tensor, protected: Tensor, budget: float, mask: Tensor | None = None
    ) -> io.NodeOutput:
        """Fit, in whole levels."""
        levels = to_levels(original, "original")
        where = None if mask is None else fit_mask(mask, levels)
        fitted = fit_decodes(levels, clean, protected, budget, where)
        said = _hints(levels, where, budget, min(clean.shape[1:3]))
        return io.NodeOutput(to_image(fitted), ui=report({}, said, said.splitlines()))


def fit_decodes(original: Levels, clean: Tensor, protected: Tensor, budget: float, where: Mask | None) -> Levels:
    """Return the originals with the difference of two decodes (IMAGEs) added within the budget.

    Raises:
        BadImageError: a decode is no batch of finite RGB pictures.
    """
    decodes = to_pixels(clean, "clean decode"), to_pixels(protected, "protected decode")
    return fit_to_budget(original, *decodes, budget, where)


def _hints(originals: Levels, mask: Mask | None, budget: float, side: int) -> str:
    """Say of which pictures the budget will show, or which are small beside the working size."""
    pairs = zip(originals.split(1), mask_of_each(mask, len(originals)), strict=True)
    return "\n".join(of_each([hint(original, budget, side, where) for original, where in pairs]))


class Compare(io.ComfyNode):
    """Say and show how two pictures differ."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return io.Schema(
            node_id="LDU_Compare",
            display_name="Compare",
            category=CATEGORY,
            description="Measures how much a protected picture differs from its original, shows where, and says how "
            "large its file will be.",
            search_aliases=[*ALIASES, "difference", "psnr", "ssim"],
            is_output_node=True,
            inputs=[
                io.Image.Input("original", tooltip=BEFORE_TOOLTIP),
                io.Image.Input("protected", tooltip="The picture after, of the same size."),
                io.Float.Input(
                    "gain",
                    default=10.0,
                    min=1.0,
                    max=255.0,
                    step=1.0,
                    tooltip="How many times the difference is amplified before it is shown; 5 to 20 is usual.",
                ),
                mask_input(" Both parts are measured."),
            ],
            outputs=[
                io.String.Output(
                    display_name="report",
                    tooltip="Of each picture: levels, PSNR in dB, SSIM, and how large its file will be.",
                ),
                io.Image.Output(display_name="difference", tooltip="Grey level 128 is no change."),
            ],
        )

    @classmethod
    def execute(cls, original: Tensor, protected: Tensor, gain: float, mask: Tensor | None = None) -> io.NodeOutput:
        """Measure each pair and draw the amplified difference."""
        before, after = to_levels(original, "original"), to_levels(protected, "protected picture")
        require_one_size(original, protected, "compare behind Fit to Budget, or resize one.")
        masks = mask_of_each(None if mask is None else fit_mask(mask, before), len(before))
        said = "\n".join(map(_say_change, before.split(1), after.split(1), masks))
        difference = to_image((UNCHANGED_GREY + gain * (after - before)).round().clamp(0, WHITE))
        views = {"before": to_image(before), "after": to_image(after), "difference": difference}
        shown = {name: _preview(image) for name, image in views.items()}  # drawn by web/js/compare.js
        return io.NodeOutput(said, difference, ui={**shown, "text": (said,)})


def _say_change(original: Levels, protected: Levels, mask: Mask | None) -> str:
    """Say how far one picture is from its original, and how large its file will be."""
    pair = original, protected
    where = "" if mask is None else say_where(*pair, mask)
    said = measure_visibility(*pair), where, measure_flat(*pair), say_expected(*pair)
    return " ".join(filter(None, map(str, said)))


def _preview(image: Tensor) -> list[Any]:
    """Return the host's preview files of pictures; made without cls, so that no prompt goes into them."""
    return ui.PreviewImage(image).as_dict()["images"]


NODES = [WorkingSize, FitToBudget, Compare]
