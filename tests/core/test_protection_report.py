"""The report on a protection: its sentences, its JSON and its page."""

import base64
import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ldu.errors import BadFileError, NonFiniteError
from ldu.evidence.gallery import CLEAN, PROTECTED, Attempt, Thief
from ldu.evidence.markup import element, embed
from ldu.evidence.page import page
from ldu.evidence.record import Losses, Mixture, PictureEntry, Report, as_dict, as_json, average, not_tested, survivals
from ldu.evidence.sentences import NO_PROMISE, NO_RANK, NO_RISE, in_words
from ldu.evidence.thumbnails import thumbnails
from ldu.flatness import FlatChange, measure_flat
from ldu.metrics import measure_visibility
from ldu.whole_file import written_whole
from ldu.wording import DEMO_WARNING

NASTY = """<script>alert("x")</script> & 'quotes' <img src=http://example.com/a.png onerror=alert(1)>"""
generator = torch.Generator().manual_seed(0)
ORIGINAL = torch.randint(20, 230, (1, 3, 24, 32), generator=generator).float()
PROTECTED_PICTURE = ORIGINAL + torch.randint(-9, 10, ORIGINAL.shape, generator=generator)
LOSSES = Losses(0.10, 0.20, 0.11, (0.05, 0.12))
UNPURIFIED = (Thief("LoRA", (Attempt(CLEAN, 0.8), Attempt(PROTECTED, 0.4))),)
NOT_GIVEN = {
    "How hard": {"losses": ()},
    "What a thief's model draws": {"thieves": ()},
    "What is left after a purifier": {"purified": (), "thieves": UNPURIFIED},
    "Whether unprotected photos": {"mixture": None},
    "Whether the change keeps": {"budget_levels": None},
}


def full(name="photo.jpg"):
    """A report to which nothing is missing."""
    change = measure_visibility(ORIGINAL, PROTECTED_PICTURE), measure_flat(ORIGINAL, PROTECTED_PICTURE)
    entry = PictureEntry(name, 32, 24, *change, f"{name}.png", "ab" * 32)
    thief = Thief(name, (Attempt(CLEAN, 0.8), Attempt(PROTECTED, 0.4), Attempt(name, 0.6)), name)
    return Report(
        "2026-01-31",
        10.0,
        (entry,),
        (LOSSES,),
        survivals((name, "blur 5"), (replace(LOSSES, after=0.13), replace(LOSSES, after=0.15)), LOSSES),
        (thief,),
        Mixture(12, 2, (name, "b.jpg")),
        {"family": name},
        {name: name},
        demo=True,
    )


def bare():
    """A report of visibility alone."""
    return Report("2026-01-31", None, (replace(full().pictures[0], file=None, sha256=None),))


def small():
    return [thumbnails(ORIGINAL, PROTECTED_PICTURE, 10)]


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("report", [full(), bare(), full(NASTY)], ids=["full", "bare", "nasty"])
def test_the_page_refers_to_nothing_outside_itself_and_runs_nothing(report):
    read = Reader(page(report, small(), Image.new("RGB", (50, 20))))
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "a", "svg"} & {*read.tags}
    for name, value in read.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "srcset", "action", "data", "poster"):
            assert value.startswith("data:image/jpeg;base64,")
    style = read.words[read.words.index("Protection report, 2026-01-31") + 1]
    assert "color-scheme" in style
    assert "url(" not in style
    assert "@import" not in style
    assert read.open == []


@pytest.mark.parametrize(("file", "bounded"), [("a.png", True), ("a.PNG", True), ("a.jpg", False), ("a.webp", False)])
def test_of_a_file_that_is_no_png_it_is_said_that_the_bound_no_longer_holds(file, bounded):
    entry = replace(full().pictures[0], file=file)
    report = replace(full(), pictures=(entry, full().pictures[0]))
    counted, of_the_file = "1 of 2 files are no PNG: the bound of the budget no longer holds", "holds for this file"
    words = (in_words(report), " ".join(Reader(page(report, small() * 2)).words))
    assert [counted in text and of_the_file in text for text in words] == [not bounded] * 2
    assert as_dict(report)["bound_broken"] == ([] if bounded else [file])


def test_the_page_forbids_its_reader_to_load_anything():
    read = Reader(page(full(), small()))
    (policy,) = [value for _, value in read.attributes if "-src" in value]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


