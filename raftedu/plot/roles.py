"""The roles picture: a lane per node, and in it what the node was, from when to when.

Draws the frame of ``trace.roles()`` and nothing else; the bars of a node in one role are found again by their gid,
``role:NODE:ROLE``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes

from raftedu.plot.canvas import (
    Lanes, bars, candidate_marks, legend, legend_rows, own_figure, say_nothing_happened, shade_faults, term_lines, title_above,
)  # fmt: skip
from raftedu.plot.labels import Box, Spot
from raftedu.plot.language import CANDIDATE, ROLE_LANE, ROLES, TEXT, Look, face
from raftedu.plot.scene import Scene
from raftedu.plot.words import roles_sentence

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["draw_roles", "plot_roles", "role_looks"]

BAR = 0.38
"""Half the height of a bar, in lanes."""


def plot_roles(trace: Trace, *, ax: Axes | None = None, nodes: Iterable[int] | None = None, title: str | None = None) -> Axes:
    """Return the axes with the roles of a trace: who followed, campaigned, led, or was down, and when.

    Parameters
    ----------
    trace
        What happened. The bars are the rows of ``trace.roles()``.
    ax
        Where to draw; without it a figure is made.
    nodes
        The lanes to show, from the top; without it all.
    title
        A sentence in place of the one that is read off the trace.
    """
    scene = Scene.of(trace, nodes)
    sentence = roles_sentence(scene) if title is None else title
    looks = role_looks(scene)
    if ax is None:
        height = ROLE_LANE * max(len(scene.nodes), 1) + 0.3
        _, (ax,) = own_figure([height], title=sentence, legend_rows=legend_rows(looks))
    lanes = draw_roles(ax, scene)
    title_above(ax, sentence, lanes.paper)
    legend(ax, looks, lanes.paper)
    return ax


def draw_roles(ax: Axes, scene: Scene) -> Lanes:
    """Draw the lanes of roles into `ax`, without title and legend."""
    lanes = Lanes(ax, scene)
    if scene.is_empty:
        say_nothing_happened(ax, lanes.paper)
        return lanes
    shade_faults(lanes, skip=("crashed",))
    term_lines(ax, scene, lanes.paper, lanes.labels, top=lanes.top)
    roles = scene.roles[scene.roles["node"].isin(scene.nodes)]
    for (node, role), spans in roles.groupby(["node", "role"], sort=False):
        _draw_role(lanes, int(node), ROLES[role], role, spans)
    candidate_marks(lanes, 0.0)
    for row in _stretches(roles):
        _label_role(lanes, row)
    return lanes


def role_looks(scene: Scene) -> list[Look]:
    """The roles that occur, for the legend, each with its letter."""
    present = set(scene.roles.loc[scene.roles["node"].isin(scene.nodes), "role"])
    if scene.elections["candidate"].isin(scene.nodes).any():
        present.add("candidate")
    return [look if look is CANDIDATE else look._replace(words=f"{look.letter}: {look.words}") for role, look in ROLES.items() if role in present]


def _draw_role(lanes: Lanes, node: int, look: Look, role: str, spans: pd.DataFrame) -> None:
    ground, y = lanes.paper.ground, lanes.y(node)
    edge = ground if look.filled else look.colour
    style = "--" if look.dashed else "-"
    times = list(zip(spans["start"], spans["end"], strict=True))
    bars(
        lanes.ax, times, y - BAR, y + BAR, gid=f"role:{node}:{role}", zorder=2, facecolors=[face(look, lanes.paper)], edgecolors=[edge],
        linewidths=0.8 if look.hatch else 0, linestyles=style, hatch=look.hatch,
    )  # fmt: skip


def _stretches(roles: pd.DataFrame) -> list[Any]:
    """The rows of ``roles()``, those that follow on each other in one role as one (a new term is no new word)."""
    ordered = roles.sort_values(["node", "start"], kind="stable")
    leads = ordered["role"] == "leader"
    new = (ordered["role"] != ordered["role"].shift()) | (ordered["node"] != ordered["node"].shift()) | leads
    merged = ordered.groupby(new.cumsum()).agg(node=("node", "first"), role=("role", "first"), term=("term", "first"), start=("start", "first"), end=("end", "last"))
    return list(merged.itertuples(index=False))


def _label_role(lanes: Lanes, row: Any) -> None:
    look, labels = ROLES[row.role], lanes.labels
    start, end, y = max(row.start, labels.left), min(row.end, labels.right), lanes.y(row.node)
    words = {"leader": [f"L  term {row.term}", f"L {row.term}", "L"], "crashed": ["× crashed", "×"], "stopped": ["■ stopped", "■"]}
    ink = "white" if row.role == "leader" else lanes.paper.ink
    weight = "bold" if row.role == "leader" else "normal"
    within = Box(start, end, y - 0.5, y + 0.5)
    spot = Spot(start + 0.08 * labels.x_per_inch, y, "left")
    ground = dict(fc=lanes.paper.ground, ec="none", pad=1) if look.hatch and not look.filled else None
    for text in words.get(row.role, [look.letter]):
        if labels.place(text, [spot], size=TEXT, within=within, avoid=("text",), color=ink, fontweight=weight, bbox=ground):
            return
