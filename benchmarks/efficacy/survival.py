"""What is left after every purifier, or among pictures that nobody protected, ours beside each other method.

Who leads, after how many purifiers, and at the worst.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, product
from statistics import fmean

from benchmarks.efficacy.cells import CLEAN
from benchmarks.efficacy.tables import MEASURES, Measure, Result
from benchmarks.table import with_interval
from ldu.attacks.purify.registry import STRESS_SUITE
from ldu.statistics import bootstrap_interval

Triple = tuple[Result, Result, Result]
"""Of one person, as the thief had it: clean pictures, those of another method, ours."""

COMPARED = ("clean", "other", "ours", "other minus ours")
_HEAD = ("other", "n", *(f"{measure.name}: {of}" for measure, of in product(MEASURES, COMPARED)))
HEAD, MIXED_HEAD = ("purifier", *_HEAD), ("pictures protected", *_HEAD)
EFFECT_HEAD = ("purifier", "ours", "n", "clean minus ours, identity", "of each person", "mean without the largest")
WORST_HEAD = ("other", "purifiers and none", "n", *(f"identity: {of}" for of in COMPARED), "ours after")


def rows(results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    """Give, a purifier and other method, the means over the people that both protected, and their paired difference.

    Args:
        results: of one thief, all pictures protected.
        ours: the method that the others are compared with.
    """
    for (purifier, label), triples in compared(results, ours).items():
        yield [purifier, label, *_means(triples)]


def effect_rows(results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    """Give, a purifier and visibility, what ours takes from a thief beside clean pictures purified likewise, of whom.

    Args:
        results: of one thief, all pictures protected.
        ours: the method.
    """
    clean = {(r.cell.purifier, r.cell.person): r.identity for r in results if r.cell.method == CLEAN}
    own = [r for r in results if r.cell.method == ours]
    own.sort(key=lambda r: (_place(r.cell.purifier), r.cell.label, r.cell.person))
    for (purifier, label), met in groupby(own, key=lambda r: (r.cell.purifier, r.cell.label)):
        effects = [clean[key] - r.identity for r in met if (key := (purifier, r.cell.person)) in clean]
        if len(effects) > 1:
            each, others = ", ".join(f"{effect:.2f}" for effect in effects), fmean(sorted(effects)[:-1])
            yield [purifier, label, str(len(effects)), with_interval(effects), each, f"{others:.2f}"]


def mixed_rows(results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    """Give the same, a share of protected pictures and other method, beside the same pictures before any was protected.

    Args:
        results: of one thief, no purifier.
        ours: the method that the others are compared with.
    """
    for share in sorted({r.cell.share for r in results}):
        for (_, label), triples in compared([r for r in results if r.cell.share == share], ours).items():
            yield [f"{share:.0%}", label, *_means(triples)]


def _means(triples: Sequence[Triple]) -> Iterator[str]:
    yield str(len(triples))
    for measure in MEASURES:
        values = [[getattr(each, measure.field) for each in triple] for triple in triples]
        yield from (f"{fmean(of):.{measure.digits}f}" for of in zip(*values, strict=True))
        yield with_interval(differences(triples, measure), measure.digits)


def worst_rows(results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    """Give, another method, the identity of each person after the purifier that helped the thief most.

    Each method's worst is its own, of the purifiers that both met with everybody counted here; what met none but "none"
    has no worst.
    """
    for label, (purifiers, triples) in worst(results, ours).items():
        values = [[each.identity for each in triple] for triple in triples]
        means = [f"{fmean(of):.2f}" for of in zip(*values, strict=True)]
        after = ", ".join(sorted({own.cell.purifier for _, _, own in triples}))
        difference = with_interval(differences(triples, MEASURES[0]))
        yield [label, str(len(purifiers)), str(len(triples)), *means, difference, after]


def verdicts(results: Sequence[Result], ours: str) -> Iterator[str]:
    """Say, an other method and measure, after how many purifiers ours leads, ties (the interval holds 0) and trails."""
    for (label, measure), found in after_purifiers(results, ours).items():
        yield (
            f"{label}, {measure.name}: of {found.total()} purifiers ours leads after {found[1]}, "
            f"ties after {found[0]} and trails after {found[-1]}"
        )


def after_purifiers(results: Sequence[Result], ours: str) -> dict[tuple[str, Measure], Counter[int]]:
    """Return, a label of another method and a measure, how often each outcome was seen after a purifier."""
    found: dict[tuple[str, Measure], Counter[int]] = {}
    pairs = {key: triples for key, triples in compared(_published(results), ours).items() if key[0] != "none"}
    for label, measure in product(sorted({label for _, label in pairs}), MEASURES):
        found[label, measure] = Counter(outcome(of, measure) for (_, name), of in pairs.items() if name == label)
    return found


def outcome(triples: Sequence[Triple], measure: Measure) -> int:
    """Return 1 where ours leads, -1 where it trails, 0 where the difference's interval holds 0 or is of one person."""
    if len(triples) < 2:
        return 0
    low, high = bootstrap_interval(differences(triples, measure))
    return measure.protects * ((high < 0) - (low > 0))


def worst(results: Sequence[Result], ours: str) -> dict[str, tuple[set[str], list[Triple]]]:
    """Return, a label of another method, the purifiers that both met and the worst results of each who met them all."""
    met: dict[str, dict[int, list[Triple]]] = {}
    for (_, label), triples in compared(_published(results), ours).items():
        for triple in triples:
            met.setdefault(label, {}).setdefault(triple[2].cell.person, []).append(triple)
    found: dict[str, tuple[set[str], list[Triple]]] = {}
    for label, by_person in met.items():
        purifiers = {own.cell.purifier for triples in by_person.values() for _, _, own in triples}
        whole = [_worst(triples) for triples in by_person.values() if len(triples) == len(purifiers)]
        if len(purifiers) > 1 and whole:
            found[label] = purifiers, whole
    return found


def _published(results: Sequence[Result]) -> list[Result]:
    """Return those of the published stress tests; a sweep goes through more strengths of one of them."""
    return [r for r in results if r.cell.purifier in STRESS_SUITE]


def _place(purifier: str) -> tuple[int, str]:
    """Return where a purifier stands in a table; those of sweeps alone come last."""
    return (STRESS_SUITE.index(purifier) if purifier in STRESS_SUITE else len(STRESS_SUITE)), purifier


def _worst(triples: Sequence[Triple]) -> Triple:
    clean, other, ours = (max(each, key=lambda r: r.identity) for each in zip(*triples, strict=True))
    return clean, other, ours


def differences(triples: Sequence[Triple], measure: Measure) -> list[float]:
    """Return, a person, the other method's value minus ours."""
    return [getattr(other, measure.field) - getattr(own, measure.field) for _, other, own in triples]


def compared(results: Sequence[Result], ours: str) -> dict[tuple[str, str], list[Triple]]:
    """Return, a purifier and a label of a method that is as visible as ours, (clean, other, ours) of each person."""
    found: dict[tuple[str, str], list[Triple]] = {}
    own = {(r.cell.purifier, r.cell.person, r.cell.visibility): r for r in results if r.cell.method == ours}
    clean = {(r.cell.purifier, r.cell.person): r for r in results if r.cell.method == CLEAN}
    for other in sorted(results, key=lambda r: (_place(r.cell.purifier), r.cell.label, r.cell.person)):
        cell = other.cell
        same, none = own.get((cell.purifier, cell.person, cell.visibility)), clean.get((cell.purifier, cell.person))
        if same and none and cell.method not in {CLEAN, ours}:
            found.setdefault((cell.purifier, cell.label), []).append((none, other, same))
    return found
