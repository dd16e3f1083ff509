"""What every picture has: its figure, lanes, time axis, term lines, shaded faults, title and legend.

Knows axes and the picture language; must not know what roles, leases or commits mean. Changes no setting of
matplotlib: whatever a picture needs, it says to its own artists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter
from matplotlib.transforms import ScaledTranslation

from raftedu.plot.labels import Box, Labels, Spot, text_width
from raftedu.plot.lanes import fault_lanes
from raftedu.plot.language import CANDIDATE, FAULTS, TEXT, TITLE, WIDTH, Look, Paper, face, figure_of, mix
from raftedu.plot.scene import Scene

__all__ = [
    "Lanes",
    "bars",
    "candidate_marks",
    "legend",
    "legend_rows",
    "own_figure",
    "say_nothing_happened",
    "settle",
    "shade_faults",
    "term_lines",
    "time_axis",
    "title_above",
    "title_lines",
]

LEFT, RIGHT = 1.05, 0.2
"""Inches beside the axes of our own figures."""
HEADER = 0.3
"""Inches above the lanes, for the numbers of the terms."""
CROWD = 2.5
"""Elections per inch of axis, beyond which marks are small and carry no letter."""
BELOW_AXIS = 0.58
"""Inches from the time axis down to the legend."""


class Lanes:
    """The lanes of an axes, one a node from the top, with the limits set and room for the terms above."""

    def __init__(self, ax: Axes, scene: Scene, *, header: float = HEADER) -> None:
        self.ax, self.scene, self.paper = ax, scene, Paper.of(ax)
        self._y = {node: len(scene.nodes) - 1 - k for k, node in enumerate(scene.nodes)}
        self._set_limits(header)
        self.labels = Labels(ax)

    def __contains__(self, node: int) -> bool:
        return node in self._y

    def y(self, node: int) -> float:
        """The middle of the lane of `node`."""
        return float(self._y[node])

    @property
    def top(self) -> float:
        """Where the uppermost lane ends and the header begins."""
        return max(len(self._y), 1) - 0.5

    @property
    def crowded(self) -> bool:
        """Whether so many elections share the axis that their marks must be small."""
        most = CROWD * (self.labels.right - self.labels.left) / self.labels.x_per_inch
        return bool(len(self.scene.elections) > most)

    def _set_limits(self, header: float) -> None:
        ax, ink, count = self.ax, self.paper.ink, max(len(self._y), 1)
        height = ax.get_position().height * figure_of(ax).get_size_inches()[1]
        ax.set_ylim(-0.5, count - 0.5 + header * count / max(height - header, HEADER))
        ax.set_yticks(list(self._y.values()), [f"node {node}" for node in self._y], fontsize=TEXT, color=ink, parse_math=False)
        ax.tick_params(axis="y", length=0)
        between = [[(0, y + 0.5), (1, y + 0.5)] for y in range(count if self._y else 0)]
        hair: dict[str, Any] = dict(colors=[mix(ink, self.paper.ground, 0.12)], linewidths=0.8, zorder=0.4)
        ax.add_collection(LineCollection(between, transform=ax.get_yaxis_transform(), **hair), autolim=False)
        time_axis(ax, self.scene, self.paper)


def own_figure(heights: Sequence[float], *, title: str, legend_rows: int, figure_class: type[Figure] = Figure) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels of these heights (inches) under one time axis, with room for title and legend."""
    top = 0.5 + title_lines(title, WIDTH - LEFT - RIGHT).count("\n") * 0.25
    bottom, between = BELOW_AXIS + 0.1 + 0.26 * legend_rows, 0.12
    height = top + sum(heights) + between * (len(heights) - 1) + bottom
    figure = plt.figure(figsize=(WIDTH, height), layout="none", FigureClass=figure_class)
    axes: list[Axes] = []
    upper = height - top
    for panel in heights:
        box = (LEFT / WIDTH, (upper - panel) / height, (WIDTH - LEFT - RIGHT) / WIDTH, panel / height)
        axes.append(figure.add_axes(box, sharex=axes[0] if axes else None))
        upper -= panel + between
    return figure, axes