@settings(deadline=None, max_examples=30)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1))
def test_every_string_comes_through_as_text_whatever_it_holds(name):
    read, usual = Reader(page(full(name), small())), Reader(page(full(), small()))
    assert name in read.words
    assert read.tags == usual.tags


def test_an_attribute_cannot_be_left_from_inside():
    assert element("i", class_='"><b>') == '<i class="&quot;&gt;&lt;b&gt;"></i>'


def test_the_json_comes_back_as_it_went():
    for report in (full(), bare(), full(NASTY)):
        assert json.loads(as_json(report)) == as_dict(report)
    told = json.loads(as_json(full()))
    assert told["pictures"][0]["visibility"]["max_abs_levels"] == full().largest_change
    assert told["losses"][0] == {"before": 0.10, "after": 0.20, "random": 0.11, "interval": [0.05, 0.12]}
    assert told["thieves"][0]["attempts"][2]["similarity"] == 0.6
    assert told["worst"] == ["photo.jpg"]
    assert (told["mixture"]["public"], told["mixture"]["files"]) == (12, ["photo.jpg", "b.jpg"])


@pytest.mark.parametrize(("sentence", "parts"), NOT_GIVEN.items())
def test_a_missing_part_is_named_as_not_tested_in_the_text_the_json_and_the_page(sentence, parts):
    without = replace(full(), **parts)
    assert not any(line.startswith(sentence) for line in not_tested(full()))
    (line,) = [line for line in not_tested(without) if line.startswith(sentence)]
    assert line in in_words(without)
    assert line in json.loads(as_json(without))["not_tested"]
    assert line in Reader(page(without, small())).words


def test_what_can_never_be_complete_is_said_even_of_a_full_report():
    assert not_tested(full("jpeg 75")) == [
        "Thieves other than jpeg 75.",
        "Purifiers other than jpeg 75, blur 5.",
        "Models other than this one (jpeg 75).",
    ]


def test_pictures_that_were_measured_in_the_graph_are_no_tested_files():
    assert not_tested(bare())[0].startswith("The saved files")


def test_thieves_whom_nobody_compared_with_the_person_are_no_tested_identity():
    report = replace(full(), thieves=(Thief("LoRA", (Attempt(PROTECTED, None, 0.1),)),))
    assert any("no identity network" in line for line in not_tested(report))
    assert not any("no identity network" in line for line in not_tested(full()))


def test_text_and_page_promise_nothing_and_warn_of_the_demo_model_and_of_unprotected_photos():
    said, shown = in_words(full()), Reader(page(full(), small())).words
    for sentence in (NO_PROMISE, DEMO_WARNING):
        assert sentence in said
        assert sentence in shown
    assert "Of your 12 public photos, 2 are unprotected (photo.jpg, b.jpg)" in said
    assert DEMO_WARNING not in in_words(replace(full(), demo=False))


def test_photos_that_are_all_protected_are_no_warning():
    said = in_words(replace(full(), mixture=Mixture(1, 0)))
    assert "All 1 public photos that you told of are protected." in said
    assert "WARNING" not in said


@pytest.mark.parametrize(("budget", "kept"), [(10.0, True), (9.9, True), (8.5, False), (None, None)])
def test_the_budget_is_kept_if_no_picture_changes_by_more_whole_levels(budget, kept):
    report = replace(full(), budget_levels=budget)
    assert report.largest_change == 9
    assert report.within_budget is kept
    assert ("NOT KEPT" in in_words(report)) == (kept is False)


def test_text_json_and_page_say_how_much_flat_areas_changed_and_when_it_may_be_seen():
    (entry,), said = full().pictures, "Flat areas (40% of the picture): mean change 2.50, largest 7 levels."
    report = replace(full(), pictures=(replace(entry, flat=FlatChange(0.4, 2.5, 7)),))
    assert f"{said} The change may be seen there" in in_words(report)
    assert f"{said} The change may be seen there" in " ".join(Reader(page(report, small())).words)
    told = json.loads(as_json(report))["pictures"][0]["flat"]
    assert told == {"share": 0.4, "mean_abs_levels": 2.5, "max_abs_levels": 7}
    assert "Flat areas" not in in_words(full())  # this one has none


