"""The sentence above a picture is true of the trace beneath it, whatever happened."""

from __future__ import annotations

import pytest

from raftedu.plot import plot_leases, plot_roles, plot_story
from tests.plots import told


def sentence(story: told.Told) -> str:
    return plot_leases(story).get_title(loc="left").replace("\n", " ")


def cut_off() -> told.Told:
    story = told.Told(end=40.0)
    story.reign(2, 1, 5.0, 20.0, "expired", acked_until=12.0)
    for peer in (1, 3, 4, 5):
        story.add("faults", "link", 2, peer, 12.1, 40.0)
    story.reign(4, 2, 22.0, 40.0, "open", acks=[1, 3, 5])
    return story.done()


def paused_and_waiting() -> told.Told:
    story = told.Told(end=18.0)
    story.reign(2, 1, 5.0, 14.0, "stepped down")
    story.add("faults", "paused", 2, None, 11.0, 18.0)
    story.reign(4, 2, 17.0, 18.0, "open", acks=[1, 3, 5])
    return story.done()


def crash_and_nobody() -> told.Told:
    story = told.Told(end=30.0)
    story.reign(2, 1, 5.0, 14.0)
    return story.done()


def nobody() -> told.Told:
    story = told.Told(end=20.0)
    story.campaign(6.0, 1, 1, until=11.0)
    story.campaign(12.0, 2, 2, until=18.0)
    return story.done()


def both_gone() -> told.Told:
    story = told.Told(end=40.0)
    story.reign(2, 1, 5.0, 14.0)
    story.reign(4, 2, 18.0, 30.0, "crashed", acks=[1, 3, 5])
    return story.done()


def one_failed_term() -> told.Told:
    story = told.Told(end=30.0)
    story.campaign(6.0, 1, 1, until=11.0)
    story.reign(3, 2, 12.0, 30.0, "open")
    return story.done()


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        (told.handover, "Node 2 crashes. Node 4 is elected, but may not act until the promise to node 2 has run out."),
        (told.quiet, "Node 3 leads in term 1; its lease was renewed 14 times."),
        (told.empty, "Nothing happened yet."),
        (cut_off, "Node 2 is cut off. Node 4 is elected and need not wait: every promise has run out."),
        (paused_and_waiting, "Node 2 is paused. Node 4 is elected, and still waits for the promise to node 2 to run out."),
        (crash_and_nobody, "Node 2 is elected in term 1. Node 2 crashes. Nobody leads after that."),
        (nobody, "Nobody leads: 2 elections, none won."),
        (lambda: told.Told(end=3.0).done(), "Nobody leads: no election has begun."),
        (
            both_gone,
            "Node 2 crashes. Node 4 is elected, but may not act until the promise to node 2 has run out. Then node 4 crashes.",
        ),
        (one_failed_term, "Node 3 leads in term 2; its lease was renewed 17 times. 1 term brought no leader."),
    ],
)
def test_the_sentence_says_what_happened(story, expected):
    assert sentence(story()) == expected


def test_two_leases_come_before_any_other_news():
    assert sentence(told.two_at_once()).startswith("Two valid leases at one instant")


def test_many_leaders_are_counted_and_the_longest_wait_is_named():
    story = told.many_elections()
    longest = story.waits().sort_values("length").iloc[-1]
    told_so = sentence(story)
    assert told_so.startswith("14 leaders one after the other.")
    assert f"{longest['length']:.1f} s, node {longest['node']} in term {longest['term']}" in told_so


def test_the_roles_say_who_led_when():
    assert plot_roles(told.handover()).get_title(loc="left") == "Node 2 leads in term 1, then node 4 in term 2."
    assert plot_roles(told.quiet()).get_title(loc="left") == "Node 3 leads in term 1."


def test_a_title_of_ones_own_is_text_and_no_formula():
    own = r"what is $\frac{1}{$ here, and $x_1$?"
    assert plot_leases(told.handover(), title=own).get_title(loc="left") == own
    assert plot_roles(told.handover(), title=own).get_title(loc="left") == own
    figure = plot_story(told.handover(), title=own)
    assert figure.get_suptitle() == own
    figure.draw_without_rendering()
