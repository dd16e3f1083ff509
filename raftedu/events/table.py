"""The table of events: every event's name, columns, facts, sentence and meaning, in one place.

The writer, the reader, docs/events.md and the checks of a trace all come from it. It knows nothing of files. The sentences
marked as the course's are word for word those that its graders look for; none of the others may ever equal one of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote, VoteReply
from raftedu.core.outputs import Persist, Say
from raftedu.core.types import Index, NodeId, Role, Term

__all__ = ["COLUMNS", "EVENTS", "MESSAGE_FACTS", "Event", "is_course", "message_facts", "persisted_facts", "misfit", "sentence", "visible"]

COLUMNS = ("time", "seq", "node", "term", "role", "event", "peer", "index", "sentence", "facts")
"""The columns of dump.txt, in their order."""


class Event(NamedTuple):
    """One row of the table.

    ``columns`` are those of ``peer`` and ``index`` that it fills; ``facts`` the names of its facts, a trailing ``?`` marks those
    that are not always there; ``sentence`` is a template over the columns and the facts. ``course``: it is the course's wording.
    """

    name: str
    columns: tuple[str, ...]
    facts: tuple[str, ...]
    sentence: str
    meaning: str
    course: bool = False


def _event(name: str, columns: str, facts: str, sentence: str, meaning: str) -> Event:
    return Event(name, tuple(columns.split()), tuple(facts.split()), sentence, meaning)


def _course(name: str, columns: str, facts: str, sentence: str, meaning: str) -> Event:
    return _event(name, columns, facts, sentence, meaning)._replace(course=True)


_MESSAGE = "msg type msg_term"

_ROWS = (
    # The life of a node.
    _event(
        "started", "", "incarnation utc_zero pace config restored now",
        "Node {node} started (incarnation {incarnation}) in term {term} with {restored[last_index]} entries in its log.",
        "The node runs from here on; all that was open before it has ended. `utc_zero` is the UTC of time 0.",
    ),
    _event("stopped", "", "why", "Node {node} was stopped: {why:.200}.", "A clean end; everything said before it is in the file."),
    _event("crashed", "", "why", "Node {node} crashed: {why:.200}.", "An injected crash: whatever was not on disk is lost."),
    _event("paused", "", "why?", "Node {node} is paused.", "The node does not run until `resumed`; its clock goes on."),
    _event("resumed", "", "why?", "Node {node} goes on after its pause.", "The end of a pause."),
    _event(
        "clock_changed", "", "rate offset", "The clock of node {node} now runs at rate {rate} with offset {offset} s.",
        "From here on the moments in this node's facts are on a clock of another rate or offset; 1 and 0 is the true one.",
    ),
    _event("stall", "", "late", "Node {node} did not get to run for {late:.3f} s.", "The machine kept the node from running for longer than a heartbeat."),
    _event(
        "fault", "", "why traceback", "Node {node} stopped on a fault: {why:.200}.",
        "An exception in a rule or in a handler stopped this node.",
    ),
    _event("fault_injected", "", "what", "A fault was injected at node {node}: {what:.200}.", "A fault of a simulation that has no event of its own: delays, losses, a slow disk."),
    _event("link_cut", "peer", "", "The link from node {node} to node {peer} was cut.", "An injected fault: nothing this node sends to `peer` arrives."),
    _event("link_healed", "peer", "", "The link from node {node} to node {peer} works again.", "The end of `link_cut`."),
    # Timers, messages, disk.
    _event("timer_set", "", "timer deadline", "Node {node} set its {timer} timer to {deadline:.3f} s.", "A timer was armed anew; what it was set to before no longer counts."),
    _event("timer_fired", "", "timer", "The {timer} timer of node {node} ran out.", "A timer woke the node."),
    _event("sent", "peer", _MESSAGE, "Node {node} sent {type} to node {peer}.", "A message left; further facts by its type, see below."),
    _event("received", "peer", _MESSAGE, "Node {node} received {type} from node {peer}.", "A message arrived and is handled now."),
    _event("dropped", "peer", f"{_MESSAGE} why?", "A {type} of node {node} to node {peer} was lost.", "A message will never arrive."),
    _event("duplicated", "peer", _MESSAGE, "A {type} of node {node} to node {peer} will arrive twice.", "The network doubled a message."),
    _course(
        "rpc_failed", "peer", "reason msg?", "Error occurred while sending RPC to Node {peer}.",
        "A message could not be delivered, as far as the sender can tell; said for every one.",
    ),
    _event("persisted", "", "seq what term? voted_for? promised? from? to?", "Node {node} has {what:.100} safe on its disk.", "Written, flushed and fsynced."),
    # Terms, roles, elections.
    _event("term_changed", "", "old new why", "Node {node} moved from term {old} to term {new}.", "A later term was met or begun."),
    _event("role_changed", "", "old new why", "Node {node} turned from {old} into {new}.", "See Figure 4 of the paper."),
    _course("election_started", "", "why for_term now", "Node {node} election timer timed out, Starting election.", "The node becomes a candidate of term `for_term` and votes for itself (§5.2)."),
    _course(
        "vote_granted", "peer", "for_term mine theirs why msg", "Vote granted for Node {peer} in term {for_term}.",
        "`mine` and `theirs` are [term, index] of the last log entries (§5.4.1).",
    ),
    _course("vote_denied", "peer", "for_term mine theirs why msg", "Vote denied for Node {peer} in term {for_term}.", "As `vote_granted`; `why` names the rule and its section."),
    _course(
        "leader_elected", "", "votes last_index wait_until now", "Node {node} became the leader for term {term}.",
        "`votes` lists [voter, msg, seconds left of its promise]; before `wait_until` an older lease may still be valid (R4).",
    ),
    _course("stepped_down", "", "why now", "{node} Stepping down", "A leader turns follower; it keeps its term and its vote (R9)."),
    # The lease.
    _course(
        "lease_wait_started", "", "wait_until because now", "New Leader waiting for Old Leader Lease to timeout.",
        "`because` lists [node, seconds left] of the promises that make it wait, the own one included (R4).",
    ),
    _event("lease_wait_ended", "", "wait_until now", "Node {node} need not wait for an old lease any longer.", "`wait_until` has passed."),
    _event(
        "lease_acquired", "", "old_expiry expiry basis_sent_at ackers now", "Node {node} holds the lease until {expiry:.3f} s.",
        "The lease is valid for the first time in this term (R6). `ackers` lists [node, msg, when the round it answered was sent] (R2).",
    ),
    _event("lease_renewed", "", "old_expiry expiry basis_sent_at ackers now", "Node {node} has its lease renewed until {expiry:.3f} s.", "A majority answered a later round."),
    _course("lease_expired", "", "why expiry now", "Leader {node} lease renewal failed. Stepping Down.", "No majority answered in time; the lease is over by the clock (R9)."),
    _event("lease_given_up", "", "why expiry now", "Node {node} gave up its lease: {why:.200}.", "A leader that votes for another, or sees a later term, gives its lease up first (R3)."),
    _event("lease_promised", "peer", "old_until until msg now", "Node {node} promised node {peer} its lease until {until:.3f} s.", "A follower will tell any candidate to wait this long (R1)."),
    # Replication.
    _course("heartbeat_round", "", "round sent_at", "Leader {node} sending heartbeat & Renewing Lease", "AppendEntries to all; the lease is renewed only once a majority answers."),
    _course(
        "append_accepted", "peer index", "msg from to", "Node {node} accepted AppendEntries RPC from {peer}.",
        "Entries `from` to `to` match the leader's; `index` is the last of them. A heartbeat has none.",
    ),
    _course("append_rejected", "peer index", "msg prev reason", "Node {node} rejected AppendEntries RPC from {peer}.", "A stale term, or the entry before does not match (§5.3)."),
    _event(
        "entry_appended", "index", "from entries chain", "Node {node} appended entries {from} to {index} to its log.",
        "`entries` lists [index, term, op, client, request]; `chain` is a running hash of the log up to `index`.",
    ),
    _event("entries_truncated", "index", "from_index", "Node {node} removed its entries from index {from_index} on.", "They conflict with the leader's (§5.3)."),
    _event("match_advanced", "peer index", "follower old new msg", "Node {node} knows that node {follower} holds its log up to index {new}.", "The leader's match_index for a follower grew."),
    _course(
        "committed", "index", "old new basis op by", "Node {node} ({by}) committed the entry {op} to the state machine.",
        "One line an entry. `basis`: the matches that a leader counted, or the follower's leader_commit and last new index.",
    ),
    _event("applied", "index", "from to effects state", "Node {node} applied entries {from} to {to}.", "`effects` lists [index, effect] where it was not `new`; `state` is a hash of the state machine."),
    # Clients.
    _course(
        "client_request", "", "op_id client request op key value", "Node {node} (leader) received an {words} request.",
        "A client asks; the course has words only for a leader.",
    ),
    _event(
        "client_reply", "index", "op_id client request op key value outcome leader reason", "Node {node} answered {op} {key:.60}: {outcome}.",
        "`outcome`: `success`, `fail` (surely not done) or `unknown`; `leader` is a hint.",
    ),
    _event(
        "read_served", "", "op_id key value mode checked_at wait_until expiry commit applied commit_term why now read_index? asked_at? ackers?",
        "Node {node} read the key {key:.60} for a client ({mode}).",
        "A GET was answered, and by what right. Mode `read-index`: `read_index` is what was committed when it arrived, at `asked_at`; `ackers` "
        "lists [node, msg, when the round it answered was sent] of those who confirmed that the node still leads. Mode `log`: `read_index` is "
        "the entry that is this GET.",
    ),
    _event(
        "read_refused", "", "op_id key value mode checked_at wait_until expiry commit applied commit_term why now",
        "Node {node} refused to read the key {key:.60}: {why:.200}.", "A GET may not be answered here and now.",
    ),
)  # fmt: skip

EVENTS: Mapping[str, Event] = {row.name: row for row in _ROWS}
"""Every event there is, by its name."""

MESSAGE_FACTS: Mapping[str, tuple[str, ...]] = {
    "RequestVote": ("last_index", "last_term"),
    "VoteReply": ("granted", "remaining"),
    "AppendEntries": ("prev_index", "prev_term", "n_entries", "leader_commit", "round", "sent_at", "lease"),
    "AppendReply": ("success", "match_index", "round"),
}
"""What ``sent``, ``received``, ``dropped`` and ``duplicated`` say besides ``msg``, ``type`` and ``msg_term``, by type."""

# Control characters, line and paragraph separators, the marks that turn the direction of writing, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


_NOT_THE_LEADER = "Node {node} does not lead and was asked for {words:.120}."


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    return _SHORT.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")


def visible(text: str) -> str:
    """Return the text with everything escaped that would break a line, move a cursor or hide what stands there."""
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def message_facts(message: Message, msg: str) -> dict[str, Any]:
    """Return the facts of ``sent``, ``received``, ``dropped`` or ``duplicated`` for a message with the id ``msg``."""
    # One literal each: these are made for every message of a run.
    m = message
    match m:
        case AppendEntries():
            return {
                "msg": msg,
                "type": "AppendEntries",
                "msg_term": m.term,
                "prev_index": m.prev_log_index,
                "prev_term": m.prev_log_term,
                "n_entries": len(m.entries),
                "leader_commit": m.leader_commit,
                "round": m.round,
                "sent_at": m.sent_at,
                "lease": m.lease,
            }
        case AppendReply():
            return {
                "msg": msg,
                "type": "AppendReply",
                "msg_term": m.term,
                "success": m.success,
                "match_index": m.match_index,
                "round": m.round,
            }
        case RequestVote():
            return {
                "msg": msg,
                "type": "RequestVote",
                "msg_term": m.term,
                "last_index": m.last_log_index,
                "last_term": m.last_log_term,
            }
        case VoteReply():
            return {"msg": msg, "type": "VoteReply", "msg_term": m.term, "granted": m.granted, "remaining": m.remaining}


def persisted_facts(persist: Persist) -> dict[str, Any]:
    """Return the facts of ``persisted``: in words, and the values themselves."""
    what: list[str] = []
    facts: dict[str, Any] = {}
    if persist.hard is not None:
        what.append(f"term {persist.hard.term} and vote {persist.hard.voted_for}")
        facts |= persist.hard._asdict()
    if persist.first:
        last = persist.first + len(persist.entries) - 1
        what.append(f"log {persist.first} to {last}")
        facts |= {"from": persist.first, "to": last}
    return {"seq": persist.seq, "what": ", ".join(what), **facts}


def is_course(say: Say) -> bool:
    """Return whether the sentence of this event is one of the course's."""
    return EVENTS[say.event].course and (say.event != "client_request" or say.role == Role.LEADER)


