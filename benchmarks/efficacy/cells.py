"""What is measured: cells, chosen and not crossed, and the suites that list them.

A cell is one method at one visibility, one purifier, one thief and one share of protected pictures, on one person.
Its result is a file named after it, so a suite that was interrupted goes on where it stopped.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from benchmarks.thieves import ELSEWHERE

CLEAN = "clean"
BEST_BASELINES = ("fsmg", "advdm", "sds_minus")
"""The field's three after which thieves kept least of the tables' people, the last one with DreamBooth alone."""
OTHER_BASELINES = ("photoguard", "mist", "ace", "aspl", "simac", "metacloak")
"""The rest of those by which a protection is usually measured."""
FIELD = (*BEST_BASELINES, *OTHER_BASELINES, "sds", "photoguard_diffusion", "blurguard")
"""All of the field's but one of the two forms of FSMG."""
TIMES = 3
LONGER = f"_x{TIMES}"
"""Behind a method's name: the same with that many times its steps."""
TELLING = ("jpeg 75", "img2img 0.15", "diffpure 150")
"""Purifiers for methods that do not meet all: what sharing a picture does, and two that undo most."""
TOWARDS = ("ldu_decoy", "ldu_target")
"""Ours that lead a thief to somebody else: by the loss under a prompt, and by what the encoder sees."""
TOWARDS_AND = ("ldu_target_decoy", "ldu_target_word")
"""By what the encoder sees and by a loss, under a prompt or away from the person's word: in no suite but the field's,
where the first brought nothing."""
OURS = (
    *("ldu_protect", "ldu", "ldu_refined", "ldu_pixels", "ldu_slope", "ldu_contrast"),
    *(*TOWARDS, *TOWARDS_AND, "ldu_whole_budget", "ldu_target_whole_budget"),
)
"""What the workflow Protect does (the shift and then pixels, along the slope, where it hides and with a contrast), the
shift of z_T, the shift and then pixels by signed steps, pixels alone by signed steps, pixels alone along the slope, the
last three without a contrast, pixels alone along the slope with a contrast and more draws, pixels alone towards
somebody else, and Protect and the encoder's view where they may use all of their budget. `ldu_forward` is the shift
with a rho that other people taught, `ldu_no_contrast` what Protect did before it had a contrast."""
EQUAL = (16.0, 26.0)
"""Budget in levels and PSNR in decibels of the comparison at equal visibility, to which every method's change is
scaled: the mildest at which AdvDM did more than noise on the demo world's tuning people."""

ROOM: dict[str, float] = dict.fromkeys(
    ("ldu_slope", "ldu_protect", "ldu_no_contrast", "ldu_contrast", *TOWARDS, *TOWARDS_AND), 2.0
)
"""Times the budget of EQUAL for methods that need it: steps along the slope go further than signed ones in some places,
well beyond the root mean square that the PSNR leaves (12.8 levels, two fifths of this budget)."""

WIDE = ("z0_contrast_control", "ldu_published", "sds_minus")
"""Others that the field's suite has with the room of ours, too. The first two take no signed steps either: enlarged to
the PSNR of EQUAL within its budget, half of what they change lies at the limit. The last one gained by it on tuning
people (`tuned`)."""

SWEEP = (15, 50, 100, 150, 250)
"""Timesteps of 1000 to which DiffPure diffuses, as the paper's own sweep has them."""

SWEPT = ("diffpure", "pixel-diffpure")
"""DiffPure in latents and in pixels."""

FEW = 8
"""People for what is no main table of the full suite."""

FINE_TUNED = ("LoRA", "DreamBooth")
"""Thieves who change weights; a second self of each works on a model that no protection knows."""
MISMATCHED = tuple(f"{thief}, mismatch" for thief in FINE_TUNED)


