"""What is left after every purifier, ours beside each other method: who leads, and after how many of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from statistics import fmean

from benchmarks.efficacy.cells import CLEAN
from benchmarks.efficacy.tables import MEASURES, Measure, Result
from benchmarks.table import with_interval
from ldu.attacks.purify.registry import STRESS_SUITE
from ldu.statistics import bootstrap_interval

Triple = tuple[Result, Result, Result]


COMPARED = ("clean", "other", "ours", "other minus ours")
HEAD = ("purifier", "other", "n", *(f"{measure.name}: {of}" for measure, of in product(MEASURES, COMPARED)))


def rows(results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    """Give, a purifier and other method, the means over the people that both protected, and their paired difference.

    Args:
        results: of one thief, all pictures protected.
        ours: the method that the others are compared with.
    """
    for (purifier, label), triples in _compared(results, ours).items():
        row = [purifier, label, str(len(triples))]
        for measure in MEASURES:
            values = [[getattr(each, measure.field) for each in triple] for triple in triples]
            row += [f"{fmean(of):.{measure.digits}f}" for of in zip(*values, strict=True)]
            row.append(with_interval(_differences(triples, measure), measure.digits))
        yield row


def verdicts(results: Sequence[Result], ours: str) -> Iterator[str]:
    """Say, an other method and measure, after how many purifiers ours leads, ties (the interval holds 0) and trails."""
    compared = _compared(results, ours)
    for label, measure in product(sorted({label for _, label in compared}), MEASURES):
        found = Counter[int]()
        for (purifier, other), triples in compared.items():
            if other == label and purifier != "none":
                low, high = bootstrap_interval(_differences(triples, measure))
                found[measure.protects * ((high < 0) - (low > 0))] += 1
        yield (
            f"{label}, {measure.name}: of {found.total()} purifiers ours leads after {found[1]}, "
            f"ties after {found[0]} and trails after {found[-1]}"
        )


def _differences(triples: Sequence[Triple], measure: Measure) -> list[float]:
    return [getattr(other, measure.field) - getattr(own, measure.field) for _, other, own in triples]


def _compared(results: Sequence[Result], ours: str) -> dict[tuple[str, str], list[Triple]]:
    """Return (clean, other, ours) of each person, a purifier and other method that is as visible as ours."""
    found: dict[tuple[str, str], list[Triple]] = {}
    own = {(r.cell.purifier, r.cell.person, r.cell.visibility): r for r in results if r.cell.method == ours}
    clean = {(r.cell.purifier, r.cell.person): r for r in results if r.cell.method == CLEAN}
    for other in sorted(results, key=lambda r: (STRESS_SUITE.index(r.cell.purifier), r.cell.label, r.cell.person)):
        cell = other.cell
        same, none = own.get((cell.purifier, cell.person, cell.visibility)), clean.get((cell.purifier, cell.person))
        if same and none and cell.method not in {CLEAN, ours}:
            found.setdefault((cell.purifier, cell.label), []).append((none, other, same))
    return found
