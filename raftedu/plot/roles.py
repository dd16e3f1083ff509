"""The roles picture: a lane per node, and in it what the node was, from when to when.

Draws the frame of ``trace.roles()`` and nothing else; the bars of a node in one role are found again by their gid,
``role:NODE:ROLE``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from raftedu.plot.canvas import (
    Lanes,
    bars,
    candidate_marks,
    legend,
    legend_rows,
    own_figure,
    say_nothing_happened,
    settle,
    term_lines,
    title_above,
)
from raftedu.plot.labels import Box, Spot
from raftedu.plot.lanes import fault_lanes
from raftedu.plot.language import CANDIDATE, FAULTS, ROLE_LANE, ROLES, TEXT, Look, face
from raftedu.plot.scene import Scene
from raftedu.plot.words import roles_sentence

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["draw_roles", "plot_roles", "role_looks"]

BAR = 0.38
"""Half the height of a bar, in lanes."""
HAMPERED = ("paused", "clock", "fault")


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
    else:
        settle(ax, sentence, looks)
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
    term_lines(ax, scene, lanes.paper, lanes.labels, top=lanes.top)
    boxes: dict[tuple[int, str], list[Box]] = {}
    for row in scene.roles:
        if row.node in lanes:
            boxes.setdefault((row.node, row.role), []).append(_box(lanes, row.node, row.start, row.end))
    for (node, role), spans in boxes.items():
        _draw_role(lanes, node, role, spans)
    _draw_hampered(lanes)
    candidate_marks(lanes, 0.0)
    for stretch in _stretches(scene.roles):
        _label_role(lanes, stretch)
    return lanes


def role_looks(scene: Scene) -> list[Look]:
    """The roles that occur, for the legend, each with its letter."""
    present = {row.role for row in scene.roles if row.node in scene.nodes}
    shown = [look for role, look in ROLES.items() if role in present]
    return [look if look is CANDIDATE else look._replace(words=f"{look.letter}: {look.words}") for look in shown]


def _box(lanes: Lanes, node: int, start: float, end: float) -> Box:
    return Box(start, end, lanes.y(node) - BAR, lanes.y(node) + BAR)


def _draw_role(lanes: Lanes, node: int, role: str, boxes: list[Box]) -> None:
    look, ground = ROLES[role], lanes.paper.ground
    edge, width = (ground, 0.0) if look.filled else (look.colour, 0.8)
    bars(
        lanes.ax, boxes, gid=f"role:{node}:{role}", zorder=2, facecolors=[face(look, lanes.paper)], edgecolors=[edge], linewidths=width,
        linestyles="--" if look.dashed else "-", hatch=look.hatch,
    )  # fmt: skip


def _draw_hampered(lanes: Lanes) -> None:
    """Hatch a role over while its node was paused or its clock was wrong: it is still what it was, but cannot act on it."""
    for kind, node, _, start, end in fault_lanes(lanes.scene.faults):
        if kind in HAMPERED and node in lanes:
            box, look = _box(lanes, node, start, end), FAULTS[kind]
            veil: dict[str, Any] = dict(
                facecolors=[to_rgba(lanes.paper.ground, 0.55)], edgecolors=[lanes.paper.faint], linewidths=0, hatch=look.hatch
            )
            bars(lanes.ax, [box], gid=f"fault:{kind}:{node}", zorder=2.5, **veil)
            lanes.labels.take("bar", [box])
            spot = Spot(max(start, lanes.labels.left) + 0.08 * lanes.labels.x_per_inch, lanes.y(node), "left")
            ground: dict[str, Any] = dict(fc=lanes.paper.ground, ec="none", pad=1)
            for words in (f"{look.letter} {look.words}", look.letter):
                if lanes.labels.place(words, [spot], size=TEXT, within=box, avoid=("text",), color=lanes.paper.ink, bbox=ground):
                    break


def _stretches(roles: list[Any]) -> list[Any]:
    """The rows of ``roles()``, those that follow on each other as one role merged: to follow in a new term is no news."""
    merged: list[Any] = []
    for row in sorted(roles, key=lambda row: (row.node, row.start)):
        last = merged[-1] if merged else None
        if last and (last.node, last.role) == (row.node, row.role) and row.role != "leader":
            merged[-1] = last._replace(end=row.end)
        else:
            merged.append(row)
    return merged


def _label_role(lanes: Lanes, row: Any) -> None:
    if row.node not in lanes:
        return
    look, labels = ROLES[row.role], lanes.labels
    start, end, y = max(row.start, labels.left), min(row.end, labels.right), lanes.y(row.node)
    choices = [f"L  term {row.term}", f"L {row.term}", "L"] if row.role == "leader" else [f"{look.letter} {look.words}", look.letter]
    if row.role in ("follower", "candidate"):
        choices = [look.letter]
    look_of_text: dict[str, Any] = dict(color=lanes.paper.ink)
    if row.role == "leader":
        look_of_text = dict(color="white", fontweight="bold")
    if not look.filled:
        look_of_text["bbox"] = dict(fc=lanes.paper.ground, ec="none", pad=1)
    spot = Spot(start + 0.08 * labels.x_per_inch, y, "left")
    for words in choices:
        if labels.place(words, [spot], size=TEXT, within=Box(start, end, y - 0.5, y + 0.5), avoid=("text", "bar"), **look_of_text):
            return
