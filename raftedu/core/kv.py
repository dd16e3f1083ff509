"""The state machine: keys and values, and for every client the last request that took effect (§8).

It is the same on every node that has applied the same entries: nothing in it depends on time, on chance or on who leads. The
table of requests is part of it, so that it is there after a change of leader and after a restart.
"""

from __future__ import annotations

from hashlib import blake2b

from raftedu.core.rules import Rules
from raftedu.core.types import SET, Entry
from raftedu.core.views import DedupView

__all__ = ["KeyValue"]


class KeyValue:
    """What has been applied so far: ``data`` (key to value) and ``last_request`` (client to request id)."""

    __slots__ = ("_state", "data", "last_request")

    def __init__(self) -> None:
        self.data: dict[str, str] = {}
        self.last_request: dict[str, int] = {}
        self._state = b""

    def copy(self) -> KeyValue:
        """Return a state machine that has applied the same and goes its own way from here."""
        other = KeyValue()
        other.data, other.last_request, other._state = dict(self.data), dict(self.last_request), self._state
        return other

    def apply(self, entry: Entry, rules: Rules, *, is_leader: bool) -> str:
        """Apply one entry; return ``"new"``, ``"duplicate"`` (applied before) or ``"outdated"`` (a later one was)."""
        if entry.op != SET:
            return "new"
        last = self.last_request.get(entry.client) if entry.client else None
        if not rules.apply_once(DedupView(entry.client, entry.request, last, is_leader)):
            return "duplicate" if entry.request == last else "outdated"
        self.data[entry.key] = entry.value
        if entry.client:
            self.last_request[entry.client] = entry.request
        change = repr((entry.key, entry.value, entry.client, entry.request)).encode("utf-8", "surrogatepass")
        self._state = blake2b(self._state + change, digest_size=8).digest()
        return "new"

    @property
    def state(self) -> str:
        """A hash of every change so far, in order: equal on two nodes that did the same."""
        return self._state.hex()
