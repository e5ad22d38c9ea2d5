"""The nodes in other languages: words and help pages as the real server serves and the real front end shows them."""

import json
import urllib.request

import pytest

from launch import PACK
from tools.export_locales import GRAPHS, NODES, SOURCE, TRANSLATIONS, read

pytest.importorskip("playwright")
from tools.front_end import front_end

LANGUAGES = (SOURCE, *TRANSLATIONS)
NODE = "LDU_TrainRho"
NODES_2_0 = "(value) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', value)"
TEXT_LABELS = "() => [...document.querySelectorAll('[data-node-id] label:has(+ textarea)')].map((it) => it.innerText)"
GROUP = {"title": "7 · Measure", "bounding": [0, 0, 300, 200]}


def plain(text):
    """Return the letters of a text, whatever marks and spaces stand between them."""
    return "".join(letter for letter in text if letter.isalnum())


def words_on_screen(node):
    slots = [*node["inputs"].values(), *node["outputs"].values()]
    return {node["display_name"], *(slot["name"] for slot in slots)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_server_serves_the_words_of_a_language(server, language):
    served = server.ask("/i18n")[language]
    assert served["nodeDefs"] == read(language, NODES)
    assert served["ldu"] == read(language, GRAPHS)["ldu"]


@pytest.mark.parametrize("page", ["docs/{}.md", *(f"docs/{{}}/{language}.md" for language in TRANSLATIONS)])
def test_the_server_serves_a_help_page_for_every_node(server, page):
    for node in read(SOURCE):
        with urllib.request.urlopen(f"{server.address}/extensions/ldu/{page.format(node)}") as answer:
            assert answer.status == 200
            assert answer.headers.get_content_type() != "text/html"  # the front end takes a page of HTML for none
            assert answer.read().decode().count("\n## ") == 6


def test_a_new_node_keeps_its_seed_so_that_a_second_run_goes_on_where_the_first_ended(server):
    with front_end(server.address) as front:
        for node in ("LDU_TrainRho", "LDU_TextualInversion", "LDU_ApplyRhoShift"):
            front.place_node(node)
            assert front.seed_control() == "fixed", node


def test_a_node_speaks_chinese_to_those_who_do(server, album):
    with front_end(server.address, "zh-CN") as front:
        front.place_node(NODE)
        assert words_on_screen(read("zh")[NODE]) <= set(front.labels())  # beside the front end's own widget for seeds
        page = (PACK / "web/docs" / NODE / "zh.md").read_text("utf-8")
        assert plain(page)[:40] == plain(front.open_help())[:40]
        front.page.screenshot(path=album / "help_zh.png", animations="disabled")


def shown(language):
    """Return what is to be seen of a few texts of the shipped graphs."""
    words = read(language, GRAPHS)["ldu"]
    (note,) = (text for original, text in words["notes"].items() if original.startswith("# Protect one photo"))
    return {note, words["titles"]["Budget (levels)"], words["groups"]["7 · Measure"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_shipped_graph_is_opened_in_the_language_of_the_settings(server, album, language):
    with front_end(server.address, language) as front:
        front.open_template("protect")
        front.photograph(album / f"protect_{language}.png", front.whole(), 0.6)
        assert shown(language) <= set(front.texts())
        assert english_left(front.texts(), language) == set()


def english_left(texts, language):
    """Return which texts of the shipped graphs stand there in English, though they have a translation."""
    words = read(language, GRAPHS)["ldu"]
    translated = {original for kind in words.values() for original, text in kind.items() if text != original}
    return set(texts) & translated


def test_a_graph_that_was_saved_in_one_language_is_opened_in_another_and_edits_stay(server):
    with front_end(server.address, "zh-CN") as front:
        front.open_template("protect")
        front.ask("rename", ["LDU_TrainRho", "Mine"])
        saved = front.ask("saved")
    with front_end(server.address, "ja") as front:
        front.ask("load", saved)
        front.wait_until_settled()
        assert shown("ja") | {"Mine"} <= set(front.texts())
        front.ask(
            "load", {"version": 0.4, "last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [GROUP]}
        )
        front.wait_until_settled()
        assert front.texts() == [GROUP["title"]], "a graph without a node of this pack is somebody else's"


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_the_blueprint_and_its_inside_come_in_the_language_of_the_settings(server, album, language):
    slots = read(language, GRAPHS)["ldu"]["slots"]
    with front_end(server.address, language) as front:
        front.open_blank()
        front.drag_from_library("LDU Protect", album / f"library_{language}.png")
        assert {slots["budget (levels)"], slots["mask (where to protect)"], slots["model"]} <= set(front.labels())
        front.open_inside()
        front.photograph(album / f"inside_{language}.png", front.whole(), 0.6)
        assert read(language, GRAPHS)["ldu"]["groups"]["The walk"] in front.texts()
        assert english_left(front.texts(), language) == set()
        front.ask("load", json.loads((PACK / "workflows" / "compare_methods.json").read_text("utf-8")))
        front.wait_until_settled()  # the same blueprint, placed and named before
        assert {slots[name] for name in ("model", "image", "budget (levels)", "protected")} <= set(
            front.ask("sockets", "LDU")
        )


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_in_nodes_2_0_a_blueprint_bears_its_labels_in_the_language_of_the_settings(server, album, language):
    slots = read(language, GRAPHS)["ldu"]["slots"]
    with front_end(server.address, language) as front:
        front.page.evaluate(NODES_2_0, True)
        try:
            front.reload()
            front.open_template("stress_test")
            assert {slots["purifiers"], slots["prompt"]} <= set(front.page.evaluate(TEXT_LABELS))
            assert not {"purifiers", "prompt"} & set(front.page.evaluate(TEXT_LABELS))
            front.open_blank()
            front.drag_from_library("LDU Stress Test", album / f"library_2_0_{language}.png")
            assert front.page.evaluate(TEXT_LABELS) == [slots["purifiers"]]
            given = {slots[name] for name in ("model", "original pictures", "the thief's steps", "worst", "gallery")}
            assert given <= set(front.page.inner_text("[data-node-id]").splitlines())
        finally:
            front.page.evaluate(NODES_2_0, False)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_primitive_decides_is_explained_as_at_the_node_it_feeds(server, language):
    tooltips = {name: slot["tooltip"] for name, slot in read(language)[NODE]["inputs"].items()}
    with front_end(server.address, language) as front:
        front.open_template("protect")
        explained = front.ask("explained", "Primitive")
        assert all(explained.values()), explained
        assert tooltips["budget"] in explained.values()
