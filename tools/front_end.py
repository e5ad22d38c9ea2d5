"""The real front end in a headless Chromium: open a template, look at its nodes, press Run, take photographs.

Each step waits until the page shows that it is done, for on a busy machine no time is long enough.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, ViewportSize, sync_playwright

from launch.server import failure, refusal

PATIENCE = 180_000  # milliseconds; two busy cores draw slowly
BETWEEN_LOOKS = 500  # milliseconds
MARGIN = 130  # pixels of the window that the front end's own bars lie over
WINDOW: ViewportSize = {"width": 1600, "height": 950}
TEMPLATES = "template-workflows-content"
SEARCH = re.compile(r"^(Search|搜索|検索)\.\.\.$")  # in the node library, in English, Chinese and Japanese
LIBRARY = "Workspace.ToggleSidebarTab.node-library"
CANVAS = (1000, 500)  # pixels; a place in the window that nothing but the canvas is at

Box = tuple[float, float, float, float]


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def click_at_once(element: Locator) -> None:
    """Click without asking whether something lies over the element, such as a message that fades."""
    element.evaluate("(it) => it.click()")


@contextmanager
def front_end(address: str, language: str = "en-US", *, greeting: bool = False) -> "Iterator[FrontEnd]":
    """Open the front end of a ComfyUI.

    Args:
        address: of the server.
        language: of whoever looks at it.
        greeting: whether the list of templates that a newcomer is greeted with stays open.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport=WINDOW, reduced_motion="reduce", locale=language)
        page.set_default_timeout(PATIENCE)
        page.add_init_script(path=Path(__file__).with_suffix(".js"))
        greeted = not page.request.get(f"{address}/settings").json().get("Comfy.TutorialCompleted")
        page.goto(address)
        page.wait_for_function("ldu.ready()")
        front = FrontEnd(page)
        if greeted and not greeting:
            front.put_templates_away()
        front.wait_until_settled()
        yield front
        browser.close()


