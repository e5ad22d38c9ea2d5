"""What the shipped graphs and Compare's buttons say to people, in every language."""

import json
import re

import pytest

from launch import PACK
from tools.export_locales import GRAPHS, NODES, SOURCE, TRANSLATIONS, compare, flatten, read
from tools.graph_words import graph_words

from .languages import KEPT_AS_THEY_ARE, OWN_SCRIPT

NAMES = {"LDU", "LDU Protect", "LDU Stress Test", "LDU DreamBooth-LoRA Attack", "ρ", "clip", "vae"}
FORMATS = re.compile(r"^#+ |\*\*|\n\n", flags=re.MULTILINE)
EMPHASISED = re.compile(r"(?<!\*)\*([^*]+)\*(?!\*)")


def pairs(language):
    """Return each English text with its translation."""
    return [(text, there) for kind in read(language, GRAPHS)["ldu"].values() for text, there in kind.items()]


def name_of(language):
    """Return what each node is called in a language, by its English name."""
    called = {node: words["display_name"] for node, words in read(language, NODES).items()}
    return {words["display_name"]: called[node] for node, words in read(SOURCE, NODES).items()}


def test_the_english_words_are_those_of_the_shipped_graphs():
    assert read(SOURCE, GRAPHS) == graph_words(), "stale: run `python -m tools.export_locales`"


def test_every_workflow_and_blueprint_adds_to_them():
    texts = set(flatten(graph_words()).values())
    for path in [*PACK.glob("workflows/*.json"), *PACK.glob("subgraphs/*.json")]:
        graph = json.loads(path.read_text("utf-8"))
        levels = [graph, *graph.get("definitions", {}).get("subgraphs", [])]
        said = {
            each["title"]
            for level in levels
            for each in [*level["nodes"], *level.get("groups", [])]
            if each.get("title")
        }
        assert said
        assert said <= texts


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_each_language_has_exactly_the_words_of_the_graphs(language):
    assert compare(language, graph_words(), GRAPHS) == []


def test_the_translation_of_a_text_that_was_changed_is_missing_and_superfluous():
    words = graph_words()
    words["ldu"]["titles"]["Begin here"] = words["ldu"]["titles"].pop("Start here")
    faults = ["ldu.titles.Begin here is missing", "ldu.titles.Start here is superfluous"]
    assert compare("ja", words, GRAPHS) == faults


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_nothing_but_names_is_left_in_english(language):
    left = {text for text, there in pairs(language) if text == there or not OWN_SCRIPT.search(there)}
    assert left == NAMES


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_keeps_numbers_symbols_and_layout(language):
    for text, there in pairs(language):
        assert set(KEPT_AS_THEY_ARE.findall(text)) == set(KEPT_AS_THEY_ARE.findall(there)), there
        assert FORMATS.findall(text) == FORMATS.findall(there), there


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_notes_call_a_node_as_it_is_called_in_that_language(language):
    named = name_of(language)
    wanted = [
        (named[name], there) for text, there in pairs(language) for name in EMPHASISED.findall(text) if name in named
    ]
    assert len(wanted) > 10
    assert [(name, there) for name, there in wanted if name not in EMPHASISED.findall(there)] == []


def test_every_text_tells_which_english_one_it_stands_for():
    """Else a graph that was saved in one language could not be opened in another."""
    for kind in graph_words()["ldu"]:
        meant = {}
        for language in (SOURCE, *TRANSLATIONS):
            for text, there in read(language, GRAPHS)["ldu"][kind].items():
                assert meant.setdefault(there, text) == text, there
