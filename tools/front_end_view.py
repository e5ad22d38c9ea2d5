"""The page of the front end as it is seen: questions to it, waiting for what it shows, photographs.

The questions themselves are in front_end.js.
"""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, ViewportSize

PATIENCE = 180_000  # milliseconds; two busy cores draw slowly
BETWEEN_LOOKS = 500  # milliseconds
MARGIN = 130  # pixels of the window that the front end's own bars lie over
TOUCH = 4  # units of the graph by which boxes may touch
WINDOW: ViewportSize = {"width": 1600, "height": 950}

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class View:
    """A page with the front end in it, to look at."""

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

    def wait_for_pictures(self, *node_types: str) -> None:
        """Wait until a node of each type shows a picture."""
        shown = "(types) => types.every((type) => ldu.nodes().some((n) => n.type === type && n.pictures))"
        self.page.wait_for_function(shown, arg=node_types, polling=BETWEEN_LOOKS)
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

    def overlaps(self) -> list[tuple[str, str]]:
        """Return the titles of nodes that lie over each other."""
        pairs = [pair for pair in combinations(self.nodes(), 2) if _shared(pair[0]["box"], pair[1]["box"]) > TOUCH]
        return [(one["title"], other["title"]) for one, other in pairs]

    def strays(self) -> list[str]:
        """Return the titles of nodes that reach out of all groups."""
        groups = self.ask("groups")
        return [node["title"] for node in self.nodes() if not any(_holds(group, node["box"]) for group in groups)]

    def labels(self) -> list[str]:
        """Return what the only node of the graph calls itself, its sockets and its widgets."""
        return self.ask("labels")

    def texts(self) -> list[str]:
        """Return the titles of the nodes and groups that one looks at, and the texts of its notes."""
        return self.ask("texts")

    def said(self, node_type: str) -> list[dict[str, Any]]:
        """Return the texts that the nodes of a type show, and how many pixels of each are out of sight."""
        return self.ask("said", node_type)

    def seed_control(self) -> str:
        """Return what becomes of the only node's seed after each run."""
        return self.ask("seedControl")

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
            style=".p-toast { display: none }",  # messages lie over the graph
            animations="disabled",
            timeout=PATIENCE,
        )


def _shared(one: Box, other: Box) -> float:
    """Return how far two boxes reach into each other."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return min(across, down)


def _holds(outer: Box, inner: Box) -> bool:
    """Tell whether a box lies in another one."""
    begins = inner[0] >= outer[0] and inner[1] >= outer[1]
    return begins and inner[0] + inner[2] <= outer[0] + outer[2] and inner[1] + inner[3] <= outer[1] + outer[3]
