"""Reading a picture back: the artists by their gid, bars as (start, end), texts as places that must not overlap."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

__all__ = ["artist", "gids", "overlapping_texts", "spans", "words"]


def gids(ax: Axes, kind: str) -> list[str]:
    """Return the gids in `ax` that begin with ``kind:`` or are `kind`, sorted."""
    found = [child.get_gid() or "" for child in ax.get_children()]
    return sorted(gid for gid in found if gid == kind or gid.startswith(f"{kind}:"))


def artist(ax: Axes, gid: str) -> Any:
    """Return the one artist with this gid."""
    (found,) = [child for child in ax.get_children() if child.get_gid() == gid]
    return found


def spans(ax: Axes, gid: str) -> Any:
    """Return the (start, end) of each bar of the artist with this gid, comparable with approximate numbers."""
    found = artist(ax, gid)
    if hasattr(found, "get_paths"):
        extents = [path.get_extents() for path in found.get_paths()]
        return [pytest.approx((box.x0, box.x1)) for box in extents]
    return [pytest.approx((found.get_x(), found.get_x() + found.get_width()))]


def words(ax: Axes) -> list[str]:
    """Return all texts that stand in the axes."""
    return [text.get_text() for text in ax.texts]


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """Return the pairs of texts of a drawn figure that lie on each other, by what was really drawn."""
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if _is_seen(text, figure)]
    boxes = [(text.get_text(), text.get_window_extent().padded(-0.5)) for text in shown]
    return [(a, b) for (a, first), (b, second) in combinations(boxes, 2) if first.overlaps(second)]


def _is_seen(text: Artist, figure: Figure) -> bool:
    if not isinstance(text, Text) or not text.get_visible() or not text.get_text().strip():
        return False
    labels_of_hidden_ticks = {id(label) for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for label in _hidden(axis)}
    return id(text) not in labels_of_hidden_ticks


def _hidden(axis: Any) -> list[Text]:
    """The tick labels that matplotlib keeps but does not draw: outside the limits, or spare."""
    drawn = {id(tick) for tick in axis._update_ticks()}
    ticks = [*axis.majorTicks, *axis.minorTicks]
    return [label for tick in ticks for label in (tick.label1, tick.label2) if id(tick) not in drawn]
