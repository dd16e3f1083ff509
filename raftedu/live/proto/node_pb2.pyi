# Made by `make proto` (tools/make_proto.py, grpcio-tools 1.71.0); do not edit.
# node.proto sha256 4fcafecca0d80ee0872bdc654bbb7356b3948e5373a036f151bdaa0f5ff02bf5
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    SUCCESS: _ClassVar[Outcome]
    FAIL: _ClassVar[Outcome]
    UNKNOWN: _ClassVar[Outcome]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    FOLLOWER: _ClassVar[Role]
    CANDIDATE: _ClassVar[Role]
    LEADER: _ClassVar[Role]
OUTCOME_UNSPECIFIED: Outcome
SUCCESS: Outcome
FAIL: Outcome
UNKNOWN: Outcome
ROLE_UNSPECIFIED: Role
FOLLOWER: Role
CANDIDATE: Role
LEADER: Role

class Entry(_message.Message):
    __slots__ = ("term", "op", "key", "value", "client", "request")
    TERM_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    term: int
    op: str
    key: str
    value: str
    client: str
    request: int
    def __init__(self, term: _Optional[int] = ..., op: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[str] = ..., client: _Optional[str] = ..., request: _Optional[int] = ...) -> None: ...

class VoteRequest(_message.Message):
    __slots__ = ("term", "sender", "last_log_index", "last_log_term", "lease", "msg")
    TERM_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    LAST_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_LOG_TERM_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    term: int
    sender: int
    last_log_index: int
    last_log_term: int
    lease: float
    msg: str
    def __init__(self, term: _Optional[int] = ..., sender: _Optional[int] = ..., last_log_index: _Optional[int] = ..., last_log_term: _Optional[int] = ..., lease: _Optional[float] = ..., msg: _Optional[str] = ...) -> None: ...

class VoteReply(_message.Message):
    __slots__ = ("term", "sender", "granted", "remaining", "refused", "msg")
    TERM_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    term: int
    sender: int
    granted: bool
    remaining: float
    refused: str
    msg: str
    def __init__(self, term: _Optional[int] = ..., sender: _Optional[int] = ..., granted: bool = ..., remaining: _Optional[float] = ..., refused: _Optional[str] = ..., msg: _Optional[str] = ...) -> None: ...

class AppendRequest(_message.Message):
    __slots__ = ("term", "sender", "prev_log_index", "prev_log_term", "entries", "leader_commit", "round", "sent_at", "lease", "msg")
    TERM_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    PREV_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    PREV_LOG_TERM_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    LEADER_COMMIT_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    term: int
    sender: int
    prev_log_index: int
    prev_log_term: int
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    leader_commit: int
    round: int
    sent_at: float
    lease: float
    msg: str
    def __init__(self, term: _Optional[int] = ..., sender: _Optional[int] = ..., prev_log_index: _Optional[int] = ..., prev_log_term: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., leader_commit: _Optional[int] = ..., round: _Optional[int] = ..., sent_at: _Optional[float] = ..., lease: _Optional[float] = ..., msg: _Optional[str] = ...) -> None: ...

class AppendReply(_message.Message):
    __slots__ = ("term", "sender", "success", "match_index", "round", "prev_log_index", "conflict_term", "conflict_index", "refused", "msg")
    TERM_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MATCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    PREV_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_TERM_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_INDEX_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    term: int
    sender: int
    success: bool
    match_index: int
    round: int
    prev_log_index: int
    conflict_term: int
    conflict_index: int
    refused: str
    msg: str
    def __init__(self, term: _Optional[int] = ..., sender: _Optional[int] = ..., success: bool = ..., match_index: _Optional[int] = ..., round: _Optional[int] = ..., prev_log_index: _Optional[int] = ..., conflict_term: _Optional[int] = ..., conflict_index: _Optional[int] = ..., refused: _Optional[str] = ..., msg: _Optional[str] = ...) -> None: ...