def test_a_purifier_keeps_the_share_of_the_rise_that_is_left():
    found = survivals(("a", "b", "a"), tuple(replace(LOSSES, after=after) for after in (0.2, 0.1, 0.1)), LOSSES)
    assert [(each.purifier, each.kept) for each in found] == [("a", pytest.approx(0.5)), ("b", pytest.approx(0))]
    assert replace(full(), purified=found).weakest.purifier == "b"


@pytest.mark.parametrize(
    "protected", [None, replace(LOSSES, after=0.1), replace(LOSSES, after=0.05), replace(LOSSES, interval=(-0.1, 0.3))]
)
def test_where_the_loss_rose_no_more_than_noise_makes_it_no_share_of_that_can_be_left(protected):
    (found,) = survivals(("a",), (LOSSES,), protected)
    assert found.kept is None
    report = replace(full(), purified=(found,))
    assert report.weakest is None
    assert "no rise" in Reader(page(report, small())).words
    assert "no share of it can be left" in in_words(report)


def test_a_rise_that_noise_explains_is_said_to_be_none():
    report = replace(full(), losses=(replace(LOSSES, interval=(-0.01, 0.12)),))
    assert "did not rise more than with random noise" in in_words(report)
    assert "not more than" not in in_words(full())


def test_a_missing_rise_is_said_to_be_no_failure_by_itself():
    flat = replace(full(), losses=(replace(LOSSES, interval=(-0.01, 0.12)),))
    for report, told in ((flat, True), (full(), False)):
        assert (NO_RISE in in_words(report)) is told
        assert (NO_RISE in " ".join(Reader(page(report, small())).words)) is told


@pytest.mark.parametrize("parts", [{}, {"losses": ()}, {"purified": ()}, {"losses": (), "purified": ()}])
def test_wherever_a_loss_is_told_it_is_said_once_that_it_does_not_rank_protections(parts):
    report = replace(full(), **parts)
    told = int(bool(report.losses or report.purified))
    assert in_words(report).count(NO_RANK) == told
    assert " ".join(Reader(page(report, small())).words).count(NO_RANK) == told


def test_the_page_names_the_checkpoint_by_its_file_and_who_compared_beside_the_number():
    (thief,) = full().thieves
    report = replace(
        full(), model={"name": "v1-5.safetensors", "family": "SD15"}, thieves=(replace(thief, compared_by="a judge"),)
    )
    words = " ".join(Reader(page(report, small())).words)
    assert "1 picture · v1-5.safetensors · 2026-01-31" in words
    assert words.count("Compared by a judge.") == 2  # on the card and in the list


def test_the_average_of_equal_losses_is_each_of_them():
    assert average((LOSSES, LOSSES)) == LOSSES


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_refused(number):
    with pytest.raises(NonFiniteError):
        replace(LOSSES, after=number)
    with pytest.raises(NonFiniteError):
        replace(LOSSES, interval=(number, 1.0))


def test_the_original_cannot_be_got_back_from_its_thumbnails():
    """The map of changes is the same for a change and for its opposite."""
    opposite = thumbnails(ORIGINAL, 2 * ORIGINAL - PROTECTED_PICTURE, 10)
    assert np.array_equal(small()[0].changes, opposite.changes)
    assert not np.array_equal(small()[0].protected, opposite.protected)


def test_what_is_hidden_under_transparency_is_in_no_thumbnail():
    alpha = torch.zeros(ORIGINAL.shape[-2:], dtype=torch.uint8)
    hidden, shown = (thumbnails(ORIGINAL, PROTECTED_PICTURE, 10, each).protected for each in (alpha, alpha + 255))
    assert hidden.getcolors() == [(hidden.width * hidden.height, (248, 247, 243))]
    assert np.array_equal(shown, small()[0].protected)


def test_a_picture_in_the_page_carries_nothing_but_pixels():
    picture = Image.new("RGB", (8, 8))
    picture.info["icc_profile"], picture.info["comment"] = b"secret" * 40, b"secret"
    picture.getexif()[0x010E] = "secret"
    assert b"secret" not in base64.b64decode(embed(picture, "").split("base64,")[1].split('"')[0])


def test_a_file_that_fails_half_way_leaves_nothing_and_an_existing_one_is_kept(tmp_path):
    target = tmp_path / "report.html"

    def write(text, fail=False):
        with written_whole(target) as unfinished:
            unfinished.write_text(text)
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write("half", fail=True)
    assert list(tmp_path.iterdir()) == []
    write("whole")
    with pytest.raises(BadFileError, match="exists already"):
        write("other")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["whole"]
