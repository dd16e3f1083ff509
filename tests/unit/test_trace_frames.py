"""The tidy frames: every value of the story, and what the story does not tell (lost elections, kills, wrong clocks)."""

from __future__ import annotations

import pytest

from raftedu.core.outputs import Say
from raftedu.core.types import Role
from raftedu.events import MemoryDump
from raftedu.trace import read_dump, trace_of
from raftedu.trace.spans import FRAMES
from tests.story import write_story

FOLLOWER, CANDIDATE, LEADER = Role.FOLLOWER, Role.CANDIDATE, Role.LEADER
NA = None


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return read_dump(write_story(tmp_path_factory.mktemp("run")))


def rows(frame):
    """The rows as tuples, an absent number as None."""
    return [tuple(row) for row in frame.astype(object).where(frame.notna(), None).values]


def told(*said):
    """The trace of (time, node, event, term, role, facts), and peer and index if they matter."""
    dumps = {}
    for time, node, event, term, role, facts, *more in said:
        peer, index = (*more, None, None)[:2]
        dumps.setdefault(node, MemoryDump(node)).write(time, Say(event, term, role, peer, index, facts))
    return trace_of(dumps.values())


def started(time, node, incarnation=1):
    restored = {"term": 0, "voted_for": None, "last_index": 0, "last_term": 0, "promise_until": 0.0}
    return time, node, "started", 0, FOLLOWER, {"incarnation": incarnation, "restored": restored, "now": time}


def test_leaders(story):
    assert rows(story.leaders()) == [(2, 1, 5.02, 10.5, 5.02, "crashed"), (4, 2, 15.65, 21.0, 18.05, "open")]


def test_leases(story):
    assert rows(story.leases()) == [
        (2, 1, 5.04, 10.5, 18.02, [6.04, 7.04, 8.04, 9.04, 10.04], "crashed"),
        (4, 2, 18.05, 21.0, 28.65, [18.67, 19.67, 20.67], "open"),
    ]


def test_promises(story):
    assert rows(story.promises()) == [
        (1, 2, 1, 5.03, 18.03),
        (3, 2, 1, 5.03, 18.04),
        (4, 2, 1, 5.03, 18.03),
        (5, 2, 1, 5.03, 18.03),
        (1, 4, 2, 15.66, 28.66),
        (3, 4, 2, 15.66, 28.66),
        (5, 4, 2, 15.66, 28.66),
        (2, 4, 2, 20.66, 28.66),
    ]


def test_waits(story):
    (wait,) = rows(story.waits())
    assert wait == (4, 2, 15.65, 18.05, 18.05, pytest.approx(2.4), [[4, 2.38], [3, 2.4], [5, 2.39]])


def test_elections(story):
    assert rows(story.elections()) == [(1, 2, 5.0, 5.02, [2, 1, 3], "won"), (2, 4, 15.62, 15.65, [4, 3, 5], "won")]


def test_commits(story):
    commits = story.commits()
    assert rows(commits[commits["by"] == "leader"]) == [
        (1, 1, "NO-OP", 2, 5.04, "leader"),
        (2, 1, "SET x 1", 2, 6.54, "leader"),
        (3, 2, "NO-OP", 4, 18.07, "leader"),
        (4, 2, "SET x 2", 4, 19.04, "leader"),
    ]
    assert rows(commits[commits["index"] == 4])[1:] == [
        (4, 2, "SET x 2", 1, 19.66, "follower"),
        (4, 2, "SET x 2", 3, 19.66, "follower"),
        (4, 2, "SET x 2", 5, 19.66, "follower"),
        (4, 2, "SET x 2", 2, 20.66, "follower"),
    ]
    assert len(commits) == 4 + 4 + 4 + 4 + 4


