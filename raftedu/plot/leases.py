"""The lease picture: a lane per node, and in it who holds, promises, waits for or still honours a lease.

Knows the frame of `lease_lanes` and the picture language. Every bar carries a `gid`, by which a test or a student
finds it again: ``lease:NODE:TERM``, ``honoured:NODE:TERM``, ``wait:NODE:TERM``, ``because:NODE:TERM``,
``two leases:NODE:TERM``, ``promise:NODE:LEADER``, ``renewals``, ``lost``, ``fault:KIND:NODE``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation

from raftedu.plot.canvas import (
    HEADER,
    Lanes,
    bars,
    candidate_marks,
    legend,
    legend_rows,
    own_figure,
    say_nothing_happened,
    settle,
    shade_faults,
    term_lines,
    title_above,
)
from raftedu.plot.labels import Box, Spot
from raftedu.plot.lanes import Lane, binding_promise, wait_is_cut
from raftedu.plot.language import (
    CANDIDATE,
    HONOURED,
    LANE,
    OWN_LEASE,
    PROMISE,
    PROMISE_HATCHES,
    SMALL,
    TEXT,
    TWO_LEASES,
    WAIT,
    Look,
    face,
    figure_of,
)
from raftedu.plot.scene import Scene
from raftedu.plot.words import lease_sentence

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["draw_leases", "lease_looks", "plot_leases"]

OWN = (0.0, 0.45)
"""A lane is one high, its middle at 0: the node's own lease stands in the upper half, its promises in the lower."""
TICKS = (0.0, 0.1)
PROMISES = (-0.47, -0.05)
DENSEST_TICKS = 0.08
"""Inches between two renewals; closer ones would be stripes, so then none are drawn."""

NARROWEST_HATCH = 0.2
"""Inches of an average promise, below which it is tinted."""

_LOST = {"expired": "runs out", "given up": "given up", "stepped down": "steps down"}


def plot_leases(trace: Trace, *, ax: Axes | None = None, nodes: Iterable[int] | None = None, title: str | None = None) -> Axes:
    """Return the axes with the leases of a trace: held, renewed, promised, waited for, and still to be honoured.

    Parameters
    ----------
    trace
        What happened. The bars are the rows of ``raftedu.plot.lease_lanes(trace)``.
    ax
        Where to draw; without it a figure is made.
    nodes
        The lanes to show, from the top; without it all.
    title
        A sentence in place of the one that is read off the trace.
    """
    scene = Scene.of(trace, nodes)
    sentence = lease_sentence(scene) if title is None else title
    if ax is None:
        height = LANE * max(len(scene.nodes), 1) + 0.3
        _, (ax,) = own_figure([height], title=sentence, legend_rows=legend_rows(lease_looks(scene)))
    else:
        settle(ax, sentence, lease_looks(scene))
    lanes = draw_leases(ax, scene)
    title_above(ax, sentence, lanes.paper)
    legend(ax, lease_looks(scene, lanes), lanes.paper)
    return ax


def draw_leases(ax: Axes, scene: Scene, *, numbers: bool = True) -> Lanes:
    """Draw the lanes of leases into `ax`, without title and legend; `numbers` above the lines of the terms."""
    lanes = Lanes(ax, scene, header=HEADER if numbers else 0.0)
    if scene.is_empty:
        say_nothing_happened(ax, lanes.paper)
        return lanes
    faults = shade_faults(lanes)
    term_lines(ax, scene, lanes.paper, lanes.labels, top=lanes.top, numbers=numbers)
    for what in ("lease", "honoured", "wait", "two leases"):
        for lane in scene.lanes_with(what):
            _draw_own(lanes, lane)
    _draw_promises(lanes)
    _draw_renewals(lanes)
    candidate_marks(lanes, sum(OWN) / 2)
    _draw_lost(lanes)
    _write(lanes, faults)
    return lanes


def lease_looks(scene: Scene, lanes: Lanes | None = None) -> list[Look]:
    """The looks that occur, for the legend; faults are not among them, since they say in their place what they are."""
    own = OWN_LEASE
    if lanes is None or _ticks(lanes)[0].size:
        own = OWN_LEASE._replace(words="own lease (ticks: renewals)")
    promise = PROMISE if lanes is None else _promise_look(lanes)
    looks = {"lease": own, "promise": promise, "wait": WAIT, "honoured": HONOURED, "two leases": TWO_LEASES}
    candidates = [CANDIDATE] if any(election.candidate in scene.nodes for election in scene.elections) else []
    return [look for what, look in looks.items() if scene.lanes_with(what)] + candidates


