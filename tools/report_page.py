"""The saved page of a Protection Report in a headless Chromium: open it, and measure its bars."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from launch.checks import find_chromium
from tools.front_end_view import PATIENCE

HEIGHT = 900  # pixels of the window
MEASURE = "(bar) => bar.querySelector('i').getBoundingClientRect().width / bar.querySelector('b').clientWidth"


@contextmanager
def open_report(file: Path, width: int, browser: Browser | None = None) -> Iterator[Page]:
    """Open a report in a window so many pixels wide, in a Chromium of its own if none runs yet."""
    if browser is None:
        with sync_playwright() as playwright:
            own = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
            with open_report(file, width, own) as page:
                yield page
            own.close()
        return
    page = browser.new_page(viewport={"width": width, "height": HEIGHT})
    page.set_default_timeout(PATIENCE)
    page.goto(file.as_uri())
    yield page
    page.close()


def measure_bars(page: Page, heading: str) -> tuple[dict[str, float], list[str]]:
    """Return which part of its track each bar under a heading fills, by the bar's name, and which bars are marked."""
    section = page.locator("section", has=page.get_by_role("heading", name=heading, exact=True))
    bars = [(bar.locator("span").first.inner_text(), bar) for bar in section.locator(".bar").all()]
    return {name: bar.evaluate(MEASURE) for name, bar in bars}, [n for n, bar in bars if bar.locator(".marked").count()]