def test_roles(story):
    roles = story.roles()
    assert rows(roles[roles["node"].isin([2, 4])]) == [
        (2, "follower", 0, 0.0, 5.0),
        (2, "candidate", 1, 5.0, 5.02),
        (2, "leader", 1, 5.02, 10.5),
        (2, "crashed", 1, 10.5, 20.0),
        (2, "follower", 1, 20.0, 20.66),
        (2, "follower", 2, 20.66, 21.0),
        (4, "follower", 0, 0.0, 5.01),
        (4, "follower", 1, 5.01, 15.62),
        (4, "candidate", 2, 15.62, 15.65),
        (4, "leader", 2, 15.65, 21.0),
    ]


def test_faults(story):
    assert rows(story.faults()) == [("crashed", 2, NA, 10.5, 20.0), ("link", 1, 5, 12.0, 14.0)]


def test_requests(story):
    assert rows(story.requests()) == [
        ("ann-1", "ann", 1, "SET", "x", "1", 6.5, 6.54, "success", 2, 2),
        ("ann-2", "ann", 2, "GET", "x", "1", 7.5, 7.5, "success", 2, NA),
        ("ann-3", "ann", 3, "SET", "x", "2", 19.0, 19.04, "success", 4, 4),
    ]


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_of_nothing_has_its_columns_and_types(story, name):
    nothing = getattr(told(), name)()
    assert list(nothing.columns) == FRAMES[name].split()
    assert len(nothing) == 0
    assert list(nothing.dtypes) == list(getattr(story, name)().dtypes)


# ---- the ends of things


def lead(time, expiry, node=1, term=1):
    """A node elected at ``time`` that holds the lease at once."""
    return [
        (time, node, "leader_elected", term, LEADER, {"votes": [[node, "", 0.0]], "last_index": 0, "wait_until": time, "now": time}),
        (
            time,
            node,
            "lease_acquired",
            term,
            LEADER,
            {"old_expiry": None, "expiry": expiry, "basis_sent_at": time, "ackers": [], "now": time},
        ),
    ]


def say_why(time, event, why, node=1, term=1):
    return time, node, event, term, LEADER, {"why": why, "expiry": None, "now": time}


def test_an_expired_lease_ends_with_its_expiry_not_when_that_is_noticed():
    trace = told(*lead(1.0, 9.0), say_why(9.3, "lease_expired", "w"), say_why(9.3, "stepped_down", "no majority"))
    assert rows(trace.leases()) == [(1, 1, 1.0, 9.0, 9.0, [], "expired")]
    assert rows(trace.leaders()) == [(1, 1, 1.0, 9.3, 1.0, "no majority")]


@pytest.mark.parametrize(
    ("event", "how"),
    [
        ("lease_given_up", "given up"),
        ("stepped_down", "stepped down"),
        ("crashed", "crashed"),
        ("stopped", "stopped"),
        ("fault", "stopped"),
    ],
)
def test_a_lease_that_ends_early_ends_at_once(event, how):
    facts = {"why": "w", "expiry": 9.0, "now": 4.0, "traceback": ""}
    trace = told(*lead(1.0, 9.0), (4.0, 1, event, 1, LEADER, facts), (30.0, 2, "paused", 0, FOLLOWER, {}))
    assert rows(trace.leases()) == [(1, 1, 1.0, 4.0, 9.0, [], how)]


def test_a_lease_left_alone_is_open_until_it_expires():
    later = 30.0, 2, "paused", 0, FOLLOWER, {}
    assert rows(told(*lead(1.0, 9.0), later).leases()) == [(1, 1, 1.0, 9.0, 9.0, [], "expired")]
    assert rows(told(*lead(1.0, 39.0), later).leases()) == [(1, 1, 1.0, 30.0, 39.0, [], "open")]


