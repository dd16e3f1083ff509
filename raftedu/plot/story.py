"""The whole story in one picture: roles, leases and the commit index, one time axis under all three.

Knows how the panels are put together; how roles and leases look is told by their own modules.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from raftedu.plot.canvas import LEFT, Lanes, bars, legend, legend_rows, own_figure, term_lines, time_axis, title_lines
from raftedu.plot.labels import Box, Labels, Spot
from raftedu.plot.lanes import gaps
from raftedu.plot.language import LANE, ROLE_LANE, TEXT, TITLE, WAIT, WIDTH, Look, Paper, mix
from raftedu.plot.leases import draw_leases, lease_looks
from raftedu.plot.roles import draw_roles, role_looks
from raftedu.plot.scene import Scene
from raftedu.plot.words import lease_sentence

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["StoryFigure", "plot_story"]

COMMITS = 1.3
"""Inches for the commit index."""


class StoryFigure(Figure):
    """A figure that a notebook shows once: as the value of its cell, or else when the cell has ended."""

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """The picture as PNG; pyplot forgets the figure, or the cell would show it a second time at its end."""
        plt.close(self)
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=self.dpi)
        return {"image/png": base64.b64encode(png.getvalue()).decode("ascii"), "text/plain": repr(self)}


def plot_story(trace: Trace, *, title: str | None = None) -> Figure:
    """Return a figure with the roles, the leases and the commit index of a trace under one time axis.

    Shaded in the commit index are the times without any valid lease: from the end of one to the next, no leader may
    answer a SET or a GET. The thick line is the cluster's commit index, the thin ones are what each node knows of it.

    Parameters
    ----------
    trace
        What happened. The panels draw ``trace.roles()``, ``raftedu.plot.lease_lanes(trace)`` and ``trace.commits()``.
    title
        A sentence in place of the one that is read off the trace.
    """
    scene = Scene.of(trace)
    sentence = lease_sentence(scene) if title is None else title
    looks = _looks(scene)
    count = max(len(scene.nodes), 1)
    heights = [ROLE_LANE * count + 0.3, LANE * count, COMMITS]
    figure, (roles, leases, commits) = own_figure(heights, title=sentence, legend_rows=legend_rows(looks), figure_class=StoryFigure)
    draw_roles(roles, scene)
    lanes = draw_leases(leases, scene, numbers=False)
    paper = lanes.paper
    _draw_commits(commits, scene, paper)
    for ax, name in ((roles, "roles"), (leases, "leases"), (commits, "commit index")):
        _name_panel(ax, name, paper, last=ax is commits)
    legend(commits, _looks(scene, lanes), paper)
    figure.suptitle(
        title_lines(sentence, WIDTH - LEFT - 0.2), x=LEFT / WIDTH, y=1 - 0.12 / figure.get_size_inches()[1], ha="left", va="top",
        fontsize=TITLE, fontweight="bold", color=paper.ink, parse_math=False,
    )  # fmt: skip
    return figure


def _looks(scene: Scene, lanes: Lanes | None = None) -> list[Look]:
    """One legend for all panels: what the leases have in common with the roles is named once."""
    of_leases = lease_looks(scene, lanes)
    told = {look.letter for look in of_leases}
    letters = [look for look in role_looks(scene) if look.letter not in told]
    return [*of_leases, *letters]


def _name_panel(ax: Axes, name: str, paper: Paper, *, last: bool) -> None:
    ax.set_ylabel(name, fontsize=TEXT, fontweight="bold", color=paper.ink)
    ax.yaxis.set_label_coords(-0.78 / (ax.get_position().width * WIDTH), 0.5)
    if not last:
        ax.tick_params(axis="x", labelbottom=False, length=0)
        ax.set_xlabel("")
        ax.spines["bottom"].set_visible(False)


def _draw_commits(ax: Axes, scene: Scene, paper: Paper) -> None:
    commits = scene.trace.commits().sort_values(["time", "index"], kind="stable")
    top = max(int(commits["index"].max()) if len(commits) else 0, 1)
    time_axis(ax, scene, paper)
    ax.set_ylim(-0.08 * top, 1.45 * top)
    ax.yaxis.set_major_locator(NullLocator() if scene.is_empty else MaxNLocator(3, integer=True))
    ax.tick_params(axis="y", labelsize=TEXT, labelcolor=paper.ink, length=0)
    if scene.is_empty:
        return
    labels = Labels(ax)
    _shade_gaps(ax, scene, paper, labels)
    term_lines(ax, scene, paper, labels, top=1.45 * top, numbers=False)
    for node, known in commits.groupby("node"):
        _step(ax, known["time"], known["index"], scene, color=paper.faint, lw=1.0, zorder=3, gid=f"commit:{node}")
    _step(ax, commits["time"], commits["index"].cummax(), scene, color=paper.ink, lw=2.4, zorder=4, gid="commit")


def _step(ax: Axes, times: pd.Series, index: pd.Series, scene: Scene, **look: Any) -> None:
    """A step line from nothing at the trace's start to what was known at its end."""
    last = index.iloc[-1] if len(index) else 0
    ax.plot([scene.start, *times, scene.end], [0, *index, last], drawstyle="steps-post", scalex=False, scaley=False, **look)


def _shade_gaps(ax: Axes, scene: Scene, paper: Paper, labels: Labels) -> None:
    found = gaps(scene.leases, scene.end)
    if not found:
        return
    face = mix(WAIT.colour, paper.ground, 0.2)
    boxes = [Box(start, end, labels.bottom, labels.top) for start, end in found]
    bars(ax, boxes, gid="no lease", zorder=0.3, facecolors=[face], edgecolors="none", linewidths=0)
    longest = max(found, key=lambda gap: gap[1] - gap[0])
    for start, end in sorted(found, key=lambda gap: gap != longest):
        length = f"{scene.length(end - start)}{' so far' if end >= scene.end else ''}"
        words = f"{_unanswered(scene, start, end)}: {length}"
        inside = Box(start, end, labels.bottom, labels.top)
        _label_gap(labels, [words, words.replace(": ", "\n"), length], inside, paper, may_leave=(start, end) == longest)


def _label_gap(labels: Labels, choices: list[str], inside: Box, paper: Paper, *, may_leave: bool) -> None:
    """Write into a gap how long it lasted; only the longest, if it is too narrow, may write beyond its edges."""
    high = labels.top - 0.12 * labels.y_per_inch
    ground: dict[str, Any] = dict(fc=mix(WAIT.colour, paper.ground, 0.2), ec="none", pad=1)
    look: dict[str, Any] = dict(size=TEXT, avoid=("text",), color=paper.warm_ink, fontweight="bold", bbox=ground)
    middle = (max(inside.x0, labels.left) + min(inside.x1, labels.right)) / 2
    for words in choices:
        if labels.place(words, [Spot(middle, high, "center", "top")], within=inside, **look):
            return
    if may_leave:
        beside = [Spot(inside.x1, high, "right", "top"), Spot(inside.x0, high, "left", "top")]
        labels.place(choices[0], [Spot(middle, high, "center", "top"), *beside], **look)


def _unanswered(scene: Scene, start: float, end: float) -> str:
    """What no client got between two leases; said only if it is true, since a wrong rule may have answered."""
    answered = {request.op for request in scene.requests if request.outcome == "success" and start < request.end < end}
    silent = [op for op in ("SET", "GET") if op not in answered]
    return ", ".join(f"no {op}" for op in silent) or "no lease"
