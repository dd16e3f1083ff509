"""What a node must not forget: its term, its vote, its promises and its log, in two files that a person can read.

``logs_node_X/logs.txt`` has a line an entry, ``metadata.txt`` the rest. Everything that `FileStorage.write` was given is durable
when `FileStorage.sync` returns; that is all a node needs to know before a reply leaves. This module knows nothing of messages, of
time or of Raft's rules, and it keeps no entry: an append costs the same whatever the length of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from raftedu.core.outputs import Persist
from raftedu.core.types import Durable, Entry, HardState
from raftedu.live.disk import OS_DISK, Disk, FolderInUse
from raftedu.live.log_lines import line_of
from raftedu.live.metadata import Metadata
from raftedu.live.recovery import LOGS, METADATA, NEW, Found, StorageError, find

__all__ = ["FileStorage", "MemoryStorage", "Storage", "StorageError"]

_LOCK = ".lock"
_LOAD_FIRST = "load() comes before everything else"
_CHOOSE = "choose another folder, or allow this user to read and write there"
_MEND = "mend the disk and start the node again"


class Storage(Protocol):
    """What the thread of a node asks of its storage."""

    def load(self) -> Durable:
        """Return what is durable."""

    def write(self, persist: Persist) -> None:
        """Remember ``persist``; it is not durable yet."""

    def sync(self) -> None:
        """Return once everything written so far is durable."""

    def note(self, commit_index: int, last_applied: int) -> None:
        """Remember how far the node is, for people who read ``metadata.txt``."""

    def crash(self) -> None:
        """Forget everything that is not durable, as a loss of power would."""

    def close(self) -> None:
        """Make everything durable and let go of the files."""


class _Tail:
    """The end of the log that is not durable yet: ``kept`` durable entries, then ``new`` ones.

    ``kept < durable`` says that durable entries are to be cut off.
    """

    def __init__(self, durable: int) -> None:
        self.durable = durable
        self.kept = durable
        self.new: list[bytes] = []

    def replace(self, keep: int, lines: list[bytes]) -> None:
        """Let the log be its first ``keep`` entries and ``lines``."""
        if not 0 <= keep <= self.kept + len(self.new):
            raise ValueError(f"the log has {self.kept + len(self.new)} entries, so entry {keep + 1} cannot be written next")
        del self.new[max(0, keep - self.kept) :]
        self.kept = min(self.kept, keep)
        self.new += lines


class FileStorage:
    """The storage of one node in its own folder, which is locked until `close` or `crash` or the death of the process.

    After any failure of the disk the storage is broken for good: what an interrupted write left behind cannot be known, so
    nothing may be written after it (the node starts again and recovers).

    Parameters
    ----------
    folder
        ``…/logs_node_X``; it is made if there is none.
    disk
        The disk; tests put a worse one in its place.

    Raises
    ------
    StorageError
        From every method: another process uses the folder, the disk fails, its content is damaged, or the storage is closed.
    """

    def __init__(self, folder: Path, *, disk: Disk = OS_DISK) -> None:
        self.folder = Path(folder).absolute()
        self._disk = disk
        self._unusable = _LOAD_FIRST
        self._log: int | None = None
        self._on_disk = Metadata()
        self._hard = HardState()
        self._noted = (0, 0)
        self._tail = _Tail(0)
        with self._failures("cannot be opened", _CHOOSE):
            self._make_folder()
            self._unlock: Callable[[], None] | None = self._take_lock()

    def load(self) -> Durable:
        """Return what is durable in the folder. A torn last line is cut off; nobody was ever told of its entry.

        ``ran_before`` is false only if no earlier `load` on this folder came to its end.
        """
        if self._unusable != _LOAD_FIRST:
            raise StorageError(self._unusable or f"{self.folder}: it is loaded already")
        try:
            with self._failures("cannot be recovered", _CHOOSE):
                found = find(self._disk, self.folder)
                self._mend(found)
        except StorageError:
            self._release()
            raise
        self._on_disk, self._hard = found.metadata, found.metadata.hard
        self._noted = (found.metadata.commit_length, found.metadata.applied_length)
        self._tail = _Tail(len(found.entries))
        self._unusable = ""
        return Durable(found.metadata.hard, found.entries, found.ran_before)

    def write(self, persist: Persist) -> None:
        """Remember ``persist``. Nothing reaches a file before `sync`: the system may make any write durable early, out of order."""
        self._refuse_if_unusable()
        try:
            lines = [f"{line_of(entry)}\n".encode() for entry in persist.entries]
            if persist.hard is not None:
                Metadata.of(Metadata(persist.hard).text().encode())  # what could not be read again is refused now
            if persist.first:
                self._tail.replace(persist.first - 1, lines)
        except ValueError as error:
            raise StorageError(f"{self.folder}: number {persist.seq} is refused, nothing of it was kept: {error.args[-1]}") from None
        if persist.hard is not None:
            self._hard = persist.hard

    def sync(self) -> None:
        """Return once everything written so far is durable: at most one new metadata file and one append, none if nothing changed."""
        self._refuse_if_unusable()
        with self._failures("cannot be written", _MEND):
            # Term and vote first. If power fails in between, the node knows a term of which it has no entries, as if it
            # had voted and heard no more. The other way round it could have entries of a term that it may vote in again,
            # or lead again and give the same index and term to another entry. With a cut it is the same: the conflicting
            # tail stands a little longer, and nobody was told that it is gone.
            if self._hard != self._on_disk.hard or self._tail.kept < self._on_disk.commit_length:
                self._replace_metadata(self._metadata())
            self._sync_log()

    def note(self, commit_index: int, last_applied: int) -> None:
        """Remember how far the node is. It is written with the next term or vote, and by `close`; no node reads it back."""
        self._refuse_if_unusable()
        self._noted = (commit_index, last_applied)

    def crash(self) -> None:
        """Forget everything written since the last `sync` and release the folder, as a loss of power would."""
        self._let_go("has crashed")

    def close(self) -> None:
        """Make everything durable and release the folder. A broken or closed storage is only released."""
        try:
            if not self._unusable:
                self.sync()
                with self._failures("cannot be written", _MEND):
                    if self._metadata() != self._on_disk:
                        self._replace_metadata(self._metadata())
        finally:
            self._let_go("is closed")

    def _make_folder(self) -> None:
        missing = [path for path in (self.folder, *self.folder.parents) if not self._disk.exists(path)]
        for path in reversed(missing):
            self._disk.make_folder(path)  # made durable by load(), which also knows of a first boot that was killed

    def _take_lock(self) -> Callable[[], None]:
        try:
            return self._disk.lock(self.folder / _LOCK)
        except FolderInUse:
            raise StorageError(f"{self.folder}: another node runs on this folder; stop it, or choose another folder") from None

    def _mend(self, found: Found) -> None:
        """Remove what a crash left, and make durable what was read.

        A process that was killed may have left it in the page cache only: power lost later would take away what this node,
        which now acts on it, has told others.
        """
        for name in found.leftovers:
            self._disk.unlink(self.folder / name)
        self._log = self._disk.open_append(self.folder / LOGS)
        if found.torn:
            self._disk.truncate(self._log, found.log_bytes)
        self._disk.sync_file(self._log)
        self._disk.sync_folder(self.folder)
        if not found.ran_before:
            self._boot_first(found.metadata)

    def _boot_first(self, metadata: Metadata) -> None:
        """Make the folder durable, and then metadata.txt, last: it stands for a first boot that came to its end."""
        # Any folder on the way down may have been made just now, or by a first boot that was killed.
        for folder in takewhile(self._disk.may_write, self.folder.parents):
            self._disk.sync_folder(folder)
        self._replace_metadata(metadata)

    def _metadata(self) -> Metadata:
        """Return what metadata.txt should say. Its lengths never exceed the log that is durable, before and after this sync."""
        commit_length, applied_length = (min(length, self._tail.kept) for length in self._noted)
        return Metadata(self._hard, commit_length, applied_length)

    def _replace_metadata(self, metadata: Metadata) -> None:
        self._replace(METADATA, metadata.text().encode())
        self._on_disk = metadata

    def _sync_log(self) -> None:
        tail, lines = self._tail, b"".join(self._tail.new)
        if tail.kept < tail.durable:
            self._rewrite_log(lines)
        elif lines:
            assert self._log is not None
            # One write, of which a loss of power leaves a prefix; a line cut short has no newline and is known by that. (A file
            # system that leaves a hole instead is found out by `find`, which then refuses to guess.)
            self._disk.write(self._log, lines)
            self._disk.sync_file(self._log)
        self._tail = _Tail(tail.kept + len(tail.new))

    def _rewrite_log(self, lines: bytes) -> None:
        """Cut the log by replacing it whole, so that power lost in the middle leaves the old log or the new one, and no mixture."""
        path = self.folder / LOGS
        *kept, _ = self._disk.read(path).split(b"\n", self._tail.kept)
        if len(kept) < self._tail.kept:
            raise StorageError(f"{path}: somebody else shortened it; nothing was changed; stop that program and start the node again")
        self._close_log()  # Windows replaces no file that is open
        self._replace(LOGS, b"".join(line + b"\n" for line in kept) + lines)
        self._log = self._disk.open_append(path)

    def _replace(self, name: str, content: bytes) -> None:
        """Replace a file whole: after a loss of power it is the old one or the new one, and the new one when this returns."""
        path = self.folder / name
        new = path.with_name(name + NEW)
        handle = self._disk.create(new)
        try:
            self._disk.write(handle, content)
            # Before the rename, or the name may be durable sooner than what it names.
            self._disk.sync_file(handle)
        finally:
            self._disk.close(handle)
        self._disk.replace(new, path)
        self._disk.sync_folder(self.folder)

    @contextmanager
    def _failures(self, what: str, advice: str) -> Iterator[None]:
        """Turn any failure in the block into a `StorageError` that is repeated by every later call."""
        try:
            yield
        except OSError as error:
            kept = "" if self._unusable else f"the first {self._tail.kept} entries of {LOGS} are safe; "
            path = error.filename or self.folder
            self._unusable = f"{path} {what}: {error.strerror or error}; {kept}{advice}"
            raise StorageError(self._unusable) from error
        except StorageError as error:
            self._unusable = str(error)
            raise

    def _refuse_if_unusable(self) -> None:
        if self._unusable:
            raise StorageError(self._unusable)

    def _let_go(self, why: str) -> None:
        self._unusable = f"{self.folder}: this storage {why}; open the folder anew"
        self._release()

    def _release(self) -> None:
        self._close_log()
        unlock, self._unlock = self._unlock, None
        if unlock is not None:
            unlock()

    def _close_log(self) -> None:
        if self._log is not None:
            handle, self._log = self._log, None
            self._disk.close(handle)


class MemoryStorage:
    """The same without files, for simulators and tests: after `crash`, `load` returns what was synced."""

    def __init__(self) -> None:
        self._hard = HardState()
        self._entries: list[Entry] = []
        self._ran_before = False
        self._written: list[Persist] = []
        self.noted = (0, 0)

    def load(self) -> Durable:
        """Return what was synced."""
        durable = Durable(self._hard, tuple(self._entries), self._ran_before)
        self._ran_before = True
        return durable

    def write(self, persist: Persist) -> None:
        """Remember ``persist``; `crash` forgets it, `sync` keeps it."""
        self._written.append(persist)

    def sync(self) -> None:
        """Keep everything written so far."""
        for persist in self._written:
            if persist.hard is not None:
                self._hard = persist.hard
            if persist.first:
                assert persist.first <= len(self._entries) + 1, "the log would have a hole"
                self._entries[persist.first - 1 :] = persist.entries
        self._written.clear()

    def note(self, commit_index: int, last_applied: int) -> None:
        """Remember how far the node is, in ``noted``."""
        self.noted = (commit_index, last_applied)

    def crash(self) -> None:
        """Forget everything written since the last `sync`."""
        self._written.clear()

    def close(self) -> None:
        """Keep everything written so far."""
        self.sync()
