"""The table of events: the course's words, what may stand in a sentence, and that the core says what the table knows."""

from __future__ import annotations

import heapq
import re
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest, Persisted, Receive, TimerFired
from raftedu.core.messages import AppendEntries, AppendReply, RequestVote, VoteReply
from raftedu.core.node import Node
from raftedu.core.outputs import Outcome, Persist, Say, Send, SetTimer
from raftedu.core.types import Role
from raftedu.events import EVENTS, is_course, message_facts, sentence
from raftedu.events.docs import page
from raftedu.events.table import MESSAGE_FACTS, misfit, visible
from tests.story import tell_story

SET = {"op_id": "a", "client": "c", "request": 1, "op": "SET", "key": "x", "value": "1"}
GET = SET | {"op": "GET", "value": ""}

# What the course's graders look for, as patterns over whole sentences.
COURSE = [
    r"Leader \d+ sending heartbeat & Renewing Lease",
    r"Leader \d+ lease renewal failed\. Stepping Down\.",
    r"New Leader waiting for Old Leader Lease to timeout\.",
    r"Node \d+ election timer timed out, Starting election\.",
    r"Node \d+ became the leader for term \d+\.",
    r"Error occurred while sending RPC to Node \d+\.",
    r"Node \d+ \((follower|leader)\) committed the entry .* to the state machine\.",
    r"Node \d+ \(leader\) received an .* request\.",
    r"Node \d+ (accepted|rejected) AppendEntries RPC from \d+\.",
    r"Vote (granted|denied) for Node \d+ in term \d+\.",
    r"\d+ Stepping down",
]


@pytest.mark.parametrize(
    ("event", "role", "peer", "facts", "words"),
    [
        ("heartbeat_round", "leader", None, {"round": 1, "sent_at": 1.0}, "Leader 1 sending heartbeat & Renewing Lease"),
        ("lease_expired", "leader", None, {"why": "w", "now": 1.0}, "Leader 1 lease renewal failed. Stepping Down."),
        ("lease_wait_started", "leader", None, {"wait_until": 2.0, "because": []}, "New Leader waiting for Old Leader Lease to timeout."),
        ("election_started", "follower", None, {"for_term": 3}, "Node 1 election timer timed out, Starting election."),
        ("leader_elected", "leader", None, {}, "Node 1 became the leader for term 3."),
        ("rpc_failed", "leader", 2, {"reason": "r"}, "Error occurred while sending RPC to Node 2."),
        (
            "committed",
            "follower",
            None,
            {"op": "SET x 1", "by": "follower"},
            "Node 1 (follower) committed the entry SET x 1 to the state machine.",
        ),
        ("committed", "leader", None, {"op": "NO-OP", "by": "leader"}, "Node 1 (leader) committed the entry NO-OP to the state machine."),
        ("client_request", "leader", None, SET, "Node 1 (leader) received an SET x 1 request."),
        ("client_request", "leader", None, GET, "Node 1 (leader) received an GET x request."),
        ("append_accepted", "follower", 2, {}, "Node 1 accepted AppendEntries RPC from 2."),
        ("append_rejected", "follower", 2, {}, "Node 1 rejected AppendEntries RPC from 2."),
        ("vote_granted", "follower", 2, {"for_term": 4}, "Vote granted for Node 2 in term 4."),
        ("vote_denied", "follower", 2, {"for_term": 4}, "Vote denied for Node 2 in term 4."),
        ("stepped_down", "leader", None, {"why": "w"}, "1 Stepping down"),
    ],
)
def test_the_courses_sentences_word_for_word(event, role, peer, facts, words):
    assert sentence(event, 1, 3, role, peer, None, facts) == words
    assert is_course(Say(event, 3, Role(role), peer, None, facts))
    assert any(re.fullmatch(pattern, words) for pattern in COURSE)


def test_each_course_pattern_is_met_by_an_event_of_the_table():
    assert sum(event.course for event in EVENTS.values()) == 13


def made_up_facts(text):
    """Facts that fit every template: each name stands for the same text, or a number where one is formatted."""
    numbers = dict.fromkeys(["deadline", "late", "until", "expiry"], 1.5)
    names = {name.removesuffix("?") for event in EVENTS.values() for name in event.facts}
    return dict.fromkeys(names, text) | numbers | {"restored": {"last_index": 4}, "op": "GET"}


@given(
    st.text()
    | st.sampled_from(["Node 1 became the leader for term 1.", "1 Stepping down", '"', "\t", "\n", "\x1b[31m", "\u2028", "\ud800"])
)
def test_no_other_sentence_equals_one_of_the_course_or_breaks_a_line(text):
    for event in EVENTS.values():
        words = sentence(event.name, 1, 3, "follower", 2, 7, made_up_facts(text))
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", words)
        assert words[0] not in "\"'=+-@"
        if not event.course or event.name == "client_request":
            assert not any(re.fullmatch(pattern, words) for pattern in COURSE), words


def test_what_would_break_a_line_is_shown_and_everything_else_left():
    assert visible("a\tb\nc\rd\x1b\x00\x85\u2028\ud800\u202e") == r"a\tb\nc\rd\x1b\x00\x85\u2028\ud800\u202e"
    assert visible('Grüße "👩‍🎓" \\t %') == 'Grüße "👩‍🎓" \\t %'