@dataclass(frozen=True, order=True)
class Cell:
    """One measurement.

    Args:
        thief: a name of `benchmarks.thieves.thieves_for`.
        method: a name of `methods.METHODS`, or "clean".
        budget_levels: largest change, true 0..255 levels; 0 for "clean".
        psnr_db: what the protected pictures' change is scaled to; 0 = as the method left them.
        purifier: a recipe of `ldu.attacks.purify`.
        share: of the thief's pictures that are protected; the others are clean ones of set C.
        person: number of the person.
        ssim: what the change is scaled to where no PSNR is given; 0 = as the method left them.
    """

    thief: str
    method: str
    budget_levels: float
    psnr_db: float = 0.0
    purifier: str = "none"
    share: float = 1.0
    person: int = 0
    ssim: float = 0.0

    @property
    def name(self) -> str:
        """Return a name for its file."""
        parts = (self.thief, self.method, f"{self.budget_levels:g}", f"{self.psnr_db:g}", self.purifier)
        words = "_".join(part.replace(" ", "").replace("+", "-") for part in parts)
        similar = f"_ssim{self.ssim:g}" if self.ssim else ""
        return f"{words}_{self.share:g}_{self.person}{similar}"

    @property
    def label(self) -> str:
        """Return its method and visibility in words, as tables and pictures show them."""
        if self.method == CLEAN:
            return CLEAN
        name, wanted = self.visibility
        scaled = {"PSNR": f" at {wanted:g} dB", "SSIM": f" at SSIM {wanted:g}"}.get(name, "")
        return f"{self.method} {self.budget_levels:g}{scaled}"

    @property
    def visibility(self) -> tuple[str, float]:
        """Return what makes two cells equally visible: the PSNR or SSIM they were scaled to, else the budget."""
        for name, wanted in (("PSNR", self.psnr_db), ("SSIM", self.ssim)):
            if wanted:
                return name, wanted
        return "budget", self.budget_levels


def at_equal_psnr(method: str) -> tuple[float, float]:
    """Return the budget and the PSNR of a method in the comparison at equal visibility."""
    budget_levels, psnr_db = EQUAL
    return ROOM.get(method, 1.0) * budget_levels, psnr_db


def quick(people: int = 2) -> list[Cell]:
    """Return the cells of a first answer: few people, noise, the field's best and ours, with and without a JPEG."""
    return _crossed(FINE_TUNED, ("noise_gauss", *BEST_BASELINES, OURS[0]), ("none", "jpeg 75"), people)


def field(methods: Iterable[str], people: int = 4) -> list[Cell]:
    """Return the cells of all methods at equal visibility, two thieves, no purifier."""
    cells = _crossed(FINE_TUNED, methods, ("none",), people)
    room, _ = at_equal_psnr(OURS[0])
    return [*cells, *(replace(cell, budget_levels=room) for cell in cells if cell.method in WIDE)]


def purified(purifiers: Sequence[str], people: int = 4) -> list[Cell]:
    """Return the cells of ours, its shift alone, LDU as published, noise and the field, two thieves.

    The field's best three meet all purifiers, the others a few that tell.
    """
    methods = ("noise_gauss", *BEST_BASELINES, "ldu_published", "ldu", OURS[0], *TOWARDS)
    telling = [purifier for purifier in purifiers if purifier in TELLING]
    whole = _crossed(FINE_TUNED, methods, purifiers, people) + _crossed(FINE_TUNED, OTHER_BASELINES, telling, people)
    return list(dict.fromkeys(whole))  # clean pictures once


def at_equal_ssim(cells: Iterable[Cell], ssim: float) -> list[Cell]:
    """Return the cells with SSIM in the place of PSNR."""
    return [replace(cell, psnr_db=0.0, ssim=ssim) if cell.psnr_db else cell for cell in cells]


def at_equal_budget(cells: Iterable[Cell], levels: float) -> list[Cell]:
    """Return the cells with no more asked of a method's visibility than that no value changes by more than `levels`."""
    equal = (replace(cell, psnr_db=0.0, budget_levels=levels) if cell.psnr_db else cell for cell in cells)
    return list(dict.fromkeys(equal))  # some suites have cells of that budget already


def row() -> list[Cell]:
    """Return the cells of one row and its reference on both models, two minutes' work: noise against clean pictures."""
    given = (CLEAN, 0.0, 0.0), ("noise_gauss", *EQUAL)
    return [Cell("LoRA" + model, *each) for model, each in product(("", ELSEWHERE), given)]


def fragility(people: int) -> list[Cell]:
    """Return the cells that tell whether the world is fragile: a known attack and mere noise that is as visible."""
    conditions = ((CLEAN, 0.0, 0.0), ("advdm", 16.0, 0.0), ("noise_gauss", 48.0, 24.5), ("advdm", 4.0, 0.0))
    return [
        Cell("DreamBooth", method, budget, psnr_db, person=person)
        for (method, budget, psnr_db), person in product(conditions, range(people))
    ]


def sweep(people: int = 4) -> list[Cell]:
    """Return the cells of the DiffPure sweep: ours, LDU as published and the field's best, diffused ever further."""
    methods = ("ldu_published", OURS[0], *TOWARDS, *BEST_BASELINES)
    purifiers = [f"{purifier} {timestep}" for purifier, timestep in product(SWEPT, SWEEP)]
    return _crossed(FINE_TUNED, methods, ("none", *purifiers), people)