def _draw_promises(lanes: Lanes) -> None:
    """Draw the promises of each node to each leader as one artist; the hatch tells the leaders apart."""
    order = {leader: k for k, leader in enumerate(dict.fromkeys(lane.leader for lane in lanes.scene.lanes if lane.what == "promise"))}
    given: dict[tuple[int, int], list[Box]] = {}
    for lane in lanes.scene.lanes_with("promise"):
        given.setdefault((lane.node, lane.leader), []).append(_promise_box(lanes, lane))
    look = _promise_look(lanes)
    for (node, leader), boxes in given.items():
        hatch = look.hatch and PROMISE_HATCHES[order[leader] % len(PROMISE_HATCHES)]
        gid = f"promise:{node}:{leader}"
        bars(
            lanes.ax,
            boxes,
            gid=gid,
            zorder=2,
            hatch=hatch,
            facecolors=[face(look, lanes.paper)],
            edgecolors=[PROMISE.colour],
            linewidths=0.9,
        )
        lanes.labels.take("bar", boxes)


def _promise_look(lanes: Lanes) -> Look:
    """Hatched; but in narrow bars no hatch is seen, and it would take most of the time to draw: there a tint says as much."""
    widths = [lane.end - lane.start for lane in lanes.scene.lanes_with("promise")]
    narrow = bool(widths) and np.median(widths) < NARROWEST_HATCH * lanes.labels.x_per_inch
    return PROMISE._replace(hatch=None, filled=True, share=0.4) if narrow else PROMISE


def _promise_box(lanes: Lanes, promise: Lane) -> Box:
    """Where a promise stands in its lane: the rows share the lower half, and one or two of them are equally high."""
    step = (PROMISES[1] - PROMISES[0]) / max(lanes.scene.promise_rows, 2)
    top = lanes.y(promise.node) + PROMISES[1] - promise.row * step
    return Box(promise.start, promise.end, top - 0.88 * step, top)


def _own_box(lanes: Lanes, row: Lane) -> Box:
    y = lanes.y(row.node)
    return Box(row.start, row.end, y + OWN[0], y + OWN[1])


def _draw_own(lanes: Lanes, row: Lane) -> None:
    """Draw a lease, a wait, a lease to honour or the red of two leases: one rectangle in the upper half of its lane."""
    looks: dict[str, dict[str, Any]] = {
        "lease": dict(fc=OWN_LEASE.colour, ec="none", zorder=3),
        "honoured": dict(fc=face(HONOURED, lanes.paper), ec=lanes.paper.cool_ink, ls="--", lw=1.6, zorder=3),
        "wait": dict(fc=lanes.paper.ground, ec=WAIT.colour, lw=1.2 if lanes.crowded else 2.6, zorder=4),
        "two leases": dict(fc=TWO_LEASES.colour, ec=lanes.paper.ground, hatch=TWO_LEASES.hatch, lw=0, zorder=4.5),
    }
    look = looks[row.what]
    box = _own_box(lanes, row)
    gid = f"{row.what}:{row.node}:{row.term}"
    lanes.ax.add_artist(Rectangle((box.x0, box.y0), box.x1 - box.x0, box.y1 - box.y0, gid=gid, **look))
    lanes.labels.take("text" if row.what == "two leases" else "bar", [box])


def _ticks(lanes: Lanes) -> tuple[np.ndarray, np.ndarray]:
    """When each lease was renewed and in whose lane; nothing if the ticks would stand closer than the eye can tell."""
    scene = lanes.scene
    leases = [row for row in scene.leases if row.node in lanes]
    times = [np.asarray([t for t in row.renewals if t < row.end], dtype=float) for row in leases]
    between = np.concatenate([np.diff(t) for t in times] or [np.empty(0)])
    if between.size and np.median(between) < DENSEST_TICKS * lanes.labels.x_per_inch:
        return np.empty(0), np.empty(0)
    heights = [np.full(t.size, lanes.y(row.node)) for t, row in zip(times, leases, strict=True)]
    return np.concatenate(times or [np.empty(0)]), np.concatenate(heights or [np.empty(0)])


def _draw_renewals(lanes: Lanes) -> None:
    times, y = _ticks(lanes)
    if times.size:
        lanes.ax.vlines(times, y + TICKS[0], y + TICKS[1], colors="white", linewidths=1.4, zorder=3.5, gid="renewals")


def _lost(lanes: Lanes) -> list[Any]:
    return [row for row in lanes.scene.leases if row.node in lanes and row.why in _LOST]


