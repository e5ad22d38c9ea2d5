"""Files that a protected picture is saved in, and what is said of them."""

import errno
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from ldu.errors import BadFileError, BadImageError, BadValueError
from ldu.metrics import max_abs_levels
from ldu.naming import protected_names
from ldu.picture import PictureInfo, load_picture
from ldu.platform_check import after_platform
from ldu.saved_file import FileFormat, pixel_digest, save_picture, say_expected, say_file
from ldu.whole_file import remove_leftovers, written_whole
from ldu.wording import say_bytes

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EVERY = [FileFormat("png"), FileFormat("jpeg", 80), FileFormat("webp", 80)]


def levels(height=40, width=56):
    return torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def smooth(height=64, width=96):
    rows, columns = torch.linspace(40, 200, height)[:, None, None], torch.linspace(0, 30, width)[None, :, None]
    return (rows + columns + torch.tensor([0, 10, 20])).round().to(torch.uint8)


def batch(picture):
    return picture.movedim(-1, 0)[None].float()


def info(**more):
    return PictureInfo("a.png", "RGB", 56, 40, **more)


@pytest.mark.parametrize("form", EVERY, ids=str)
def test_a_file_holds_the_picture_and_its_profile_and_nothing_else(tmp_path, form):
    path = tmp_path / f"a{form.ending}"
    save_picture(path, levels(), info(icc=SRGB), form)
    with Image.open(path) as reread:
        assert reread.format.lower() == form.name
        assert reread.size == (56, 40)
        assert {"exif", "xmp", "comment", "parameters", "prompt"} & set(reread.info) == set()
        assert reread.info["icc_profile"] == SRGB
        assert not reread.getexif()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("form", EVERY, ids=str)
def test_a_file_is_never_replaced(tmp_path, form):
    path = tmp_path / f"a{form.ending}"
    path.write_bytes(b"mine")
    with pytest.raises(BadFileError, match="exists already"):
        save_picture(path, levels(), info(), form)
    assert path.read_bytes() == b"mine"


def test_transparency_stays_in_webp_and_is_refused_as_jpeg(tmp_path):
    alpha = levels()[..., 0].contiguous()
    save_picture(tmp_path / "a.webp", levels(), info(alpha=alpha), FileFormat("webp", 80))
    assert torch.equal(load_picture(tmp_path / "a.webp").alpha, alpha)
    with pytest.raises(BadImageError, match="transparent parts, which JPEG cannot hold"):
        save_picture(tmp_path / "a.jpg", levels(), info(alpha=alpha), FileFormat("jpeg"))
    assert not (tmp_path / "a.jpg").exists()


def test_what_lies_under_transparent_parts_of_a_webp_is_no_change(tmp_path):
    whole, alpha = smooth(), torch.full((64, 96), 255, dtype=torch.uint8)
    alpha[:32] = 0
    save_picture(tmp_path / "a.webp", whole, info(alpha=alpha), FileFormat("webp", 90))
    assert max_abs_levels(batch(whole), load_picture(tmp_path / "a.webp").as_batch()) < 10


def test_a_picture_too_large_for_the_format_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(BadImageError, match="cannot be written as WebP of quality 90") as caught:
        save_picture(tmp_path / "a.webp", torch.zeros(1, 17000, 3, dtype=torch.uint8), info(), FileFormat("webp"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "quality"), [("gif", 90), ("jpeg", 0), ("webp", 101)])
def test_other_formats_and_qualities_are_refused(name, quality):
    with pytest.raises(BadValueError, match="with a quality of 1 to 100"):
        FileFormat(name, quality)


@pytest.mark.parametrize("form", EVERY[1:], ids=str)
def test_of_a_lossy_file_its_own_change_is_told_and_that_no_bound_holds(tmp_path, form):
    path = tmp_path / f"a{form.ending}"
    save_picture(path, levels(), info(), form)
    change = max_abs_levels(batch(levels()), load_picture(path).as_batch())
    (said,) = say_file(path, info(), form, batch(levels()))
    assert f"Largest change {change} of 255 levels" in said
    assert "the bound of the budget no longer holds for this file" in said
    assert change > 10
    (said,) = say_file(path, info(), form, None)
    assert "was not measured" in said


def test_of_a_png_its_size_and_that_of_a_jpeg_are_told(tmp_path):
    png, jpeg = tmp_path / "a.png", tmp_path / "a.jpg"
    save_picture(png, levels(400, 400), info(), FileFormat("png", 80))
    save_picture(jpeg, levels(400, 400), info(), FileFormat("jpeg", 80))
    (said,) = say_file(png, info(), FileFormat("png", 80), None)
    assert f"PNG, {round(png.stat().st_size / 1000)} kB." in said
    assert f"As JPEG of quality 80 it would be about {round(jpeg.stat().st_size / 1000)} kB" in said
    assert "Largest change" not in said
    assert "no longer holds" not in said