def transfer(people: int = 4) -> list[Cell]:
    """Return the cells that tell what is left where the thief has another model: ours, its parts, two others."""
    methods = ("advdm", "sds_minus", "ldu", "ldu_protect", "ldu_slope", "ldu_contrast", *TOWARDS)
    thieves = [thief + model for thief, model in product(FINE_TUNED, ("", ELSEWHERE))]
    return _crossed(thieves, methods, ("none",), people)


def mixtures(people: int = 4) -> list[Cell]:
    """Return the cells of thieves who also have pictures that nobody protected: ours and the field's best.

    Clean pictures have shares too: who has fewer of set B has more of set C, and learns otherwise from it.
    """
    whole = _crossed(("DreamBooth",), (OURS[0], BEST_BASELINES[0]), ("none",), people)
    return [replace(cell, share=share) for cell, share in product(whole, (0.25, 0.5, 0.75, 1.0))]


def mismatch(people: int = 4) -> list[Cell]:
    """Return the cells of thieves who do nothing as protections expect it: clean pictures, ours, the field's best."""
    return _crossed(MISMATCHED, (OURS[0], *TOWARDS, BEST_BASELINES[0]), ("none",), people)


def words(people: int = 4) -> list[Cell]:
    """Return the cells of thieves who leave the model as it is: ours and the field's, the best after purifiers, too."""
    learns_most = "Prompt tuning"
    thieves = ("TI", "TI x4", "TI x4, mismatch", learns_most, f"{learns_most}, mismatch")
    best = (OURS[0], *TOWARDS, *BEST_BASELINES)
    after = _crossed((learns_most,), best, TELLING, people)
    return [*_crossed(thieves, (*best, *OTHER_BASELINES), ("none",), people), *after]


def budgets(people: int = 4) -> list[Cell]:
    """Return the cells of ours and the field's best three at ever larger budgets, as visible as each leaves them."""
    whole = _crossed(("DreamBooth",), (OURS[0], *TOWARDS, *BEST_BASELINES), ("none",), people)
    cells = (cell for levels in (4.0, 8.0, 10.0, 16.0, 24.0, 32.0) for cell in at_equal_budget(whole, levels))
    return list(dict.fromkeys(cells))  # clean pictures once


def tuned(people: int = 2) -> list[Cell]:
    """Return the cells that tell whether tuning would serve the field: more steps, and more room, beside ours."""
    longer = (method + LONGER for method in FIELD)
    cells = _crossed(FINE_TUNED, (OURS[0], *FIELD, *longer), ("none",), people)
    return [*cells, *(replace(cell, budget_levels=2 * EQUAL[0]) for cell in cells if cell.method in FIELD)]


OF_FEW = {
    "diffpure": sweep,
    "transfer": transfer,
    "mixtures": mixtures,
    "mismatch": mismatch,
    "words": words,
    "budgets": budgets,
}
"""Suites of a few people and chosen methods."""


def _beside_clean(methods: Iterable[str]) -> tuple[tuple[str, float, float], ...]:
    """Return clean pictures and each method at equal PSNR: its name, budget and PSNR."""
    return (CLEAN, 0.0, 0.0), *((method, *at_equal_psnr(method)) for method in methods)


def _crossed(thieves: Iterable[str], methods: Iterable[str], purifiers: Iterable[str], people: int) -> list[Cell]:
    return [
        Cell(thief, method, budget, psnr_db, purifier, person=person)
        for thief, person, (method, budget, psnr_db), purifier in product(
            thieves, range(people), _beside_clean(methods), purifiers
        )
    ]


def full(methods: Iterable[str], purifiers: Sequence[str], people: int = 20) -> list[Cell]:
    """Return the cells of the whole comparison: all methods, all purifiers with DreamBooth, and what few people tell.

    Args:
        methods: all of them.
        purifiers: all that can be run.
        people: how many for the main tables.
    """
    after = [cell for cell in purified(purifiers, people) if cell.thief == "DreamBooth"]
    few = [cell for suite in OF_FEW.values() for cell in suite(FEW)]
    return list(dict.fromkeys([*_all_methods(list(methods), people), *after, *few]))


def _all_methods(methods: list[str], people: int) -> Iterator[Cell]:
    for thief, person in product(("TI x4", *FINE_TUNED), range(people)):
        yield Cell(thief, CLEAN, 0.0, person=person)
        for method in methods:
            for budget, psnr_db in ((8.0, 0.0), (10.0, 0.0), at_equal_psnr(method)):
                yield Cell(thief, method, budget, psnr_db, person=person)
