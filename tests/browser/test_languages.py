"""The nodes in other languages: words and help pages as the real server serves and the real front end shows them."""

import os
import sys
import urllib.request
from pathlib import Path

import pytest

from launch import PACK
from launch.host import Host
from launch.private import private_folder
from launch.server import serving
from launch.setup import cache_root
from tools.export_locales import SOURCE, TRANSLATIONS, read

pytest.importorskip("playwright")
from tools.front_end import find_chromium, front_end

COMFYUI = Path(os.environ.get("COMFYUI_DIR") or cache_root() / "ComfyUI")
LANGUAGES = (SOURCE, *TRANSLATIONS)
NODE = "LDU_TrainRho"

pytestmark = [
    pytest.mark.skipif(not (COMFYUI / "main.py").is_file(), reason="needs a ComfyUI: run.py test brings one"),
    pytest.mark.skipif(find_chromium() is None, reason="needs a Chromium on the PATH"),
]


@pytest.fixture(scope="module")
def server():
    with private_folder() as place, serving(Host(Path(sys.executable), COMFYUI), place, cpu=True) as server:
        yield server


def plain(text):
    """Return the letters of a text, whatever marks and spaces stand between them."""
    return "".join(letter for letter in text if letter.isalnum())


def words_on_screen(node):
    slots = [*node["inputs"].values(), *node["outputs"].values()]
    return {node["display_name"], *(slot["name"] for slot in slots)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_server_serves_the_words_of_a_language(server, language):
    assert server.ask("/i18n")[language]["nodeDefs"] == read(language)


@pytest.mark.parametrize("place", ["docs/{}.md", *(f"docs/{{}}/{language}.md" for language in TRANSLATIONS)])
def test_the_server_serves_a_help_page_for_every_node(server, place):
    for node in read(SOURCE):
        with urllib.request.urlopen(f"{server.address}/extensions/ldu/{place.format(node)}") as answer:
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
