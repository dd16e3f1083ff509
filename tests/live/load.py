"""Clients that write and read without pause, each its own keys, and notice every wrong answer."""

from __future__ import annotations

import threading
import time

from raftedu.core.inputs import ClientRequest
from raftedu.core.types import SET
from raftedu.live.asking import Asker
from raftedu.live.cluster import Cluster


class Writer(threading.Thread):
    """The only writer of its key. Values count up; a GET must return the last one acknowledged, or a later one that is unknown."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.key, self.wrong = f"key {number}", ""
        self.acknowledged: list[int] = []
        self.last = 0  # the last value that was ever asked for
        self.client = f"writer-{number}"
        self._asker = Asker(
            cluster.nodes, cluster._call, now=lambda: cluster.now, sleep=lambda s: time.sleep(s * cluster.pace), client=self.client,
        )  # fmt: skip
        self.requests: dict[int, int] = {}  # value to request id
        self._done = threading.Event()
        self._number = 0

    def run(self) -> None:
        while not self._done.is_set() and not self.wrong:
            self.last += 1
            self._ask(SET, str(self.last))
            value = self._ask("GET")
            if value is not None and not self.is_right(value):
                self.wrong = f"{self.key}: GET returned {value!r}; acknowledged {self.acknowledged[-3:]}, asked for {self.last}"

    def _ask(self, op: str, value: str = "") -> str | None:
        self._number += 1
        if op == SET:
            self.requests[int(value)] = self._number
        reply = self._asker.ask(ClientRequest(op, self.key, value), 8.0)  # short enough to end unknown now and then
        if reply.outcome != "success":
            return None
        if op == SET:
            self.acknowledged.append(int(value))
        return reply.value

    def is_right(self, value: str) -> bool:
        oldest = self.acknowledged[-1] if self.acknowledged else 0
        return oldest <= int(value or 0) <= self.last

    def finish(self) -> None:
        self._done.set()
        self.join(120)
        assert not self.is_alive(), f"{self.name} hangs"
        assert not self.wrong, self.wrong
