"""The words of what is opened and seen: notes, titles and labels of the shipped graphs, and the buttons of Compare.

Each text is its own key, so that one that was changed lacks its translations until they are made anew.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from launch import PACK

GRAPHS = ("workflows/*.json", "subgraphs/*.json")
SCRIPTS = "web/js/*.js"
NOTES = ("Note", "MarkdownNote")
ON_BUTTONS = re.compile(r'\btranslated\("buttons", "([^"]+)"\)')

Graph = dict[str, Any]


def graph_words() -> dict[str, dict[str, dict[str, str]]]:
    """Return the English content of main.json: each text under its kind, by itself."""
    found = sorted({*_of_graphs(), *_of_scripts()})
    kinds = sorted({kind for kind, _ in found})
    return {"ldu": {kind: {text: text for of, text in found if of == kind} for kind in kinds}}


def _of_graphs() -> Iterator[tuple[str, str]]:
    for pattern in GRAPHS:
        for path in PACK.glob(pattern):
            yield from _of_graph(json.loads(path.read_text("utf-8")))


def _of_graph(graph: Graph) -> Iterator[tuple[str, str]]:
    for node in graph["nodes"]:
        yield from _of_node(node)
    yield from (("groups", group["title"]) for group in graph.get("groups", []))
    for inside in graph.get("definitions", {}).get("subgraphs", []):
        yield "descriptions", inside["description"]
        yield from (("slots", slot.get("label") or slot["name"]) for slot in _slots(inside))
        yield from _of_graph(inside)


def _of_node(node: Graph) -> Iterator[tuple[str, str]]:
    if node.get("title"):
        yield "titles", node["title"]
    if node["type"] in NOTES:
        yield from (("notes", text) for text in node["widgets_values"])
    yield from (("slots", slot["label"]) for slot in _slots(node) if slot.get("label"))


def _slots(thing: Graph) -> Iterable[Graph]:
    return [*(thing.get("inputs") or []), *(thing.get("outputs") or [])]


def _of_scripts() -> Iterator[tuple[str, str]]:
    for path in PACK.glob(SCRIPTS):
        yield from (("buttons", text) for text in ON_BUTTONS.findall(path.read_text("utf-8")))
