"""The order of the field's methods as it was published, beside the order that is seen here.

Published: DiffAdvPerturbationBench (arXiv 2507.03953), `eval/merged_output.csv`, means over 50 people of VGGFace2 at
12 levels, where protected pictures have 29.2 to 30.4 dB; DreamBooth on Stable Diffusion 2.1. IMS is a cosine of
VGG-Face embeddings of what was drawn and of the person (low = protected; -1 where no face is found, which is not so
here), FID the distance to clean pictures (high = protected).
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import correlation, fmean

from benchmarks.efficacy.cells import at_equal_psnr
from benchmarks.efficacy.tables import Result

PUBLISHED = {
    "metacloak": (-0.423, 438.9),
    "simac": (-0.361, 388.9),
    "mist": (-0.235, 422.9),
    "aspl": (-0.195, 392.1),
    "advdm": (-0.099, 385.3),
    "sds": (-0.071, 420.7),
    "photoguard": (-0.070, 415.5),
    "fsmg": (0.002, 374.8),
}
THIEF = "DreamBooth"
ENOUGH = 4
"""Methods that make an order."""
HEAD = ("method", "published IMS", "identity here", "published FID", "Fréchet here")


def found_here(results: Sequence[Result]) -> dict[str, tuple[float, float]]:
    """Return mean identity and Fréchet distance of the published methods at equal PSNR, of those who met them all."""
    met: dict[str, dict[int, Result]] = {}
    for r in results:
        cell = r.cell
        usual = (cell.budget_levels, cell.psnr_db) == at_equal_psnr(cell.method)  # a method can be there tuned, too
        if cell.thief == THIEF and cell.purifier == "none" and cell.share == 1 and usual:
            met.setdefault(cell.method, {})[cell.person] = r
    there = {name: met[name] for name in PUBLISHED if name in met}
    people = set.intersection(*map(set, there.values())) if len(there) >= ENOUGH else set[int]()
    if not people:
        return {}
    return {
        name: (fmean(by[n].identity for n in people), fmean(by[n].frechet for n in people))
        for name, by in there.items()
    }


def rows(found: Mapping[str, tuple[float, float]]) -> Iterator[list[str]]:
    """Give each method's published values and those found here, each with its rank from the one that protects most."""
    ranked = [_ranks({name: PUBLISHED[name][0] for name in found}), _ranks({name: found[name][0] for name in found})]
    ranked += [_ranks({name: -PUBLISHED[name][1] for name in found}), _ranks({name: -found[name][1] for name in found})]
    for name, (identity, frechet) in found.items():
        values = (f"{PUBLISHED[name][0]:.2f}", f"{identity:.2f}", f"{PUBLISHED[name][1]:.0f}", f"{frechet:.0f}")
        yield [name, *(f"{value} ({ranks[name]})" for value, ranks in zip(values, ranked, strict=True))]


def agreement(found: Mapping[str, tuple[float, float]]) -> str:
    """Say how far both orders agree, as Spearman's rank correlation."""
    told = []
    for column, measure in enumerate(("identity", "the Fréchet distance")):
        orders = [_ranks({name: of[name][column] for name in found}) for of in (PUBLISHED, found)]
        rho = correlation(*([ranks[name] for name in found] for ranks in orders))
        told.append(f"{rho:.2f} by {measure}")
    return f"rank correlation with the published order of {len(found)} methods: {', '.join(told)} (1 = the same order)"


def _ranks(values: Mapping[str, float]) -> dict[str, int]:
    return {name: rank for rank, name in enumerate(sorted(values, key=lambda name: values[name]), start=1)}
