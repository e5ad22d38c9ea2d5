"""What was asked of ours before anything was measured, and what came of it.

Asked is a lead: better with the 95 % bootstrap interval of the paired difference excluding 0, at equal visibility.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import ceil
from statistics import fmean

from benchmarks.efficacy.cells import CLEAN
from benchmarks.efficacy.costs import evaluations
from benchmarks.efficacy.methods import METHODS
from benchmarks.efficacy.survival import after_purifiers, compared, differences, outcome, worst
from benchmarks.efficacy.tables import MEASURES, Result
from benchmarks.table import with_interval
from benchmarks.thieves import ELSEWHERE
from ldu.statistics import bootstrap_interval

HEAD = ("asked of ours", "thief", "by", "n", "measured", "reached")
RIVALS = {name for name in METHODS if not name.startswith("ldu")} | {"ldu_published", "ldu_contrast"}
"""The field's methods, noise, LDU as published and the controls: Protect's loss over pixels alone is one of them."""
PURIFIERS = 12
HALF = "diffpure 150"
TAUGHT, PER_SET = "ldu_forward", "ldu"
"""The shift with a rho that other people taught, and with one of the person's own."""
EFFECT, COST = 0.8, 0.1
"""Share of the effect that the first should keep of the second's, at how much of its cost."""
BUDGETS = (8.0, 10.0)
"""Levels at which methods are compared whatever else is seen of them, beside those at equal PSNR or SSIM."""
MISSING = "not measured"

Pairs = dict[tuple[tuple[str, float], int], tuple[Result, Result]]
"""By visibility and person: a result and that of clean pictures."""


