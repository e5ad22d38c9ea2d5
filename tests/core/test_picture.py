"""Reading picture files into levels and writing them back."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin, features

from ldu.errors import BadFileError, BadImageError
from ldu.picture import load_picture, save_png

SRGB_PROFILE = ImageCms.createProfile("sRGB")
SRGB = ImageCms.ImageCmsProfile(SRGB_PROFILE).tobytes()


def colours(height=6, width=9, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_a_plain_rgb_file_gives_the_levels_that_pillow_decodes(tmp_path, suffix):
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(colours()), lossless=True)
    picture = load_picture(path)
    assert np.array_equal(picture.levels, colours())
    assert picture.alpha is None
    assert (picture.info.name, picture.info.mode) == (f"a.{suffix}", "RGB")
    assert (picture.info.width, picture.info.height) == (9, 6)
    assert picture.info.note == "8-bit RGB, nothing converted."


def test_a_jpeg_gives_the_levels_that_pillow_decodes(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(colours(40, 30)), subsampling="4:2:0")
    assert np.array_equal(load_picture(path).levels, np.asarray(Image.open(path)))


def test_a_batch_for_the_core_is_nchw_float(tmp_path):
    picture = load_picture(saved(tmp_path / "a.png", Image.fromarray(colours())))
    assert picture.as_batch().shape == (1, 3, 6, 9)
    assert torch.equal(picture.as_batch()[0, :, 2, 4], picture.levels[2, 4].float())


def test_rgba_keeps_its_alpha_and_the_colours_under_it(tmp_path):
    rgba = colours(channels=4)
    rgba[0, 0, 3] = 0
    picture = load_picture(saved(tmp_path / "a.png", Image.fromarray(rgba)))
    assert np.array_equal(picture.levels, rgba[..., :3])
    assert np.array_equal(picture.alpha, rgba[..., 3])
    assert picture.info.note == "8-bit RGBA, nothing converted."


def in_mode(mode):
    image = Image.fromarray(colours(16, 24))
    if mode != "LAB":
        return image.convert(mode)
    return ImageCms.profileToProfile(image, SRGB_PROFILE, ImageCms.createProfile("LAB"), outputMode="LAB")


@pytest.mark.parametrize(
    ("mode", "suffix", "word"),
    [
        ("1", "png", "1-bit"),
        ("L", "png", "grey"),
        ("LA", "png", "grey with alpha"),
        ("P", "gif", "palette"),
        ("CMYK", "jpg", "CMYK"),
        ("CMYK", "tiff", "CMYK"),
        ("YCbCr", "tiff", "YCbCr"),
        ("LAB", "tiff", "LAB"),
    ],
)
def test_other_modes_are_converted_as_pillow_does_and_it_is_said(tmp_path, mode, suffix, word):
    path = saved(tmp_path / f"a.{suffix}", in_mode(mode))
    picture = load_picture(path)
    reread = Image.open(path)
    assert picture.info.mode == reread.mode == mode
    assert np.array_equal(picture.levels, np.asarray(reread.convert("RGB")))
    assert word in picture.info.note
    assert picture.alpha is None  # nothing is transparent, LA included


@pytest.mark.parametrize("transparency", [3, bytes([255, 0, 128, 7])])
def test_a_transparent_palette_gives_alpha(tmp_path, transparency):
    indices = np.arange(4, dtype=np.uint8).reshape(2, 2)
    image = Image.fromarray(indices, mode="P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    picture = load_picture(saved(tmp_path / "a.png", image, transparency=transparency))
    expected = [255, 255, 255, 0] if transparency == 3 else list(transparency)
    assert picture.alpha.flatten().tolist() == expected
    assert picture.levels[0, 1].tolist() == [40, 50, 60]


def test_a_transparent_colour_key_gives_alpha(tmp_path):
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8))
    assert load_picture(saved(tmp_path / "a.png", image, transparency=(4, 5, 6))).alpha.tolist() == [[255, 0]]


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_keeps_its_high_byte_and_it_is_said(tmp_path, suffix):
    deep = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    picture = load_picture(saved(tmp_path / f"a.{suffix}", Image.fromarray(deep)))
    assert picture.levels[0, :, 1].tolist() == [0, 0, 1, 128, 255]
    assert "16 to 8 bits" in picture.info.note


@pytest.mark.parametrize(
    ("bits", "photometric", "row", "levels"),
    [
        (12, 1, bytes.fromhex("000800fff123"), [0, 128, 255, 18]),
        (16, 0, struct.pack("<4H", 0, 32768, 65535, 256), [255, 127, 0, 254]),  # 0 is white, a negative
    ],
)
def test_grey_that_pillow_leaves_as_it_lies_in_a_tiff_is_shown_as_it_is_meant(tmp_path, bits, photometric, row, levels):
    path = tmp_path / "a.tiff"
    path.write_bytes(small_tiff(4, bits, photometric, row))
    picture = load_picture(path)
    assert picture.levels[0].tolist() == [[level] * 3 for level in levels]
    assert f"from {bits} to 8 bits" in picture.info.note


def small_tiff(width, bits, photometric, row):
    """Return a TIFF of one row of raw grey samples."""
    shorts = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 277: 1, 278: 1}
    start = 8 + 2 + 12 * (len(shorts) + 2) + 4
    entries = [struct.pack("<HHII", tag, 3, 1, value) for tag, value in shorts.items()]
    entries += [struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((273, start), (279, len(row)))]
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(sorted(entries)) + bytes(4) + row


def test_a_transparent_16_bit_grey_gives_alpha(tmp_path):
    deep = np.array([[0, 257, 40000]], dtype=np.uint16)
    assert load_picture(saved(tmp_path / "a.png", Image.fromarray(deep), transparency=257)).alpha.tolist() == [
        [255, 0, 255]
    ]


def test_32_bit_grey_is_cut_at_16_bits(tmp_path):
    path = saved(tmp_path / "a.tiff", Image.fromarray(np.array([[-5, 256, 70000]], dtype=np.int32)))
    assert load_picture(path).levels[0, :, 0].tolist() == [0, 1, 255]


def test_16_bit_colour_is_said(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(small_png(1, 16, 2, struct.pack(">HHH", 0x12F0, 0xAB00, 0xFFFF)))
    picture = load_picture(path)
    assert picture.levels.tolist() == [[[18, 171, 255]]]
    assert "16 to 8 bits" in picture.info.note


@pytest.mark.parametrize(
    ("bits", "colour", "row", "key", "alpha"),
    [
        (2, 0, bytes([0b00011011]), struct.pack(">H", 2), [255, 255, 0, 255]),
        (4, 0, bytes([0x0F, 0x3A]), struct.pack(">H", 3), [255, 255, 0, 255]),
        (16, 2, bytes.fromhex("123456789abc 34ff78ffbcff"), bytes.fromhex("123456789abc"), [0, 255]),
    ],
)
def test_a_transparent_colour_is_found_at_any_depth(tmp_path, bits, colour, row, key, alpha):
    path = tmp_path / "a.png"
    path.write_bytes(small_png(len(alpha), bits, colour, row, key))
    assert load_picture(path).alpha.tolist() == [alpha]


def small_png(width, bits, colour, row, key=None):
    """Return a PNG of one row of raw samples; colour 0 is grey, 2 RGB; key is the transparent one."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, 1, bits, colour, 0, 0, 0)
    transparent = b"" if key is None else chunk(b"tRNS", key)
    pixels = zlib.compress(b"\0" + row)
    chunks = chunk(b"IHDR", header), transparent, chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize(
    ("ending", "mode"), [("png", "RGB"), *(("tif", mode) for mode in ("RGB", "L", "P", "RGBA", "CMYK", "I;16"))]
)
def test_the_exif_orientation_is_applied(tmp_path, ending, mode, orientation):
    deep = Image.fromarray(colours()[..., 0] * np.uint16(257))
    image = deep if mode == "I;16" else Image.fromarray(colours()).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = load_picture(saved(tmp_path / f"a.{ending}", image, exif=exif))
    upright = load_picture(saved(tmp_path / f"plain.{ending}", image)).levels.numpy()
    if orientation in (2, 4, 5, 7):
        upright = upright[:, ::-1]
    quarter_turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    upright = np.rot90(upright, quarter_turns)
    assert np.array_equal(picture.levels, upright)
    assert (picture.info.height, picture.info.width) == upright.shape[:2]
    assert ("upright" in picture.info.note) == (2 <= orientation <= 8)


