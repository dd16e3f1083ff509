"""Words in a picture that never lie on each other: a label goes where there is room, or is left out.

Knows the size of letters and which places are taken; must not know what the words mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import FT2Font

from raftedu.plot.language import figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

__all__ = ["Box", "Labels", "Spot", "text_width"]

Kind = Literal["bar", "text", "line"]


class Box(NamedTuple):
    """A rectangle in the axes' data."""

    x0: float
    x1: float
    y0: float
    y1: float


class Spot(NamedTuple):
    """A place where a label may go: `ha` and `va` say which edge of the words stands at (x, y)."""

    x: float
    y: float
    ha: str = "center"
    va: str = "center"


def text_width(words: str, size: float, bold: bool = False) -> float:
    """Return the width of one or more lines of text, in inches, in the font that the picture will use."""
    return max(sum(_advance(letter, bold) for letter in line) for line in words.split("\n")) * size / 72


@lru_cache(maxsize=1024)
def _advance(letter: str, bold: bool) -> float:
    """How far a letter moves the pen, in ems; kerning is left out, since it only brings letters closer."""
    font = _font(bold)
    font.set_size(100.0, 72)
    return float(font.load_char(ord(letter)).linearHoriAdvance) / 65536 / 100


def _font(bold: bool) -> FT2Font:
    return get_font(findfont(FontProperties(weight="bold" if bold else "normal")))


class Labels:
    """The labels of one axes, and the places that are taken; the limits of the axes must be final."""

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        place, figure = ax.get_position(), figure_of(ax)
        width, height = figure.get_size_inches()
        (self.left, self.right), (self.bottom, self.top) = ax.get_xlim(), ax.get_ylim()
        self.x_per_inch = (self.right - self.left) / (place.width * width)
        self.y_per_inch = (self.top - self.bottom) / (place.height * height)
        self._taken: dict[Kind, _Places] = {"bar": _Places(), "text": _Places(), "line": _Places()}

    def take(self, kind: Kind, boxes: Iterable[Box]) -> None:
        """Mark places as taken by bars, by words or marks, or by thin lines."""
        for box in boxes:
            self._taken[kind].add(box)

    def line(self, x: float, y0: float, y1: float) -> Box:
        """The place of a thin upright line, with a hair of air on both sides."""
        return Box(x - 0.04 * self.x_per_inch, x + 0.04 * self.x_per_inch, y0, y1)

    def place(
        self,
        words: str,
        spots: Iterable[Spot],
        *,
        size: float,
        within: Box | None = None,
        avoid: tuple[Kind, ...] = ("bar", "text", "line"),
        **look: Any,
    ) -> Text | None:
        """Write `words` at the first of `spots` with room for them, `within` a bar if one is given; else return None."""
        for spot in spots:
            box = self._box(words, spot, size, look.get("fontweight") == "bold")
            if self._inside(box, within) and not any(self._taken[kind].meet(box) for kind in avoid):
                self._taken["text"].add(box)
                # Centred by its small letters, a single line looks centred; by its whole height it seems to float.
                va = "center_baseline" if spot.va == "center" and "\n" not in words else spot.va
                fixed: dict[str, Any] = dict(fontsize=size, linespacing=1.02, clip_on=True, parse_math=False, zorder=6)
                return self.ax.text(spot.x, spot.y, words, ha=spot.ha, va=va, **fixed, **look)
        return None

    def _box(self, words: str, spot: Spot, size: float, bold: bool) -> Box:
        width = (text_width(words, size, bold) + 0.06) * self.x_per_inch
        height = (1.02 * size * (words.count("\n") + 1)) / 72 * self.y_per_inch
        x0 = spot.x - {"left": 0.0, "center": 0.5, "right": 1.0}[spot.ha] * width
        y0 = spot.y - {"bottom": 0.0, "center": 0.5, "top": 1.0}[spot.va] * height
        return Box(x0, x0 + width, y0, y0 + height)

    def _inside(self, box: Box, within: Box | None) -> bool:
        """Whether words stay in the axes, and in the bar that they belong to."""
        left, right, bottom, top = within or Box(self.left, self.right, self.bottom, self.top)
        return (
            box.x0 >= max(left, self.left)
            and box.x1 <= min(right, self.right)
            and box.y0 >= bottom - 0.02 * self.y_per_inch
            and box.y1 <= top + 0.02 * self.y_per_inch
        )


class _Places:
    """Boxes in one array that grows, so that a hundred labels and a thousand bars cost no time to speak of."""

    def __init__(self) -> None:
        self._boxes, self._count = np.empty((64, 4)), 0

    def add(self, box: Box) -> None:
        if self._count == len(self._boxes):
            self._boxes = np.concatenate([self._boxes, np.empty_like(self._boxes)])
        self._boxes[self._count] = box
        self._count += 1

    def meet(self, box: Box) -> bool:
        """Whether `box` overlaps any of them."""
        x0, x1, y0, y1 = self._boxes[: self._count].T
        return bool(np.any((x0 < box.x1) & (x1 > box.x0) & (y0 < box.y1) & (y1 > box.y0)))