def _draw_lost(lanes: Lanes) -> None:
    """Put a × behind every lease that ran out or was given up."""
    lost = _lost(lanes)
    if not lost:
        return
    ax, y = lanes.ax, [lanes.y(row.node) + sum(OWN) / 2 for row in lost]
    right = ax.transData + ScaledTranslation((5 if lanes.crowded else 9) / 72, 0, figure_of(ax).dpi_scale_trans)
    ax.scatter(
        [row.end for row in lost],
        y,
        s=25 if lanes.crowded else 64,
        marker="x",
        c=[lanes.paper.ink],
        linewidths=1.5 if lanes.crowded else 2.2,
        zorder=5,
        transform=right,
        gid="lost",
    )
    inch = lanes.labels.x_per_inch
    lanes.labels.take("text", [Box(row.end, row.end + 0.24 * inch, h - 0.1, h + 0.1) for row, h in zip(lost, y, strict=True)])


def _write(lanes: Lanes, faults: list[tuple[Look, list[str], int, float, float]]) -> None:
    """Write the labels, the ones that matter most first: they find the best places."""
    write = {"two leases": _label_two_leases, "wait": _label_wait, "lease": _label_lease, "honoured": _label_honoured}
    for what, label in write.items():
        for lane in lanes.scene.lanes_with(what):
            label(lanes, lane)
    for wait in lanes.scene.lanes_with("wait"):
        _draw_reason(lanes, wait)
    for look, choices, node, start, end in faults:
        _label_fault(lanes, look, choices, node, start, end)
    _label_lost(lanes)
    for promise in lanes.scene.lanes_with("promise"):
        _label_promise(lanes, promise)


def _label_lease(lanes: Lanes, row: Lane) -> None:
    bar = _own_box(lanes, row)
    inside = bar._replace(y0=lanes.y(row.node) + TICKS[1], x0=max(bar.x0, lanes.labels.left))
    red = [lane.end for lane in lanes.scene.lanes_with("two leases") if (lane.node, lane.term) == (row.node, row.term)]
    spots = [Spot(x + 0.08 * lanes.labels.x_per_inch, (inside.y0 + inside.y1) / 2, "left") for x in (inside.x0, *red)]
    for words in (f"{OWN_LEASE.letter}  term {row.term}", f"{OWN_LEASE.letter} {row.term}", OWN_LEASE.letter):
        if lanes.labels.place(words, spots, size=TEXT, within=inside, avoid=("text",), color="white", fontweight="bold"):
            return


def _label_wait(lanes: Lanes, row: Lane) -> None:
    """Write how long a new leader waits: in its box, else beside it, where its lane is still empty."""
    wait: Any = lanes.scene.waits_for(row)
    length = lanes.scene.length(wait.length)
    if wait_is_cut(wait) and wait.end < lanes.scene.end:
        length = f"{lanes.scene.length(wait.end - wait.start)} of {length}"
    box = _own_box(lanes, row)
    middle = Spot((box.x0 + min(box.x1, lanes.labels.right)) / 2, (box.y0 + box.y1) / 2)
    look: dict[str, Any] = dict(size=TEXT, color=lanes.paper.warm_ink, fontweight="bold")
    for words in (f"waits {length}", f"waits\n{length}"):
        if lanes.labels.place(words, [middle], within=box, avoid=("text",), **look):
            return
    inch = lanes.labels.x_per_inch
    beside = [Spot(box.x0 - 0.33 * inch, middle.y, "right"), Spot(box.x1 + 0.08 * inch, middle.y, "left")]
    lanes.labels.place(f"waits {length}", beside, avoid=("text", "bar"), bbox=dict(fc=lanes.paper.ground, ec="none", pad=0.5), **look)


def _label_honoured(lanes: Lanes, row: Lane) -> None:
    box = _own_box(lanes, row)
    y, air = (box.y0 + box.y1) / 2, 0.08 * lanes.labels.x_per_inch
    inside = box._replace(x0=box.x0 + air, x1=min(box.x1, lanes.labels.right) - air)
    spots = [Spot((inside.x0 + inside.x1) / 2, y), Spot(inside.x1, y, "right")]
    for words in ("the others must still honour it", "others still honour it", "others still\nhonour it", "honoured"):
        if lanes.labels.place(words, spots, size=TEXT, within=inside, avoid=("text",), color=lanes.paper.cool_ink):
            return