def test_an_odd_exif_tag_does_not_keep_a_picture_from_being_turned(tmp_path):
    orientation = struct.pack("<HHII", 0x0112, 3, 1, 6)
    unit_as_a_fraction = struct.pack("<HHII", 0x0128, 5, 1, 8 + 2 + 2 * 12 + 4)
    exif = b"Exif\0\0II*\0\x08\0\0\0\2\0" + orientation + unit_as_a_fraction + struct.pack("<III", 0, 2, 1)
    path = saved(tmp_path / "a.png", Image.fromarray(colours()), exif=exif)
    assert np.array_equal(load_picture(path).levels, np.rot90(colours(), 3))


def test_the_first_frame_of_an_animation_is_taken_and_it_is_said(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    path = saved(tmp_path / "a.png", frames[0], save_all=True, append_images=frames[1:])
    picture = load_picture(path)
    assert picture.levels[0, 0].tolist() == [255, 0, 0]
    assert "the first of 3 frames" in picture.info.note.lower()


def test_only_a_profile_that_describes_rgb_is_kept(tmp_path):
    grey_profile = SRGB[:16] + b"GRAY" + SRGB[20:]
    kept = load_picture(saved(tmp_path / "a.png", Image.fromarray(colours()), icc_profile=SRGB))
    dropped = load_picture(saved(tmp_path / "b.png", Image.new("L", (4, 4)), icc_profile=grey_profile))
    assert kept.info.icc == SRGB
    assert dropped.info.icc is None
    assert "profile left out" in dropped.info.note


def test_a_profile_that_no_reader_takes_from_a_png_is_left_out_there(tmp_path):
    large = SRGB + b"0" * PngImagePlugin.MAX_TEXT_CHUNK
    photo = load_picture(saved(tmp_path / "a.jpg", Image.fromarray(colours()), icc_profile=large))
    assert photo.info.icc == large
    save_png(tmp_path / "b.png", photo.levels, None, photo.info.icc)
    reread = load_picture(tmp_path / "b.png")
    assert torch.equal(reread.levels, photo.levels)
    assert reread.info.icc is None


def test_alpha_that_hides_nothing_is_none(tmp_path):
    rgba = colours(channels=4)
    rgba[..., 3] = 255
    screenshot = load_picture(saved(tmp_path / "a.png", Image.fromarray(rgba)))
    assert screenshot.alpha is None
    assert np.array_equal(screenshot.levels, rgba[..., :3])
    assert screenshot.info.note == "Its alpha left out because nothing is transparent."


def test_grey_with_alpha_keeps_what_is_transparent(tmp_path):
    pixels = np.array([[[10, 255], [200, 0], [30, 128]]], dtype=np.uint8)
    picture = load_picture(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    assert picture.info.mode == "LA"
    assert picture.levels[0].tolist() == [[10] * 3, [200] * 3, [30] * 3]
    assert picture.alpha.tolist() == [[255, 0, 128]]


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_exif_that_is_none_does_not_damage_a_picture(tmp_path, suffix):
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(colours()), exif=b"Exif\0\0" + bytes(40), lossless=True)
    picture = load_picture(path)
    assert (picture.info.width, picture.info.height) == (9, 6)
    assert "upright" not in picture.info.note


def png_bytes():
    file = io.BytesIO()
    Image.fromarray(colours(64, 64)).save(file, format="PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a picture"),
        (b"hello, I am a text", "not a picture"),
        (png_bytes()[:40], "not a picture"),
        (png_bytes()[:6000], "cannot be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    ],
    ids=["empty", "text", "header only", "cut short", "program"],
)
def test_a_file_that_is_no_whole_picture_gets_one_sentence(tmp_path, content, reason):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(BadFileError, match=reason) as caught:
        load_picture(path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow knows no AVIF")
def test_a_damaged_avif_gets_one_sentence(tmp_path):
    path = tmp_path / "a.avif"
    Image.fromarray(colours(64, 64)).save(path)
    head, mark, pixels = path.read_bytes().partition(b"mdat")
    path.write_bytes(head + mark + bytes(len(pixels)))
    with pytest.raises(BadFileError, match="cannot be read"):
        load_picture(path)


def test_a_missing_file_a_folder_and_a_name_too_long_for_a_file_get_one_sentence(tmp_path):
    for path in (tmp_path / "missing.png", tmp_path, tmp_path / ("x" * 400)):
        with pytest.raises(BadFileError, match="no picture file"):
            load_picture(path)


def test_a_decompression_bomb_gets_one_sentence(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.new("L", (40, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadFileError, match="safety limit of 200 pixels"):
        load_picture(path)


def test_a_floating_point_picture_is_refused(tmp_path):
    with pytest.raises(BadFileError, match=r"a\.tiff is a floating-point picture"):
        load_picture(saved(tmp_path / "a.tiff", Image.new("F", (4, 4))))


@pytest.mark.parametrize("channels", [3, 4])
def test_saving_and_loading_returns_the_same_pixels(tmp_path, channels):
    pixels = torch.from_numpy(colours(channels=channels))
    alpha = pixels[..., 3] if channels == 4 else None
    save_png(tmp_path / "a.png", pixels[..., :3], alpha, SRGB)
    reread = load_picture(tmp_path / "a.png")
    assert torch.equal(reread.levels, pixels[..., :3])
    assert reread.alpha is None if alpha is None else torch.equal(reread.alpha, alpha)
    assert reread.info.icc == SRGB


def photo_with_everything(path):
    """Write a JPEG with EXIF, GPS, an embedded thumbnail, XMP, a comment and a colour profile."""
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825).update({1: "N", 2: (TiffImagePlugin.IFDRational(52), 31, 12)})
    exif.get_ifd(0x8769)[0x9286] = b"SecretComment"
    thumbnail = io.BytesIO()
    Image.new("RGB", (8, 8)).save(thumbnail, format="JPEG", comment=b"SecretThumbnail")
    Image.fromarray(colours(32, 32)).save(
        path,
        exif=exif.tobytes() + thumbnail.getvalue(),
        xmp=b"<x:xmpmeta>SecretPlace</x:xmpmeta>",
        comment=b"SecretNote",
        icc_profile=SRGB,
    )
    return path


def test_nothing_but_pixels_and_the_colour_profile_reaches_the_saved_file(tmp_path):
    source = photo_with_everything(tmp_path / "photo.jpg")
    assert source.read_bytes().count(b"Secret") == 5
    picture = load_picture(source)
    save_png(tmp_path / "a.png", picture.levels, picture.alpha, picture.info.icc)
    with Image.open(tmp_path / "a.png") as reread:
        reread.load()
        assert dict(reread.getexif()) == {}
        assert set(reread.info) == {"icc_profile"}
    assert b"Secret" not in (tmp_path / "a.png").read_bytes()


def test_texts_are_embedded_only_when_asked_for(tmp_path):
    save_png(tmp_path / "a.png", torch.from_numpy(colours()), text={"prompt": "a photo of ☃"})
    assert Image.open(tmp_path / "a.png").text == {"prompt": "a photo of ☃"}


def test_an_existing_file_is_replaced_only_by_force(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"mine")
    with pytest.raises(BadFileError, match="exists already"):
        save_png(path, torch.from_numpy(colours()))
    assert path.read_bytes() == b"mine"
    save_png(path, torch.from_numpy(colours()), force=True)
    assert np.array_equal(load_picture(path).levels, colours())


def test_a_failed_save_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    def break_off(path, _content):
        with path.open("xb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "a.png").write_bytes(b"mine")
    monkeypatch.setattr(Path, "write_bytes", break_off)
    with pytest.raises(BadFileError, match="No space left"):
        save_png(tmp_path / "a.png", torch.from_numpy(colours()), force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"mine"


def test_saving_into_a_missing_folder_gets_one_sentence(tmp_path):
    with pytest.raises(BadFileError, match="cannot be written"):
        save_png(tmp_path / "missing" / "a.png", torch.from_numpy(colours()))


@pytest.mark.parametrize(
    ("levels", "alpha"),
    [
        (torch.zeros(4, 4, 3), None),
        (torch.zeros(4, 4, 1, dtype=torch.uint8), None),
        (torch.zeros(0, 4, 3, dtype=torch.uint8), None),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), torch.zeros(4, 5, dtype=torch.uint8)),
    ],
)
def test_arrays_that_are_no_picture_are_refused(tmp_path, levels, alpha):
    with pytest.raises(BadImageError, match="must be uint8"):
        save_png(tmp_path / "a.png", levels, alpha)
