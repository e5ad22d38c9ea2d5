"""The thief's gallery as one picture: a row for each thief, a column for each version, the worst one framed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from ..shapes import Levels
from .gallery import CLEAN, Attempt, Thief, versions_of
from .lettering import Colour, Lettering
from .thumbnails import to_pillow

PAPER, SHEET, INK = (250, 249, 246), (236, 233, 226), (34, 38, 43)
QUIET, TRACK, MARK = (112, 119, 127), (222, 218, 210), (178, 34, 52)
TITLE = "What thieves learn"
PERSON = "the person"
EXPLAINED = "Each picture was drawn by a model that had learnt from the pictures named above it."
LEGEND = (
    "Framed in red: the worst case for you who publish the pictures. Clean is what a thief gets without protection."
)
BRACKETS = "In brackets: 95 % interval over the pictures drawn by one thief; another run of his may differ by more."
SHOWN = 4  # pictures in one cell
CAPTION_LINES = 3
WIDEST = 16384  # pixels


@dataclass(frozen=True)
class Exhibit:
    """A thief with the pictures that belong to his numbers.

    Attributes:
        thief: The numbers.
        drawn: What the thief's model drew, for each attempt one or more batches.
        person: Photographs of the person, each a batch of its own size.
    """

    thief: Thief
    drawn: tuple[tuple[Levels, ...], ...]
    person: tuple[Levels, ...] = ()


@dataclass(frozen=True)
class Layout:
    """All measures of the picture, in pixels, from the side of one cell."""

    side: int

    @property
    def gap(self) -> int:
        """Between two cells."""
        return max(6, self.side // 12)

    @property
    def margin(self) -> int:
        """Around everything."""
        return 2 * self.gap

    @property
    def frame(self) -> int:
        """Thickness of the mark."""
        return max(3, self.side // 40)

    @property
    def text(self) -> Lettering:
        """The usual size."""
        return Lettering(max(11, self.side // 15))

    @property
    def title(self) -> Lettering:
        """Of the title and the thieves' names."""
        return Lettering(max(14, self.side // 10))

    @property
    def caption(self) -> int:
        """Height below a cell: the bar and what was measured."""
        return self.gap // 2 + max(4, self.side // 32) + round((CAPTION_LINES + 0.5) * self.text.line)


def draw_gallery(exhibits: Sequence[Exhibit], side: int, *, show_person: bool = True) -> Image.Image:
    """Draw the gallery.

    Args:
        exhibits: One for each row.
        side: Of a cell in pixels; made smaller where the picture would become too wide.
        show_person: Whether the person's own photographs are shown.
    """
    columns = [PERSON] if show_person and any(exhibit.person for exhibit in exhibits) else []
    columns += versions_of(tuple(exhibit.thief for exhibit in exhibits))
    layout = Layout(max(32, min(side, WIDEST // (len(columns) + 1) * 4 // 5)))
    return _Board(layout, columns).draw(exhibits)


class _Board:
    """A sheet of paper that is filled from above."""

    def __init__(self, layout: Layout, columns: list[str]) -> None:
        self._layout, self._columns = layout, columns
        self._width = 2 * layout.margin + len(columns) * (layout.side + layout.gap) - layout.gap
        self._inner = self._width - 2 * layout.margin
        self._heads = [layout.text.wrap(column, layout.side, most=3) for column in columns]

    def draw(self, exhibits: Sequence[Exhibit]) -> Image.Image:
        """Draw everything; the height follows from the texts."""
        layout = self._layout
        legend = layout.text.wrap(_legend(exhibits), self._inner)
        intro = layout.text.wrap(EXPLAINED, self._inner)
        title = layout.title.wrap(TITLE, self._inner)
        names = [layout.title.wrap(exhibit.thief.name, self._inner, most=2) for exhibit in exhibits]
        row = layout.gap + self._head_height + layout.side + layout.caption
        height = 2 * layout.margin + len(title) * layout.title.line + (len(intro) + len(legend)) * layout.text.line
        height += sum(row + len(name) * layout.title.line for name in names) + layout.gap
        below = [self._wrapped(said) for exhibit in exhibits for said, _ in _below(exhibit.thief)]
        height += sum(map(len, below)) * layout.text.line
        self._sheet = Image.new("RGB", (self._width, height), PAPER)
        self._draw = ImageDraw.Draw(self._sheet)
        y = self._lines(layout.margin, title, layout.title, INK)
        y = self._lines(y, intro, layout.text, QUIET)
        for exhibit, name in zip(exhibits, names, strict=True):
            y = self._row(y + layout.gap, exhibit, name)
        self._lines(y + layout.gap, legend, layout.text, QUIET)
        return self._sheet

    @property
    def _head_height(self) -> int:
        return max(map(len, self._heads)) * self._layout.text.line + self._layout.gap // 3

    def _lines(self, y: int, lines: list[str], font: Lettering, colour: Colour) -> int:
        for line in lines:
            font.write(self._draw, (self._layout.margin, y), line, colour)
            y += font.line
        return y

    def _row(self, y: int, exhibit: Exhibit, name: list[str]) -> int:
        layout = self._layout
        top = self._lines(y, name, layout.title, INK) + self._head_height
        drawn = dict(zip((each.version for each in exhibit.thief.attempts), exhibit.drawn, strict=True))
        for number, column in enumerate(self._columns):
            x = layout.margin + number * (layout.side + layout.gap)
            attempt = exhibit.thief.attempt(column)
            marked = attempt is not None and attempt == exhibit.thief.worst
            self._head(x, top, self._heads[number], MARK if marked else INK)
            if column == PERSON:
                self._pictures(x, top, exhibit.person)
            elif attempt is None:
                self._empty(x, top)
            else:
                self._pictures(x, top, drawn[column])
                self._caption(x, top + layout.side + layout.gap // 2, attempt, exhibit.thief, marked)
            if marked:
                self._frame(x, top)
        bottom = top + layout.side + layout.caption
        for said, colour in _below(exhibit.thief):
            bottom = self._lines(bottom, self._wrapped(said), layout.text, colour)
        return bottom

    def _wrapped(self, said: str) -> list[str]:
        return self._layout.text.wrap(said, self._inner)

    def _head(self, x: int, bottom: int, lines: list[str], colour: Colour) -> None:
        font = self._layout.text
        for number, line in enumerate(reversed(lines)):
            at = x + self._layout.side / 2, bottom - self._layout.gap // 3 - number * font.line
            font.write(self._draw, at, line, colour, anchor="md")

    def _pictures(self, x: int, y: int, batches: Sequence[Levels]) -> None:
        """Show one picture, or up to four in a square; nothing for none."""
        pictures = [to_pillow(each[None]) for batch in batches for each in batch[:SHOWN]]
        side, count = self._layout.side, min(len(pictures), SHOWN)
        if not count:
            return
        across = 1 if count == 1 else 2
        small = side // across
        self._draw.rectangle((x, y, x + side - 1, y + side - 1), fill=SHEET)
        for number, picture in enumerate(pictures[:count]):
            fitted = ImageOps.contain(picture, (small, small), Image.Resampling.LANCZOS)
            left = x + number % across * small + (small - fitted.width) // 2
            self._sheet.paste(fitted, (left, y + number // across * small + (small - fitted.height) // 2))

    def _empty(self, x: int, y: int) -> None:
        side = self._layout.side
        self._draw.rectangle((x, y, x + side - 1, y + side - 1), outline=TRACK)
        self._layout.text.write(self._draw, (x + side / 2, y + side / 2), "not tried", QUIET, anchor="mm")

    def _frame(self, x: int, y: int) -> None:
        side, out = self._layout.side, self._layout.frame
        box = (x - out, y - out, x + side - 1 + out, y + side - 1 + out)
        self._draw.rectangle(box, outline=MARK, width=out)

    def _caption(self, x: int, y: int, attempt: Attempt, thief: Thief, marked: bool) -> None:
        """Draw the similarity as a bar, and say what was measured."""
        side, font, colour = self._layout.side, self._layout.text, MARK if marked else QUIET
        thick = max(4, side // 32)
        if attempt.similarity is not None:
            filled = round(side * min(max(attempt.similarity, 0.0), 1.0))
            self._draw.rectangle((x, y, x + side - 1, y + thick - 1), fill=TRACK)
            if filled:
                self._draw.rectangle((x, y, x + filled - 1, y + thick - 1), fill=colour)
            y += thick
        words = str(attempt) if thief.measure or attempt.version == CLEAN else ""
        said = f"{words} - worst for you" if marked else words
        for number, line in enumerate(font.wrap(said, side, most=CAPTION_LINES)):
            font.write(self._draw, (x, y + self._layout.gap // 4 + number * font.line), line, colour)


def _below(thief: Thief) -> list[tuple[str, Colour]]:
    """Return what stands below a thief's row, each with its colour: who compared, and whether a protection is seen."""
    said = (thief.judge, QUIET), (thief.finding, INK if thief.shows_protection else MARK)
    return [(sentence, colour) for sentence, colour in said if sentence]


def _legend(exhibits: Sequence[Exhibit]) -> str:
    """Explain what is seen, intervals only where there are some."""
    intervals = any(attempt.interval for exhibit in exhibits for attempt in exhibit.thief.attempts)
    return f"{LEGEND} {BRACKETS}" if intervals else LEGEND


def to_levels(picture: Image.Image) -> Levels:
    """Turn a drawn picture into levels (1, 3, h, w)."""
    flat = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    levels: Tensor = flat.reshape(1, picture.height, picture.width, 3).movedim(-1, 1).float()
    return levels
