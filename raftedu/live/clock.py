"""The time of a cluster: one clock that can be paced and frozen, and each node's own reading of it.

All times are protocol seconds; wall seconds appear only where a thread asks how long to sleep. This module knows nothing of
nodes or of what they wait for. Nothing here sleeps: a timer only wakes a thread, which then compares the clock (U13).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from numbers import Real
from typing import TypeAlias

from raftedu.core.types import Seconds

__all__ = ["ClusterClock", "NodeClock", "system_source"]

Listener: TypeAlias = Callable[[], None]


def system_source() -> Callable[[], float]:
    """Return the system's clock that never jumps, and that counts a suspend where the system has such a clock.

    Examples
    --------
    >>> read = system_source()
    >>> read() <= read()
    True
    """
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot_time is None else lambda: time.clock_gettime(boot_time)


class _Listeners:
    """Who wants to know that a plan made with a clock no longer holds. They are called without any lock held."""

    def __init__(self) -> None:
        self._callbacks: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def subscribe(self, callback: Listener) -> None:
        """Call ``callback`` after every change of the clock, in the thread that changed it."""
        with self._lock:
            self._callbacks += (callback,)

    def unsubscribe(self, callback: Listener) -> None:
        """Call ``callback`` no more. One that is not subscribed is fine."""
        with self._lock:
            self._callbacks = tuple(other for other in self._callbacks if other != callback)

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()


class ClusterClock(_Listeners):
    """The one clock of a cluster, in protocol seconds, zero when it is made. All its methods may be called from any thread.

    It never runs backwards: a change of pace, a freeze and a thaw leave `now` where it is.

    Parameters
    ----------
    pace
        Wall seconds in a protocol second: 0.05 plays a second in 50 ms.
    source
        Where wall time comes from; tests pass their own and never sleep.
    """

    def __init__(self, pace: float = 1.0, *, source: Callable[[], float] | None = None) -> None:
        super().__init__()
        self._source = source or system_source()
        self._pace = _positive(pace)
        self._frozen = False
        # While it runs: now = _then + (source - _since) / pace. While frozen: now = _then.
        self._then = 0.0
        self._since = self._source()
        self.utc_zero = time.time()
        """The time of day when this clock was zero, in seconds since 1970; for people only."""

    def now(self) -> Seconds:
        """Return the protocol seconds since this clock was made, without the time it was frozen."""
        # The source is read under the lock, or a reader that is held up here could see the future of a clock frozen meanwhile.
        with self._lock:
            return self._now()

    @property
    def pace(self) -> float:
        """Wall seconds in a protocol second; it may be set while the clock runs."""
        return self._pace

    @pace.setter
    def pace(self, pace: float) -> None:
        pace = _positive(pace)
        with self._lock:
            self._rebase()
            self._pace = pace
        self._tell()

    @property
    def frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._frozen

    def freeze(self) -> None:
        """Stop the clock. A clock that stands still is left alone."""
        self._set_frozen(True)

    def thaw(self) -> None:
        """Let the clock go on from where it stands. A clock that runs is left alone."""
        self._set_frozen(False)

    def advance(self, seconds: Seconds) -> None:
        """Move a frozen clock forward.

        Raises
        ------
        RuntimeError
            The clock runs.
        ValueError
            ``seconds`` is negative, or no number.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"advance({seconds}): a clock only moves forward, by a finite number of seconds")
        with self._lock:
            if not self._frozen:
                raise RuntimeError("advance() moves a frozen clock, and this one runs: freeze() first")
            self._then += seconds
        self._tell()

    def begin_at(self, seconds: Seconds) -> None:
        """Let a clock that was just made show ``seconds``: the time where an earlier run of the same folder ended."""
        with self._lock:
            self._then, self._since = float(seconds), self._source()
            self.utc_zero = time.time() - seconds * self._pace
        self._tell()

    def wall_seconds(self, seconds: Seconds) -> float:
        """Return how many wall seconds ``seconds`` from now take, ``inf`` while the clock is frozen."""
        with self._lock:
            if seconds <= 0:
                return 0.0
            return math.inf if self._frozen else seconds * self._pace

    def _set_frozen(self, frozen: bool) -> None:
        with self._lock:
            if frozen == self._frozen:
                return
            self._rebase()
            self._frozen = frozen
        self._tell()

    def _rebase(self) -> None:
        wall = self._source()
        self._then, self._since = self._at(wall), wall

    def _now(self) -> Seconds:
        return self._at(self._source())

    def _at(self, wall: float) -> Seconds:
        return self._then if self._frozen else self._then + (wall - self._since) / self._pace


