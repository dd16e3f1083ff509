"""The picture language: every colour, letter, hatch and size of the pictures, and nothing else.

This module knows how a thing looks. It must not know what happened: no trace, no frame comes in here. Pictures
drawn elsewhere (in a browser, say) take their looks from this table, so that all of them agree. The colours are
those of Okabe and Ito, which colour-blind people tell apart; still, nothing is told by colour alone: each thing has
a letter, a hatch or an outline as well, so that a grey print says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.colors import to_rgb, to_rgba

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CANDIDATE", "FAULTS", "HONOURED", "OWN_LEASE", "PROMISE", "PROMISE_HATCHES", "ROLES", "TWO_LEASES", "WAIT", "Look", "Paper"]

BLUE, SKY, ORANGE, PINK, VERMILION, GREY = "#0072B2", "#56B4E9", "#E69F00", "#CC79A7", "#D55E00", "#9A9A9A"

TEXT = 12.0
"""Points; nothing that a room must read is smaller. Pictures are made for this size, 12 inches wide."""
TITLE = 14.0
SMALL = 11.0
"""Points, for the one text that repeats in every lane: to whom a promise was given."""
WIDTH = 12.0
"""Inches."""
LANE = 0.84
"""Inches per node in the lease picture: a lease with its text above, two promises below."""
ROLE_LANE = 0.33
"""Inches per node in the roles picture."""


class Look(NamedTuple):
    """How one thing looks, and the words that the legend has for it."""

    words: str
    colour: str
    letter: str = ""
    hatch: str | None = None
    filled: bool = True
    share: float = 1.0
    """How strongly the colour is laid on: what is usual must not shout."""
    dashed: bool = False


OWN_LEASE = Look("own lease", BLUE, letter="L")
HONOURED = Look("lease others still honour", BLUE, dashed=True, share=0.08)
PROMISE = Look("promise given", SKY, hatch="////", filled=False)
WAIT = Look("new leader waits", ORANGE, filled=False)
TWO_LEASES = Look("two valid leases at once", VERMILION, letter="!", hatch="xxx")
CANDIDATE = Look("candidate", PINK, letter="C")

PROMISE_HATCHES = ("////", "\\\\\\\\", "....", "||||")
"""One for each leader, in the order in which they were first promised to; then from the start again."""

ROLES = {
    "follower": Look("follower", SKY, letter="F", share=0.3),
    "candidate": CANDIDATE,
    "leader": Look("leader", BLUE, letter="L"),
    "crashed": Look("crashed", GREY, letter="×", hatch="xx", filled=False),
    "stopped": Look("stopped", GREY, letter="■", filled=False, dashed=True),
}

FAULTS = {
    "crashed": Look("crashed", GREY, letter="×", share=0.25),
    "paused": Look("paused", GREY, letter="‖", hatch="..", share=0.25),
    "link": Look("cut off", GREY, letter="≠", hatch="--", share=0.25),
    "clock": Look("wrong clock", GREY, letter="≈", hatch="++", share=0.25),
    "fault": Look("fault", GREY, letter="×", hatch="xx", share=0.25),
}


class Paper(NamedTuple):
    """What a picture is drawn on: the colours that must change between a light and a dark background."""

    ground: str | tuple[float, float, float]
    ink: str
    faint: str
    warm_ink: str
    cool_ink: str
    alarm_ink: str

    @classmethod
    def of(cls, ax: Axes) -> Paper:
        """The paper of `ax`: its background, seen through to the figure's, and inks that are read on it."""
        ground = _seen_through([ax.get_facecolor(), figure_of(ax).get_facecolor()])
        if _luminance(ground) > 0.4:
            return cls(ground, "#1A1A1A", "#8C8C8C", "#8A5A00", "#00507F", "#A83F00")
        return cls(ground, "#F2F2F2", "#8C8C8C", "#F5B93A", "#8ACBF2", "#FF8A3D")


def figure_of(ax: Axes) -> Figure:
    """The whole figure in which `ax` stands, also when that is in a part of it."""
    part = ax.figure
    assert part is not None, "these axes were taken out of their figure"
    return part.figure


def _seen_through(layers: list[Any]) -> tuple[float, float, float]:
    """The colour that is seen, the first layer on top; what is still transparent at the end is white paper."""
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    for layer in reversed(layers):
        *rgb, alpha = to_rgba(layer)
        colour = tuple(alpha * top + (1 - alpha) * below for top, below in zip(rgb, colour, strict=True))  # type: ignore[assignment]
    return colour


def _luminance(colour: str | tuple[float, float, float]) -> float:
    red, green, blue = to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def face(look: Look, paper: Paper) -> tuple[float, float, float]:
    """The colour inside a thing: its own, laid on as strongly as its look says, or the paper if it is not filled."""
    return mix(look.colour, paper.ground, look.share if look.filled else 0.0)


def mix(colour: str, ground: str | tuple[float, float, float], share: float) -> tuple[float, float, float]:
    """`colour` laid thinly on `ground`; opaque, so that what lies beneath (a term line) does not shine through."""
    return tuple(share * a + (1 - share) * b for a, b in zip(to_rgb(colour), to_rgb(ground), strict=True))  # type: ignore[return-value]