def time_axis(ax: Axes, scene: Scene, paper: Paper) -> None:
    """Give `ax` the span of the trace as its limits, few ticks and a name; no frame but the axis itself."""
    pad = 0.02 * max(scene.end - scene.start, 1e-9)
    ax.set_xlim(scene.start - pad, max(scene.end, scene.start + pad))
    # Panels that share this axis share its locator and formatter too.
    ax.xaxis.set_major_locator(NullLocator() if scene.is_empty else MaxNLocator(7, integer=not scene.in_seconds))
    ax.xaxis.set_major_formatter(ScalarFormatter(useOffset=False, useMathText=False))
    ax.tick_params(axis="x", labelsize=TEXT, color=paper.ink, labelcolor=paper.ink, length=4, width=1.0)
    ax.set_xlabel("protocol seconds" if scene.in_seconds else "steps (this dump has no times)", fontsize=TEXT, color=paper.ink)
    ax.grid(False)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set(color=paper.ink, linewidth=1.0)


def bars(ax: Axes, boxes: Iterable[Box], *, gid: str, zorder: float, **look: Any) -> PolyCollection:
    """Draw a bar for each box, all as one artist that is found again by its `gid`."""
    corners = [[(b.x0, b.y0), (b.x0, b.y1), (b.x1, b.y1), (b.x1, b.y0)] for b in boxes]
    collection = PolyCollection(corners, gid=gid, zorder=zorder, **look)
    return ax.add_collection(collection, autolim=False)  # type: ignore[return-value]


def term_lines(ax: Axes, scene: Scene, paper: Paper, labels: Labels, *, top: float, numbers: bool = True) -> None:
    """Draw a thin upright line where each term begins, with its number above where there is room for it."""
    air = 0.06 * labels.x_per_inch
    shown, free_from = [], -np.inf
    for term, time in scene.terms.items():
        # Closer lines would grow together to a grey field; what is left out here is still in the lanes.
        if time - free_from < air:
            continue
        shown.append(time)
        free_from = time
        middle = (top + labels.top) / 2
        for words in (f"term {term}", str(term)) if numbers else ():
            if labels.place(words, [Spot(time, middle)], size=TEXT, avoid=("text",), color=paper.ink):
                break
    bottom = labels.bottom
    ax.vlines(shown, bottom, top, colors=[paper.faint], linewidths=1.0, zorder=0.6, gid="terms")
    labels.take("line", [labels.line(time, bottom, top) for time in shown])


def shade_faults(lanes: Lanes) -> list[tuple[Look, list[str], int, float, float]]:
    """Shade the lanes behind each fault; return what may be written there: look, choices of words, node, start and end."""
    written = []
    spans: dict[tuple[str, int], list[Box]] = {}
    for kind, node, peers, start, end in fault_lanes(lanes.scene.faults):
        if node in lanes:
            spans.setdefault((kind, node), []).append(Box(start, end, lanes.y(node) - 0.5, lanes.y(node) + 0.5))
            written.append((FAULTS[kind], _fault_words(kind, peers, len(lanes.scene.trace.nodes)), node, start, end))
    for (kind, node), boxes in spans.items():
        look = FAULTS[kind]
        edge = mix(look.colour, lanes.paper.ground, 0.4)
        gid = f"fault:{kind}:{node}"
        bars(lanes.ax, boxes, gid=gid, zorder=0.2, facecolors=[face(look, lanes.paper)], edgecolors=[edge], linewidths=0, hatch=look.hatch)
    return written


def _fault_words(kind: str, peers: list[int], count: int) -> list[str]:
    letter, words = FAULTS[kind].letter, FAULTS[kind].words
    to = ", ".join(map(str, peers))
    if 0 < len(peers) < count - 1:
        return [f"{letter} no link to {to}", f"{letter} {to}", letter]
    return [f"{letter} {words}", letter]


def candidate_marks(lanes: Lanes, offset: float) -> bool:
    """Mark who became candidate and when, by a lettered diamond whose right tip stands at that instant."""
    ax, elections = lanes.ax, lanes.scene.elections
    shown = [(row.start, lanes.y(row.candidate) + offset) for row in elections if row.candidate in lanes]
    if not shown:
        return False
    times, heights = zip(*shown, strict=True)
    left = ax.transData + ScaledTranslation((-4 if lanes.crowded else -9) / 72, 0, figure_of(ax).dpi_scale_trans)
    ground = lanes.paper.ground
    size = 60 if lanes.crowded else 300
    diamond: dict[str, Any] = dict(s=size, marker="D", c=CANDIDATE.colour, edgecolors=[ground], linewidths=1.0)
    letter: dict[str, Any] = dict(s=60, marker=_letter_path(CANDIDATE.letter), c="#1A1A1A", linewidths=0)
    ax.scatter(times, heights, zorder=5, transform=left, gid="candidates", **diamond)
    inch = lanes.labels.x_per_inch
    if lanes.crowded:
        lanes.labels.take("text", [Box(x - 0.2 * inch, x, y - 0.06, y + 0.06) for x, y in shown])
        return True
    ax.scatter(times, heights, zorder=5.1, transform=left, **letter)
    lanes.labels.take("text", [Box(x - 0.29 * inch, x, y - 0.12, y + 0.12) for x, y in shown])
    return True


