"""What each method costs for the pictures of one person, in evaluations of the networks and in seconds."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from benchmarks.efficacy.subjects import PHOTOS
from benchmarks.efficacy.tables import Result

EVALUATIONS = ("forwards", "backwards", "encodes", "decodes")
HEAD = ("method", "n", "forward", "backward", "encodes", "decodes", "all", "seconds", "all, once for everybody")
TITLE = f"Cost of protecting a person's {PHOTOS} pictures"


def evaluations(cost: dict[str, float]) -> int:
    """Return how many evaluations a cost is made of: the denoiser's, forward and backward, and the VAE's forward."""
    return round(sum(cost[of] for of in EVALUATIONS))


def rows(results: Sequence[Result]) -> Iterator[list[str]]:
    """Give a row a method and budget, cheapest first, with means over people.

    A protection counts once, however many thieves and purifiers its pictures met. Seconds are those of the machine that
    made it, busy or not.
    """
    made = {(r.cell.method, r.cell.budget_levels, r.cell.person): r.found for r in results if r.found["cost"]}
    by_method: dict[tuple[str, float], list[dict]] = {}
    for (method, budget, _), found in sorted(made.items(), key=lambda each: each[0]):
        by_method.setdefault((method, budget), []).append(found)
    means = {key: _means([each["cost"] for each in found]) for key, found in by_method.items()}
    for method, budget in sorted(means, key=lambda key: evaluations(means[key])):
        found, mean = by_method[method, budget], means[method, budget]
        once = found[0].get("once")
        yield [
            f"{method} {budget:g}",
            str(len(found)),
            *(f"{mean[of]:.0f}" for of in EVALUATIONS),
            str(evaluations(mean)),
            f"{mean['seconds']:.0f}",
            str(evaluations(once)) if once else "-",
        ]


def _means(costs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {of: fmean(cost[of] for cost in costs) for of in (*EVALUATIONS, "seconds")}
