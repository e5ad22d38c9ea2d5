"""The report as one HTML file that needs nothing else: no script, no network, every text escaped."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from ..wording import DEMO_WARNING
from .gallery import CLEAN, Thief
from .markup import Markup, element, embed, join
from .record import Losses, PictureEntry, Purified, Report, average, not_tested
from .sentences import NO_PROMISE, NO_RANK, NO_RISE, say_budget, say_change, say_share, say_share_of
from .style import STYLE
from .thumbnails import Thumbnails

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
GLOSSARY = {
    "level": "One of the 256 steps of a pixel's red, green or blue. 10 of 255 is about 4 %.",
    "PSNR": "How near two pictures are, in dB. Higher is nearer; 6 dB more is half the difference.",
    "SSIM": "How alike two pictures are in structure; 1 is the same.",
    "flat area": "Where no grain hides a change: sky, paper, line art, smooth skin.",
    "loss": "How badly a model predicts the picture while it learns from it. Higher is harder to learn.",
    "similarity": "How alike an identity network finds the faces in two pictures: 1 the same, about 0 strangers.",
    "purifier": "What a thief does to a picture first, to get rid of the protection.",
}


def page(report: Report, thumbnails: Sequence[Thumbnails], gallery: Image.Image | None = None) -> str:
    """Write the page.

    Args:
        report: What to say.
        thumbnails: One for each picture of the report.
        gallery: The thieves' pictures, without the person's own photographs.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"Protection report, {report.date}"),
        element("style", Markup(STYLE)),
    )
    body = element(
        "main",
        _header(report),
        _cards(report),
        _warning(report),
        _untested(report),
        _learning(report.losses),
        _purifiers(report),
        _thieves(report.thieves, gallery),
        _pictures(report.pictures, thumbnails),
        _settings(report.model, report.settings),
        _footer(),
    )
    return "<!doctype html>\n" + element("html", head, element("body", body), lang="en") + "\n"


def _header(report: Report) -> Markup:
    count = len(report.pictures)
    about = [
        f"{count} picture{'s' * (count != 1)}",
        report.model.get("name") or report.model.get("family"),
        report.date,
    ]
    demo = element("p", DEMO_WARNING, class_="note warn") if report.demo else None
    line = element("p", " · ".join(str(each) for each in about if each), class_="quiet")
    return element("header", element("h1", "Protection report"), line, element("p", NO_PROMISE), demo)


def _cards(report: Report) -> Markup:
    return element("section", *(_card(*card) for card in _findings(report)), class_="cards")


def _findings(report: Report) -> list[tuple[str, str, str]]:
    """Return heading, the one number, and its explanation for each card; what is missing says so."""
    ratios = [each.visibility.psnr_db for each in report.pictures if each.visibility.psnr_db is not None]
    shows = f" PSNR {min(ratios):.1f} dB at worst." if ratios else " The pictures are the same, pixel for pixel."
    cards = [("How much it shows", f"{report.largest_change} levels", say_budget(report) + shows)]
    if report.losses:
        mean = average(report.losses)
        alone = "" if mean.beats_random else f" {NO_RISE}"
        said = f"{mean.verdict.capitalize()}.{alone}"
        cards.append(("A thief's loss", _rise(mean.before, mean.after), said))
    else:
        cards.append(("A thief's loss", "not tested", "No losses of a personalizer were given."))
    if weakest := report.weakest:
        explained = f"of the rise in loss is left after {weakest.purifier}, the worst of {len(report.purified)} tried."
        cards.append(("After a purifier", say_share(weakest.kept or 0.0), explained))
    elif report.purified:
        cards.append(
            ("After a purifier", "no rise", "Tried, but no rise beyond random noise was there to be washed off.")
        )
    else:
        cards.append(("After a purifier", "not tested", "What a thief can wash off was not measured."))
    return [*cards, _thief_card(report.thieves)]


def _thief_card(thieves: Sequence[Thief]) -> tuple[str, str, str]:
    """Return the card of the thief who got nearest to the person."""
    seen = [
        (worst.similarity, thief, worst) for thief in thieves if (worst := thief.worst) and worst.similarity is not None
    ]
    if not seen:
        return "What a thief got", "not tested", "Nobody compared a thief's pictures with the person."
    similarity, thief, worst = max(seen, key=lambda each: each[0])
    return (
        "What a thief got",
        f"{similarity:.2f}",
        f"similarity at worst: {thief.name}, from {worst.given}.{_beside_clean(thief)} {thief.judge}".rstrip(),
    )


def _beside_clean(thief: Thief) -> str:
    clean = thief.attempt(CLEAN)
    if clean is None or clean.similarity is None:
        return ""
    seen = "" if thief.shows_protection else ", so no protection is seen"
    return f" From the clean pictures: {clean.similarity:.2f}{seen}."


