"""Every mistake in the table is answered by one sentence, and leaves no file behind."""

import re
from collections import Counter

import pytest

from .bad_input import CASES
from .bad_input.bench import Bench, RefusedError

LONGEST = 400  # letters
WROTE = ("output", "user", "models", "temp")


@pytest.fixture
def bench(host, tmp_path):
    return Bench(host, tmp_path)


def files(bench):
    """Return what stands in the host's folders and on the bench."""
    roots = [bench.place, *(bench.host.base / name for name in WROTE)]
    return {path for root in roots for path in root.rglob("*") if path.is_file()}


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
    record_property("message", message.replace(str(bench.place), "HERE").replace(str(host.base), "COMFYUI"))
    assert re.search(case.says, message), message
    assert "\n" not in message
    assert len(message) < LONGEST
    assert files(bench) - before - bench.prepared == set()
