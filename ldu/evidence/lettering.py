"""Text in a picture, in the font that Pillow brings along, so that it looks the same everywhere.

That font is asked for ASCII only: accents are dropped. A line with other letters (Chinese, Japanese) is set in a font
of the system that has them. Letters that no font has become their codes: few can read them, but they tell names apart.
"""

import unicodedata
from bisect import bisect_right
from functools import cache

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
_SPOKEN = str.maketrans({"×": "x", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "ρ": "rho"})
_SYSTEM_FONTS = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansCJKjp-Regular.otf", "SourceHanSans-Regular.ttc"),
    *("SourceHanSansSC-Regular.otf", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "ipag.ttf"),
    *("msyh.ttc", "YuGothM.ttc", "msgothic.ttc", "simsun.ttc", "malgun.ttf"),  # Windows
    *("PingFang.ttc", "Hiragino Sans GB.ttc", "ヒラギノ角ゴシック W3.ttc", "AppleSDGothicNeo.ttc"),  # macOS
    *("DejaVuSans.ttf", "arial.ttf", "Arial.ttf"),  # other alphabets
)
_NO_LETTER = "\uffff"  # drawn as the box that a font shows for what it lacks


class Lettering:
    """One size of the font.

    Args:
        size: Height of the font in pixels.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.line = round(1.35 * size)  # pixels from line to line

    def wrap(self, text: str, width: float, most: int = 1000) -> list[str]:
        """Break a text into lines that fit into a width; beyond `most` lines the rest becomes dots."""
        lines = [""]
        for word in self._set(text)[0].split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.length(longer) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        cut = len(lines) > most
        return [self._fit(line, width, cut and number == most - 1) for number, line in enumerate(lines[:most])]

    def write(
        self, draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: Colour, anchor: str = "la"
    ) -> None:
        """Draw one line."""
        words, font = self._set(text)
        draw.text(at, words, fill=colour, font=font, anchor=anchor)

    def length(self, line: str) -> float:
        """Return the width of a line in pixels."""
        words, font = self._set(line)
        return font.getlength(words)

    def _fit(self, line: str, width: float, cut: bool) -> str:
        if not cut and self.length(line) <= width:
            return line
        fits = bisect_right(range(1, len(line) + 1), width, key=lambda letters: self.length(f"{line[:letters]}..."))
        return f"{line[:fits]}..."

    def _set(self, text: str) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
        """Return a text as it can be drawn, and the font for it: of the system's the one with most of its letters."""
        foreign = foreign_letters(text)
        fonts = _open(_SYSTEM_FONTS, self._size) if foreign else ()
        has, font = max(
            ((_held(font, foreign), font) for font in fonts), key=lambda pair: len(pair[0]), default=("", None)
        )
        return drawable(text, has), font if has and font else _default(self._size)


def drawable(text: str, has: str = "") -> str:
    """Write a text in ASCII and the letters that a font has: accents are dropped, other letters become their codes."""
    return "".join(
        plain if (plain := _plain(letter)).isascii() else letter if letter in has else _code(letter)
        for letter in unicodedata.normalize("NFC", text)
    )


def foreign_letters(text: str) -> str:
    """Return each letter of a text once that cannot be written in ASCII."""
    return "".join(dict.fromkeys(each for each in unicodedata.normalize("NFC", text) if not _plain(each).isascii()))


def _plain(letter: str) -> str:
    parts = unicodedata.normalize("NFKD", letter.translate(_SPOKEN))
    return "".join(part for part in parts if not unicodedata.combining(part))


def _code(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode()


def _held(font: ImageFont.FreeTypeFont, letters: str) -> str:
    missing = _drawn(font, _NO_LETTER)
    return "".join(letter for letter in letters if _drawn(font, letter) != missing)


def _drawn(font: ImageFont.FreeTypeFont, letter: str) -> bytes:
    side = round(2 * font.size)
    sheet = Image.new("L", (side, side))
    ImageDraw.Draw(sheet).text((0, 0), letter, fill=255, font=font)
    return sheet.tobytes()


@cache
def _default(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@cache
def _open(names: tuple[str, ...], size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    """Open those fonts that are installed; Pillow looks for them where the system keeps its fonts."""
    return tuple(font for name in names if (font := _installed(name, size)) is not None)


def _installed(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None
