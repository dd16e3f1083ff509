"""Whatever a rule answers, as long as it is of the right kind, the node neither fails nor goes round in circles."""

from __future__ import annotations

import random

import pytest

from raftedu.core.guard import RuleError
from raftedu.core.rules import RULES, rule_names
from raftedu.core.types import Entry, Role
from raftedu.core.views import Adopted, Campaign, Progress, Result
from tests.invariants import Invariants, Violation
from tests.random_runs import RandomRun

INDEXES = (0, 1, 2, 3, 5, 9, 50)
ANY_INT = (-3, -1, 0, 1, 2, 5, 70)
MOMENTS = (0.0, -5.0, 1e9, 7.0, 150.0, float("inf"), float("-inf"))
NODES = (None, 1, 2, 3)


class Blind(Invariants):
    """Looks away: what a wrong rule does to the outcome is not the question here."""

    def hear(self, world, i, say):
        pass

    def look(self, world):
        pass

    def answered(self, answer):
        self.operations[answer.op_id].outcome = answer.outcome

    def started(self, world, i):
        pass


def new_leader(view, right, rng):
    tables = ({peer: rng.choice(INDEXES) for peer in view.peers} for _ in range(2))
    return right._replace(**dict(zip(("next_index", "match_index"), tables, strict=True)), keep_log_to=rng.choice(INDEXES))


def merged(view, right, rng):
    made_up = (Entry(rng.choice(INDEXES), "SET", "k", "v"),) * 2
    return rng.choice((view.mine[:1], view.entries[1:], view.mine + view.entries, made_up, ()))


ANSWERS = {
    "election_timeout_range": lambda view, right, rng: (0.5, rng.choice((0.5, 3.0, 20.0))),
    "start_election": lambda view, right, rng: rng.choice((None, Campaign(rng.choice(INDEXES), rng.choice(NODES)))),
    "on_higher_term": lambda view, right, rng: Adopted(rng.choice(INDEXES), rng.choice(list(Role)), rng.choice(NODES)),
    "become_leader": new_leader,
    "merged_log": merged,
    "acknowledged_index": lambda view, right, rng: rng.choice((None, *INDEXES)),
    "entries_to_send": lambda view, right, rng: (rng.choice(ANY_INT), rng.choice(ANY_INT)),
    "after_append_reply": lambda view, right, rng: Progress(rng.choice(ANY_INT), rng.choice(INDEXES)),
    "client_outcome": lambda view, right, rng: Result(rng.choice(("success", "fail", "unknown")), "v"),
    "lease_expiry": lambda view, right, rng: rng.choice((None, *MOMENTS)),
    **dict.fromkeys(
        ("reply_term", "leader_commit_index", "follower_commit_index", "applicable"), lambda view, right, rng: rng.choice(INDEXES)
    ),
    **dict.fromkeys(
        ("lease_promise", "promise_at_restart", "remaining_promise", "lease_wait"), lambda view, right, rng: rng.choice(MOMENTS)
    ),
}


def at_random(name, how_often, rng):
    reference, wrong = getattr(RULES, name), ANSWERS.get(name, lambda view, right, rng: rng.random() < 0.5)

    def rule(view):
        right = reference(view)
        return wrong(view, right, rng) if rng.random() < how_often else right

    return rule


@pytest.mark.parametrize("name", rule_names())
def test_the_node_stands_any_answer(name):
    for seed, how_often in enumerate((0.05, 0.3, 1.0)):
        rules = RULES.but(**{name: at_random(name, how_often, random.Random(seed))})
        run = RandomRun(seed, 3 + 2 * (seed % 2), rules=rules, watch=Blind())
        run.run(25.0)
        assert len(run.told) < 50_000


def test_the_answers_made_up_here_are_of_the_right_kind():
    """Otherwise the guard would stop the node, and nothing were tested."""
    with pytest.raises(RuleError):
        RandomRun(1, rules=RULES.but(applicable=lambda view: "2")).run(60.0)
    with pytest.raises(Violation):
        RandomRun(1, rules=RULES.but(applicable=lambda view: view.last_log_index)).run(60.0)