class NodeClock(_Listeners):
    """A node's own clock: the cluster's clock, read at its own rate. All its methods may be called from any thread.

    It never runs backwards, unless an offset sets it back.

    Parameters
    ----------
    cluster_clock
        The clock that it reads.
    rate
        Its seconds in a second of the cluster's clock: 1.001 gains a millisecond a second, 0 stands still.
    offset
        How far it is ahead of the cluster's clock when it is made.
    """

    def __init__(self, cluster_clock: ClusterClock, rate: float = 1.0, offset: Seconds = 0.0) -> None:
        super().__init__()
        self._cluster_clock = cluster_clock
        self._rate = _rate(rate)
        # now = _then + rate * (cluster's now - _since)
        self._since = cluster_clock.now()
        self._then = self._since + _finite(offset)

    @property
    def cluster_clock(self) -> ClusterClock:
        """The clock that it reads."""
        return self._cluster_clock

    @property
    def rate(self) -> float:
        """Its seconds in a second of the cluster's clock."""
        return self._rate

    @property
    def offset(self) -> Seconds:
        """How far it is ahead of the cluster's clock now."""
        with self._lock:
            cluster_now = self._cluster_clock.now()
            return self._at(cluster_now) - cluster_now

    def now(self) -> Seconds:
        """Return the time that this node sees."""
        with self._lock:
            return self._at(self._cluster_clock.now())

    def set(self, *, rate: float | None = None, offset: Seconds | None = None) -> None:
        """Change the rate, from now on and without a jump; or jump, to ``offset`` seconds ahead of the cluster's clock."""
        new_rate = self._rate if rate is None else _rate(rate)
        new_offset = None if offset is None else _finite(offset)
        with self._lock:
            cluster_now = self._cluster_clock.now()
            self._then = self._at(cluster_now) if new_offset is None else cluster_now + new_offset
            self._since, self._rate = cluster_now, new_rate
        self._tell()

    def wall_until(self, deadline: Seconds) -> float:
        """Return how many wall seconds to sleep until this clock shows ``deadline``, 0 if it is past.

        It is ``inf`` if the deadline cannot come before somebody changes a clock; then the subscribers are called.
        """
        with self._lock:
            left = deadline - self._at(self._cluster_clock.now())
            if left > 0:
                left = left / self._rate if self._rate else math.inf
        return self._cluster_clock.wall_seconds(left)

    def subscribe(self, callback: Listener) -> None:
        """Call ``callback`` after every change of this clock or of the cluster's, in the thread that changed it."""
        super().subscribe(callback)
        self._cluster_clock.subscribe(callback)

    def unsubscribe(self, callback: Listener) -> None:
        """Call ``callback`` no more. One that is not subscribed is fine."""
        super().unsubscribe(callback)
        self._cluster_clock.unsubscribe(callback)

    def _at(self, cluster_now: Seconds) -> Seconds:
        if self._rate == 1.0 and self._then == self._since:
            return cluster_now  # without drift a node's times are the cluster's, to the last digit
        return self._then + self._rate * (cluster_now - self._since)


def _positive(pace: float) -> float:
    if not isinstance(pace, Real) or not 0 < pace < math.inf:
        raise ValueError(f"pace={pace!r} must be a positive number of wall seconds in a protocol second")
    return float(pace)


def _rate(rate: float) -> float:
    if not 0 <= rate < math.inf:
        raise ValueError(f"rate={rate} must be a number from 0: a clock runs forward or stands still")
    return float(rate)


def _finite(offset: Seconds) -> Seconds:
    if not math.isfinite(offset):
        raise ValueError(f"offset={offset} must be a finite number of seconds")
    return float(offset)
