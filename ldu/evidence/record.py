"""Everything that a report on a protection holds, as plain records that become JSON, and what was not tested."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..budget import whole_budget
from ..errors import NonFiniteError
from ..flatness import FlatChange
from ..metrics import Visibility
from ..wording import say_losses
from .gallery import CLEAN, PROTECTED, Thief, versions_of

FORMAT, VERSION = "ldu.protection-report", 1


@dataclass(frozen=True)
class Losses:
    """A personalizer's mean loss on three pictures; higher is harder to learn.

    Attributes:
        before: On the original.
        after: On the protected (or purified) picture.
        random: On the original with random noise of the same visibility.
        interval: 95 % interval of after - random.
    """

    before: float
    after: float
    random: float
    interval: tuple[float, float]

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in (self.before, self.after, self.random, *self.interval)):
            raise NonFiniteError("A measured loss is not finite; run the model and the VAE in float32.")

    @property
    def beats_random(self) -> bool:
        """Whether the protection does more than random noise, beyond the error of measurement."""
        return self.interval[0] > 0

    @property
    def verdict(self) -> str:
        """Say whether it beats random noise."""
        if self.beats_random:
            return "it rose more than with random noise of the same visibility"
        return "it did not rise more than with random noise of the same visibility, as far as can be told"

    def __str__(self) -> str:
        """Say the losses and whether random noise would have done as well."""
        low, high = self.interval
        return (
            f"{say_losses(self.before, self.after, self.random)}; protected - random noise: "
            f"{self.after - self.random:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"
        )


@dataclass(frozen=True)
class Purified:
    """What one purifier leaves of the rise in loss.

    Attributes:
        purifier: Its name.
        losses: Measured with the purified picture in the place of the protected one.
        kept: Share of the rise that is left, 1 is all; None if it is not known or no more than random noise makes.
    """

    purifier: str
    losses: Losses
    kept: float | None


@dataclass(frozen=True)
class PictureEntry:
    """One protected picture.

    Attributes:
        name: Of the original's file.
        width: In pixels.
        height: In pixels.
        visibility: How far it is from its original.
        flat: How far it is in the flat areas, where the eye finds a change first.
        file: The saved file, inside its folder; None if it was measured inside the graph only.
        sha256: Of that file.
    """

    name: str
    width: int
    height: int
    visibility: Visibility
    flat: FlatChange
    file: str | None = None
    sha256: str | None = None

    @property
    def bounded(self) -> bool:
        """Whether the budget bounds what readers of the file see; only a PNG is sure to hold the very levels."""
        return self.file is None or self.file.lower().endswith(".png")


@dataclass(frozen=True)
class Mixture:
    """Protected and unprotected photographs of one subject that a thief can find side by side.

    Attributes:
        public: How many photographs are public in all.
        unprotected: How many of them are unprotected.
        files: Those of the unprotected ones that were named.
    """

    public: int
    unprotected: int
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say what that means."""
        if not self.unprotected:
            return f"All {self.public} public photos that you told of are protected."
        named = f" ({', '.join(self.files)})" if self.files else ""
        verb = "is" if self.unprotected == 1 else "are"
        return (
            f"Of your {self.public} public photos, {self.unprotected} {verb} unprotected{named}. A thief can learn "
            "from those, and no protection of the others prevents it: replace them or take them down."
        )


@dataclass(frozen=True)
class Report:
    """All that is known of a protection.

    Attributes:
        date: Of the report, YYYY-MM-DD.
        budget_levels: Largest change that was asked for, in levels of 255; None if it was not told.
        pictures: The protected pictures.
        losses: One for each measurement.
        purified: One for each purifier.
        thieves: From the gallery.
        mixture: None if nothing was told about other public photographs.
        model: What the protection was made and measured with; empty if unknown.
        settings: How it was made; empty if unknown.
        demo: Whether the model is the demo model.
    """

    date: str
    budget_levels: float | None
    pictures: tuple[PictureEntry, ...]
    losses: tuple[Losses, ...] = ()
    purified: tuple[Purified, ...] = ()
    thieves: tuple[Thief, ...] = ()
    mixture: Mixture | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    demo: bool = False

    @property
    def largest_change(self) -> int:
        """Largest change of a value over all pictures, in levels."""
        return max(picture.visibility.max_abs_levels for picture in self.pictures)

    @property
    def within_budget(self) -> bool | None:
        """Whether the largest change is no larger than what was asked for; None if nothing was asked."""
        return None if self.budget_levels is None else self.largest_change <= whole_budget(self.budget_levels)

    @property
    def weakest(self) -> Purified | None:
        """The purifier that leaves the least."""
        known = [each for each in self.purified if each.kept is not None]
        return min(known, key=lambda each: each.kept or 0.0) if known else None


