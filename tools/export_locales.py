"""Write locales/en, where the front end finds the words of nodes (nodeDefs.json) and of shipped graphs (main.json).

The former are in the nodes' own schemas, the latter in the graphs. `python -m tools.export_locales` rewrites the
English files; with `--check` it only says whether they are stale. The Chinese and Japanese files beside them are kept
by hand: which words they lack or have too many is said in either case.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from launch import PACK
from tools.graph_words import graph_words

LOCALES = PACK / "locales"
SOURCE = "en"
TRANSLATIONS = ("zh", "ja")
NODES, GRAPHS = "nodeDefs", "main"

Definitions = dict[str, Any]


def main() -> int:
    """Write or check the English words and check the translations; the exit status tells whether something is amiss."""
    from tools.export_api import live_object_info  # starts a ComfyUI; the tests ask the one that they are in

    parser = argparse.ArgumentParser(description="Regenerate locales/en.")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    check = parser.parse_args().check
    return max(
        [_bring_up_to_date(kind, words, check=check) for kind, words in english_words(live_object_info()).items()]
    )


def english_words(object_info: dict[str, Any]) -> dict[str, Definitions]:
    """Return the content of each English file by its name."""
    return {NODES: definitions(object_info), GRAPHS: graph_words()}


def _bring_up_to_date(kind: str, words: Definitions, *, check: bool) -> int:
    stale = read(SOURCE, kind) != words
    if stale:
        print(f"{'stale' if check else 'wrote'}: locales/{SOURCE}/{kind}.json")
    if stale and not check:
        write(SOURCE, words, kind)
    faults = [f"locales/{locale}/{kind}.json: {it}" for locale in TRANSLATIONS for it in compare(locale, words, kind)]
    for fault in faults:
        print(fault)
    return int(bool(faults) or (check and stale))


def definitions(object_info: dict[str, Any]) -> Definitions:
    """Return the pack's words in the shape of nodeDefs.json from what the host tells of its nodes."""
    return {name: _words(info) for name, info in sorted(object_info.items()) if name.startswith("LDU_")}


def _words(info: dict[str, Any]) -> Definitions:
    inputs = {
        name: {"name": options.get("display_name") or name, "tooltip": options.get("tooltip") or ""}
        for group in ("required", "optional")
        for name, (_, options) in info["input"].get(group, {}).items()
    }
    outputs = {
        str(number): {"name": name, "tooltip": tooltip or ""}
        for number, (name, tooltip) in enumerate(zip(info["output_name"], info["output_tooltips"], strict=True))
    }
    named = {"display_name": info["display_name"], "description": info["description"]}
    return {**named, "inputs": inputs, "outputs": outputs}


def read(locale: str, kind: str = NODES) -> Definitions:
    """Return a language's words as they are on disk; none if there is no file."""
    path = LOCALES / locale / f"{kind}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def write(locale: str, words: Definitions, kind: str = NODES) -> None:
    """Write a language's words."""
    path = LOCALES / locale / f"{kind}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(words, indent=2, ensure_ascii=False) + "\n", "utf-8")


def compare(locale: str, words: Definitions, kind: str = NODES) -> list[str]:
    """Return which words a language lacks and which it has too many, each as a dotted key."""
    wanted, there = set(flatten(words)), set(flatten(read(locale, kind)))
    return [f"{key} is missing" for key in sorted(wanted - there)] + [
        f"{key} is superfluous" for key in sorted(there - wanted)
    ]


def flatten(words: Definitions) -> dict[str, str]:
    """Return all texts by their dotted keys, such as LDU_Compare.inputs.gain.tooltip."""
    return dict(_walk(words, ""))


def _walk(words: Definitions, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in words.items():
        if isinstance(value, dict):
            yield from _walk(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


if __name__ == "__main__":
    sys.exit(main())