def test_a_killed_node_ended_with_its_last_word():
    trace = told(started(0.0, 1), *lead(1.0, 9.0), (4.0, 1, "timer_fired", 1, LEADER, {"timer": "leader"}), started(20.0, 1, 2))
    assert rows(trace.leaders()) == [(1, 1, 1.0, 4.0, 1.0, "crashed")]
    assert rows(trace.leases()) == [(1, 1, 1.0, 4.0, 9.0, [], "crashed")]
    assert rows(trace.faults()) == [("crashed", 1, NA, 4.0, 20.0)]
    roles = [(role, start, end) for _, role, _, start, end in rows(trace.roles())]
    assert roles == [("follower", 0.0, 1.0), ("leader", 1.0, 4.0), ("crashed", 4.0, 20.0), ("follower", 20.0, 20.0)]


def test_a_clean_stop_is_no_fault():
    trace = told(
        started(0.0, 1),
        (4.0, 1, "stopped", 0, FOLLOWER, {"why": "w"}),
        started(6.0, 1, 2),
        (7.0, 1, "timer_fired", 0, FOLLOWER, {"timer": "t"}),
    )
    assert rows(trace.faults()) == []
    assert [(role, start, end) for _, role, _, start, end in rows(trace.roles())] == [
        ("follower", 0, 4),
        ("stopped", 4, 6),
        ("follower", 6, 7),
    ]


def test_a_wait_that_a_higher_term_cuts_short():
    wait = {"wait_until": 9.0, "because": [[1, 8.0]], "now": 1.0}
    down = say_why(3.0, "stepped_down", "node 2 is in term 3", term=2)
    trace = told((1.0, 1, "lease_wait_started", 2, LEADER, wait), down, (5.0, 2, "paused", 3, FOLLOWER, {}))
    assert rows(trace.waits()) == [(1, 2, 1.0, 3.0, 9.0, 8.0, [[1, 8.0]])]


def test_promises_are_merged_only_while_they_touch():
    def promise(time, until, leader=2, term=1):
        return time, 1, "lease_promised", term, FOLLOWER, {"old_until": 0.0, "until": until, "msg": "m", "now": time}, leader

    trace = told(promise(1.0, 9.0), promise(2.0, 10.0), promise(12.0, 20.0), promise(13.0, 21.0, leader=3, term=2))
    assert rows(trace.promises()) == [(1, 2, 1, 1.0, 10.0), (1, 2, 1, 12.0, 20.0), (1, 3, 2, 13.0, 21.0)]


# ---- elections and roles


def campaign(time, node, term):
    return [
        (time, node, "timer_fired", term - 1, FOLLOWER, {"timer": "election"}),
        (time, node, "election_started", term - 1, FOLLOWER, {"why": "w", "for_term": term, "now": time}),
        (time + 0.00001, node, "role_changed", term - 1, CANDIDATE, {"old": "follower", "new": "candidate", "why": "w"}),
        (time + 0.00002, node, "term_changed", term, CANDIDATE, {"old": term - 1, "new": term, "why": "w"}),
    ]


def grant(time, node, candidate, term):
    return (
        time,
        node,
        "vote_granted",
        term,
        FOLLOWER,
        {"for_term": term, "mine": [0, 0], "theirs": [0, 0], "why": "w", "msg": "m"},
        candidate,
    )


def test_a_lost_election_has_the_votes_that_were_granted():
    back = 4.0, 1, "role_changed", 1, FOLLOWER, {"old": "candidate", "new": "follower", "why": "w"}
    trace = told(*campaign(1.0, 1, 1), grant(1.5, 2, 1, 1), grant(1.6, 3, 4, 1), back)
    assert rows(trace.elections()) == [(1, 1, 1.0, 4.0, [1, 2], "lost")]


def test_a_candidate_that_tries_again_has_lost_and_goes_on():
    trace = told(
        *campaign(1.0, 1, 1), (6.0, 1, "election_started", 1, CANDIDATE, {"for_term": 2, "now": 6.0}), (7.0, 1, "paused", 2, CANDIDATE, {})
    )
    assert rows(trace.elections()) == [(1, 1, 1.0, 6.0, [1], "lost"), (2, 1, 6.0, 7.0, [1], "open")]


