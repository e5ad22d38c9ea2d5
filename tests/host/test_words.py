"""What the nodes say to people: tooltips, their translations, help pages and the words that find them."""

import json
import re

import pytest
from pathspec import GitIgnoreSpec

from launch import PACK
from tools.export_locales import GRAPHS, LOCALES, NODES, SOURCE, TRANSLATIONS, compare, definitions, flatten, read
from tools.nodes_table import HELP, TABLE
from tools.nodes_table import page as nodes_page

from .languages import KEPT_AS_THEY_ARE, OWN_SCRIPT

DOCS = PACK / "web" / "docs"
LANGUAGES = (SOURCE, *TRANSLATIONS)
HEADINGS = {"en": ("Inputs", "Outputs"), "zh": ("输入", "输出"), "ja": ("入力", "出力")}
READ_AS_FORMULA = re.compile(r"[{}@|]")  # by the front end, whose messages may hold variables, links and plurals
USUAL = re.compile(r"\d to -?\d|\d (?:and|or) (?:\d|more)|\d for .*\d|any number")  # a range, values to choose from


@pytest.fixture(scope="module")
def object_info(host):
    return {name: node.GET_NODE_INFO_V1() for name, node in host.classes.items() if name.startswith("LDU_")}


@pytest.fixture(scope="module")
def schemas(object_info):
    return definitions(object_info)


def page(node, language):
    return DOCS / f"{node}.md" if language == SOURCE else DOCS / node / f"{language}.md"


def listed(text, heading):
    """Return the bold labels of a page's list below a heading."""
    _, _, below = text.partition(f"\n## {heading}\n")
    return re.findall(r"^- \*\*(.+?)\*\*", below.partition("\n## ")[0], flags=re.MULTILINE)


def names(words):
    return [word["name"] for word in words.values()]


def explanations(words):
    return {key: text for key, text in flatten(words).items() if key.endswith(("tooltip", "description"))}


def test_the_english_words_are_those_of_the_schemas(schemas):
    assert read(SOURCE) == schemas, "stale: run `python -m tools.export_locales`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_exactly_the_words_of_the_schemas(schemas, language):
    assert compare(language, schemas) == []


def test_a_missing_and_a_superfluous_word_are_named(schemas):
    words = {**schemas, "LDU_New": {"display_name": "New"}}
    words.pop("LDU_Compare")
    faults = compare("zh", words)
    assert faults[0] == "LDU_New.display_name is missing"
    assert "LDU_Compare.inputs.gain.tooltip is superfluous" in faults[1:]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_input_and_output_is_explained_in_words_that_the_front_end_takes_literally(language):
    texts = flatten(read(language))
    assert [key for key, text in texts.items() if not text.strip() or READ_AS_FORMULA.search(text)] == []


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_keeps_the_numbers_and_symbols_of_the_english_words(schemas, language):
    english, translated = explanations(schemas), explanations(read(language))
    lost = {
        key: wanted
        for key, text in english.items()
        if (wanted := set(KEPT_AS_THEY_ARE.findall(text)) - set(KEPT_AS_THEY_ARE.findall(translated[key])))
    }
    assert lost == {}


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_no_explanation_is_left_in_english(language):
    assert [key for key, text in explanations(read(language)).items() if not OWN_SCRIPT.search(text)] == []


def test_every_number_says_which_values_are_usual_and_not_just_some_number(object_info):
    silent = [
        f"{node}.{name}"
        for node, info in object_info.items()
        for group in ("required", "optional")
        for name, (kind, options) in info["input"].get(group, {}).items()
        if kind in ("INT", "FLOAT") and not USUAL.search(options["tooltip"])
    ]
    assert silent == []


def test_no_seed_changes_by_itself_from_run_to_run(object_info):
    seeds = [
        given["seed"][1]["control_after_generate"]
        for info in object_info.values()
        for given in info["input"].values()
        if "seed" in given
    ]
    assert len(seeds) > 5
    assert set(seeds) == {"fixed"}


def test_every_node_is_found_under_the_names_of_its_relatives(object_info):
    for info in object_info.values():
        assert {"protect", "cloak", "glaze", "mist", "photoguard", "anti-dreambooth", "poison"} <= {
            *info["search_aliases"]
        }


def test_every_blueprint_is_found_under_them_too(host):
    aliases = host.module("nodes.wording").ALIASES
    for file in (PACK / "subgraphs").iterdir():
        assert json.loads(file.read_text("utf-8"))["extra"]["BlueprintSearchAliases"] == aliases


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_help_page_lists_the_inputs_and_outputs_of_its_node_as_they_stand_on_the_screen(schemas, language):
    for node, words in read(language).items():
        text = page(node, language).read_text("utf-8")
        inputs, outputs = HEADINGS[language]
        in_order = [words["inputs"][name]["name"] for name in schemas[node]["inputs"]]
        assert listed(text, inputs) == in_order, f"{node} in {language}"
        assert listed(text, outputs) == names(words["outputs"]), f"{node} in {language}"


def test_no_help_page_is_left_of_a_node_that_is_gone(schemas):
    wanted = {page(node, language) for node in schemas for language in LANGUAGES}
    assert set(DOCS.rglob("*.md")) == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_of_all_languages_have_the_same_sections(schemas, language):
    for node in schemas:
        sections = page(node, language).read_text("utf-8").count("\n## ")
        assert sections == 6, f"{node} in {language}: inputs, outputs, example, cost, what goes wrong, limits"


def test_words_and_pages_are_part_of_the_published_archive(schemas):
    left_out = GitIgnoreSpec.from_lines((PACK / ".comfyignore").read_text("utf-8").splitlines())
    wanted = [page(node, language) for node in schemas for language in LANGUAGES]
    wanted += [LOCALES / language / f"{kind}.json" for language in LANGUAGES for kind in (NODES, GRAPHS)]
    assert [file for file in wanted if left_out.match_file(file.relative_to(PACK).as_posix())] == []
    assert left_out.match_file("docs/benchmarks.md")


def test_the_table_in_the_documentation_holds_every_node_and_blueprint_in_their_own_words(schemas):
    table = TABLE.read_text("utf-8")
    assert table == nodes_page(), "stale: run `python -m tools.nodes_table > docs/nodes.md`"
    assert [name for name in schemas if f"({HELP}/{name}.md)" not in table] == []
    assert [file.stem for file in PACK.glob("subgraphs/*.json") if f"| {file.stem} |" not in table] == []
