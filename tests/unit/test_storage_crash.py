"""What was synced survives every loss of power, every kill and every full disk; and no sync in the code is there for nothing.

Each story is a random life of one node's storage on a `PageCacheDisk`, told again beside a plain model. A story without one kind of
sync must end badly for some seed: that kind is needed.
"""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from raftedu.core.outputs import Persist
from raftedu.core.types import Durable, Entry, HardState
from raftedu.live.storage import FileStorage, MemoryStorage, StorageError
from tests.crash_disk import PageCacheDisk, PowerLoss

FOLDER = Path("/data/logs_node_1")
SEEDS = range(600)
MORE_SEEDS = range(3000)
KINDS = {
    "logs.txt written": "the append of a batch",
    "logs.txt found": "an append that a killed process left in the page cache",
    "logs.txt.new written": "the log rewritten for a cut, before its rename",
    "metadata.txt.new written": "term and vote, before their rename",
    "logs_node_1/: new logs.txt": "the first boot: the name logs.txt is durable before metadata.txt is",
    "logs_node_1/: metadata.txt replaced": "the rename of metadata.txt",
    "logs_node_1/: logs.txt replaced": "the rename of the rewritten log",
    "logs_node_1/: nothing": "a rename that a killed process left in the page cache",
    "data/: new logs_node_1": "the name of the folder",
    "data/: nothing": "the name of the folder, when its maker was killed",
    "/: new data": "the name of the folder above, made on the way",
    "/: nothing": "the name of the folder above, when its maker was killed",
}


class Lost(AssertionError):
    """The storage does not give back what it must."""


class Story:
    """One random life. ``hard`` and ``entries`` are what the node may have acted on; ``next_`` is what it has written since."""

    def __init__(self, seed: int, without: str | None = None) -> None:
        self.rng = random.Random(seed)
        self.disk = PageCacheDisk()
        self.disk.without_fsync(without)
        self.ran_before = False
        self.hard, self.entries = HardState(), ()
        self.storage: FileStorage | None = None
        self.values = 0
        self.start()

    def run(self, steps: int = 25) -> None:
        actions = [
            self.append,
            self.append,
            self.vote,
            self.cut,
            self.sync,
            self.sync,
            self.sync_interrupted,
            self.full_disk,
            self.end,
            self.close,
        ]
        for _ in range(steps):
            if self.storage is None:
                self.start()
            else:
                self.rng.choice(actions)()
        self.end()
        self.start(calm=True)

    def start(self, *, calm: bool = False) -> None:
        """Load; power may fail, or the process be killed, in the middle of it."""
        if not calm and self.rng.random() < 0.5:
            self.disk.lose_power_at(self.rng.randint(1, 14))
        try:
            storage = FileStorage(FOLDER, disk=self.disk)
            durable = storage.load()
        except PowerLoss:
            self.end()
            return
        except StorageError as error:
            raise Lost(f"the node refuses to start: {error}") from error
        self.disk.lose_power_at(None)
        self.check(durable)
        self.storage, self.ran_before = storage, True
        self.hard, self.entries = durable.hard, durable.entries
        self.next_hard, self.next_entries, self.kept, self.syncing = self.hard, self.entries, len(self.entries), False

    def check(self, durable: Durable) -> None:
        if self.ran_before and not durable.ran_before:
            raise Lost("the node forgot that it ran before, and its promises")
        if (durable.hard, durable.entries) not in self.allowed():
            raise Lost(f"{durable} was never durable, or was replaced")

    def allowed(self) -> list[tuple[HardState, tuple[Entry, ...]]]:
        allowed = [(self.hard, self.entries)]
        if self.ran_before and self.syncing:
            old = len(self.entries)
            lengths = [len(self.next_entries)] if self.kept < old else range(old, len(self.next_entries) + 1)
            allowed += [(self.next_hard, self.entries), *((self.next_hard, self.next_entries[:length]) for length in lengths)]
        return allowed

    def write(self, hard: HardState | None = None, first: int = 0, entries: tuple[Entry, ...] = ()) -> None:
        if hard is not None:
            self.next_hard = hard
        if first:
            self.kept = min(self.kept, first - 1)
            self.next_entries = self.next_entries[: first - 1] + entries
        self.storage.write(Persist(1, hard, first, entries, False))
        self.storage.note(self.rng.randint(0, len(self.entries)), 0)

    def some_entries(self, count: int) -> tuple[Entry, ...]:
        self.values += count
        return tuple(Entry(self.next_hard.term, "SET", "schlüssel", str(self.values - i), "anna", 1) for i in range(count))

    def append(self) -> None:
        self.write(first=len(self.next_entries) + 1, entries=self.some_entries(self.rng.randint(1, 3)))

    def vote(self) -> None:
        self.write(HardState(self.next_hard.term + 1, self.rng.choice([None, 0, 1]), self.rng.random()))

    def cut(self) -> None:
        self.vote()
        self.write(first=self.rng.randint(1, len(self.next_entries) + 1), entries=self.some_entries(self.rng.randint(0, 2)))

    def sync(self) -> None:
        self.storage.sync()
        self.acted()

    def acted(self) -> None:
        self.hard, self.entries, self.kept = self.next_hard, self.next_entries, len(self.next_entries)

    def sync_interrupted(self) -> None:
        self.syncing = True
        self.disk.lose_power_at(self.rng.randint(1, 8))
        try:
            self.storage.sync()
        except PowerLoss:
            self.end()
            return
        self.disk.lose_power_at(None)
        self.syncing = False
        self.acted()

    def full_disk(self) -> None:
        self.disk.fail_write(self.rng.randint(1, 2), self.rng.choice([errno.ENOSPC, errno.EIO]), self.rng)
        self.syncing = True
        try:
            self.storage.sync()
        except StorageError:
            for call in (self.storage.sync, lambda: self.storage.write(Persist(1, HardState(99), 0, (), False))):
                with pytest.raises(StorageError, match="cannot be written"):
                    call()
        else:
            self.acted()
        self.disk.heal()
        self.end()

    def close(self) -> None:
        self.storage.close()
        self.acted()
        self.storage = None

    def end(self) -> None:
        """Power fails, or the process is killed."""
        self.storage = None
        if self.rng.random() < 0.4:
            self.disk.process_death()
        else:
            self.disk.power_loss(self.rng if self.rng.random() < 0.5 else None)


def loses(seed: int, kind: str) -> bool:
    try:
        Story(seed, kind).run()
    except Lost:
        return True
    return False


def test_nothing_synced_is_ever_lost_and_every_kind_of_sync_is_known() -> None:
    seen: set[str] = set()
    for seed in SEEDS:
        story = Story(seed)
        story.run()
        seen |= set(story.disk.syncs)
    assert seen == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_without_this_kind_of_sync_something_is_lost(kind: str) -> None:
    assert any(loses(seed, kind) for seed in MORE_SEEDS), f"nothing is ever lost without {KINDS[kind]}"


def test_the_memory_storage_keeps_what_was_synced() -> None:
    storage = MemoryStorage()
    assert storage.load() == Durable()
    storage.write(Persist(1, HardState(1, 0, 8.0), 1, (Entry(1), Entry(1, "SET", "x", "1")), False))
    storage.sync()
    storage.write(Persist(2, HardState(2), 2, (Entry(2),), True))
    storage.crash()
    assert storage.load() == Durable(HardState(1, 0, 8.0), (Entry(1), Entry(1, "SET", "x", "1")), True)
    storage.write(Persist(3, None, 2, (Entry(1, "SET", "y", "2"),), True))
    storage.close()
    assert storage.load().entries == (Entry(1), Entry(1, "SET", "y", "2"))