@dataclass(frozen=True)
class FrontEnd:
    """A page with the front end in it."""

    page: Page

    def ask(self, question: str, argument: object = None) -> Any:  # noqa: ANN401
        """Return the answer to one of the questions in front_end.js."""
        return self.page.evaluate(f"(argument) => ldu.{question}(argument)", argument)

    def wait_until(self, question: str, argument: object = None) -> Any:  # noqa: ANN401
        """Ask until the answer is yes, and return it."""
        asked = f"(argument) => ldu.{question}(argument)"
        return self.page.wait_for_function(asked, arg=argument, polling=BETWEEN_LOOKS).json_value()

    def wait_until_settled(self) -> None:
        """Wait until the nodes and the view stay as they are."""
        self.wait_until("settled")

    def put_templates_away(self) -> None:
        """Close the list of templates that a newcomer is greeted with."""
        self.page.get_by_test_id(TEMPLATES).wait_for()
        self.page.keyboard.press("Escape")
        self.page.get_by_test_id(TEMPLATES).wait_for(state="detached")

    def open_template(self, name: str) -> None:
        """Open a template of the pack by a click on its card."""
        self.ask("command", "Comfy.BrowseTemplates")
        self.page.get_by_test_id(TEMPLATES).wait_for()
        click_at_once(self.page.get_by_text("ldu", exact=True).first)
        click_at_once(self.page.get_by_test_id(f"template-workflow-{name}"))
        self.page.get_by_test_id(TEMPLATES).wait_for(state="detached")
        self.wait_until("opened", name)
        self.wait_until_settled()
        for button in self.page.get_by_test_id("close-minimap-button").all():
            click_at_once(button)

    def open_blank(self) -> None:
        """Open an empty workflow."""
        self.ask("command", "Comfy.NewBlankWorkflow")
        self.page.wait_for_function("ldu.nodes().length === 0")
        self.wait_until_settled()

    def open_previous(self, name: str) -> None:
        """Go to the tab on the left, whose workflow is `name`."""
        self.ask("command", "Workspace.PreviousOpenedWorkflow")
        self.wait_until("opened", name)
        self.wait_until_settled()

    def drag_from_library(self, name: str, photograph: Path, to: tuple[int, int] = CANVAS) -> None:
        """Search the node library for a name, drag what it finds onto the canvas, and photograph both.

        Args:
            name: as the library shows it.
            photograph: a .png.
            to: where in the window the node is let go, in pixels.
        """
        self.page.set_viewport_size(WINDOW)
        self.ask("command", LIBRARY)
        self.page.get_by_placeholder(SEARCH).first.fill(name)
        entry = self.page.get_by_text(name, exact=True).first
        entry.wait_for()
        self.wait_until_settled()
        before = len(self.nodes())
        entry.hover()
        self.page.mouse.down()
        self.page.mouse.move(*to, steps=20)
        self.page.mouse.up()
        self.page.wait_for_function("(before) => ldu.nodes().length > before", arg=before)
        self.photograph_window(photograph)
        self.ask("command", LIBRARY)
        self.wait_until_settled()

    def draw_wire(self, giver: str, output: str, taker: str, given: str) -> None:
        """Drag a wire from an output of one node to an input of another; nodes are known by their titles."""
        before = self.ask("wires")
        self.page.mouse.move(*self.ask("slot", [giver, "output", output]))
        self.page.mouse.down()
        self.page.mouse.move(*self.ask("slot", [taker, "input", given]), steps=10)
        self.page.mouse.up()
        self.page.wait_for_function("(before) => ldu.wires() === before + 1", arg=before)

    def open_inside(self) -> None:
        """Go into the only subgraph of the graph."""
        self.ask("openInside")
        self.wait_until("inside")
        self.wait_until_settled()

    def nodes(self) -> list[dict[str, Any]]:
        """Return id, type, title, box (x, y, width, height with the title bar), health and pictures of each node."""
        return self.ask("nodes")

    def types(self) -> set[str]:
        """Return the types of the nodes."""
        return {node["type"] for node in self.nodes()}

    def whole(self) -> Box:
        """Return the box around all groups, or around all nodes if there are none."""
        boxes = self.ask("frames") or [node["box"] for node in self.nodes()]
        left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
        return left, top, max(b[0] + b[2] for b in boxes) - left, max(b[1] + b[3] for b in boxes) - top

    def place_node(self, node_type: str) -> None:
        """Put a node of a type into an empty graph and select it."""
        self.ask("placeNode", node_type)
        self.wait_until_settled()

    def labels(self) -> list[str]:
        """Return what the only node of the graph calls itself, its sockets and its widgets."""
        return self.ask("labels")

    def texts(self) -> list[str]:
        """Return the titles of the nodes and groups that one looks at, and the texts of its notes."""
        return self.ask("texts")

    def seed_control(self) -> str:
        """Return what becomes of the only node's seed after each run."""
        return self.ask("seedControl")

    def open_help(self) -> str:
        """Open the help page of the selected node and return its text."""
        click_at_once(self.page.get_by_test_id("info-button").first)
        shown = self.page.locator(".node-help-content").first
        shown.locator("h2").first.wait_for()
        return shown.inner_text()

    def set_everywhere(self, name: str, value: object) -> None:
        """Give all widgets of that name a value, also those inside subgraphs."""
        self.ask("set", [name, value])

    def set_on(self, node_type: str, name: str, value: object) -> None:
        """Give a widget of the nodes of a type a value."""
        self.ask("setOn", [node_type, name, value])

    def press_run(self) -> str | None:
        """Press Run, wait until the work is over, and return what went wrong, if anything."""
        job, refused = self.start_run()
        return refused or self.wait_for_end(job)

    def choose_picture(self, file: Path) -> None:
        """Press the button of Load Picture and choose a file of this computer."""
        with self.page.expect_file_chooser() as chooser:
            self.page.mouse.click(*self.ask("spot", ["LDU_LoadPicture", "upload"]))
        chooser.value.set_files(file)
        self.wait_until("holds", ["LDU_LoadPicture", "image", file.name])

    def start_run(self, click: Callable[[Locator], None] = click_at_once) -> tuple[str, str | None]:
        """Press Run, and return the job's name and why it was refused, if it was."""
        with self.page.expect_response(lambda it: it.url.endswith("/prompt") and it.request.method == "POST") as sent:
            click(self.page.get_by_test_id("queue-button").first)
        answer = json.loads(sent.value.body())
        if not sent.value.ok or answer.get("node_errors"):
            return "", refusal(sent.value.body())
        return answer["prompt_id"], None

    def read_errors(self, photograph: Path) -> str:
        """Ask the message that something went wrong for its details, photograph them, and return what is to be read."""
        self.page.set_viewport_size(WINDOW)
        overlay = self.page.get_by_test_id("error-overlay")
        overlay.wait_for()
        click_at_once(self.page.get_by_test_id("error-overlay-see-errors"))
        overlay.wait_for(state="detached")
        panel = self.page.get_by_test_id("properties-panel")
        panel.wait_for()
        self.photograph_window(photograph)
        said = panel.inner_text()
        self.ask("putErrorsAway")
        panel.wait_for(state="detached")
        return said

    def wait_for_end(self, job: str) -> str | None:
        """Wait until a job is over, and return what went wrong, if anything."""
        while not (entry := self.ask("finished", job)):
            self.page.wait_for_timeout(BETWEEN_LOOKS)
        return failure(entry)

    def cancel(self) -> None:
        """Do what the button for it does: stop the running job."""
        self.ask("command", "Comfy.Interrupt")

    def reload(self) -> None:
        """Load the page again, as F5 does."""
        self.page.reload()
        self.page.wait_for_function("ldu.ready()")
        self.wait_until_settled()

    def wait_for_pictures(self, *node_types: str) -> None:
        """Wait until a node of each type shows a picture."""
        shown = "(types) => types.every((type) => ldu.nodes().some((n) => n.type === type && n.pictures))"
        self.page.wait_for_function(shown, arg=node_types, polling=BETWEEN_LOOKS)
        self.wait_until_settled()

    def said(self, node_type: str) -> list[dict[str, Any]]:
        """Return the texts that the nodes of a type show, and how many pixels of each are out of sight."""
        return self.ask("said", node_type)

    def photograph_window(self, file: Path) -> None:
        """Photograph all of the window, at its usual size."""
        self.page.set_viewport_size(WINDOW)
        self.wait_until_settled()
        self.page.screenshot(path=file, animations="disabled", timeout=PATIENCE)

    def photograph_node(self, file: Path, name: str, scale: float = 1.0) -> None:
        """Photograph the first node of a type or with a title."""
        box = next(node["box"] for node in self.nodes() if name in (node["type"], node["title"]))
        self.photograph(file, box, scale)

    def photograph(self, file: Path, box: Box, scale: float, *, pad: float = 20) -> None:
        """Photograph a part of the graph, clear of the front end's own bars.

        Args:
            file: a .png or .jpg.
            box: in the graph's coordinates.
            scale: pixels per unit of the graph.
            pad: how much more to show on each side, in the graph's units.
        """
        x, y, width, height = box[0] - pad, box[1] - pad, (box[2] + 2 * pad) * scale, (box[3] + 2 * pad) * scale
        self.page.set_viewport_size({"width": int(width) + 2 * MARGIN, "height": int(height) + 2 * MARGIN})
        self.page.wait_for_function("(width) => app.canvas.canvas.getBoundingClientRect().width > width", arg=width)
        self.ask("lookAt", [x, y, scale, MARGIN, MARGIN])
        self.wait_until_settled()
        self.wait_until("drawn")
        self.page.screenshot(
            path=file,
            clip={"x": MARGIN, "y": MARGIN, "width": width, "height": height},
            animations="disabled",
            timeout=PATIENCE,
        )
