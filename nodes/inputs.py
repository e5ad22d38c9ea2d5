"""Inputs that several nodes have alike; only their tooltips differ."""

from comfy_api.latest import io

USUAL_BUDGET = "4 to 10 hardly show in photographs, more may, and flat areas first"
_BUDGET = (
    f"Largest change of a value, in levels of 255, rounded down; {USUAL_BUDGET}. In the demo world, with Refine in "
    "Pixels, 10 showed no effect on thieves; 32 kept both off in part and was plainly seen."
)
_STRENGTH = "Factor of the shift: 0 = none, 1 = as trained. 0.5 to 1.5 is usual."


def budget_input(more: str = "", tooltip: str = _BUDGET) -> io.Float.Input:
    """Return the input "budget": the largest change of a value, in levels of 255."""
    return io.Float.Input("budget", default=10.0, min=0.0, max=255.0, step=0.5, tooltip=f"{tooltip}{more}")


def strength_input() -> io.Float.Input:
    """Return the input "strength": the factor of the shift."""
    return io.Float.Input("strength", default=1.0, min=-4.0, max=4.0, step=0.05, tooltip=_STRENGTH)


def seed_input(tooltip: str = "Of all draws; any number.") -> io.Int.Input:
    """Return an input "seed" that stays from run to run: another seed would mean another training."""
    fixed = io.ControlAfterGenerate.fixed
    return io.Int.Input("seed", default=0, min=0, max=2**63 - 1, control_after_generate=fixed, tooltip=tooltip)
