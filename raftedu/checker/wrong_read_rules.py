"""Wrong rules of reading by a round, mode ``read-index``: rows RD-06 and RD-07 of the catalogue, and what is like them."""

from __future__ import annotations

from functools import partial

from raftedu.checker.wrong_rule import WrongRule, add
from raftedu.core import rules as right
from raftedu.core.types import Role

__all__ = ["ROWS"]

ROWS: list[WrongRule] = []
_add = partial(add, ROWS)

# fmt: off
_add("RD-06", "answers before its round is answered", "Read After a Round", "No Stale Read",
     "Is it still the leader? Whom has it asked since the GET came?", "d-engine#381",
     read_is_confirmed=lambda w: True)
_add("RD-06b", "answers after the round, before it has committed anything of its term", "Read After a Round", "No Stale Read",
     "What does a new leader know of commits?", "etcd#7331, RedisRaft#19",
     may_serve_read=lambda w: w.confirmed and w.role == Role.LEADER if w.read_mode == "read-index" else right.may_serve_read(w))
_add("RD-07", "takes an answer to the round that was on its way already", "Read After a Round", "No Stale Read",
     "Was that round sent before the GET arrived, or after?", "etcd#20418",
     read_is_confirmed=lambda w: 1 + sum(r.number >= w.after_round for r in w.answered.values()) >= w.majority)
_add("RD-07b", "takes any answer that comes after the GET, whatever it answers", "Read After a Round", "No Stale Read",
     "An answer may be long on its way. What does it answer?", "etcd#20418",
     read_is_confirmed=lambda w: 1 + sum(r.received_at >= w.asked_at for r in w.answered.values()) >= w.majority)
_add("RD-07c", "never has enough answers", "Confirmed Read Is Answered", "liveness",
     "Does the leader count itself?", "students",
     read_is_confirmed=lambda w: sum(r.number > w.after_round for r in w.answered.values()) >= w.majority)
# fmt: on
