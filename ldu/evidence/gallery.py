"""What thieves learnt from each version of the pictures, in numbers, and which version is the worst for the user.

A version is what a thief was given: the clean pictures, the protected ones, or those after a purifier. The worst is the
one whose result is most like the person; where no likeness was measured, the one that is easiest to learn. The clean
pictures are the reference and are never the worst.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

CLEAN, PROTECTED = "clean", "protected"
NOT_COMPARED = (
    "nothing is marked, because nothing was measured: give photographs of the person and an identity network, "
    "similarities, or losses"
)
NO_PROTECTION = (
    "The clean pictures give the thief no more, so no protection is seen here: it does not hold, or the thief has "
    "learnt too little to tell."
)
UNCLEAR = (
    "The intervals of the clean pictures and of the worst case overlap, so no protection is shown here: too few "
    "pictures were drawn, or the thief has learnt too little to tell, or it does not hold."
)
HELD = (
    "Here the protection held: even the worst case gives the thief less than the clean pictures, beyond both intervals."
)
Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Attempt:
    """What one thief learnt from one version.

    Attributes:
        version: "clean", "protected" or the name of a purifier.
        similarity: Cosine of identity between the thief's pictures and the person, -1..1; higher is worse for the user.
        loss: The thief's loss on this version; lower is worse for the user.
        pictures: How many pictures the thief's model drew.
        faces: In how many of them the identity network found a face; None if it was not asked.
        interval: 95 % interval of the mean similarity over the pictures drawn; None if there are too few.
    """

    version: str
    similarity: float | None = None
    loss: float | None = None
    pictures: int = 0
    faces: int | None = None
    interval: Interval | None = None

    def __str__(self) -> str:
        """Give the numbers."""
        within = "" if self.interval is None else " ({:.2f} to {:.2f})".format(*self.interval)
        numbers = [
            None if self.similarity is None else f"similarity {self.similarity:.2f}{within}",
            None if self.loss is None else f"loss {self.loss:.4f}",
            f"no face in {self.faceless} of {self.pictures}" if self.faceless else None,
        ]
        return ", ".join(filter(None, numbers)) or "not measured"

    @property
    def faceless(self) -> int:
        """In how many pictures the identity network found no face, if it was asked."""
        return 0 if self.faces is None else self.pictures - self.faces

    @property
    def given(self) -> str:
        """Name what the thief had, as it stands in a sentence."""
        return {CLEAN: "the clean pictures", PROTECTED: "the protected pictures as they are"}.get(
            self.version, f"the protected pictures after {self.version}"
        )


@dataclass(frozen=True)
class Thief:
    """What one thief learnt from all versions that it was tried on.

    Attributes:
        name: Of the attack, the person or the set of pictures.
        attempts: One for each version.
        compared_by: Who measured the similarity, in words; empty if nobody did.
    """

    name: str
    attempts: tuple[Attempt, ...]
    compared_by: str = ""

    @property
    def measure(self) -> Literal["similarity", "loss"] | None:
        """What the worst version is judged by."""
        against_user = [attempt for attempt in self.attempts if attempt.version != CLEAN]
        if any(attempt.similarity is not None for attempt in against_user):
            return "similarity"
        return "loss" if any(attempt.loss is not None for attempt in against_user) else None

    @property
    def worst(self) -> Attempt | None:
        """The version that is worst for the user, the first of equals; None if nothing was measured."""
        measured = [
            (value, attempt)
            for attempt in self.attempts
            if attempt.version != CLEAN and (value := self._danger(attempt)) is not None
        ]
        return max(measured, key=lambda pair: pair[0])[1] if measured else None

    @property
    def shows_protection(self) -> bool | None:
        """Whether the clean pictures gave the thief more than the worst; None if unknown.

        More is told by the intervals where there are some, otherwise by the digits shown.
        """
        if (intervals := self._intervals) is not None:
            clean, worst = intervals
            return clean[0] > worst[1]
        return self._is_more

    @property
    def judge(self) -> str:
        """Say who compared, wherever the verdict rests on that; empty where nobody did or nobody was told of."""
        return f"Compared by {self.compared_by}." if self.measure == "similarity" and self.compared_by else ""

    @property
    def finding(self) -> str:
        """Say whether a protection is seen; empty where nobody can tell."""
        if self.shows_protection is None:
            return ""
        if self._intervals is None:
            return "" if self.shows_protection else NO_PROTECTION
        return HELD if self.shows_protection else UNCLEAR if self._is_more else NO_PROTECTION

    @property
    def _is_more(self) -> bool | None:
        clean, worst = self.attempt(CLEAN), self.worst
        if clean is None or worst is None or (reference := self._danger(clean)) is None:
            return None
        digits = 2 if self.measure == "similarity" else 4
        return round(reference, digits) > round(self._danger(worst) or 0.0, digits)

    @property
    def _intervals(self) -> tuple[Interval, Interval] | None:
        """The intervals of the clean pictures and of the worst version."""
        clean, worst = self.attempt(CLEAN), self.worst
        if self.measure != "similarity" or clean is None or worst is None:
            return None
        return None if clean.interval is None or worst.interval is None else (clean.interval, worst.interval)

    def attempt(self, version: str) -> Attempt | None:
        """Find what was learnt from a version; None if it was not tried."""
        return next((attempt for attempt in self.attempts if attempt.version == version), None)

    def __str__(self) -> str:
        """Say which version was marked and why."""
        if (worst := self.worst) is None:
            return f"{self.name}: {NOT_COMPARED}."
        clean = self.attempt(CLEAN)
        beside = "" if clean is None or self._danger(clean) is None else f"; from the clean pictures: {clean}"
        found = f" {self.finding}" if self.finding else ""
        if self.measure == "loss":
            return f"{self.name}: worst for you are {worst.given}, which are easiest to learn ({worst}{beside}).{found}"
        by = f" {self.judge}" if self.judge else ""
        return (
            f"{self.name}: worst for you are {worst.given}, from which the thief's pictures become most like the "
            f"person ({worst}{beside}).{by}{found}"
        )

    def _danger(self, attempt: Attempt) -> float | None:
        """Return what is the higher the worse for the user."""
        if self.measure == "similarity":
            return attempt.similarity
        return None if attempt.loss is None else -attempt.loss


def versions_of(thieves: tuple[Thief, ...]) -> list[str]:
    """List all versions once: clean, protected, then the others in the order in which they come."""
    found = dict.fromkeys(attempt.version for thief in thieves for attempt in thief.attempts)
    return [version for version in (CLEAN, PROTECTED) if version in found] + [
        version for version in found if version not in (CLEAN, PROTECTED)
    ]
