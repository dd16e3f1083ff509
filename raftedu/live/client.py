"""`Client`: SET and GET over gRPC, from any process. It finds the leader and asks until SUCCESS or its deadline (§8).

It knows addresses and nothing else of the nodes. Whom to ask, and when, decides `raftedu.live.asking`.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from raftedu.core.inputs import ClientRequest
from raftedu.core.node import Status
from raftedu.core.outputs import Answer, Outcome
from raftedu.core.types import SET, NodeId, Seconds
from raftedu.live.asker_pool import AskerPool, or_raise
from raftedu.live.asking import Reply, RequestFailed
from raftedu.live.codec import answer_from_proto, request_to_proto, status_from_proto
from raftedu.live.loop import CHANNEL_OPTIONS
from raftedu.live.peers import check_address, read_peers
from raftedu.live.proto import RaftStub
from raftedu.live.proto import messages as pb

__all__ = ["Client", "Reply", "RequestFailed"]

SHORTEST = 0.25
"""No attempt has fewer wall seconds than this, however fast the pace: a process that is held up is not a node that is away."""

MAX_REQUEST = 16 * 2**20
"""Beyond this, in bytes, nothing is sent at all."""

# How gRPC words a call that failed before it left, for want of a connection. Any other failure may have come after.
_NEVER_SENT = "failed to connect to all addresses"


class Client:
    """A client of a running cluster. It may be used by many threads at once.

    Parameters
    ----------
    addresses
        Where the nodes are: ``["host:port", ...]`` (ids from 1), ``{id: "host:port"}``, the path of a cluster.toml, or a `Cluster`.
    deadline
        Seconds after which an operation without success is given up.
    client_id
        What the dumps call this client; the ids of its operations begin with it.
    pace
        Wall seconds in a second of the cluster, in which all durations here are; a cluster.toml and a `Cluster` know their own.

    Examples
    --------
    >>> with Client("cluster.toml") as client:  # doctest: +SKIP
    ...     client.set("x", "1")
    ...     client.get("x")
    '1'
    """

    def __init__(
        self, addresses: Any, *, deadline: Seconds = 30.0, client_id: str | None = None, pace: float | None = None,
    ) -> None:  # fmt: skip
        self.addresses, known_pace = _addresses(addresses)
        self.pace = known_pace if pace is None else pace
        if not 0 < self.pace < float("inf"):
            raise ValueError(f"pace={self.pace} must be a positive number of wall seconds in a protocol second")
        self.deadline = deadline
        self._channels = {node: grpc.insecure_channel(address, options=CHANNEL_OPTIONS) for node, address in self.addresses.items()}
        self._stubs = {node: RaftStub(channel) for node, channel in self._channels.items()}
        self._closed = threading.Event()
        # An id that was used before would make the nodes take new operations for old ones.
        name = f"{client_id or 'client'}-{uuid.uuid4().hex[:8]}"
        self._askers = AskerPool(self.addresses, self._call, now=self._now, sleep=self._sleep, name=name)

    def set(self, key: str, value: str) -> Reply:
        """Return the reply once ``key`` is set on a majority.

        Raises
        ------
        RequestFailed
            There was no success before the deadline; its ``reply.outcome`` says whether the SET is surely not done.
        """
        return or_raise(SET, key, value, self.request(SET, key, value))

    def get(self, key: str) -> str:
        """Return the latest committed value of ``key``, the empty string if there is none.

        Raises
        ------
        RequestFailed
            There was no success before the deadline.
        """
        return or_raise("GET", key, "", self.request("GET", key)).value

    def request(self, op: str, key: str, value: str = "", deadline: Seconds | None = None) -> Reply:
        """Return what came of a ``"SET"`` or ``"GET"``, success or not."""
        self._must_be_open()
        return self._askers.ask(op, key, value, self.deadline if deadline is None else deadline)

    def status(self, node: NodeId | None = None) -> Any:
        """Return how a node stands (`Status`), ``None`` if it cannot be reached; without ``node`` a dict of all nodes."""
        self._must_be_open()
        asked = list(self._stubs) if node is None else [node]
        if node is not None and node not in self._stubs:
            raise ValueError(f"there is no node {node}; the nodes are {', '.join(map(str, self._stubs))}")
        timeout = max(SHORTEST, self.pace)
        calls = {each: self._stubs[each].Status.future(pb.StatusRequest(), timeout=timeout) for each in asked}
        found = {each: _status(call) for each, call in calls.items()}
        return found if node is None else found[node]

    def close(self) -> None:
        """Close all connections. An operation that is under way ends with a RuntimeError."""
        self._closed.set()
        for channel in self._channels.values():
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {', '.join(self.addresses.values())}>"

    def _now(self) -> Seconds:
        return time.monotonic() / self.pace

    def _sleep(self, seconds: Seconds) -> None:
        if self._closed.wait(seconds * self.pace):
            self._must_be_open()

    def _call(self, node: NodeId, request: ClientRequest, timeout: Seconds) -> Answer | None:
        """Make one attempt at one node."""
        self._must_be_open()
        try:
            message = request_to_proto(request)
        except (ValueError, TypeError) as error:  # a lone surrogate, or no text at all
            return _refused(request, f"key and value must be valid text: {error}")
        if message.ByteSize() > MAX_REQUEST:
            return _refused(request, f"key and value have {message.ByteSize()} bytes, more than {MAX_REQUEST}; nothing was sent")
        stub = self._stubs[node]
        method = stub.Set if request.op == SET else stub.Get
        try:
            return answer_from_proto(method(message, timeout=max(SHORTEST, timeout * self.pace)))
        except grpc.RpcError as error:
            return self._not_answered(node, request, error)
        except ValueError:
            self._must_be_open()
            raise

    def _not_answered(self, node: NodeId, request: ClientRequest, error: Any) -> Answer | None:
        """Return an answer if the request surely never left, else ``None``."""
        self._must_be_open()
        if error.code() == grpc.StatusCode.UNAVAILABLE and _NEVER_SENT in (error.details() or ""):
            return _fail(request, f"node {node} at {self.addresses[node]} cannot be reached")
        return None

    def _must_be_open(self) -> None:
        if self._closed.is_set():
            raise RuntimeError("this client is closed; make a new one")


def _addresses(given: Any) -> tuple[dict[NodeId, str], float]:
    """Return each node's address, and the pace."""
    if isinstance(given, str | Path):
        peers = read_peers(given)
        return peers.addresses, peers.pace
    pace = 1.0
    if hasattr(given, "addresses"):
        given, pace = given.addresses, given.pace
    named: Iterable[tuple[NodeId, Any]] = given.items() if isinstance(given, Mapping) else enumerate(given, 1)
    addresses = {node: check_address(address, f"the address of node {node}") for node, address in named}
    if not addresses:
        raise ValueError("addresses is empty: name at least one node")
    return addresses, pace


def _fail(request: ClientRequest, reason: str, *, final: bool = False) -> Answer:
    return Answer(request.op_id, request.client, request.request, Outcome.FAIL, "", None, None, 0, reason, final)


def _refused(request: ClientRequest, reason: str) -> Answer:
    return _fail(request, reason, final=True)


def _status(call: Any) -> Status | None:
    try:
        return status_from_proto(call.result())
    except grpc.RpcError:
        return None