def rows(results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    """Give every target, a thief and measure, with what was measured and whether that reaches it."""
    whole = [r for r in results if r.cell.share == 1 and _counts(r)]
    for thief in sorted({r.cell.thief for r in whole}):
        if "," in thief:  # a second self, who knows another model or learns in another way
            continue
        own, elsewhere = ([r for r in whole if r.cell.thief == name] for name in (thief, thief + ELSEWHERE))
        unpurified, rivals = _purified(own, "none"), [r for r in own if r.cell.method in RIVALS | {CLEAN, ours}]
        attacks = [r for r in rivals if not r.cell.method.startswith("noise")]
        known, after, other = (_pairs(each, ours) for each in (unpurified, _purified(own, HALF), elsewhere))
        for part in (
            _beside_all(thief, rivals, ours),
            _after_purifiers(thief, attacks, ours),
            _at_the_worst(thief, attacks, ours),
            _share("half of the effect after DiffPure 150", thief, 0.5, known, after),
            _share("half of the effect on another model", thief, 0.5, known, other),
            _taught_by_others(thief, unpurified, ours),
        ):
            yield from part
    yield _cost([r for r in whole if r.cell.purifier == "none"])


def _counts(result: Result) -> bool:
    name, wanted = result.cell.visibility
    return name != "budget" or wanted in BUDGETS or result.cell.method == CLEAN


def _beside_all(thief: str, results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    found = compared(_purified(results, "none"), ours)
    for seen in sorted({triples[0][2].cell.label for triples in found.values()}):
        same = [triples for triples in found.values() if triples[0][2].cell.label == seen]
        met = Counter(triples[0][1].cell.method for triples in same)
        people = _from_to({len(triples) for triples in same})
        for measure in MEASURES:
            names: dict[int, list[str]] = {1: [], 0: [], -1: []}
            for triples in same:
                cell = triples[0][1].cell  # a method that has two budgets is named with them
                names[outcome(triples, measure)].append(cell.label if met[cell.method] > 1 else cell.method)
            missing = RIVALS - {ours} - met.keys()
            said = [f"leads {len(names[1])} of {len(same)}", _named("ties with", names[0]), _named("trails", names[-1])]
            measured = "; ".join(filter(None, [*said, _named("not measured:", missing)]))
            reached = "no" if names[0] or names[-1] else MISSING if missing else "yes"
            yield [f"leads all others ({seen})", thief, measure.name, people, measured, reached]
    for label in (f"{ours} {budget:g}" for budget in BUDGETS):
        if not any(triples[0][2].cell.label == label for triples in found.values()):
            yield [f"leads all others ({label})", thief, "-", "-", "", MISSING]


def _from_to(counts: set[int]) -> str:
    return " to ".join(map(str, sorted({min(counts), max(counts)})))


def _after_purifiers(thief: str, results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    people: dict[str, set[int]] = {}
    for (purifier, label), triples in compared(results, ours).items():
        if purifier != "none":
            people.setdefault(label, set()).add(len(triples))
    found = after_purifiers(results, ours)
    for (label, measure), outcomes in found.items():
        measured = f"leads after {outcomes[1]}, ties after {outcomes[0]}, trails after {outcomes[-1]}"
        short = MISSING if outcomes.total() < PURIFIERS else "no"
        reached = "yes" if outcomes[1] + outcomes[0] >= PURIFIERS else short
        asked = f"leads or ties {label} after {PURIFIERS} purifiers"
        yield [asked, thief, measure.name, _from_to(people[label]), measured, reached]
    if not found:
        yield [f"leads or ties others after {PURIFIERS} purifiers", thief, "-", "-", "", MISSING]


def _at_the_worst(thief: str, results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    found = worst(results, ours)
    for label, (purifiers, triples) in found.items():
        _, its, own = (fmean(r.identity for r in each) for each in zip(*triples, strict=True))
        apart = differences(triples, MEASURES[0])
        low, _ = bootstrap_interval(apart)
        after = purifiers - {"none"}
        measured = f"ours {own:.2f}, it {its:.2f}, difference {with_interval(apart)}"
        reached = "no" if low <= 0 else "yes" if len(after) >= PURIFIERS else MISSING
        unpurified = "without a purifier and " if after < purifiers else ""
        asked = f"the worst {unpurified}after {len(after)} of them, better than {label}'s"
        yield [asked, thief, "identity", str(len(triples)), measured, reached]
    if not found:
        yield ["the worst of all purifiers better than anyone's", thief, "identity", "-", "", MISSING]


def _taught_by_others(thief: str, results: Sequence[Result], ours: str) -> Iterator[list[str]]:
    """Compare the shift that others taught with what is made of each person's own set, where both are equally seen."""
    seen = [r for r in results if r.cell.visibility[0] != "budget" or r.cell.method == CLEAN]
    for method in (PER_SET, ours):
        asked = f"{TAUGHT}: {EFFECT:.0%} of the effect of {method}"
        yield from _share(asked, thief, EFFECT, _pairs(seen, method), _pairs(seen, TAUGHT))


def _share(asked: str, thief: str, share: float, first: Pairs, then: Pairs) -> Iterator[list[str]]:
    """Compare two effects, each beside clean pictures of its own; none cannot be kept, and one person shows nothing."""
    seen = sorted({visibility for visibility, _ in first.keys() & then.keys()})
    for visibility, measure in product(seen, MEASURES):
        people = [key for key in first if key in then and key[0] == visibility]
        effects = [[measure.effect(*pairs[key]) for pairs in (first, then)] for key in people]
        before, after = zip(*effects, strict=True)
        beyond = [b - share * a for a, b in effects]
        low, high = bootstrap_interval(beyond)
        none = bootstrap_interval(before)[0] <= 0
        reached = "not shown" if none or len(people) < 2 or low <= 0 <= high else "yes" if low > 0 else "no"
        known, other, more = (with_interval(each, measure.digits) for each in (before, after, beyond))
        measured = f"{known}{' is no effect' if none else ''}, then {other}; beyond {share:.0%} of it {more}"
        label = then[people[0]][0].cell.label
        yield [f"{asked} ({label})", thief, measure.name, str(len(people)), measured, reached]
    if not seen:
        yield [asked, thief, "-", "-", "", MISSING]


def _cost(results: Sequence[Result]) -> list[str]:
    """Compare costs in evaluations of the denoiser, forward and backward, and of the VAE's two halves, forward.

    What it costs once that others teach a rho is told beside it. Noise costs nothing and protects nobody.
    """
    found = {r.cell.method: r for r in results if r.found["cost"] and not r.cell.method.startswith("noise")}
    costs = {method: evaluations(r.found["cost"]) for method, r in found.items()}
    asked = f"{TAUGHT}: {COST:.0%} of the cost of {PER_SET}, and cheaper than all others"
    if not {TAUGHT, PER_SET} <= costs.keys():
        return [asked, "-", "cost", "-", "", MISSING]
    own, once = costs.pop(TAUGHT), evaluations(found[TAUGHT].found["once"])
    per_set, cheapest = costs[PER_SET], min(costs, key=lambda method: costs[method])
    worth = ceil(once / max(per_set - own, 1))
    measured = (
        f"{own} of {per_set} evaluations a set, after {once} once: less from {worth} sets on; "
        f"of {len(costs)} others {cheapest} takes least, {costs[cheapest]}"
    )
    missing = {name for name in RIVALS if not name.startswith("noise")} - costs.keys()
    reached = "no" if own > COST * per_set or own >= costs[cheapest] else MISSING if missing else "yes"
    return [asked, "-", "cost", "1", "; ".join(filter(None, [measured, _named("not measured:", missing)])), reached]


def _pairs(results: Sequence[Result], method: str) -> Pairs:
    """Return a method's result and that of clean pictures by visibility and person."""
    clean = {r.cell.person: r for r in results if r.cell.method == CLEAN}
    found = (r for r in results if r.cell.method == method and r.cell.person in clean)
    return {(r.cell.visibility, r.cell.person): (r, clean[r.cell.person]) for r in found}


def _purified(results: Iterable[Result], purifier: str) -> list[Result]:
    return [r for r in results if r.cell.purifier == purifier]


def _named(what: str, names: Iterable[str]) -> str:
    return f"{what} {', '.join(sorted(names))}" if names else ""
