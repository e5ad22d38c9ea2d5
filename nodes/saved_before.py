"""A file that is there already where a protected picture would go: it stays, and doubts about it are said.

Nothing is recorded of originals, and dates tell little about copies: the pictures themselves are compared.
"""

import torch

from ..ldu.metrics import max_abs_levels
from ..ldu.saved_file import FileFormat
from ..ldu.shapes import Levels

LEFT_AS_IT_IS = "there already, left as it is."
_RECOMPRESSED = 16  # levels on average, by which no usual JPEG or WebP moves a picture
_ANY_BUDGET = 16  # levels, more than any usual one


def say_original(name: str) -> str:
    """Say that the original itself lies where its protected version would go."""
    return f"{name} is there already, but it is the original itself: remove that, or save elsewhere."


def say_doubt(original: Levels, saved: Levels, name: str, form: FileFormat, budget: float | None = None) -> str | None:
    """Say why a saved picture may not be the protected version of an original; None if it may well be.

    Args:
        original, saved: batches of one.
        name: of the saved file.
        form: how it was written.
        budget: of the protection, in levels; None if nobody told.
    """
    doubt = _doubt(original, saved, name, form, budget)
    return None if doubt is None else f"{doubt} {name} was left as it is: remove it, or save elsewhere."


def say_other(original: Levels, saved: Levels, came: Levels | None, name: str, form: FileFormat) -> str | None:
    """Say why a saved picture may not be the one that would be saved now; None if it may well be.

    Args:
        original, saved: batches of one.
        came: what would be saved now, if that is known.
        name: of the saved file.
        form: how it was written.
    """
    if torch.equal(original, saved):
        return say_original(name)
    if came is not None and form.keeps_levels and not torch.equal(came, saved):
        return (
            f"{name} is there already and was left as it is, but another picture came for it, of the same name or made "
            "otherwise: remove it, or save elsewhere."
        )
    return say_doubt(original, saved, name, form)


def _doubt(original: Levels, saved: Levels, name: str, form: FileFormat, budget: float | None) -> str | None:
    if original.shape != saved.shape:
        return f"It has another size than its {name}."
    if form.keeps_levels and budget is not None:
        far, bound, how = max_abs_levels(original, saved), budget, "up to"
    else:
        bound = _RECOMPRESSED + (_ANY_BUDGET if budget is None else budget)
        far, how = (original - saved).abs().mean().item(), "on average"
    return (
        f"It is {how} {far:.0f} levels from its {name}: it was replaced, or the budget lowered."
        if far > bound
        else None
    )
