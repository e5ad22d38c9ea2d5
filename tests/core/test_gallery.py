"""The thief's gallery: which version is the worst for the user, and the picture that shows it."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from ldu.errors import BadImageError
from ldu.evidence import lettering
from ldu.evidence.gallery import CLEAN, HELD, NO_PROTECTION, PROTECTED, UNCLEAR, Attempt, Thief, versions_of
from ldu.evidence.gallery_picture import MARK, Exhibit, Layout, draw_gallery, to_levels
from ldu.evidence.lettering import Lettering, drawable
from ldu.evidence.likeness import ENOUGH, find_person, measure_likeness

numbers = st.floats(-1, 1)


def thief(similarities=(), losses=(), names=(CLEAN, PROTECTED, "jpeg 75", "blur 5")):
    empty = (None,) * len(names)
    pairs = zip(names, (*similarities, *empty), (*losses, *empty), strict=False)
    return Thief("Textual Inversion", tuple(Attempt(*each) for each in pairs))


def exhibit(of, height=40, width=30, count=1, person=()):
    """Flat grey pictures, so that whatever is coloured was drawn by the gallery."""
    return Exhibit(of, tuple((torch.full((count, 3, height, width), 128.0),) for _ in of.attempts), person)


def marked(picture):
    """Which pixels have the colour of the mark."""
    return (to_levels(picture)[0].movedim(0, -1) == torch.tensor(MARK)).all(-1)


@given(st.lists(numbers, min_size=4, max_size=4), st.lists(numbers, min_size=4, max_size=4))
def test_the_worst_is_most_like_the_person_whatever_the_losses_say_and_never_the_clean_one(similarities, losses):
    worst = thief(similarities, losses).worst
    assert worst.version != CLEAN
    assert worst.similarity == max(similarities[1:])


@given(st.lists(numbers, min_size=4, max_size=4))
def test_without_an_identity_network_the_worst_is_the_easiest_to_learn(losses):
    worst = thief(losses=losses).worst
    assert worst.version != CLEAN
    assert worst.loss == min(losses[1:])


def test_a_version_without_a_face_is_not_the_worst():
    assert thief((0.8, 0.1, None, 0.05)).worst.version == PROTECTED


def test_nothing_is_marked_where_nothing_was_measured_and_the_text_says_so():
    silent = thief()
    assert silent.worst is None
    assert "nothing is marked" in str(silent)
    assert not marked(draw_gallery([exhibit(silent)], 64)).any()


def test_the_clean_pictures_alone_give_no_worst_case():
    assert thief((0.8,), names=(CLEAN,)).worst is None


def test_the_text_names_the_worst_version_its_number_the_clean_one_and_who_compared():
    said = str(replace(thief((0.79, 0.42, 0.61, 0.5)), compared_by="somebody"))
    for part in ("jpeg 75", "0.61", "0.79", "somebody"):
        assert part in said


def test_the_picture_says_who_compared_and_only_where_the_verdict_rests_on_that():
    by_likeness, by_loss = thief((0.8, 0.4)), thief(losses=(0.1, 0.2))
    for of, told in ((by_likeness, True), (by_loss, False)):
        named, nameless = (draw_gallery([exhibit(each)], 96) for each in (replace(of, compared_by="X"), of))
        assert named.height - nameless.height == told * Layout(96).text.line
    one, other = (draw_gallery([exhibit(replace(by_likeness, compared_by=name))], 96) for name in ("X", "Y"))
    assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize(
    ("of", "seen"),
    [
        (thief((0.8, 0.4, 0.6, 0.7)), True),
        (thief((0.1, 0.4, 0.1, 0.0)), False),
        (thief((0.5, 0.5, 0.1, 0.0)), False),
        (thief((-0.099, -0.1, -0.2, -0.2)), False),
        (thief(losses=(0.1, 0.2, 0.15, 0.3)), True),
        (thief(losses=(0.1, 0.2, 0.1, 0.3)), False),
        (thief((None, 0.5)), None),
        (thief(), None),
    ],
)
def test_a_protection_is_seen_only_if_the_clean_pictures_give_the_thief_more(of, seen):
    assert of.shows_protection is seen
    assert ("no protection is seen here" in str(of)) == (seen is False)
    doubted, usual = draw_gallery([exhibit(of)], 96), draw_gallery([exhibit(thief((0.8, 0.4)))], 96)
    assert (doubted.height > usual.height) == (seen is False)


def measured(version, similarity, spread):
    return Attempt(version, similarity, None, 8, 8, (similarity - spread, similarity + spread))


@pytest.mark.parametrize(
    ("clean", "worst", "spread", "finding"),
    [
        (0.6, 0.2, 0.1, HELD),
        (0.6, 0.5, 0.1, UNCLEAR),
        (0.4, 0.5, 0.01, NO_PROTECTION),
    ],
)
def test_where_there_are_intervals_they_decide_and_the_gallery_says_so_good_or_bad(clean, worst, spread, finding):
    of = Thief(
        "TI", (measured(CLEAN, clean, spread), measured(PROTECTED, worst, spread), measured("blur 5", 0.1, spread))
    )
    assert of.finding == finding
    assert of.shows_protection is (finding == HELD)
    assert finding in str(of)
    assert f"{worst:.2f} ({worst - spread:.2f} to {worst + spread:.2f})" in str(of)
    said, silent = (draw_gallery([exhibit(each)], 96) for each in (of, thief((0.8, 0.4, 0.1))))
    assert said.height > silent.height


@pytest.mark.parametrize("cosines", [(0.3,), (0.1, 0.2, 0.9), (0.1, 0.2, 0.9, -0.4), (0.5,) * 8, (0.9, 0.1) * 8])
def test_the_interval_holds_the_similarity_and_needs_enough_pictures(cosines):
    values = iter(cosines)
    found = measure_likeness(lambda _: torch.tensor([next(values)]), torch.ones(1), [flat(1, 1, 1)] * len(cosines))
    assert (found.interval is None) == (len(cosines) < ENOUGH)
    if found.interval is not None:
        low, high = found.interval
        assert low - 1e-6 <= found.similarity <= high + 1e-6


def test_pictures_without_a_face_are_told_of():
    assert str(Attempt("blur 5", 0.4, None, 4, 3)) == "similarity 0.40, no face in 1 of 4"


def test_columns_come_once_clean_and_protected_first():
    others = thief(names=("blur 5", "diffpure 100", PROTECTED, CLEAN))
    assert versions_of((others, thief())) == [CLEAN, PROTECTED, "blur 5", "diffpure 100", "jpeg 75"]


@pytest.mark.parametrize("worst", [PROTECTED, "jpeg 75", "blur 5"])
def test_the_frame_is_around_the_worst_picture(worst):
    of = thief([0.9, *(0.8 if name == worst else 0.2 for name in (PROTECTED, "jpeg 75", "blur 5"))])
    layout, found = Layout(96), marked(draw_gallery([exhibit(of)], 96))
    columns = found.sum(0)  # a frame's upright sides are the longest strokes
    x = layout.margin + [CLEAN, PROTECTED, "jpeg 75", "blur 5"].index(worst) * (96 + layout.gap)
    upright = [x - layout.frame, x + 96]
    assert (columns[upright] >= 96).all()
    assert found[:, : x - layout.frame].sum() == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 400), st.integers(8, 400), st.integers(1, 6), st.sampled_from([64, 120, 256]), st.booleans())
def test_pictures_of_any_size_and_number_fit_in(height, width, count, side, with_person):
    person = (torch.zeros(1, 3, width, height),) if with_person else ()
    rows = [exhibit(thief((0.1, 0.2, 0.3)), height, width, count, person), exhibit(thief(names=("x" * 90,)), 9, 70)]
    picture = draw_gallery(rows, side)
    layout = Layout(side)
    columns = 5 + with_person
    assert picture.width == 2 * layout.margin + columns * side + (columns - 1) * layout.gap
    assert picture.height > 2 * side


def test_a_gallery_of_very_many_columns_stays_within_what_programs_open():
    many = thief(names=tuple(f"jpeg {number}" for number in range(100)))
    assert draw_gallery([exhibit(many, 8, 8)], 1024).width <= 16384


def test_the_persons_own_photographs_can_be_left_out():
    photograph = torch.tensor([7.0, 200.0, 90.0]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    rows = [exhibit(thief((0.1,)), person=(photograph,))]
    shown = [
        (to_levels(draw_gallery(rows, 64, show_person=each)) == photograph[..., :1, :1]).all(1).any()
        for each in (True, False)
    ]
    assert shown == [True, False]


def test_lines_fit_their_width_and_say_where_they_were_cut():
    font = Lettering(20)
    lines = font.wrap(
        "jpeg 75 + resize 0.5 + a_word_that_is_longer_than_any_cell_is_wide + blur 5 + noise", 120, most=3
    )
    assert len(lines) == 3
    assert all(font.length(line) <= 120 for line in lines)
    assert lines[-1].endswith("...")


def test_a_word_that_is_far_longer_than_a_line_is_cut_at_once():
    (line,) = Lettering(20).wrap("a" * 50_000, 120)  # letter by letter this takes the better part of an hour
    assert line.endswith("...")
    assert Lettering(20).length(line) <= 120 < Lettering(20).length(line.replace("...", "aa..."))


def test_letters_that_the_font_lacks_are_replaced_by_what_tells_them_apart():
    assert drawable("Zoë × ρ 人") == "Zoe x rho \\u4eba"
    assert drawable("Zoë × ρ 人", "人") == "Zoe x rho 人"


def drawn(text, size=20):
    sheet = Image.new("L", (400, 40))
    Lettering(size).write(ImageDraw.Draw(sheet), (4, 4), text, 255)
    return sheet.tobytes()


def test_without_a_font_that_has_them_letters_stand_there_as_codes(monkeypatch):
    monkeypatch.setattr(lettering, "_SYSTEM_FONTS", ("no such font.ttf",))
    assert Lettering(20).wrap("小明 LoRA", 400) == ["\\u5c0f\\u660e LoRA"]
    assert drawn("小明") == drawn("\\u5c0f\\u660e")


def test_a_system_font_draws_the_letters_that_it_has_and_no_box_for_the_others(monkeypatch, tmp_path):
    """Pillow's own font, of which the gallery uses ASCII only, stands in for a system's: it has ± and no Chinese."""
    default = ImageFont.load_default(20)
    (tmp_path / "system.ttf").write_bytes(default.font_bytes)
    monkeypatch.setattr(lettering, "_SYSTEM_FONTS", ("no such font.ttf", str(tmp_path / "system.ttf")))
    assert Lettering(20).wrap("± 小 Zoë", 400) == ["± \\u5c0f Zoe"]
    expected = Image.new("L", (400, 40))
    ImageDraw.Draw(expected).text((4, 4), "±", fill=255, font=default)
    assert drawn("±") == expected.tobytes()


@pytest.mark.skipif(Lettering(20).wrap("小明", 400) != ["小明"], reason="needs a font with Chinese letters")
def test_chinese_is_drawn_where_the_system_can():
    assert len({drawn(text) for text in ("小", "明", "\\u5c0f")}) == 3
    lines = Lettering(20).wrap("小明的照片 李 LoRA", 120)
    assert len(lines) > 1
    assert all(Lettering(20).length(line) <= 120 for line in lines)


def brightness(picture):
    """A network that sees a face in bright pictures only."""
    mean = picture.mean((0, 2, 3))
    return None if mean.mean() < 20 else torch.nn.functional.normalize(mean, dim=0)


def flat(*colour):
    return torch.tensor(colour).float().view(1, 3, 1, 1).expand(1, 3, 8, 8)


def test_a_person_is_most_like_themselves_and_pictures_without_a_face_do_not_count():
    person = find_person(brightness, [flat(200, 10, 10), flat(180, 9, 9), flat(0, 0, 0)])
    found = measure_likeness(brightness, person, [flat(100, 5, 5), flat(0, 0, 0)])
    assert found.similarity == pytest.approx(1)
    assert (found.faces, found.pictures) == (1, 2)
    assert measure_likeness(brightness, person, [flat(10, 10, 200)]).similarity < 0.2


def test_no_face_at_all_is_no_similarity():
    person = find_person(brightness, [flat(200, 10, 10)])
    assert measure_likeness(brightness, person, [flat(0, 0, 0)]).similarity is None


def test_a_person_without_a_face_is_refused():
    with pytest.raises(BadImageError, match="no face in any of the 2 photographs"):
        find_person(brightness, [flat(0, 0, 0), flat(1, 1, 1)])