def _card(heading: str, number: str, explained: str) -> Markup:
    kind = "card missing" if number == "not tested" else "card"
    return element(
        "div", element("h2", heading), element("p", number, class_="big"), element("p", explained), class_=kind
    )


def _warning(report: Report) -> Markup | None:
    if report.mixture is None:
        return None
    return element("p", str(report.mixture), class_="note warn" if report.mixture.unprotected else "note")


def _untested(report: Report) -> Markup:
    lines = element("ul", *(element("li", line) for line in not_tested(report)))
    return element("section", element("h2", "Not tested"), lines, class_="untested")


def _learning(losses: Sequence[Losses]) -> Markup | None:
    if not losses:
        return None
    mean = average(tuple(losses))
    rows = (("original", mean.before), ("protected", mean.after), ("random noise of the same visibility", mean.random))
    highest = max(value for _, value in rows)
    bars = [
        _bar(name, value / highest if highest > 0 else 0, f"{value:.4f}", name == "protected") for name, value in rows
    ]
    low, high = mean.interval
    said = f"Protected minus random noise: {mean.after - mean.random:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}."
    intro, numbers = element("p", f"Longer is harder to learn. {NO_RANK}"), element("p", said, class_="quiet")
    return _section("A thief's loss", intro, *bars, numbers)


def _purifiers(report: Report) -> Markup | None:
    purified = report.purified
    if not purified:
        return None
    shares = [each.kept for each in purified if each.kept is not None]
    most = max([1.0, *shares])
    worst = min(shares) if shares else None
    bars = [_purified_bar(each, most, worst) for each in purified]
    intro = " ".join(["The share of the rise in loss that is left.", *say_share_of(report)])
    return _section("After a purifier", element("p", intro), *bars)


def _purified_bar(each: Purified, most: float, worst: float | None) -> Markup:
    if each.kept is None:
        return _bar(each.purifier, 0, f"loss {each.losses.after:.4f}", False)
    said = f"{say_share(each.kept)}  (loss {each.losses.after:.4f})"
    return _bar(each.purifier, max(0.0, each.kept) / most, said, each.kept == worst)


def _thieves(thieves: Sequence[Thief], gallery: Image.Image | None) -> Markup | None:
    if not thieves:
        return None
    picture = None if gallery is None else embed(gallery, "What the thieves' models drew, version by version")
    said = element("ul", *(element("li", str(thief)) for thief in thieves))
    return _section("What thieves got", said, None if picture is None else element("div", picture, class_="gallery"))


def _pictures(pictures: Sequence[PictureEntry], thumbnails: Sequence[Thumbnails]) -> Markup:
    return _section(
        "The protected pictures",
        element("p", "Beside each: where it was changed, the stronger the redder. Originals are not in this page."),
        *(_figure(*pair) for pair in zip(pictures, thumbnails, strict=True)),
    )


def _figure(picture: PictureEntry, small: Thumbnails) -> Markup:
    saved = (
        element("p", f"{picture.file} · SHA-256 ", element("code", picture.sha256), class_="quiet")
        if picture.sha256
        else None
    )
    words = element(
        "div",
        element("h3", picture.name),
        element("p", f"{picture.width} × {picture.height} pixels. {say_change(picture)}"),
        saved or element("p", "Measured in the graph; the saved file was not given.", class_="quiet"),
    )
    shown = (
        embed(small.protected, f"{picture.name}, protected"),
        embed(small.changes, f"Where {picture.name} was changed"),
    )
    return element("figure", *shown, words)


def _settings(model: Mapping[str, Any], settings: Mapping[str, Any]) -> Markup | None:
    rows = [
        element("tr", element("th", name), element("td", str(value))) for name, value in {**model, **settings}.items()
    ]
    return _section("Model and settings", element("table", *rows)) if rows else None


def _footer() -> Markup:
    terms = [join(element("dt", term), element("dd", meaning)) for term, meaning in GLOSSARY.items()]
    return element("footer", element("h2", "The words"), element("dl", *terms))


def _section(heading: str, *content: Markup | None) -> Markup:
    return element("section", element("h2", heading), *content)


def _bar(name: str, share: float, said: str, marked: bool) -> Markup:
    filled = element("i", "", style=f"width:{100 * min(share, 1):.1f}%", class_="marked" if marked else "plain")
    return element("div", element("span", name), element("b", filled), element("span", said), class_="bar")


def _rise(before: float, after: float) -> str:
    return f"{after / before - 1:+.0%}" if before > 0 else f"{after - before:+.4f}"
