"""What is left of a protection where the thief works on a model that the protection never saw."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from benchmarks.efficacy.cells import CLEAN
from benchmarks.efficacy.tables import MEASURES, Result
from benchmarks.table import with_interval
from benchmarks.thieves import ELSEWHERE

HEAD = (
    *("thief", "method", "n", "effect on", "the model that it knew", "another model"),
    "another minus half of the known",
)


def rows(results: Sequence[Result]) -> Iterator[list[str]]:
    """Give, a thief, method and measure, the effect on both models, and whether half of it is kept.

    The effect is identity lost or Fréchet distance gained beside clean pictures of the same person, stolen on the same
    model: above 0 means protected. Where the last column's interval lies above 0, more than half is kept.
    """
    plain = [r for r in results if r.cell.purifier == "none" and r.cell.share == 1]
    found = {(r.cell.thief, r.cell.label, r.cell.person): r for r in plain}
    order = lambda r: (r.cell.thief, r.cell.budget_levels, r.cell.label)  # noqa: E731
    for (thief, _, label), group in groupby(sorted(plain, key=order), key=order):
        elsewhere = thief + ELSEWHERE
        both = [
            [(found[name, label, r.cell.person], found[name, CLEAN, r.cell.person]) for name in (thief, elsewhere)]
            for r in group
            if label != CLEAN
            and (elsewhere, label, r.cell.person) in found
            and {(name, CLEAN, r.cell.person) for name in (thief, elsewhere)} <= found.keys()
        ]
        if not both:
            continue
        for measure in MEASURES:
            effects = [[measure.effect(*of_model) for of_model in models] for models in both]
            known, other = zip(*effects, strict=True)
            kept = [b - a / 2 for a, b in effects]
            shown = (with_interval(values, measure.digits) for values in (known, other, kept))
            yield [thief, label, str(len(both)), measure.name, *shown]
