"""From one node to one peer: a long-lived stream that carries requests, and their replies back; unary calls where it has none.

Everything here runs on the gRPC loop. What cannot be sent is lost and reported, never kept: Raft sends it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from raftedu.core.messages import AppendEntries, Message
from raftedu.core.types import NodeId
from raftedu.live.codec import from_proto, peer_body, peer_message, to_proto
from raftedu.live.loop import CHANNEL_OPTIONS
from raftedu.live.proto import RaftStub

__all__ = ["Link"]

MAX_QUEUED = 1_000
PAUSE = 0.1  # wall seconds between two attempts to open a stream that was refused


class Link:
    """The way from a node to one peer.

    Parameters
    ----------
    peer, address
        Where it leads.
    deliver
        Called with each reply and its msg id.
    failed
        Called with the msg id and the reason when a request could not be sent or was not answered.
    deadline
        Wall seconds after which an unary call is given up.
    """

    def __init__(
        self, peer: NodeId, address: str, deliver: Callable[[Message, str], None],
        failed: Callable[[NodeId, str, str], None], deadline: float,
    ) -> None:  # fmt: skip
        self.peer, self.address = peer, address
        self._deliver, self._failed, self._deadline = deliver, failed, deadline
        self._queue: asyncio.Queue[Any] = asyncio.Queue(MAX_QUEUED)
        self._channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._stub = RaftStub(self._channel)
        self._open = False
        self._unary = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._spawn(self._keep_stream())

    def send(self, message: Message, msg: str) -> None:
        """Send a request; if there is no connection just now it is lost, and reported as failed."""
        if self._unary:
            self._spawn(self._call(message, msg))
        elif not self._open:
            self._failed(self.peer, msg, f"no connection to {self.address}")
        elif self._queue.full():
            self._failed(self.peer, msg, f"{MAX_QUEUED} messages wait for {self.address} already")
        else:
            self._queue.put_nowait(peer_message(message, msg))

    async def close(self) -> None:
        """Close the connection; nothing is delivered any more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._channel.close()
        del self._channel, self._stub

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_stream(self) -> None:
        """Open a stream, and again whenever it ends, until the peer says that it has none."""
        while not self._unary:
            try:
                await self._run_stream()
            except grpc.aio.AioRpcError as error:
                self._unary = error.code() == grpc.StatusCode.UNIMPLEMENTED
            self._lose_queue()
            await asyncio.sleep(PAUSE)

    async def _run_stream(self) -> None:
        call = self._stub.Peer(wait_for_ready=True)
        writer: asyncio.Task[None] | None = None
        try:
            await call.wait_for_connection()
            self._open = True
            writer = asyncio.ensure_future(self._write(call))
            async for envelope in call:
                body = peer_body(envelope)
                if body is not None:
                    self._deliver(from_proto(body), body.msg)
        finally:
            self._open = False
            if writer is not None:
                writer.cancel()
            call.cancel()

    async def _write(self, call: Any) -> None:
        while True:
            envelope = await self._queue.get()
            try:
                await call.write(envelope)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                self._failed(self.peer, peer_body(envelope).msg, f"the connection to {self.address} broke")
                return

    def _lose_queue(self) -> None:
        while not self._queue.empty():
            self._failed(self.peer, peer_body(self._queue.get_nowait()).msg, f"the connection to {self.address} broke")

    async def _call(self, message: Message, msg: str) -> None:
        method = self._stub.AppendEntries if isinstance(message, AppendEntries) else self._stub.RequestVote
        try:
            reply = await method(to_proto(message, msg), timeout=self._deadline)
        except grpc.aio.AioRpcError as error:
            self._failed(self.peer, msg, f"{error.code().name}: {error.details()}")
            return
        self._deliver(from_proto(reply), reply.msg)