def _label_two_leases(lanes: Lanes, row: Lane) -> None:
    """Write on the lane above what is red there; one pair is named once."""
    if row.leader in lanes and lanes.y(row.leader) > lanes.y(row.node):
        return
    box, inch = _own_box(lanes, row), lanes.labels.x_per_inch
    words = f"{TWO_LEASES.letter} two leases, {lanes.scene.length(row.end - row.start)}"
    low = lanes.y(row.node) + PROMISES[0] / 2
    spots = [
        Spot(box.x1 + 0.1 * inch, (box.y0 + box.y1) / 2, "left"),
        Spot(box.x0 - 0.1 * inch, (box.y0 + box.y1) / 2, "right"),
        Spot(box.x0 + 0.1 * inch, low, "left"),
        Spot(box.x1 - 0.1 * inch, low, "right"),
    ]
    lanes.labels.place(words, spots, size=TEXT, avoid=("text", "bar"), color=lanes.paper.alarm_ink, fontweight="bold")


def _draw_reason(lanes: Lanes, lane: Lane) -> None:
    """Join a wait to the end of the promise that made it necessary, and say until when that was given."""
    promise = binding_promise(lanes.scene.waits_for(lane), lanes.scene.promises)
    if promise is None or promise.node not in lanes:
        return
    given = (promise.node, promise.leader, promise.term, promise.start)
    bar = next(_promise_box(lanes, p) for p in lanes.scene.lanes_with("promise") if (p.node, p.leader, p.term, p.start) == given)
    box, y = _own_box(lanes, lane), (bar.y0 + bar.y1) / 2
    edge = box.y0 if box.y0 > bar.y0 else box.y1
    width, dot = (1.0, 3.0) if lanes.crowded else (2.2, 6.0)
    lanes.ax.plot(
        [bar.x1, box.x1], [y, edge], color=WAIT.colour, lw=width, ls=(0, (1.2, 1)), marker="o", markevery=[0], ms=dot, zorder=4.2,
        gid=f"because:{lane.node}:{lane.term}", scalex=False, scaley=False,
    )  # fmt: skip
    lanes.labels.take("line", [lanes.labels.line(box.x1, min(y, edge), max(y, edge))])
    _label_reason(lanes, promise, y)


def _label_reason(lanes: Lanes, promise: Any, y: float) -> None:
    until, labels = lanes.scene.moment(promise.until), lanes.labels
    air, high = 0.12 * labels.x_per_inch, lanes.y(promise.node) + sum(OWN) / 2
    right, left = Spot(promise.until + air, high, "left"), Spot(promise.until - air, high, "right")
    look: dict[str, Any] = dict(size=TEXT, color=lanes.paper.warm_ink)
    for words in (f"node {promise.node} promised until {until}", f"until {until}"):
        if labels.place(words, [right, Spot(promise.until + air, y, "left"), left], **look):
            return


def _label_fault(lanes: Lanes, look: Look, choices: list[str], node: int, start: float, end: float) -> None:
    """Say in a shaded stretch what was wrong there: the whole words, else fewer."""
    y, air = lanes.y(node), 0.08 * lanes.labels.x_per_inch
    left, right = max(start, lanes.labels.left) + air, min(end, lanes.labels.right) - air
    low, high = y + PROMISES[0] / 2, y + sum(OWN) / 2
    spots = [Spot(left, low, "left"), Spot(left, high, "left"), Spot(right, low, "right")]
    stretch = Box(start, end, y - 0.5, y + 0.5)
    ground: dict[str, Any] = dict(fc=face(look, lanes.paper), ec="none", pad=1)
    for words in choices:
        if lanes.labels.place(words, spots, size=TEXT, within=stretch, color=lanes.paper.ink, bbox=ground):
            return


def _label_lost(lanes: Lanes) -> None:
    for row in _lost(lanes):
        spot = Spot(row.end + 0.28 * lanes.labels.x_per_inch, lanes.y(row.node) + sum(OWN) / 2, "left")
        lanes.labels.place(_LOST[row.why], [spot], size=TEXT, color=lanes.paper.ink)


def _label_promise(lanes: Lanes, promise: Lane) -> None:
    """Say to whom a promise was given, if its bar is long and high enough."""
    bar = _promise_box(lanes, promise)
    spot = Spot(max(bar.x0, lanes.labels.left) + 0.1 * lanes.labels.x_per_inch, (bar.y0 + bar.y1) / 2, "left")
    look: dict[str, Any] = dict(size=SMALL, color=lanes.paper.cool_ink, bbox=dict(fc=lanes.paper.ground, ec="none", pad=0))
    lanes.labels.place(f"to node {promise.leader}", [spot], within=bar, avoid=("text",), **look)
