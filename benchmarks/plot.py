"""Draw lines, dots and their axes with Pillow: as much of a plot as the documents need.

A panel maps data to pixels; everything is drawn at SCALE times its size and made smaller at the end, which
antialiases it. Sizes below are in final pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

SCALE = 3
INK, PALE = (40, 40, 40), (222, 222, 222)
Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """The range of a coordinate and where it is labelled; a logarithmic one needs a positive range."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def fraction(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high one."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


class Sheet:
    """A white picture under construction."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width * SCALE, height * SCALE), "white")
        self.draw = ImageDraw.Draw(self.image)

    def text(self, at: Point, words: str, *, size: int = 14, anchor: str = "la") -> None:
        """Write words at a point; the anchor is Pillow's."""
        place = (at[0] * SCALE, at[1] * SCALE)
        self.draw.text(place, words, fill=INK, font=ImageFont.load_default(size * SCALE), anchor=anchor)

    def line(self, points: Sequence[Point], colour: Colour, *, width: float = 2, dashed: bool = False) -> None:
        """Draw a line through points, dashed by its length if asked."""
        for stroke in _dashes(points) if dashed else [points]:
            scaled = [(x * SCALE, y * SCALE) for x, y in stroke]
            self.draw.line(scaled, fill=colour, width=round(width * SCALE), joint="curve")

    def dot(self, at: Point, colour: Colour, *, radius: float = 3) -> None:
        """Draw a filled circle."""
        x, y, r = at[0] * SCALE, at[1] * SCALE, radius * SCALE
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def finished(self) -> Image.Image:
        """Return the picture at its final size."""
        width, height = self.image.size
        return self.image.resize((width // SCALE, height // SCALE), Image.Resampling.LANCZOS)


def _dashes(points: Sequence[Point], on: float = 7, off: float = 5) -> list[list[Point]]:
    """Cut a line into dashes; the pattern starts anew at each point, so that no corner is lost."""
    strokes = []
    for (x0, y0), (x1, y1) in pairwise(points):
        length, start = math.hypot(x1 - x0, y1 - y0), 0.0
        while start < length:
            ends = (start / length, min(start + on, length) / length)
            strokes.append([(x0 + (x1 - x0) * f, y0 + (y1 - y0) * f) for f in ends])
            start += on + off
    return strokes


@dataclass(frozen=True)
class Panel:
    """A rectangle of a sheet with two axes.

    Args:
        sheet: what it is drawn on.
        box: left, top, right, bottom.
        x, y: its axes.
    """

    sheet: Sheet
    box: tuple[int, int, int, int]
    x: Axis
    y: Axis

    def place(self, point: Point) -> Point:
        """Return a point of the data in pixels of the sheet."""
        left, top, right, bottom = self.box
        return (
            left + (right - left) * self.x.fraction(point[0]),
            bottom - (bottom - top) * self.y.fraction(point[1]),
        )

    def frame(self, title: str) -> None:
        """Draw title, grid lines and labels."""
        left, top, right, bottom = self.box
        self.sheet.text((left, top - 12), title, size=16, anchor="ls")
        for tick in self.x.ticks:
            x = self.place((tick, self.y.low))[0]
            self.sheet.line([(x, top), (x, bottom)], PALE, width=1)
            self.sheet.text((x, bottom + 8), f"{tick:g}", size=13, anchor="ma")
        for tick in self.y.ticks:
            y = self.place((self.x.low, tick))[1]
            self.sheet.line([(left, y), (right, y)], PALE, width=1)
            self.sheet.text((left - 8, y), f"{tick:g}", size=13, anchor="rm")

    def curve(self, points: Sequence[Point], colour: Colour, *, dashed: bool = False) -> None:
        """Draw a line through data, with a dot at each point of a solid one."""
        placed = [self.place(point) for point in points]
        self.sheet.line(placed, colour, dashed=dashed)
        for at in [] if dashed else placed:
            self.sheet.dot(at, colour)
