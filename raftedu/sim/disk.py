"""`Disk`: what one node has written, and what of it would survive a loss of power. It knows no time; its owner waits ``delay``."""

from __future__ import annotations

import math
from collections.abc import Iterable

from raftedu.core.outputs import Persist
from raftedu.core.types import Durable, Entry, HardState, Seconds

__all__ = ["Disk"]


class Disk:
    """A disk that makes writes durable in order, all that wait at once, as an fsync does."""

    __slots__ = ("_entries", "_hard", "_ran_before", "_syncing", "_waiting", "delay", "syncs")

    def __init__(self, delay: Seconds) -> None:
        self.delay = delay
        """How long an fsync takes; ``inf``: it never ends."""
        self.syncs = 0
        """Counts the fsyncs that were begun, so that the end of one that a crash cut short is told from another's."""
        self._hard = HardState()
        self._entries: list[Entry] = []
        self._ran_before = False
        self._waiting: list[Persist] = []
        self._syncing: list[Persist] = []

    @property
    def stuck(self) -> bool:
        """Whether no fsync ends."""
        return self.delay == math.inf

    def load(self) -> Durable:
        """Return what is durable; from now on a node has run here."""
        found = self.durable
        self._ran_before = True
        return found

    @property
    def durable(self) -> Durable:
        """What is durable; reading it leaves no trace."""
        return Durable(self._hard, tuple(self._entries), self._ran_before)

    def tamper(self, hard: HardState, entries: Iterable[Entry]) -> None:
        """Put something else in the place of what is durable, as no node would."""
        self._hard, self._entries = hard, list(entries)

    def write(self, persist: Persist) -> None:
        """Take a write; it is durable only after the next fsync."""
        self._waiting.append(persist)

    def begin(self) -> bool:
        """Begin an fsync of all that waits, if none is on its way; return whether one was begun."""
        if self._syncing or not self._waiting or self.stuck:
            return False
        self._syncing, self._waiting = self._waiting, []
        self.syncs += 1
        return True

    def finish(self) -> list[Persist]:
        """Return what the fsync has just made durable."""
        done, self._syncing = self._syncing, []
        for persist in done:
            if persist.hard is not None:
                self._hard = persist.hard
            if persist.first:
                del self._entries[persist.first - 1 :]
                self._entries += persist.entries
        return done

    def interrupt(self) -> None:
        """Put the fsync on its way back among what waits: the speed of the disk has changed."""
        self._waiting[:0] = self._syncing
        self._syncing = []
        self.syncs += 1

    def crash(self) -> None:
        """Lose everything that is not durable."""
        self._waiting, self._syncing = [], []
        self.syncs += 1
