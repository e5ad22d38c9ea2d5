"""The prompt with S* in it."""

import pytest

from ldu.attacks.prompt import MARKERS, choose_marker, require_placeholder
from ldu.errors import BadValueError, UnsupportedModelError


@pytest.mark.parametrize(("prompt", "placeholder"), [("a photo of S*", "S*"), ("my cat, asleep", "cat")])
def test_a_prompt_with_its_placeholder_once_is_good(prompt, placeholder):
    require_placeholder(prompt, placeholder)


@pytest.mark.parametrize("prompt", ["a photo", "S* and S*", ""])
def test_a_prompt_without_or_with_two_is_refused(prompt):
    with pytest.raises(BadValueError, match=r"hold S\* once"):
        require_placeholder(prompt)


def test_an_empty_placeholder_is_refused():
    with pytest.raises(BadValueError, match="placeholder is empty"):
        require_placeholder("a photo", "")


def test_the_marker_is_whole_for_the_tokenizer_and_not_in_the_prompt():
    assert choose_marker(f"a photo of S* and {MARKERS[0]}", lambda word: word != MARKERS[1]) == MARKERS[2]
    assert choose_marker(f"a photo of S* and {MARKERS[0].upper()}", lambda _: True) == MARKERS[1]  # CLIP knows no case


def test_a_tokenizer_that_cuts_every_marker_is_refused():
    with pytest.raises(UnsupportedModelError, match="vocabulary"):
        choose_marker("a photo of S*", lambda _: False)