def test_a_follower_that_is_asked_has_a_sentence_of_its_own():
    say = Say("client_request", 3, Role.FOLLOWER, None, None, SET)
    assert sentence(say.event, 1, 3, say.role, None, None, SET) == "Node 1 does not lead and was asked for SET x 1."
    assert not is_course(say)


def test_an_own_sentence_reads_like_this():
    assert sentence("lease_promised", 2, 1, "follower", 1, None, {"until": 21.65}) == "Node 2 promised node 1 its lease until 21.650 s."


def test_what_a_wrong_rule_answers_can_still_be_said():
    assert sentence("lease_renewed", 2, 1, "leader", None, None, {"expiry": None}) == "Node 2 has its lease renewed until None s."


def test_an_event_that_is_not_in_the_table_is_refused():
    with pytest.raises(ValueError, match="there is no event 'lease_sold'"):
        sentence("lease_sold", 1, 1, "leader", None, None, {})


def test_a_missing_fact_is_named():
    with pytest.raises(ValueError, match="lease_promised lacks the fact 'until'"):
        sentence("lease_promised", 1, 1, "leader", 2, None, {})


@pytest.mark.parametrize(
    ("message", "facts"),
    [
        (RequestVote(3, 1, 7, 2, 8.0), {"last_index": 7, "last_term": 2}),
        (VoteReply(3, 1, True, 2.5), {"granted": True, "remaining": 2.5}),
        (
            AppendEntries(3, 1, 6, 2, (), 5, 9, 4.5, 8.0),
            {"prev_index": 6, "prev_term": 2, "n_entries": 0, "leader_commit": 5, "round": 9, "sent_at": 4.5, "lease": 8.0},
        ),
        (AppendReply(3, 1, True, 7, 9, 6), {"success": True, "match_index": 7, "round": 9}),
    ],
)
def test_the_facts_of_a_message(message, facts):
    kind = type(message).__name__
    assert message_facts(message, "m1") == {"msg": "m1", "type": kind, "msg_term": 3} | facts
    assert tuple(facts) == MESSAGE_FACTS[kind]


def test_misfit_says_what_is_wrong():
    right = Say("lease_promised", 1, Role.FOLLOWER, 2, None, {"old_until": 0.0, "until": 1.0, "msg": "m", "now": 0.5})
    assert misfit(right) == ""
    assert misfit(right._replace(peer=None)) == "fills other columns than peer"
    assert misfit(right._replace(facts={"until": 1.0, "who": 2})) == "lacks msg, now, old_until; does not know who"
    assert misfit(right._replace(event="lease_sold")) == "there is no event 'lease_sold'"


def test_the_story_of_the_tests_fits_the_table():
    assert {misfit(say) for _, _, say in tell_story()} == {""}


class Lab:
    """Three nodes of the core on a network without faults, except that a dead node hears nothing."""

    def __init__(self) -> None:
        self.config = Config.of(3)
        self.nodes = {n: Node(n, self.config) for n in self.config.nodes}
        self.queue, self.order, self.dead, self.said = [], count(), set(), list[Say]()
        for n, node in self.nodes.items():
            self.carry_out(n, 0.0, node.start(0.0))

    def carry_out(self, n, now, outputs):
        for output in outputs:
            match output:
                case Say():
                    self.said.append(output)
                case Send(to, message):
                    self.at(now + 0.01, to, Receive(message, "m"))
                case SetTimer(timer, low, _, generation) if low >= 0:
                    self.at(now + low + 0.1 * n * (timer == "election"), n, TimerFired(timer, generation))
                case Persist(seq):
                    self.at(now, n, Persisted(seq))

    def at(self, time, n, item):
        heapq.heappush(self.queue, (time, next(self.order), n, item))

    def run(self, until):
        while self.queue and self.queue[0][0] <= until:
            time, _, n, item = heapq.heappop(self.queue)
            if n not in self.dead:
                self.carry_out(n, time, self.nodes[n].step(item, time))


def test_everything_the_core_says_fits_the_table():
    lab = Lab()
    lab.run(7.0)
    for n in (1, 2):
        lab.at(7.0, n, ClientRequest("SET", "x", "1", "c", 1, "a"))
        lab.at(7.5, n, ClientRequest("GET", "x", "", "c", 2, "b"))
    lab.run(10.0)
    lab.dead = {2, 3}  # the leader, node 1, loses its lease
    lab.run(25.0)
    lab.dead = {1}
    lab.at(25.0, 2, TimerFired("election", lab.nodes[2].state.generation["election"]))
    lab.run(40.0)
    said = {say.event for say in lab.said}
    assert {misfit(say._replace(facts={**run_facts(say), **say.facts})) for say in lab.said} == {""}
    assert said >= {
        "lease_acquired",
        "lease_renewed",
        "lease_expired",
        "stepped_down",
        "committed",
        "applied",
        "client_reply",
        "read_served",
        "read_refused",
    }
    assert [sentence(say.event, 1, say.term, say.role, say.peer, say.index, run_facts(say) | say.facts) for say in lab.said]


def run_facts(say):
    """What the driver adds to ``started``."""
    return {"incarnation": 1, "utc_zero": 0.0, "pace": 1.0} if say.event == "started" else {}


def test_outcomes_and_roles_are_said_as_words():
    facts = SET | {"outcome": Outcome.SUCCESS}
    assert sentence("client_reply", 1, 1, Role.LEADER, None, 2, facts) == "Node 1 answered SET x: success."


def test_the_page_on_events_is_not_stale():
    written = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m raftedu.events.docs docs/events.md"
