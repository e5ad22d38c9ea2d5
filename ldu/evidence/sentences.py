"""The report in plain sentences, as the node shows it; the page says the same ones."""

from ..wording import DEMO_WARNING
from .record import PictureEntry, Purified, Report, average, not_tested

_NO_BOUND = "the bound of the budget no longer holds"
NO_PROMISE = (
    "A protection can make misuse harder, never impossible. Only what was measured here tells whether this one does, "
    "and only for the model and the settings of this report."
)
NO_RANK = (
    "The loss does not rank protections: with its contrast Refine in Pixels raised it less than without, and thieves "
    "learnt less. What they draw, in Thief's Gallery, decides."
)
NO_RISE = "That alone does not mean that the protection fails: Thief's Gallery decides."


def in_words(report: Report, *, settings: bool = True) -> str:
    """Write the whole report as text, with the model and all settings or without them."""
    used = {**report.model, **report.settings} if settings else {}
    blocks = [
        f"PROTECTION REPORT, {report.date}",
        *([DEMO_WARNING] if report.demo else []),
        *([f"WARNING. {report.mixture}"] if report.mixture and report.mixture.unprotected else []),
        _listed("HOW MUCH IT SHOWS", [say_budget(report), *map(say_picture, report.pictures)]),
        _listed("A THIEF'S LOSS", say_learning(report)),
        _listed("AFTER A PURIFIER", [*map(say_purified, report.purified), *say_share_of(report)]),
        _listed("WHAT THIEVES GOT", list(map(str, report.thieves))),
        *([str(report.mixture)] if report.mixture and not report.mixture.unprotected else []),
        _listed("NOT TESTED", not_tested(report)),
        _listed("MODEL AND SETTINGS", [f"{name}: {value}" for name, value in used.items()]),
        NO_PROMISE,
    ]
    return "\n\n".join(filter(None, blocks))


def say_budget(report: Report) -> str:
    """Say what was asked for and what came."""
    changed = f"Largest change {report.largest_change} of 255 levels"
    if report.budget_levels is None:
        return f"{changed}; no budget was given."
    kept = "kept" if report.within_budget else "NOT KEPT"
    unbounded = sum(not picture.bounded for picture in report.pictures)
    beside = f" {unbounded} of {len(report.pictures)} files are no PNG: {_NO_BOUND} for them." if unbounded else ""
    return f"{changed}; asked for at most {report.budget_levels:g}: {kept}.{beside}"


def say_picture(picture: PictureEntry) -> str:
    """Say all about one picture in a sentence or two."""
    saved = f" {picture.file}, SHA-256 {picture.sha256}." if picture.sha256 else ""
    return f"{picture.name}, {picture.width} x {picture.height}: {say_change(picture)}{saved}"


def say_change(picture: PictureEntry) -> str:
    """Say how far a picture is from its original, all over and where it is flat, and whether that is bounded."""
    beside = "" if picture.bounded else f"No PNG, its format changes the values again: {_NO_BOUND} for this file."
    return " ".join(filter(None, (str(picture.visibility), str(picture.flat), beside)))


def say_learning(report: Report) -> list[str]:
    """Say what the protection does to a thief's loss, if that was measured."""
    if not report.losses:
        return []
    mean = average(report.losses)
    rise = f" ({mean.after / mean.before - 1:+.1%})" if mean.before > 0 else ""
    alone = "" if mean.beats_random else f" {NO_RISE}"
    return [f"{mean}.", f"So the loss changes{rise}: {mean.verdict}.{alone}", NO_RANK]


def say_share_of(report: Report) -> list[str]:
    """Say what the losses after a purifier are worth, unless that is said of the losses without one."""
    return [NO_RANK] if report.purified and not report.losses else []


def say_purified(purified: Purified) -> str:
    """Say what one purifier leaves."""
    losses = f"loss {purified.losses.after:.4f}"
    if purified.kept is None:
        return f"{purified.purifier}: {losses}; without a rise beyond random noise no share of it can be left."
    return f"{purified.purifier}: {losses}, {say_share(purified.kept)} of the rise is left."


def say_share(kept: float) -> str:
    """Write a share of the rise; a purifier can take more than all of it away, or add to it."""
    return f"{kept:.0%}".replace("-0%", "0%")


def _listed(heading: str, lines: list[str]) -> str:
    return "\n".join([heading, *(f"- {line}" for line in lines)]) if lines else ""
