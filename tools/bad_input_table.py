"""Print what is said to each bad input, as the tests hear it: `python -m tools.bad_input_table > docs/bad_input.md`."""

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from launch import PACK

TESTS = "tests/host/test_bad_input.py"
MAKING_THEM = "a_mistake_gets_one_sentence"
TABLE = PACK / "docs" / "bad_input.md"
HEAD = f"""# What is said to a bad input

Printed by `python -m tools.bad_input_table`, which runs `{TESTS}`:
each mistake is made at the real node, inside ComfyUI, or at the real command.
None ends in a traceback, none leaves a file behind.
HERE is the folder of the pictures, COMFYUI that of ComfyUI.
"""


def main() -> int:
    """Run the tests and print their table; the exit status is that of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        command = [
            sys.executable,
            "-m",
            "pytest",
            TESTS,
            "-k",
            MAKING_THEM,
            "-o",
            "junit_family=xunit1",
            f"--junitxml={results}",
        ]
        status = subprocess.run(command, cwd=PACK, stdout=sys.stderr, check=False).returncode
        rows = read(results)
    print(HEAD)
    print(f"{len(rows)} cases.\n")
    print("| at | what came | what is said |\n| --- | --- | --- |")
    for row in rows:
        print(line(*row))
    return status


def line(where: str, what: str, message: str) -> str:
    """Return the line of the table that tells what is said to a mistake."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (where, what, message)) + " |"


def read(results: Path) -> list[tuple[str, str, str]]:
    """Return node or command, mistake and message of each case."""
    rows = []
    for case in ElementTree.parse(results).iter("testcase"):
        told = {each.get("name", ""): each.get("value", "") for each in case.iter("property")}
        if "message" in told:
            rows.append((told["where"], told["what"], told["message"]))
    return rows


if __name__ == "__main__":
    sys.exit(main())
