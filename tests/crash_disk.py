"""A disk in memory that keeps only what was made durable, for tests of what a loss of power may do.

As on a real disk, a file's content is durable once the file was synced, and a name (of a new, renamed or removed file, or of
a new folder) once its folder was. What was not synced may be lost or kept, each part by itself. This module knows files and folders
only; it keeps to no more than POSIX promises.
"""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from raftedu.live.disk import Disk, FolderInUse

__all__ = ["PageCacheDisk", "PowerLoss"]


class PowerLoss(BaseException):
    """Power failed in the middle of an operation. No `OSError`: the program that was running sees nothing of it."""


class _File:
    def __init__(self) -> None:
        self.cached = b""
        self.durable = b""

    def lose_power(self, rng: random.Random | None) -> None:
        if rng and self.cached.startswith(self.durable):
            self.durable = self.cached[: rng.randint(len(self.durable), len(self.cached))]
        elif rng and rng.random() < 0.5:
            self.durable = self.cached
        self.cached = self.durable


class _Folder:
    def __init__(self) -> None:
        self.cached: dict[str, _File | _Folder] = {}
        self.durable: dict[str, _File | _Folder] = {}
        self.changes: list[dict[str, _File | _Folder | None]] = []
        self.labels: set[str] = set()

    def change(self, change: dict[str, _File | _Folder | None], label: str) -> None:
        _apply(change, self.cached)
        self.changes.append(change)
        self.labels.add(label)

    def sync(self) -> None:
        self.durable = dict(self.cached)
        self.changes.clear()
        self.labels.clear()

    def lose_power(self, rng: random.Random | None) -> None:
        for change in self.changes:
            if rng and rng.random() < 0.5:
                _apply(change, self.durable)
        self.cached = dict(self.durable)
        self.changes.clear()
        self.labels.clear()
        for thing in set(self.cached.values()):
            thing.lose_power(rng)

    def die(self) -> None:
        self.labels.clear()
        for thing in self.cached.values():
            if isinstance(thing, _Folder):
                thing.die()


def _apply(change: dict[str, _File | _Folder | None], names: dict[str, _File | _Folder]) -> None:
    for name, thing in change.items():
        if thing is None:
            names.pop(name, None)
        else:
            names[name] = thing


class _Handle:
    def __init__(self, name: str, file: _File) -> None:
        self.name, self.file, self.written = name, file, False


