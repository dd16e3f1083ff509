"""The core's messages as protobuf and back. It changes nothing on the way and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raftedu.core.inputs import ClientRequest
from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote, VoteReply
from raftedu.core.node import Status
from raftedu.core.outputs import Answer, Outcome
from raftedu.core.types import GET, NO_OP, SET, Entry, NodeId, Role
from raftedu.live.proto import messages as pb

__all__ = [
    "answer_from_proto", "answer_to_proto", "from_proto", "peer_body", "peer_message", "request_from_proto", "request_to_proto",
    "status_from_proto", "status_to_proto", "to_proto",
]  # fmt: skip

OUTCOMES = {Outcome.SUCCESS: pb.SUCCESS, Outcome.FAIL: pb.FAIL, Outcome.UNKNOWN: pb.UNKNOWN}
OUTCOME_OF = {number: outcome for outcome, number in OUTCOMES.items()}
ROLES = {Role.FOLLOWER: pb.FOLLOWER, Role.CANDIDATE: pb.CANDIDATE, Role.LEADER: pb.LEADER}
ROLE_OF = {number: role for role, number in ROLES.items()}
BODY = {RequestVote: "vote_request", VoteReply: "vote_reply", AppendEntries: "append_request", AppendReply: "append_reply"}


def to_proto(message: Message, msg: str) -> Any:
    """Return the protobuf message for one of the four messages between nodes; ``msg`` is its id in this run."""
    m = message
    match m:
        case AppendEntries():
            return pb.AppendRequest(
                term=m.term, sender=m.sender, prev_log_index=m.prev_log_index, prev_log_term=m.prev_log_term,
                entries=[_entry_to_proto(entry) for entry in m.entries], leader_commit=m.leader_commit, round=m.round,
                sent_at=m.sent_at, lease=m.lease, msg=msg,
            )  # fmt: skip
        case AppendReply():
            return pb.AppendReply(
                term=m.term, sender=m.sender, success=m.success, match_index=m.match_index, round=m.round,
                prev_log_index=m.prev_log_index, conflict_term=m.conflict_term, conflict_index=m.conflict_index,
                refused=m.refused, msg=msg,
            )  # fmt: skip
        case RequestVote():
            return pb.VoteRequest(msg=msg, **m._asdict())
        case VoteReply():
            return pb.VoteReply(msg=msg, **m._asdict())


def _entry_to_proto(entry: Entry) -> Any:
    term, op, key, value, client, request = entry
    return pb.Entry(term=term, op=op, key=key, value=value, client=client, request=request)


def _entry_from_proto(e: Any) -> Entry:
    if e.request < 0 or not (e.op == SET or (e.op in (GET, NO_OP) and not e.value and (e.op == GET or not e.key))):
        raise ValueError(
            f"no log can hold the entry {e.op!r:.20}: an op is SET, GET without value, or NO-OP with neither; a request counts from 0"
        )
    return Entry(e.term, e.op, e.key, e.value, e.client, e.request)


def from_proto(m: Any) -> Message:
    """Return the core's message for a protobuf one; `ValueError` for an entry that no log can hold, as only a foreign peer sends it."""
    if isinstance(m, pb.AppendRequest):
        entries = tuple(map(_entry_from_proto, m.entries))
        return AppendEntries(
            m.term, m.sender, m.prev_log_index, m.prev_log_term, entries, m.leader_commit, m.round, m.sent_at, m.lease,
        )  # fmt: skip
    if isinstance(m, pb.AppendReply):
        conflict_term = m.conflict_term if m.HasField("conflict_term") else None
        return AppendReply(
            m.term, m.sender, m.success, m.match_index, m.round, m.prev_log_index, conflict_term, m.conflict_index, m.refused,
        )  # fmt: skip
    if isinstance(m, pb.VoteRequest):
        return RequestVote(m.term, m.sender, m.last_log_index, m.last_log_term, m.lease)
    return VoteReply(m.term, m.sender, m.granted, m.remaining, m.refused)


def peer_message(message: Message, msg: str) -> pb.PeerMessage:
    """Return the message as it travels on a stream between peers."""
    return pb.PeerMessage(**{BODY[type(message)]: to_proto(message, msg)})


def peer_body(envelope: pb.PeerMessage) -> Any:
    """Return what a stream's message carries, ``None`` if it is empty or of a kind that is not known here."""
    which = envelope.WhichOneof("body")
    return getattr(envelope, which) if which else None


def request_to_proto(request: ClientRequest) -> Any:
    """Return SetRequest or GetRequest for a client's request."""
    names: dict[str, Any] = {"key": request.key, "client_id": request.client, "request_id": request.request, "op_id": request.op_id}
    return pb.SetRequest(value=request.value, **names) if request.op == "SET" else pb.GetRequest(**names)


def request_from_proto(m: Any) -> ClientRequest:
    """Return the client's request that came as SetRequest or GetRequest."""
    if isinstance(m, pb.SetRequest):
        return ClientRequest("SET", m.key, m.value, m.client_id, m.request_id, m.op_id)
    return ClientRequest("GET", m.key, "", m.client_id, m.request_id, m.op_id)


def answer_to_proto(answer: Answer, addresses: Mapping[NodeId, str]) -> pb.ClientReply:
    """Return the reply to a client; the hint gets the leader's address where it is known."""
    leader = None if answer.leader is None else pb.Leader(node=answer.leader, address=addresses.get(answer.leader, ""))
    return pb.ClientReply(
        op_id=answer.op_id, client_id=answer.client, request_id=answer.request, outcome=OUTCOMES[answer.outcome], value=answer.value,
        leader=leader, retry_after=answer.retry_after, index=answer.index, reason=answer.reason,
        final=answer.final,
    )  # fmt: skip


def answer_from_proto(m: pb.ClientReply) -> Answer:
    """Return the core's answer for a reply; an outcome that is not known here counts as unknown."""
    return Answer(
        m.op_id, m.client_id, m.request_id, OUTCOME_OF.get(m.outcome, Outcome.UNKNOWN), m.value,
        m.leader.node if m.HasField("leader") else None, m.retry_after if m.HasField("retry_after") else None, m.index, m.reason, m.final,
    )  # fmt: skip


def status_to_proto(status: Status, nodes: tuple[NodeId, ...], addresses: Mapping[NodeId, str]) -> pb.StatusReply:
    """Return a node's status for the wire."""
    s = status
    leader = None if s.leader is None else pb.Leader(node=s.leader, address=addresses.get(s.leader, ""))
    return pb.StatusReply(
        node=s.node, term=s.term, role=ROLES[s.role], voted_for=s.voted_for, leader=leader, commit_index=s.commit_index,
        last_applied=s.last_applied, last_log_index=s.last_log_index, lease_left=s.lease_left or None, wait_left=s.wait_left or None,
        promise_left=s.promise_left, nodes=nodes,
    )  # fmt: skip


def status_from_proto(m: pb.StatusReply) -> Status:
    """Return the status that a node sent."""
    return Status(
        m.node, ROLE_OF[m.role], m.term, m.voted_for if m.HasField("voted_for") else None,
        m.leader.node if m.HasField("leader") else None, m.last_log_index, m.commit_index, m.last_applied, m.lease_left, m.wait_left,
        m.promise_left,
    )  # fmt: skip
