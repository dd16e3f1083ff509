"""What a node finds in its folder when it starts, checked; or why it must not start.

This module reads and judges, and changes nothing: whatever it refuses stays as it was found. What may be mended (a torn last
line, a temporary file) it only reports; `raftedu.live.storage` mends it, once everything else has been found right.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from raftedu.core.types import Entry
from raftedu.live.disk import Disk
from raftedu.live.log_lines import entry_of
from raftedu.live.metadata import Metadata

__all__ = ["LOGS", "METADATA", "NEW", "Found", "StorageError", "find"]

LOGS = "logs.txt"
METADATA = "metadata.txt"
NEW = ".new"
"""The ending of a file that is not yet the file: it is renamed when it is whole and durable."""

_AS_FOUND = "nothing was changed; repair it, or move the whole folder away (the node then starts empty and forgets what it promised)"


class StorageError(Exception):
    """The disk of a node failed, or what stands on it cannot be trusted. The message names the path and what to do."""


class Found(NamedTuple):
    """A folder that a node may start from. ``ran_before`` is false if no node ever ran on it.

    ``log_bytes`` is where the last whole line of ``logs.txt`` ends, ``torn`` whether anything follows it.
    """

    metadata: Metadata
    entries: tuple[Entry, ...]
    ran_before: bool
    log_bytes: int
    torn: bool
    leftovers: tuple[str, ...]


def find(disk: Disk, folder: Path) -> Found:
    """Return what stands in ``folder``.

    Raises
    ------
    StorageError
        Something stands there that no crash of ours leaves behind.
    OSError
        The disk cannot be read.
    """
    names = disk.names(folder)
    leftovers = tuple(name for name in (METADATA + NEW, LOGS + NEW) if name in names)
    log = disk.read(folder / LOGS) if LOGS in names else b""
    if METADATA not in names:
        # The first boot makes logs.txt durable before metadata.txt, and writes no entry before both are there.
        if log:
            raise StorageError(f"{folder / METADATA} is missing, and with it the vote of this node; {_AS_FOUND}")
        return Found(Metadata(), (), False, 0, False, leftovers)
    if LOGS not in names:
        raise StorageError(f"{folder / LOGS} is missing, and with it entries that this node acknowledged; {_AS_FOUND}")
    metadata = _metadata(folder / METADATA, disk.read(folder / METADATA))
    log_bytes = log.rfind(b"\n") + 1
    entries = _entries(folder / LOGS, log[:log_bytes])
    _check(folder, metadata, entries)
    return Found(metadata, entries, True, log_bytes, log_bytes < len(log), leftovers)


def _metadata(path: Path, content: bytes) -> Metadata:
    try:
        return Metadata.of(content)
    except ValueError as error:
        line, wrong = error.args
        raise StorageError(f"{path}, line {line}: {wrong}: damaged, or not of this program; {_AS_FOUND}") from None


def _entries(path: Path, log: bytes) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for number, line in enumerate(log.split(b"\n")[:-1], start=1):
        try:
            entry = entry_of(line.decode())
        except UnicodeDecodeError as error:
            raise _damaged_line(path, number, f"byte {error.start + 1} is no UTF-8") from None
        except ValueError as error:
            raise _damaged_line(path, number, str(error)) from None
        if entries and entry.term < entries[-1].term:
            raise _damaged_line(path, number, f"term {entry.term} follows term {entries[-1].term}, but terms never fall along a log")
        entries.append(entry)
    return tuple(entries)


def _damaged_line(path: Path, number: int, wrong: str) -> StorageError:
    return StorageError(f"{path}, line {number}: {wrong}; {_AS_FOUND}")


def _check(folder: Path, metadata: Metadata, entries: tuple[Entry, ...]) -> None:
    """Refuse two files that cannot be of one node at one time: one of them is older than the other, or of another node."""
    term, last_term = metadata.hard.term, entries[-1].term if entries else 0
    if last_term > term:
        # The term is always made durable before the first entry of that term.
        wrong = f"current_term is {term}, but the last entry of {LOGS} is of term {last_term}"
        raise StorageError(f"{folder / METADATA}, line 1: {wrong}; {_AS_FOUND}")
    if metadata.commit_length > len(entries):
        wrong = f"commitLength is {metadata.commit_length}, but {LOGS} has only {len(entries)} whole lines"
        raise StorageError(f"{folder / METADATA}, line 4: {wrong}; {_AS_FOUND}")
