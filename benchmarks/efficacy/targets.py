"""What was asked of ours before anything was measured, and what came of it.

Asked is a lead: better with the 95 % bootstrap interval of the paired difference excluding 0, at equal visibility.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from statistics import fmean

from benchmarks.efficacy.cells import CLEAN
from benchmarks.efficacy.methods import METHODS
from benchmarks.efficacy.survival import after_purifiers, compared, differences, outcome, worst
from benchmarks.efficacy.tables import MEASURES, Result
from benchmarks.table import with_interval
from benchmarks.thieves import ELSEWHERE
from ldu.statistics import bootstrap_interval

HEAD = ("asked of ours", "thief", "by", "n", "measured", "reached")
RIVALS = frozenset(name for name in METHODS if name == "ldu_published" or not name.startswith("ldu"))
"""The field's methods, noise, the controls and LDU as published."""
PURIFIERS = 12
HALF = "diffpure 150"
BUDGETS = (8.0, 10.0)
"""Levels at which methods are compared whatever else is seen of them, beside those at equal PSNR or SSIM."""
MISSING = "not measured"


def rows(results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    """Give every target, a thief and measure, with what was measured and whether that reaches it."""
    whole = [r for r in results if r.cell.share == 1 and r.cell.method in RIVALS | {CLEAN, ours} and _counts(r)]
    by_thief = {thief: [r for r in whole if r.cell.thief == thief] for thief in sorted({r.cell.thief for r in whole})}
    for thief, own in by_thief.items():
        if "," in thief:  # a second self, who knows another model or learns in another way
            continue
        elsewhere = by_thief.get(thief + ELSEWHERE, [])
        attacks = [r for r in own if not r.cell.method.startswith("noise")]
        for part in (
            _beside_all(thief, own, ours),
            _after_purifiers(thief, attacks, ours),
            _at_the_worst(thief, attacks, ours),
            _half("half of the effect after DiffPure 150", thief, own, _purified(own, HALF), ours),
            _half("half of the effect on another model", thief, own, elsewhere, ours),
        ):
            yield from part
    yield ["feed-forward: 80 % of the effect at 10 % of the cost", "-", "-", "-", "no thief has met it", MISSING]


def _counts(result: Result) -> bool:
    name, wanted = result.cell.visibility
    return name != "budget" or wanted in BUDGETS or result.cell.method == CLEAN


def _beside_all(thief: str, results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    found = compared(_purified(results, "none"), ours)
    for seen in sorted({triples[0][2].cell.label for triples in found.values()}):
        same = [triples for triples in found.values() if triples[0][2].cell.label == seen]
        for measure in MEASURES:
            names: dict[int, list[str]] = {1: [], 0: [], -1: []}
            for triples in same:
                names[outcome(triples, measure)].append(triples[0][1].cell.method)
            missing = RIVALS - {name for of in names.values() for name in of}
            said = [f"leads {len(names[1])} of {len(same)}", _named("ties with", names[0]), _named("trails", names[-1])]
            measured = "; ".join(filter(None, [*said, _named("not measured:", missing)]))
            reached = "no" if names[0] or names[-1] else MISSING if missing else "yes"
            people = str(min(len(triples) for triples in same))
            yield [f"leads all others ({seen})", thief, measure.name, people, measured, reached]


def _after_purifiers(thief: str, results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    people = {label: str(len(triples)) for (_, label), triples in compared(results, ours).items()}
    found = after_purifiers(results, ours)
    for (label, measure), outcomes in found.items():
        measured = f"leads after {outcomes[1]}, ties after {outcomes[0]}, trails after {outcomes[-1]}"
        short = MISSING if outcomes.total() < PURIFIERS else "no"
        reached = "yes" if outcomes[1] + outcomes[0] >= PURIFIERS else short
        asked = f"leads or ties {label} after {PURIFIERS} purifiers"
        yield [asked, thief, measure.name, people[label], measured, reached]
    if not found:
        yield [f"leads or ties others after {PURIFIERS} purifiers", thief, "-", "-", "", MISSING]


def _at_the_worst(thief: str, results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    found = worst(results, ours)
    for label, (purifiers, triples) in found.items():
        _, its, own = (fmean(r.identity for r in each) for each in zip(*triples, strict=True))
        apart = differences(triples, MEASURES[0])
        low, _ = bootstrap_interval(apart)
        measured = f"ours {own:.2f}, it {its:.2f}, difference {with_interval(apart)}"
        reached = "no" if low <= 0 else "yes" if len(purifiers) > PURIFIERS else MISSING  # "none" is one of them
        asked = f"the worst of {len(purifiers)} purifiers, none among them, better than {label}'s"
        yield [asked, thief, "identity", str(len(triples)), measured, reached]
    if not found:
        yield ["the worst of all purifiers better than anyone's", thief, "identity", "-", "", MISSING]


def _half(asked: str, thief: str, known: Sequence[Result], other: Sequence[Result], ours: str) -> Iterator[list[str]]:
    """Compare ours' effect in two conditions, each beside clean pictures of its own; no effect has no half."""
    before, after = _pairs(_purified(known, "none"), ours), _pairs(other, ours)
    labels = sorted({label for label, _ in before.keys() & after.keys()})
    for label, measure in product(labels, MEASURES):
        people = [key for key in before if key in after and key[0] == label]
        effects = [[measure.effect(*pairs[key]) for pairs in (before, after)] for key in people]
        first, then = zip(*effects, strict=True)
        beyond = [b - a / 2 for a, b in effects]
        low, high = bootstrap_interval(beyond)
        shown = low > 0 and bootstrap_interval(first)[0] > 0
        reached = "yes" if shown else "no" if high < 0 else "not shown"
        means = (f"{fmean(each):.{measure.digits}f}" for each in (first, then))
        measured = f"{', then '.join(means)}; beyond half {with_interval(beyond, measure.digits)}"
        yield [f"{asked} ({label})", thief, measure.name, str(len(people)), measured, reached]
    if not labels:
        yield [asked, thief, "-", "-", "", MISSING]


def _pairs(results: Sequence[Result], ours: str) -> dict[tuple[str, int], tuple[Result, Result]]:
    """Return ours' result and that of clean pictures by ours' label and person."""
    clean = {r.cell.person: r for r in results if r.cell.method == CLEAN}
    own = (r for r in results if r.cell.method == ours and r.cell.person in clean)
    return {(r.cell.label, r.cell.person): (r, clean[r.cell.person]) for r in own}


def _purified(results: Iterable[Result], purifier: str) -> list[Result]:
    return [r for r in results if r.cell.purifier == purifier]


def _named(what: str, names: Iterable[str]) -> str:
    return f"{what} {', '.join(sorted(names))}" if names else ""