def misfit(say: Say) -> str:
    """Return in words how an event differs from what the table says of it, empty if it fits."""
    row = EVENTS.get(say.event)
    if row is None:
        return f"there is no event {say.event!r}"
    filled = {name for name, value in (("peer", say.peer), ("index", say.index)) if value is not None}
    may = {name.removesuffix("?") for name in row.facts}
    must = {name for name in row.facts if not name.endswith("?")}
    if "msg_term" in must:
        more = set(MESSAGE_FACTS.get(say.facts.get("type", ""), ()))
        may, must = may | more, must | more
    lacks, strange = sorted(must - set(say.facts)), sorted(set(say.facts) - may)
    # A reply names an index only if something was appended; a peer that is named must always be.
    columns = filled ^ set(row.columns) if say.event != "client_reply" else filled - set(row.columns)
    found = [f"lacks {', '.join(lacks)}" * bool(lacks), f"does not know {', '.join(strange)}" * bool(strange)]
    found.append(f"fills other columns than {', '.join(row.columns) or 'none'}" * bool(columns))
    return "; ".join(filter(None, found))


def sentence(event: str, node: NodeId, term: Term, role: str, peer: NodeId | None, index: Index | None, facts: Mapping[str, Any]) -> str:
    """Return the event in words, on one line, with nothing in it that a terminal obeys; it never begins with a quote."""
    row = EVENTS.get(event)
    if row is None:
        raise ValueError(f"there is no event {event!r}: add it to raftedu.events.table")
    template = row.sentence
    fields: dict[str, Any] = dict(facts)  # a copy with five more is made in half the time of a new one
    fields["node"], fields["term"], fields["role"], fields["peer"], fields["index"] = node, term, role, peer, index
    try:
        if event == "client_request":
            fields["words"] = _request(facts)
            template = template if role == Role.LEADER else _NOT_THE_LEADER
        text = template.format_map(fields)
    except KeyError as error:
        raise ValueError(f"{event} lacks the fact {error}, which its sentence needs: {template!r}") from error
    except (TypeError, ValueError):
        # A replaced rule may have answered None where there should be a number: say what is there.
        text = template.format_map({name: _Tolerant(value) for name, value in fields.items()})
    return visible(text)


def _request(facts: Mapping[str, Any]) -> str:
    words = f"{facts['op']} {facts['key']}"
    return f"{words} {facts['value']}" if facts["op"] == "SET" else words


class _Tolerant:
    """A value that can be formatted by any specification, if need be as it prints."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __format__(self, spec: str) -> str:
        try:
            return format(self.value, spec)
        except (TypeError, ValueError):
            return str(self.value)

    def __getitem__(self, name: str) -> _Tolerant:
        return _Tolerant(self.value[name] if isinstance(self.value, Mapping) else self.value)