def test_a_new_role_and_its_term_are_one_step_though_two_lines():
    trace = told(started(0.0, 1), *campaign(1.0, 1, 1), (3.0, 1, "timer_fired", 1, CANDIDATE, {"timer": "election"}))
    assert rows(trace.roles()) == [(1, "follower", 0, 0.0, 1.00001), (1, "candidate", 1, 1.00001, 3.0)]


# ---- faults, requests, clocks


def test_pauses_links_and_clocks():
    trace = told(
        (1.0, 1, "paused", 0, FOLLOWER, {}),
        (2.0, 1, "resumed", 0, FOLLOWER, {}),
        (3.0, 1, "link_cut", 0, FOLLOWER, {}, 2),
        (3.5, 1, "link_cut", 0, FOLLOWER, {}, 2),
        (4.0, 1, "clock_changed", 0, FOLLOWER, {"rate": 2.0, "offset": 0.0}),
        (5.0, 1, "clock_changed", 0, FOLLOWER, {"rate": 1.0, "offset": 0.0}),
        (6.0, 1, "fault", 0, FOLLOWER, {"why": "w", "traceback": "t"}),
    )
    assert rows(trace.faults()) == [
        ("paused", 1, NA, 1.0, 2.0),
        ("link", 1, 2, 3.0, 6.0),
        ("clock", 1, NA, 4.0, 5.0),
        ("fault", 1, NA, 6.0, 6.0),
    ]


def ask(time, op_id, op="SET", node=1):
    return (
        time,
        node,
        "client_request",
        1,
        LEADER,
        {"op_id": op_id, "client": "c", "request": 1, "op": op, "key": "k", "value": "v" * (op == "SET")},
    )


def reply(time, op_id, outcome, op="SET", value="v", index=None, node=1):
    facts = {
        "op_id": op_id,
        "client": "c",
        "request": 1,
        "op": op,
        "key": "k",
        "value": value,
        "outcome": outcome,
        "leader": 1,
        "reason": "",
    }
    return time, node, "client_reply", 1, LEADER, facts, None, index


def test_requests_that_fail_end_with_a_crash_or_go_on():
    trace = told(
        ask(1.0, "a"),
        reply(1.1, "a", "fail"),
        ask(2.0, "b"),
        (3.0, 1, "crashed", 1, LEADER, {"why": "w"}),
        ask(4.0, "c", "GET", node=2),
        reply(4.5, "lone", "success", "GET", "v9", node=2),
        (5.0, 2, "paused", 1, LEADER, {}),
    )
    assert [(op_id, value, start, end, outcome) for op_id, _, _, _, _, value, start, end, outcome, _, _ in rows(trace.requests())] == [
        ("a", "v", 1.0, 1.1, "fail"),
        ("b", "v", 2.0, 3.0, "unknown"),
        ("c", "", 4.0, 5.0, "open"),
        ("lone", "v9", 4.5, 4.5, "success"),
    ]


def test_moments_of_a_wrong_clock_are_told_on_the_traces_clock():
    fast = 1.0, 1, "clock_changed", 0, FOLLOWER, {"rate": 2.0, "offset": 100.0}
    promise = 2.0, 1, "lease_promised", 1, FOLLOWER, {"old_until": 0.0, "until": 112.0, "msg": "m", "now": 104.0}, 2
    right = 10.0, 1, "clock_changed", 0, FOLLOWER, {"rate": 1.0, "offset": 0.0}
    again = 11.0, 1, "lease_promised", 2, FOLLOWER, {"old_until": 0.0, "until": 19.0, "msg": "m", "now": 11.0}, 3
    assert rows(told(fast, promise, right, again).promises()) == [(1, 2, 1, 2.0, 6.0), (1, 3, 2, 11.0, 19.0)]
