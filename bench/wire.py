"""One client in a process of its own, asking ours and etcd's nodes in the very same way, one call after another.

The client's own cost is in every number, and the same for both: one thread, a sync gRPC channel that stays open, a message built and
read per call. Its process has nothing else to do, so it does not compete with our nodes for Python's lock, and etcd's are not favoured.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from raftedu.live.proto import RaftStub
from raftedu.live.proto import messages as pb

__all__ = ["Asked", "Prober"]

KEYS = 100
VALUE = "x" * 16
PATIENCE = 60.0
OUTSTANDING = 64


class Asked(RuntimeError):
    """An operation was not answered with success; it must not count as a fast one."""


class Prober:
    """The client's process: `connect` it to something, then let it `run`."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()

    def connect(self, name: str, kind: str, address: str) -> None:
        """Open a channel to ``address``, of ``"raftedu"`` or ``"etcd"``, to be known as ``name``."""
        self._ask("connect", name, kind, address)

    def run(self, name: str, op: str, times: int) -> list[float]:
        """Return the seconds that each of ``times`` operations (``"set"``, ``"get"`` or ``"nothing"``) took."""
        return self._ask("run", name, op, times)

    def stream(self, name: str, times: int) -> float:
        """Return how many seconds ``times`` SETs took that were sent to nodes of ours on one stream, with many on their way at once."""
        return self._ask("run", name, "stream", times)

    def _ask(self, *command: Any) -> Any:
        self._here.send(command)
        if not self._here.poll(PATIENCE):
            raise TimeoutError(f"{command} was not answered within {PATIENCE} s")
        answer = self._here.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._here.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(pipe: Connection) -> None:
    calls: dict[tuple[str, str], Callable[[int], Any]] = {}
    while True:
        try:
            what, name, *rest = pipe.recv()
        except EOFError:
            return
        try:
            if what == "connect":
                kind, address = rest
                calls |= {(name, op): call for op, call in CONNECT[kind](address).items()}
                pipe.send(None)
            else:
                op, times = rest
                pipe.send(calls[name, op](times) if op == "stream" else _time_each(calls[name, op], times))
        except Exception as error:  # noqa: BLE001 - told to the other side, which raises it
            pipe.send(Asked(f"{name}: {type(error).__name__}: {error}"))


def _time_each(call: Callable[[int], None], times: int) -> list[float]:
    seconds = []
    for i in range(times):
        start = time.perf_counter()
        call(i)
        seconds.append(time.perf_counter() - start)
    return seconds


def _ours(address: str) -> dict[str, Callable[[int], Any]]:
    stub = RaftStub(grpc.insecure_channel(address))
    client, asked = f"bench-{time.monotonic_ns()}", 0

    def ask(method: Any, message: Any) -> None:
        nonlocal asked
        asked += 1
        message.client_id, message.request_id = client, asked
        reply = method(message, timeout=PATIENCE)
        if reply.outcome != pb.SUCCESS:
            raise Asked(f"node at {address} answered {pb.Outcome.Name(reply.outcome)}: {reply.reason}")

    def stream(times: int) -> float:
        """Send SETs on one Session, never more than OUTSTANDING unanswered."""
        nonlocal asked
        room, start, first = threading.Semaphore(OUTSTANDING), time.perf_counter(), asked + 1
        asked += times

        def requests() -> Iterator[Any]:
            for i in range(times):
                room.acquire()
                one = pb.SetRequest(key=f"key{i % KEYS}", value=VALUE, client_id=client, request_id=first + i, op_id=str(i))
                yield pb.ClientRequest(set=one)

        for reply in stub.Session(requests(), timeout=PATIENCE):
            if reply.outcome != pb.SUCCESS:
                raise Asked(f"node at {address} answered {pb.Outcome.Name(reply.outcome)}: {reply.reason}")
            room.release()
        return time.perf_counter() - start

    return {
        "stream": stream,
        "set": lambda i: ask(stub.Set, pb.SetRequest(key=f"key{i % KEYS}", value=VALUE)),
        "get": lambda i: ask(stub.Get, pb.GetRequest(key=f"key{i % KEYS}")),
        "nothing": lambda i: stub.Status(pb.StatusRequest(), timeout=PATIENCE) and None,
    }


def _etcds(address: str) -> dict[str, Callable[[int], Any]]:
    channel = grpc.insecure_channel(address)
    put, get, status = (_method(channel, path) for path in ("KV/Put", "KV/Range", "Maintenance/Status"))
    return {
        "set": lambda i: put(_ETCD["PutRequest"](key=b"key%d" % (i % KEYS), value=VALUE.encode()), timeout=PATIENCE) and None,
        "get": lambda i: get(_ETCD["RangeRequest"](key=b"key%d" % (i % KEYS)), timeout=PATIENCE) and None,
        "nothing": lambda i: status(_ETCD["StatusRequest"](), timeout=PATIENCE) and None,
    }


CONNECT = {"raftedu": _ours, "etcd": _etcds}


# ---- the little of etcd's API that is asked for here (its rpc.proto; a Range is linearizable unless it says otherwise)

_BYTES, _NUMBER, _MESSAGE = 12, 4, 11
_FIELDS = {
    "Header": {"member_id": (2, _NUMBER)},
    "PutRequest": {"key": (1, _BYTES), "value": (2, _BYTES)},
    "PutResponse": {"header": (1, _MESSAGE)},
    "RangeRequest": {"key": (1, _BYTES)},
    "RangeResponse": {"header": (1, _MESSAGE)},
    "StatusRequest": {},
    "StatusResponse": {"header": (1, _MESSAGE), "leader": (4, _NUMBER)},
}


def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="bench/etcd.proto", package="bench.etcd", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            kind_of = {"type_name": ".bench.etcd.Header"} if kind == _MESSAGE else {}
            message.field.add(name=field, number=number, type=kind, label=1, **kind_of)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"bench.etcd.{name}")) for name in _FIELDS}


_ETCD = _messages()


def _method(channel: Any, path: str) -> Any:
    names = {"KV/Put": "Put", "KV/Range": "Range", "Maintenance/Status": "Status"}
    return channel.unary_unary(
        f"/etcdserverpb.{path}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=_ETCD[f"{names[path]}Response"].FromString,
    )


def leads_etcd(address: str) -> bool:
    """Return whether the etcd node at ``address`` leads its cluster; raises `grpc.RpcError` while it is not up."""
    with grpc.insecure_channel(address) as channel:
        status = _method(channel, "Maintenance/Status")(_ETCD["StatusRequest"](), timeout=1.0)
    return bool(status.leader) and status.leader == status.header.member_id