class PeerMessage(_message.Message):
    __slots__ = ("vote_request", "vote_reply", "append_request", "append_reply")
    VOTE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    VOTE_REPLY_FIELD_NUMBER: _ClassVar[int]
    APPEND_REQUEST_FIELD_NUMBER: _ClassVar[int]
    APPEND_REPLY_FIELD_NUMBER: _ClassVar[int]
    vote_request: VoteRequest
    vote_reply: VoteReply
    append_request: AppendRequest
    append_reply: AppendReply
    def __init__(self, vote_request: _Optional[_Union[VoteRequest, _Mapping]] = ..., vote_reply: _Optional[_Union[VoteReply, _Mapping]] = ..., append_request: _Optional[_Union[AppendRequest, _Mapping]] = ..., append_reply: _Optional[_Union[AppendReply, _Mapping]] = ...) -> None: ...

class SetRequest(_message.Message):
    __slots__ = ("key", "value", "client_id", "request_id", "op_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    client_id: str
    request_id: int
    op_id: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ..., client_id: _Optional[str] = ..., request_id: _Optional[int] = ..., op_id: _Optional[str] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("key", "client_id", "request_id", "op_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    client_id: str
    request_id: int
    op_id: str
    def __init__(self, key: _Optional[str] = ..., client_id: _Optional[str] = ..., request_id: _Optional[int] = ..., op_id: _Optional[str] = ...) -> None: ...

class ClientRequest(_message.Message):
    __slots__ = ("set", "get")
    SET_FIELD_NUMBER: _ClassVar[int]
    GET_FIELD_NUMBER: _ClassVar[int]
    set: SetRequest
    get: GetRequest
    def __init__(self, set: _Optional[_Union[SetRequest, _Mapping]] = ..., get: _Optional[_Union[GetRequest, _Mapping]] = ...) -> None: ...

class Leader(_message.Message):
    __slots__ = ("node", "address")
    NODE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    node: int
    address: str
    def __init__(self, node: _Optional[int] = ..., address: _Optional[str] = ...) -> None: ...

class ClientReply(_message.Message):
    __slots__ = ("op_id", "client_id", "request_id", "outcome", "value", "leader", "retry_after", "index", "reason", "final")
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    op_id: str
    client_id: str
    request_id: int
    outcome: Outcome
    value: str
    leader: Leader
    retry_after: float
    index: int
    reason: str
    final: bool
    def __init__(self, op_id: _Optional[str] = ..., client_id: _Optional[str] = ..., request_id: _Optional[int] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., value: _Optional[str] = ..., leader: _Optional[_Union[Leader, _Mapping]] = ..., retry_after: _Optional[float] = ..., index: _Optional[int] = ..., reason: _Optional[str] = ..., final: bool = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("node", "term", "role", "voted_for", "leader", "commit_index", "last_applied", "last_log_index", "lease_left", "wait_left", "promise_left", "nodes")
    NODE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    VOTED_FOR_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    COMMIT_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_APPLIED_FIELD_NUMBER: _ClassVar[int]
    LAST_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    LEASE_LEFT_FIELD_NUMBER: _ClassVar[int]
    WAIT_LEFT_FIELD_NUMBER: _ClassVar[int]
    PROMISE_LEFT_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    node: int
    term: int
    role: Role
    voted_for: int
    leader: Leader
    commit_index: int
    last_applied: int
    last_log_index: int
    lease_left: float
    wait_left: float
    promise_left: float
    nodes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, node: _Optional[int] = ..., term: _Optional[int] = ..., role: _Optional[_Union[Role, str]] = ..., voted_for: _Optional[int] = ..., leader: _Optional[_Union[Leader, _Mapping]] = ..., commit_index: _Optional[int] = ..., last_applied: _Optional[int] = ..., last_log_index: _Optional[int] = ..., lease_left: _Optional[float] = ..., wait_left: _Optional[float] = ..., promise_left: _Optional[float] = ..., nodes: _Optional[_Iterable[int]] = ...) -> None: ...
