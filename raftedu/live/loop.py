"""One asyncio loop in one thread for all gRPC of this process, there only while somebody needs it.

Nodes run in threads of their own and never touch a gRPC object; they `post` work here. Nothing here knows what the work is.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["CHANNEL_OPTIONS", "SERVER_OPTIONS", "Loop", "acquire_loop", "release_loop"]

T = TypeVar("T")

MAX_MESSAGE = 64 * 2**20
_COMMON = [
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    # A peer that vanished without a word is noticed although a stream has no deadline.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
]
CHANNEL_OPTIONS = [
    *_COMMON,
    # Without a pool of its own a channel inherits the back-off that another one has run up against the same address.
    ("grpc.use_local_subchannel_pool", 1),
    # A peer that was away for 30 s is found again in 0.2 s, not in 10.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_retries", 0),
]
SERVER_OPTIONS = [
    *_COMMON,
    # Without this a second process binds the same port silently, and calls are split between the two.
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]


class Loop:
    """An asyncio loop that runs in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="raftedu-grpc", daemon=True)
        self._thread.start()

    def post(self, work: Callable[[], Any]) -> None:
        """Run ``work`` soon, in the loop's thread; nothing happens once the loop is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine on the loop and wait for nothing."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Coroutine[Any, Any, T], timeout: float = 30.0) -> T:
        """Run a coroutine on the loop and return its result; not to be called from the loop's own thread."""
        future: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(timeout)

    def close(self) -> None:
        """Cancel what still runs, then end the loop and its thread."""
        self.call(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()
        gc.collect()  # gRPC ends its own thread when the last of its objects is gone

    async def _cancel_all(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()


_lock = threading.Lock()
_shared: Loop | None = None
_users = 0


def acquire_loop() -> Loop:
    """Return the loop that all nodes of this process share; each call is paid back by one of `release_loop`."""
    global _shared, _users
    with _lock:
        if _shared is None:
            _shared = Loop()
        _users += 1
        return _shared


def release_loop() -> None:
    """Give the shared loop back; the last one to do so ends it and its thread."""
    global _shared, _users
    with _lock:
        _users -= 1
        if _users == 0 and _shared is not None:
            _shared.close()
            _shared = None