class PageCacheDisk(Disk):
    """A disk for `raftedu.live.storage.FileStorage` on which everything may go wrong, and nothing goes wrong unless told so.

    ``operations`` counts everything that changes the disk; ``syncs`` counts each kind of sync by its name. A kind is
    ``"logs.txt written"`` or ``"logs.txt found"`` for a file (found: this handle wrote nothing), and
    ``"logs_node_1/: new logs.txt"``, ``"logs_node_1/: logs.txt replaced"`` or ``"logs_node_1/: nothing"`` for a folder (what this
    process changed since it last synced the folder).
    """

    def __init__(self) -> None:
        self.operations = 0
        self.syncs: Counter[str] = Counter()
        self._root = _Folder()
        self._handles: dict[int, _Handle] = {}
        self._locks: dict[Path, object] = {}
        self._without: str | None = None
        self._power_fails_at: int | None = None
        self._writes = 0
        self._failure: tuple[int, int, random.Random | None] | None = None

    # What may go wrong

    def power_loss(self, rng: random.Random | None = None) -> None:
        """Keep only what is durable, and, if ``rng`` says so, some of the rest. The programs that ran are dead."""
        self._root.lose_power(rng)
        self._forget_programs()

    def process_death(self) -> None:
        """Let the programs die; what they gave to the system stays in its cache (this is SIGKILL)."""
        self._root.die()
        self._forget_programs()

    def without_fsync(self, kind: str | None) -> None:
        """From now on let every sync of this kind do nothing."""
        self._without = kind

    def lose_power_at(self, operation: int | None) -> None:
        """Raise `PowerLoss` instead of the ``operation``-th operation from now (1: the next)."""
        self._power_fails_at = None if operation is None else self.operations + operation

    def fail_write(self, number: int, code: int = errno.ENOSPC, rng: random.Random | None = None) -> None:
        """Raise ``OSError(code)`` from the ``number``-th write on (1: the next), after a part of it if there is an ``rng``."""
        self._failure = (self._writes + number, code, rng)

    def heal(self) -> None:
        """Let writes succeed again."""
        self._failure = None

    # What a disk does

    def exists(self, path: Path) -> bool:
        return self._look_up(path) is not None

    def may_write(self, folder: Path) -> bool:
        return True

    def names(self, folder: Path) -> set[str]:
        return set(self._folder(folder).cached)

    def read(self, path: Path) -> bytes:
        return self._file(path).cached

    def make_folder(self, folder: Path) -> None:
        self._operate()
        if folder.name not in self._folder(folder.parent).cached:
            self._folder(folder.parent).change({folder.name: _Folder()}, f"new {folder.name}")

    def open_append(self, path: Path) -> int:
        if not self.exists(path):
            self._operate()
            self._folder(path.parent).change({path.name: _File()}, f"new {path.name}")
        handle = max(self._handles, default=0) + 1
        self._handles[handle] = _Handle(path.name, self._file(path))
        return handle

    def create(self, path: Path) -> int:
        handle = self.open_append(path)
        self.truncate(handle, 0)
        return handle

    def write(self, handle: int, data: bytes) -> None:
        self._operate()
        self._writes += 1
        file, opened = self._handles[handle].file, self._handles[handle]
        opened.written = True
        if self._failure and self._writes >= self._failure[0]:
            _, code, rng = self._failure
            file.cached += data[: rng.randint(0, len(data))] if rng else b""
            raise OSError(code, errno.errorcode[code])
        file.cached += data

    def truncate(self, handle: int, size: int) -> None:
        self._operate()
        file = self._handles[handle].file
        file.cached = file.cached[:size]

    def sync_file(self, handle: int) -> None:
        opened = self._handles[handle]
        if self._sync(f"{opened.name} {'written' if opened.written else 'found'}"):
            opened.file.durable = opened.file.cached

    def close(self, handle: int) -> None:
        self._handles.pop(handle, None)  # a program that died in a loss of power may still be tidied away by its test

    def replace(self, old: Path, new: Path) -> None:
        self._operate()
        # One change, so that it is kept whole or lost whole.
        self._folder(old.parent).change({new.name: self._file(old), old.name: None}, f"{new.name} replaced")
        self._folder(old.parent).labels.discard(f"new {old.name}")

    def unlink(self, path: Path) -> None:
        self._operate()
        self._file(path)
        self._folder(path.parent).change({path.name: None}, f"{path.name} removed")
        self._folder(path.parent).labels -= {f"new {path.name}", f"{path.name} removed"}  # a kind is not named after what is gone

    def sync_folder(self, folder: Path) -> None:
        thing = self._folder(folder)
        if self._sync(f"{folder.name}/: {' '.join(sorted(thing.labels)) or 'nothing'}"):
            thing.sync()
        thing.labels.clear()

    def lock(self, path: Path) -> Callable[[], None]:
        if path in self._locks:
            raise FolderInUse(str(path))
        owner = self._locks[path] = object()

        def release() -> None:
            if self._locks.get(path) is owner:
                del self._locks[path]

        return release

    def put(self, path: Path, content: bytes) -> None:
        """Let a file be there with this content, durably; for the beginning of a test."""
        for folder in reversed(path.parents[:-1]):
            self.make_folder(folder)
            self._folder(folder.parent).sync()
        handle = self.create(path)
        self._handles[handle].file.cached = self._handles[handle].file.durable = content
        self._folder(path.parent).sync()
        self.close(handle)

    def _operate(self) -> None:
        self.operations += 1
        if self._power_fails_at is not None and self.operations >= self._power_fails_at:
            raise PowerLoss

    def _sync(self, kind: str) -> bool:
        """Count a sync, and return whether it is to be done."""
        self._operate()
        self.syncs[kind] += 1
        return kind != self._without

    def _forget_programs(self) -> None:
        self._handles.clear()
        self._locks.clear()
        self._power_fails_at = None

    def _look_up(self, path: Path) -> _File | _Folder | None:
        thing: _File | _Folder | None = self._root
        for name in path.parts[1:]:
            thing = thing.cached.get(name) if isinstance(thing, _Folder) else None
        return thing

    def _folder(self, path: Path) -> _Folder:
        thing = self._look_up(path)
        if not isinstance(thing, _Folder):
            raise FileNotFoundError(errno.ENOENT, "No such folder", str(path))
        return thing

    def _file(self, path: Path) -> _File:
        thing = self._look_up(path)
        if not isinstance(thing, _File):
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return thing
