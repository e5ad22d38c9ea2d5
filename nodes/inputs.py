"""Inputs that several nodes have alike; only their tooltips differ."""

from comfy_api.latest import io

from ..ldu.naming import ENDINGS

USUAL_BUDGET = "4 to 10 hardly show in photographs, more may, and flat areas first"
_BUDGET = (
    f"Largest change of a value, in levels of 255, rounded down; {USUAL_BUDGET}. In the demo world, with Refine in "
    "Pixels, 10 stopped neither DreamBooth nor a LoRA; 32 hindered both in part and was plainly seen."
)
_FORMAT = (
    "png keeps every level, and with them the budget. jpeg and webp are smaller and change the values again: then the "
    "file is measured anew, and the budget no longer bounds it."
)
_QUALITY = "Of jpeg and webp, 1 to 100: 90 to 95 is usual. A png has none."
_MASK = (
    "Where to protect: white (1) protects, black (0) leaves the picture as it is. Resized to the picture. "
    "Nothing connected = everywhere."
)
_STRENGTH = "Factor of the shift: 0 = none, 1 = as trained. 0.5 to 1.5 is usual."


def budget_input(more: str = "", tooltip: str = _BUDGET) -> io.Float.Input:
    """Return the input "budget": the largest change of a value, in levels of 255."""
    return io.Float.Input("budget", default=10.0, min=0.0, max=255.0, step=0.5, tooltip=f"{tooltip}{more}")


def strength_input() -> io.Float.Input:
    """Return the input "strength": the factor of the shift."""
    return io.Float.Input("strength", default=1.0, min=-4.0, max=4.0, step=0.05, tooltip=_STRENGTH)


def mask_input(more: str = "") -> io.Mask.Input:
    """Return the input "mask": where to protect."""
    return io.Mask.Input("mask", optional=True, tooltip=f"{_MASK}{more}")


def seed_input(tooltip: str = "Of all draws; any number.") -> io.Int.Input:
    """Return an input "seed" that stays from run to run: another seed would mean another training."""
    fixed = io.ControlAfterGenerate.fixed
    return io.Int.Input("seed", default=0, min=0, max=2**63 - 1, control_after_generate=fixed, tooltip=tooltip)


def format_input(*, optional: bool = False) -> io.Combo.Input:
    """Return the input "file_format" of what is saved."""
    return io.Combo.Input("file_format", options=list(ENDINGS), default="png", optional=optional, tooltip=_FORMAT)


def quality_input(*, optional: bool = False) -> io.Int.Input:
    """Return the input "quality" of formats that have one."""
    return io.Int.Input("quality", default=90, min=1, max=100, optional=optional, tooltip=_QUALITY)
