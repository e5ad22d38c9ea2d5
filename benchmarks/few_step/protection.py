"""Protection: one rho for a person's pictures, trained and published through the base's walk down or the sibling's.

The walk up is the base's, the record is made for the model that walks down; everything else, the personalizer, the
pictures, the budget, the seeds and the draws, is the same in both. Gains are of the adversary's loss (on the base) on
the 8-bit file as a thief loads it, with the draws of t and noise in pairs:
    over clean    protected - clean
    over noise    protected - white noise of the same PSNR
Intervals are over the draws of all pictures: they cover the measurement, not other people.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch

from benchmarks.efficacy.ours import Shift, fresh_rho, train_shift
from benchmarks.efficacy.subjects import drawn_people
from benchmarks.few_step.pair import Pair
from benchmarks.table import with_interval
from ldu.attacks.random_noise import noise_at_equal_psnr
from ldu.attacks.textual_inversion import InversionConfig
from ldu.budget import to_levels
from ldu.metrics import psnr_db
from ldu.protect import Subject, prepare
from ldu.shapes import Levels
from ldu.train import Surrogate, TrainConfig, thief_loss
from ldu.trajectory import for_denoiser

SETTINGS = ((2, 0.25), (2, 1.0), (4, 0.25), (4, 1.0))
STEPS, BUDGET, DRAWS = 40, 10.0, 16
TOKEN = Shift(inversion=InversionConfig(ti_steps=75))  # half of the usual fit
HEAD = ("k", "depth", "down by", "PSNR, dB", "over clean", "over noise", "over noise, sibling - base")


@dataclass(frozen=True)
class Person:
    """One person's pictures in whole levels, the models they are protected against, and the clean losses."""

    photos: list[Levels]
    surrogate: Surrogate
    clean: list[float] = field(repr=False)


@dataclass
class Measured:
    """What one way of walking down brought, over all people: a value a picture, or a value a draw."""

    psnr: list[float] = field(default_factory=list)
    over_clean: list[float] = field(default_factory=list)
    over_noise: list[float] = field(default_factory=list)

    def cells(self) -> tuple[str, ...]:
        """Lay out for the table."""
        gains = (with_interval(values, 4, sign=True) for values in (self.over_clean, self.over_noise))
        return with_interval(self.psnr, 1), *gains


def make_people(pair: Pair, count: int, pictures: int) -> list[Person]:
    """Draw the tuning people and fit a token to each one's pictures."""
    people = []
    for number, person in enumerate(drawn_people(count, use="tuning", seen=0)):
        x = person.stolen[:pictures]
        surrogate = TOKEN.surrogate(pair.base, x, torch.Generator().manual_seed(number))
        photos = list(to_levels(x).round().split(1))
        people.append(Person(photos, surrogate, losses(surrogate, photos)))
    return people


def losses(surrogate: Surrogate, photos: Sequence[Levels]) -> list[float]:
    """Return the adversary's losses on pictures as a thief loads them, all draws of each in turn."""
    return [loss for photo in photos for loss in thief_loss(surrogate, photo, draws=DRAWS)]


def hand_over(subject: Subject, walker: Surrogate) -> Subject:
    """Return the subject with its record made for the model that walks down."""
    with torch.no_grad():  # constants
        return replace(subject, record=for_denoiser(subject.record, walker.walker, walker.schedule))


def protect(person: Person, down: Surrogate, config: TrainConfig) -> list[Levels]:
    """Return the photos, inverted with the base and protected by one rho through the walk down of `down`."""
    subjects = [hand_over(prepare(person.surrogate, photo, None, config), down) for photo in person.photos]
    training = train_shift(down, subjects, fresh_rho(subjects[0], config.seed), config)
    return [training.protected(subject) for subject in subjects]


def measure(people: Sequence[Person], pair: Pair, down_by: str, config: TrainConfig) -> Measured:
    """Protect everybody with one model's walk down and measure the files."""
    found = Measured()
    for person in people:
        walker = pair.sibling_models.walker if down_by == "sibling" else person.surrogate.walker
        protected = protect(person, replace(person.surrogate, walker=walker), config)
        pairs = list(zip(person.photos, protected, strict=True))
        noisy = [noise_at_equal_psnr(*both, generator=torch.Generator().manual_seed(config.seed)) for both in pairs]
        after, with_noise = losses(person.surrogate, protected), losses(person.surrogate, noisy)
        found.psnr += [psnr_db(*both) for both in pairs]
        found.over_clean += differences(after, person.clean)
        found.over_noise += differences(after, with_noise)
    return found


def differences(after: Sequence[float], before: Sequence[float]) -> list[float]:
    """Return the differences of values in pairs."""
    return [a - b for a, b in zip(after, before, strict=True)]


def rows(
    people: Sequence[Person], pair: Pair, settings: Sequence[tuple[int, float]], steps: int
) -> Iterator[tuple[object, ...]]:
    """Protect everybody in every way and give its row."""
    for k, depth in settings:
        config = TrainConfig(budget_levels=BUDGET, k_steps=k, depth=depth, train_steps=steps, evaluate_every=0)
        base = measure(people, pair, "base", config)
        yield k, depth, "base", *base.cells(), ""
        found = measure(people, pair, "sibling", config)
        more = with_interval(differences(found.over_noise, base.over_noise), 4, sign=True)
        yield k, depth, "sibling", *found.cells(), more