def average(losses: tuple[Losses, ...]) -> Losses:
    """Average several measurements; the interval becomes the mean of theirs: with one seed they share draws."""
    count = len(losses)
    before, after, random, low, high = (
        sum(numbers) / count
        for numbers in zip(*((x.before, x.after, x.random, *x.interval) for x in losses), strict=True)
    )
    return Losses(before, after, random, (low, high))


def survivals(names: tuple[str, ...], measured: tuple[Losses, ...], protected: Losses | None) -> tuple[Purified, ...]:
    """Average what was measured after each purifier, and say which share of the rise without one is left.

    Args:
        names: Of the purifier of each measurement.
        measured: As many.
        protected: Without a purifier; None if it was not measured.
    """
    rise = protected.after - protected.before if protected and protected.beats_random else 0.0
    found = []
    for name in dict.fromkeys(names):
        losses = average(tuple(each for each, of in zip(measured, names, strict=True) if of == name))
        found.append(Purified(name, losses, (losses.after - losses.before) / rise if rise > 0 else None))
    return tuple(found)


def not_tested(report: Report) -> list[str]:
    """List in sentences what nobody measured; some of it can never be complete."""
    thieves, versions = ", ".join(thief.name for thief in report.thieves), versions_of(report.thieves)
    purifiers = dict.fromkeys(
        (*(each.purifier for each in report.purified), *(name for name in versions if name not in (CLEAN, PROTECTED)))
    )
    family = report.model.get("family")
    checks = (
        (not all(each.sha256 for each in report.pictures), "The saved files: the pictures were measured in the graph."),
        (not report.losses, "How hard the pictures are to learn: no losses of a personalizer were given."),
        (not report.thieves, "What a thief's model draws: no Thief's Gallery was given."),
        (
            bool(report.thieves) and all(thief.measure != "similarity" for thief in report.thieves),
            "Whether the thief's pictures show the person: no identity network compared them.",
        ),
        (not purifiers, "What is left after a purifier (JPEG, blur, DiffPure, upscaling): none was tried."),
        (report.mixture is None, "Whether unprotected photos of the same subject are public: nothing was told."),
        (report.budget_levels is None, "Whether the change keeps to what was asked for: no budget was given."),
    )
    always = (
        f"Thieves other than {thieves}." if thieves else "Any thief (Textual Inversion, DreamBooth, LoRA, adapters).",
        f"Purifiers other than {', '.join(purifiers)}." if purifiers else "Any combination of purifiers.",
        f"Models other than this one ({family})." if family else "Any model: none was named.",
    )
    return [sentence for missing, sentence in checks if missing] + list(always)


def as_dict(report: Report) -> dict[str, Any]:
    """Give the report as what JSON knows: dicts, lists, texts, numbers, true, false and null.

    Raises:
        NonFiniteError: it holds a number that JSON does not know.
    """
    plain = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(report), "not_tested": not_tested(report)}
    plain["bound_broken"] = [each.file for each in report.pictures if not each.bounded]
    plain["worst"] = [thief.worst.version if thief.worst else None for thief in report.thieves]
    try:
        return json.loads(json.dumps(plain, allow_nan=False, default=str))
    except ValueError as error:
        raise NonFiniteError(
            "The report is to hold a number that is infinite or none: look at what is connected for its settings."
        ) from error


def as_json(report: Report) -> str:
    """Give the report as JSON."""
    return json.dumps(as_dict(report), indent=2, ensure_ascii=False)