def test_of_a_png_it_is_told_how_far_it_is_from_its_original_whatever_came_between(tmp_path):
    path, original = tmp_path / "a.png", batch(levels())
    save_picture(path, 255 - levels(), info(), FileFormat("png"))
    (said,) = say_file(path, info(), FileFormat("png"), original)
    change = max_abs_levels(original, load_picture(path).as_batch())
    assert f"kB. Largest change {change} of 255 levels" in said
    assert change > 200


@pytest.mark.parametrize("form", [FileFormat("png"), FileFormat("jpeg", 90)], ids=str)
def test_the_size_that_is_told_before_saving_is_that_of_the_file(tmp_path, form):
    grain = torch.randint(-9, 10, (400, 600, 3), generator=torch.Generator().manual_seed(1))
    original = smooth(400, 600)
    protected = (original + grain).clamp(0, 255).to(torch.uint8)
    said = say_expected(batch(original), batch(protected))
    for picture, place in ((protected, str(form)), (original, "its original")):
        file = tmp_path / f"{place}{form.ending}"
        save_picture(file, picture, info(), form if picture is protected else FileFormat("png"))
        assert say_bytes(file.stat().st_size) in said
    assert "beyond the budget" in said


def test_of_an_unchanged_picture_no_size_is_told():
    assert say_expected(batch(smooth()), batch(smooth())) == ""


def test_a_picture_too_long_for_a_jpeg_has_the_size_of_a_png():
    long = torch.zeros(1, 3, 1, 65536)
    assert say_expected(long, long + 1).startswith("As a PNG about")
    assert "JPEG" not in say_expected(long, long + 1)


def test_a_lossless_copy_has_the_digest_of_its_picture_and_another_picture_has_not(tmp_path):
    path = tmp_path / "a.png"
    save_picture(path, levels(), info(icc=SRGB), FileFormat())
    with Image.open(path) as picture:
        picture.save(tmp_path / "copy.bmp")
    assert pixel_digest(load_picture(tmp_path / "copy.bmp").levels) == pixel_digest(levels())
    changed = levels()
    changed[0, 0, 0] ^= 1
    assert pixel_digest(changed) != pixel_digest(levels())
    assert pixel_digest(levels().reshape(56, 40, 3)) != pixel_digest(levels())


def test_an_unfinished_file_is_never_left(tmp_path):
    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "a.png") as unfinished:
        unfinished.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_program_left_is_removed_and_what_another_one_writes_is_not(tmp_path):
    for name, age in ((".ldu-0.part", 7200), (".ldu-1.part", 60), ("mine.part", 7200)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".ldu-1.part", "mine.part"}


def test_without_hard_links_too_a_file_that_came_meanwhile_stays(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    path = tmp_path / "a.png"
    with pytest.raises(BadFileError, match="exists already"), written_whole(path) as unfinished:
        unfinished.write_bytes(b"mine")
        path.write_bytes(b"somebody else's")
    assert path.read_bytes() == b"somebody else's"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x" * 400, "a\ud800", "taken/a"])
def test_a_name_that_no_file_can_have_gets_one_sentence(tmp_path, name):
    (tmp_path / "taken").write_bytes(b"a file, no folder")
    with pytest.raises(BadFileError, match="cannot be written"), written_whole(tmp_path / name) as unfinished:
        unfinished.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@given(st.lists(st.sampled_from(["a.jpg", "a.png", "A.png", "b.webp", "s/a.jpg", "s/a.tif", "c"]), unique=True))
def test_no_two_pictures_of_a_folder_share_a_name_and_each_keeps_its_sub_folder(names):
    found = protected_names(names, ".png")
    assert list(found) == names
    assert len({name.lower() for name in found.values()}) == len(names)
    assert all(target.rpartition("/")[0] == name.rpartition("/")[0] for name, target in found.items())
    assert all(target.endswith(".png") for target in found.values())


def test_no_name_becomes_too_long_for_a_file():
    names = [f"s/{letter * 83}{ending}" for letter in "語a" for ending in (".jpg", ".png")]
    found = protected_names([*names, f"s/{'語' * 83}字.tif"], ".webp").values()
    assert all(name.endswith(".webp") and len(name.rpartition("/")[2].encode()) <= 255 for name in found)
    assert len(set(found)) == 5, "no two share a file"


def test_a_picture_without_twin_keeps_its_name():
    assert protected_names(["s/a.jpg", "b.png"], ".webp") == {"s/a.jpg": "s/a.webp", "b.png": "b.webp"}


def test_a_smooth_change_outlives_a_platform_and_a_fine_one_does_not():
    original = batch(smooth())
    colour = torch.tensor([4.0, 0.0, -4.0])[:, None, None]
    fine = colour * (torch.from_numpy(np.indices((64, 96)).sum(0) % 2) * 2 - 1)
    coarse = after_platform(original, original + 8)
    assert coarse.share == pytest.approx(1, abs=0.1)
    assert "of the change is left" in str(coarse)
    assert after_platform(original, original + fine).share < 0.5


def test_without_a_change_no_share_of_it_is_left():
    found = after_platform(batch(smooth()), batch(smooth()))
    assert found.share is None
    assert "nothing had been changed" in str(found)
