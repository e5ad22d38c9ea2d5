"""Hold the tables of the documents against what the commands above them print of the results that are kept.

    python -m benchmarks.efficacy.in_docs            names each row that is printed otherwise
    python -m benchmarks.efficacy.in_docs --write    and puts the printed one in its place

Rows that a command does not print are passed over: a document may show a part, and what is older than the kept results.
"""

import argparse
import io
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from functools import cache
from unittest.mock import patch

from benchmarks.efficacy import __main__ as command_line
from benchmarks.efficacy import show
from benchmarks.table import ROOT

DOCUMENTS = tuple(ROOT / "docs" / f"efficacy_{name}.md" for name in ("methods", "purifiers", "decoy", "tried"))
COMMAND = "    python -m benchmarks.efficacy "
NAMING = ("asked of ours", "thief", "by", "n", "purifier", "other", "method", "ours", "effect on", "pictures protected")
"""Columns that say what a row is of, where its table has them."""
Key = tuple[str, ...]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _tables(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Give each table's first row by its number, and its head."""
    for number, line in enumerate(lines[1:], start=1):
        if line.startswith("| ---") and lines[number - 1].startswith("|"):
            yield number + 1, _cells(lines[number - 1])


def _rows(lines: Sequence[str], first: int, head: Sequence[str], of: str) -> Iterator[tuple[int, Key]]:
    """Give each row of a table by its number, with what it is of: the table's title, its head and the naming cells."""
    of = "" if "thief" in head else of
    for number in range(first, len(lines)):
        if not lines[number].startswith("|"):
            return
        named = (cell for name, cell in zip(head, _cells(lines[number]), strict=True) if name in NAMING)
        yield number, (of, *head, *named)


def _title(lines: Sequence[str], first: int) -> str:
    """Return the title of a table without what a document says of its people; empty where it has none."""
    title = next((line for line in reversed(lines[max(0, first - 5) : first - 2]) if line.startswith("**")), "")
    return re.sub(r"(purifier: [^,]*),.*", r"\1", title.strip("*"))


@cache
def _printed(command: str) -> dict[Key, str]:
    """Return the rows that a command prints of the results that are kept, by what they are of."""
    arguments, out = shlex.split(command)[3:], io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(sys, "argv", ["efficacy", *arguments, "--out", folder]),
        patch.object(command_line, "measure", lambda *_: []),
        patch.object(command_line.natural, "take", lambda *_: ""),
        patch.multiple(show, judge_checks=lambda *_: [], write_page=lambda *_: "", show_visibility=lambda *_: None),
        redirect_stdout(out),
    ):
        command_line.main()
    lines = out.getvalue().splitlines()
    tables = list(_tables(lines))
    return {key: lines[n] for first, head in tables for n, key in _rows(lines, first, head, _title(lines, first))}


def printed_rows(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Give each row of a document that the commands above it print, by its number, and as they print it."""
    commands: list[str] = []
    tables = dict(_tables(lines))
    for number, line in enumerate(lines):
        if line.startswith(COMMAND):
            commands = [*(commands if lines[number - 1].startswith(COMMAND) else ()), line.strip()]
        elif number in tables:
            for row, key in _rows(lines, number, tables[number], _title(lines, number)):
                printed = next((found for command in commands if (found := _printed(command).get(key))), None)
                if printed:
                    yield row, printed


def main(given: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 where a row is printed otherwise and was not written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put what is printed into the documents")
    options = parser.parse_args(given)
    same = other = 0
    for document in DOCUMENTS:
        lines = document.read_text("utf-8").split("\n")
        for number, printed in list(printed_rows(lines)):
            if printed == lines[number]:
                same += 1
                continue
            print(f"{document.name}:{number + 1}\n- {lines[number]}\n+ {printed}")
            lines[number], other = printed, other + 1
        if options.write:
            document.write_text("\n".join(lines), "utf-8")
    print(f"{same} rows are printed as they stand in the documents, {other} otherwise")
    return int(other > 0 and not options.write)


if __name__ == "__main__":
    sys.exit(main())
