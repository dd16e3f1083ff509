"""The gRPC face of one node: every handler puts what came into the node's inbox and waits for what the node says to it.

Everything here runs on the gRPC loop; no handler looks at the node's state or changes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio

from raftedu.core.inputs import ClientRequest
from raftedu.core.messages import Message
from raftedu.core.outputs import Answer
from raftedu.core.types import NodeId
from raftedu.live.codec import answer_to_proto, from_proto, peer_body, peer_message, request_from_proto, to_proto
from raftedu.live.loop import SERVER_OPTIONS
from raftedu.live.proto import RaftServicer, add_RaftServicer_to_server
from raftedu.live.proto import messages as pb

__all__ = ["Host", "LiveError", "Service"]

T = TypeVar("T")


class LiveError(RuntimeError):
    """A live node or cluster cannot do what it was asked for; the message says why and what to do."""


class Host(Protocol):
    """What the service needs of the node it stands before; all of it may be called from the loop's thread."""

    addresses: dict[NodeId, str]

    def arrive(self, message: Message, msg: str, reply: Callable[[Message, str], None] | None) -> None:
        """Take a message of a peer; ``reply`` is called, on the loop, with what is answered to it."""

    def ask(self, request: ClientRequest, answered: Callable[[Answer | None], object], *, on_loop: bool) -> None:
        """Take a client's request; ``answered`` is called once, ``on_loop`` or from any thread, with ``None`` if the node ended first."""

    def status_message(self) -> pb.StatusReply:
        """Return how the node stands."""


class Service(RaftServicer):
    """The server of one node: bind, serve, stop."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._server: Any = None

    async def bind(self, address: str) -> int:
        """Bind the address and start to serve; return the port (the system's choice for ``host:0``)."""
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        add_RaftServicer_to_server(self, self._server)
        port = 0
        with suppress(RuntimeError):
            port = self._server.add_insecure_port(address)
        # Started even without a port: gRPC gives back nothing of a server that never ran.
        await self._server.start()
        if not port:
            # Raised out here, for gRPC's own error would keep the server alive, and with it gRPC's thread.
            await self.stop()
            why = "another program uses it, or it is no address of this machine"
            raise LiveError(f"{address} cannot be bound: {why}; stop that program or choose another address")
        return port

    async def stop(self) -> None:
        """Stop serving at once; whoever waits is told that the connection broke."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    # ---- peers

    async def RequestVote(self, request: Any, context: Any) -> Any:
        """Answer a vote request that came as a call of its own."""
        return await self._answer_peer(request, context)

    async def AppendEntries(self, request: Any, context: Any) -> Any:
        """Answer AppendEntries that came as a call of its own."""
        return await self._answer_peer(request, context)

    async def _answer_peer(self, request: Any, context: Any) -> Any:
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            message = from_proto(request)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        self._host.arrive(message, request.msg, lambda message, msg: _resolve(answered, to_proto(message, msg)))
        return await answered

    async def Peer(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Take a peer's requests from its stream, and put the replies to them on it."""
        await context.send_initial_metadata(())  # so that the peer knows at once that there is a connection
        replies: asyncio.Queue[Any] = asyncio.Queue()
        reader = asyncio.ensure_future(self._read_peer(request_iterator, replies))
        try:
            while (envelope := await replies.get()) is not None:
                yield envelope
        finally:
            reader.cancel()

    async def _read_peer(self, requests: AsyncIterator[Any], replies: asyncio.Queue[Any]) -> None:
        try:
            # An entry that no log can hold ends the stream, and nothing else: whoever sent it is no node of ours.
            async for envelope in requests:
                body = peer_body(envelope)
                if body is not None:
                    self._host.arrive(from_proto(body), body.msg, lambda message, msg: replies.put_nowait(peer_message(message, msg)))
        except ValueError:
            return
        finally:
            replies.put_nowait(None)

    # ---- clients

    async def Set(self, request: Any, context: Any) -> Any:
        """Answer a SET."""
        return await self._answer_client(request, context)

    async def Get(self, request: Any, context: Any) -> Any:
        """Answer a GET."""
        return await self._answer_client(request, context)

    async def Status(self, request: Any, context: Any) -> Any:
        """Tell how the node stands."""
        return self._host.status_message()

    async def _answer_client(self, request: Any, context: Any) -> Any:
        reply = await self._ask(request)
        if reply is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the node stopped before it could answer")
        return reply

    async def _ask(self, request: Any) -> Any:
        answered: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._host.ask(request_from_proto(request), partial(_resolve, answered), on_loop=True)
        answer = await answered
        return None if answer is None else answer_to_proto(answer, self._host.addresses)

    async def Session(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Take many operations on one stream, and answer each as it ends."""
        await context.send_initial_metadata(())
        replies: asyncio.Queue[Any] = asyncio.Queue()
        reader = asyncio.ensure_future(self._read_session(request_iterator, replies))
        try:
            while (reply := await replies.get()) is not None:
                yield reply
        finally:
            reader.cancel()

    async def _read_session(self, requests: AsyncIterator[Any], replies: asyncio.Queue[Any]) -> None:
        open_, ended = 0, False

        def answered(answer: Answer | None) -> None:
            nonlocal open_
            open_ -= 1
            if answer is not None:
                replies.put_nowait(answer_to_proto(answer, self._host.addresses))
            if answer is None or (ended and not open_):
                replies.put_nowait(None)

        try:
            async for envelope in requests:
                which = envelope.WhichOneof("body")
                if which:
                    open_ += 1
                    self._host.ask(request_from_proto(getattr(envelope, which)), answered, on_loop=True)
        finally:
            ended = True
            if not open_:
                replies.put_nowait(None)


def _resolve(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
