"""Print what each node and blueprint is for, in their own words: `python -m tools.nodes_table > docs/nodes.md`."""

import json
import sys
from collections.abc import Iterator

from launch import PACK
from tools.export_locales import SOURCE, read

TABLE = PACK / "docs" / "nodes.md"
HELP = "../web/docs"
HEAD = """# The nodes

Printed by `python -m tools.nodes_table` from the nodes' own descriptions. Each name leads to the node's help page,
which ComfyUI shows, too: the *i* above a selected node.

| node | what it does |
| --- | --- |"""
BLUEPRINTS = """
Three blueprints hold several nodes in one; a double click shows them. They have no help page.

| blueprint | what it does |
| --- | --- |"""


def main() -> int:
    """Print the page."""
    print(page(), end="")
    return 0


def page() -> str:
    """Return the page with the table of the nodes and that of the blueprints."""
    return "\n".join([HEAD, *_nodes(), BLUEPRINTS, *_blueprints()]) + "\n"


def _nodes() -> Iterator[str]:
    named = sorted((words["display_name"], name, words["description"]) for name, words in read(SOURCE).items())
    for title, name, description in named:
        yield f"| [{title}]({HELP}/{name}.md) | {description} |"


def _blueprints() -> Iterator[str]:
    for path in sorted(PACK.glob("subgraphs/*.json")):
        for inside in json.loads(path.read_text("utf-8"))["definitions"]["subgraphs"]:
            yield f"| {inside['name']} | {inside['description']} |"


if __name__ == "__main__":
    sys.exit(main())
