"""Every mistake in the table is answered by one sentence, and leaves no file behind."""

import re
from collections import Counter

import pytest

from tools.bad_input_table import MAKING_THEM, TABLE, line

from .bad_input import CASES
from .bad_input.bench import Bench, RefusedError

LONGEST = 400  # letters
told_here = {}  # the table's line of each case that has been tried
WROTE = ("output", "user", "models", "temp")


@pytest.fixture
def bench(host, tmp_path):
    return Bench(host, tmp_path)


def files(bench):
    """Return what stands in the host's folders and on the bench."""
    roots = [bench.place, *(bench.host.base / name for name in WROTE)]
    return {path for root in roots for path in root.rglob("*") if path.is_file()}


def as_told(message, bench):
    """Return a message as it stands in the table, where folders have names."""
    return message.replace(str(bench.place), "HERE").replace(str(bench.host.base), "COMFYUI")


def unquoted(row):
    """Return a line without the quotes that some versions of argparse put around choices."""
    return row.replace("'", "")


def rows():
    """Return the lines of the table in the documentation."""
    return [row for row in TABLE.read_text("utf-8").splitlines() if row.startswith("| ")][2:]


def test_there_are_sixty_cases_and_none_twice():
    assert len(CASES) >= 60
    assert [name for name, count in Counter((case.where, case.what) for case in CASES).items() if count > 1] == []


@pytest.mark.usefixtures("executor_mode")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.where}: {case.what}")
def test_a_mistake_gets_one_sentence_and_leaves_nothing(host, bench, case, record_property):
    before = files(bench)
    told = (host.module("ldu.errors").LduError, RefusedError)
    with pytest.raises(told) as caught:
        case.attempt(bench)
    message = str(caught.value)
    record_property("where", case.where)
    record_property("what", case.what)
    record_property("message", as_told(message, bench))
    told_here[case.where, case.what] = line(case.where, case.what, as_told(message, bench))
    assert re.search(case.says, message), message
    assert "\n" not in message
    assert len(message) < LONGEST
    assert files(bench) - before - bench.prepared == set()


def test_the_table_in_the_documentation_holds_every_case_in_order():
    starts = [line(case.where, case.what, "").removesuffix(" |") for case in CASES]
    wrong = [(start, row) for start, row in zip(starts, rows(), strict=True) if not row.startswith(start)]
    assert wrong == [], "stale: run `python -m tools.bad_input_table`"


def test_the_table_in_the_documentation_says_what_is_said():
    if len(told_here) < len(CASES):
        pytest.skip("needs the whole file to have run")
    said = [unquoted(told_here[case.where, case.what]) for case in CASES]
    assert [unquoted(row) for row in rows()] == said, "stale: run `python -m tools.bad_input_table`"


def test_the_tool_that_prints_the_table_runs_the_test_that_makes_the_mistakes():
    assert MAKING_THEM in test_a_mistake_gets_one_sentence_and_leaves_nothing.__name__
