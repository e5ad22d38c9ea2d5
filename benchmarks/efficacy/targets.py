"""What was asked of ours before anything was measured, and what came of it.

Asked is a lead: better with the 95 % bootstrap interval of the paired difference excluding 0, at equal visibility.
"""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from benchmarks.efficacy.cells import CLEAN
from benchmarks.efficacy.methods import METHODS
from benchmarks.efficacy.survival import after_purifiers, compared, outcome, worst
from benchmarks.efficacy.tables import MEASURES, Result
from benchmarks.table import with_interval
from benchmarks.thieves import ELSEWHERE
from ldu.statistics import bootstrap_interval

HEAD = ("asked of ours", "thief", "by", "measured", "reached")
RIVALS = frozenset(name for name in METHODS if name == "ldu_published" or not name.startswith("ldu"))
"""The field's methods, noise, the controls and LDU as published."""
PURIFIERS = 12
HALF = "diffpure 150"

Row = list[str]


def rows(results: Sequence[Result], ours: str) -> Iterator[Row]:
    """Give every target, a thief and measure, with what was measured and whether that reaches it."""
    whole = [r for r in results if r.cell.share == 1 and r.cell.method in RIVALS | {CLEAN, ours}]
    by_thief = {thief: [r for r in whole if r.cell.thief == thief] for thief in sorted({r.cell.thief for r in whole})}
    for thief, own in by_thief.items():
        if "," in thief:  # a second self, who knows another model or learns in another way
            continue
        yield from _beside_all(thief, own, ours)
        yield from _after_purifiers(thief, own, ours)
        yield from _half("half of the effect after DiffPure 150", thief, own, _purified(own, HALF), ours)
        yield from _half("half of the effect on another model", thief, own, by_thief.get(thief + ELSEWHERE, []), ours)
    yield [
        "feed-forward: 80 % of the effect at 10 % of the cost",
        "-",
        "-",
        "met by no thief; its loss is among the levers",
        "not measured",
    ]


def _beside_all(thief: str, results: Sequence[Result], ours: str) -> Iterator[Row]:
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
            reached = "no" if names[0] or names[-1] else "not measured" if missing else "yes"
            yield [f"leads all others ({seen})", thief, measure.name, measured, reached]


def _after_purifiers(thief: str, results: Sequence[Result], ours: str) -> Iterator[Row]:
    for (label, measure), found in after_purifiers(results, ours).items():
        measured = f"leads after {found[1]}, ties after {found[0]}, trails after {found[-1]}"
        short = "not measured" if found.total() < PURIFIERS else "no"
        reached = "yes" if found[1] + found[0] >= PURIFIERS else short
        yield [f"leads or ties {label} after {PURIFIERS} purifiers", thief, measure.name, measured, reached]
    for label, (purifiers, triples) in worst(results, ours).items():
        _, its, own = (fmean(r.identity for r in each) for each in zip(*triples, strict=True))
        differences = [other.identity - mine.identity for _, other, mine in triples]
        measured = f"ours {own:.2f}, it {its:.2f}, difference {with_interval(differences)}"
        reached = "yes" if bootstrap_interval(differences)[0] > 0 else "no"
        asked = f"the worst of {len(purifiers)} purifiers, none among them, better than {label}'s"
        yield [asked, thief, "identity", measured, reached]


def _half(asked: str, thief: str, known: Sequence[Result], other: Sequence[Result], ours: str) -> Iterator[Row]:
    """Compare ours' effect in two conditions, each beside clean pictures of its own."""
    before, after = _pairs(_purified(known, "none"), ours), _pairs(other, ours)
    for label in sorted({label for label, _ in before.keys() & after.keys()}):
        people = [key for key in before if key in after and key[0] == label]
        for measure in MEASURES:
            effects = [[measure.effect(*pairs[key]) for pairs in (before, after)] for key in people]
            first, then = (f"{fmean(each):.{measure.digits}f}" for each in zip(*effects, strict=True))
            beyond = [after - before / 2 for before, after in effects]
            low, high = bootstrap_interval(beyond)
            reached = "yes" if low > 0 else "no" if high < 0 else "not shown"
            measured = f"{first}, then {then}; beyond half {with_interval(beyond, measure.digits)}"
            yield [f"{asked} ({label})", thief, measure.name, measured, reached]


def _pairs(results: Sequence[Result], ours: str) -> dict[tuple[str, int], tuple[Result, Result]]:
    """Return ours' result and that of clean pictures by ours' label and person."""
    clean = {r.cell.person: r for r in results if r.cell.method == CLEAN}
    own = (r for r in results if r.cell.method == ours and r.cell.person in clean)
    return {(r.cell.label, r.cell.person): (r, clean[r.cell.person]) for r in own}


def _purified(results: Iterable[Result], purifier: str) -> list[Result]:
    return [r for r in results if r.cell.purifier == purifier]


def _named(what: str, names: Iterable[str]) -> str:
    return f"{what} {', '.join(sorted(names))}" if names else ""