@lru_cache(maxsize=8)
def _letter_path(letter: str) -> Path:
    """The outline of a bold letter about its middle, so that a hundred of them are one artist."""
    outline = TextPath((0, 0), letter, prop=FontProperties(weight="bold"), usetex=False)
    extent = outline.get_extents()
    middle = ((extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2)
    return Path(outline.vertices - middle, outline.codes)


def settle(ax: Axes, words: str, looks: Sequence[Look]) -> None:
    """Give somebody's axes its title and legend and let his layout make room for them, before labels are measured."""
    paper = Paper.of(ax)
    title_above(ax, words, paper)
    legend(ax, looks, paper)
    figure = figure_of(ax)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def title_lines(words: str, inches: float) -> str:
    """`words` broken into as few lines as fit into `inches` at the size of a title, all about equally long."""
    lines = _wrapped(words, inches)
    for share in (0.9, 0.8, 0.7, 0.6):
        narrower = _wrapped(words, inches * share)
        if len(lines) == 1 or len(narrower) > len(lines):
            break
        lines = narrower
    return "\n".join(lines)


def _wrapped(words: str, inches: float) -> list[str]:
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, TITLE, bold=True) > inches:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def title_above(ax: Axes, words: str, paper: Paper) -> None:
    """Set the sentence over the axes, in as many lines as it needs."""
    inches = ax.get_position().width * figure_of(ax).get_size_inches()[0]
    ax.set_title(title_lines(words, inches), loc="left", fontsize=TITLE, fontweight="bold", color=paper.ink, pad=6, parse_math=False)


def legend(ax: Axes, looks: Sequence[Look], paper: Paper) -> Legend | None:
    """Put a legend below the time axis, as wide as the axes, naming what occurs and nothing else."""
    if not looks:
        return None
    width, height = ax.get_position().size * figure_of(ax).get_size_inches()
    found = ax.legend(
        handles=[handle(look, paper) for look in looks], loc="upper left", ncols=_columns(looks, width), fontsize=TEXT, frameon=False,
        bbox_to_anchor=(0, -BELOW_AXIS / height), borderaxespad=0, borderpad=0, handlelength=2.0, columnspacing=1.5, labelcolor=paper.ink,
    )  # fmt: skip
    found.set_gid("legend")
    return found


def legend_rows(looks: Sequence[Look]) -> int:
    """How many rows `legend` will need in a figure of our own."""
    return -(-len(looks) // _columns(looks, WIDTH - LEFT - RIGHT)) if looks else 0


def _columns(looks: Sequence[Look], inches: float) -> int:
    """The most columns that fit; a legend is filled column by column, and each is as wide as its longest words."""
    widths = [text_width(look.words, TEXT) + 0.75 for look in looks]
    for columns in range(len(looks), 1, -1):
        filled = np.array_split(widths, columns)
        if sum(max(column) for column in filled) <= inches:
            return columns
    return 1


def handle(look: Look, paper: Paper) -> Patch | Line2D:
    """The sample of a thing that stands in the legend."""
    if look is CANDIDATE:
        return Line2D([], [], ls="", marker="D", ms=11, mfc=look.colour, mec=paper.ground, label=f"{look.letter}: {look.words}")
    outlined = not look.filled or look.dashed
    edge = look.colour if outlined else paper.ground
    style = "--" if look.dashed else "-"
    return Patch(fc=face(look, paper), ec=edge, ls=style, lw=2.0 if not look.hatch else 0.8, hatch=look.hatch, label=look.words)


def say_nothing_happened(ax: Axes, paper: Paper) -> None:
    """An empty trace is a picture too: it says so in its middle."""
    ax.set_yticks([])
    ax.text(0.5, 0.5, "nothing happened yet", transform=ax.transAxes, ha="center", va="center", fontsize=TITLE, color=paper.ink)
