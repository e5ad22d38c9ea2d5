"""The real front end in a headless Chromium, used as people do: open a template, set its widgets, press Run.

Each step waits until the page shows that it is done, for on a busy machine no time is long enough.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, sync_playwright

from launch.checks import find_chromium
from launch.server import failure, refusal
from tools.front_end_view import BETWEEN_LOOKS, PATIENCE, WINDOW, View

TEMPLATES = "template-workflows-content"
SEARCH = re.compile(r"^(Search|搜索|検索)\.\.\.$")  # in the node library, in English, Chinese and Japanese
LIBRARY = "Workspace.ToggleSidebarTab.node-library"
CANVAS = (1000, 500)  # pixels; a place in the window that nothing but the canvas is at


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


class FrontEnd(View):
    """A page with the front end in it, to use as people do."""

    def put_templates_away(self) -> None:
        """Close the list of templates that a newcomer is greeted with."""
        self.page.get_by_test_id(TEMPLATES).wait_for()
        self.page.keyboard.press("Escape")
        self.page.get_by_test_id(TEMPLATES).wait_for(state="detached")

    def open_template(self, name: str) -> None:
        """Open a template of the pack by a click on its card."""
        self.ask("command", "Comfy.BrowseTemplates")
        self.page.get_by_test_id(TEMPLATES).wait_for()
        listed = self.page.get_by_role("dialog")  # in Nodes 2.0 each node bears the pack's name, too
        click_at_once(listed.get_by_text("ldu", exact=True).first)
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

    def place_node(self, node_type: str) -> None:
        """Put a node of a type into an empty graph and select it."""
        self.ask("placeNode", node_type)
        self.wait_until_settled()

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
