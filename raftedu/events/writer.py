"""Writing events: `DumpWriter` appends them to a dump.txt, `MemoryDump` keeps them for a simulation.

Both turn an event into the very same line. They know the table of events and nothing of clusters, clocks or frames.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias

import orjson

from raftedu.core.outputs import Say
from raftedu.core.types import NodeId, Seconds
from raftedu.events.errors import DumpError
from raftedu.events.reader import HEADER, last_line, parse_line
from raftedu.events.table import sentence

__all__ = ["DumpWriter", "Listener", "MemoryDump", "Said", "facts_text", "line_of"]

Listener: TypeAlias = Callable[[str, Say], None]
"""Called with the sentence of each event and the event itself, as it is written."""

_FULL = 1 << 18  # bytes that may wait in memory before they go to the file without being asked
_MANY = 256  # events that may wait before they are put into words; many in a row cost half of what each costs alone

# Legal inside JSON, but a terminal would obey them: DEL, C1 controls, separators, marks of direction.
_UNSAFE = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]")


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match.group().decode())


def facts_text(facts: Mapping[str, Any]) -> bytes:
    """Return the facts as one line of compact JSON in UTF-8."""
    if not facts:
        return b"{}"
    try:
        text = orjson.dumps(facts, default=_plain)
    except TypeError:
        text = orjson.dumps(_deep_plain(facts))  # a lone surrogate, a key that is no str, an int beyond 64 bits
    return text if text.isascii() and b"\x7f" not in text else _UNSAFE.sub(_escape, text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else str(value)


def _deep_plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_deep_plain(str(key)): _deep_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_deep_plain(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)
    return value if value is None or isinstance(value, int | float) else _deep_plain(str(value))


def line_of(time: Seconds, seq: int, node: NodeId, say: Say, words: str) -> bytes:
    """Return the event as a line of dump.txt; ``words`` is its sentence."""
    event, term, role, peer, index, facts = say
    peer_text, index_text = "" if peer is None else peer, "" if index is None else index
    head = f"{time:.6f}\t{seq}\t{node}\t{term}\t{role}\t{event}\t{peer_text}\t{index_text}\t{words}\t"
    return head.encode() + facts_text(facts) + b"\n"


def _words(node: NodeId, say: Say) -> str:
    return sentence(say.event, node, say.term, say.role, say.peer, say.index, say.facts)


class DumpWriter:
    """The dump.txt of one node, appended over restarts.

    Opening an existing file cuts a torn last line off and goes on with its numbering; a damaged or foreign file is a
    `DumpError` and is left alone. ``write`` only keeps the event, its words come later: the caller calls `maybe_flush` in each of
    its turns and when idle, so that an event is in the file ``flush_every`` seconds of wall time later at most.

    Parameters
    ----------
    path
        The file; its folder is made if it is not there.
    node
        The id of the node.
    flush_every
        How long an event may stay in memory, in wall seconds.
    listener
        Called with every sentence and its event, by the thread that writes.
    """

    def __init__(self, path: str | Path, node: NodeId, *, flush_every: float = 0.2, listener: Listener | None = None) -> None:
        self.path, self.node, self.flush_every, self.listener = Path(path), node, flush_every, listener
        self._lock = Lock()
        self._waiting: deque[tuple[Seconds, Say]] = deque()
        self._worded = 0
        """The number of the last event that was put into words; ``_waiting`` has those after it."""
        self._buffer = bytearray()
        self._since = monotonic()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._worded, self.last_time = _continue(self.path)
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
            if not self._file.tell():
                self._buffer += HEADER
                self.flush()
        except OSError as error:
            raise DumpError(f"cannot be opened ({error.strerror}); check the folder and its permissions", self.path) from error

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return self._worded + len(self._waiting)

    def write(self, time: Seconds, say: Say) -> None:
        """Take an event that happened at ``time`` (protocol seconds). It reaches the file by a flush."""
        with self._lock:
            if not self._waiting and not self._buffer:
                self._since = monotonic()
            self.last_time = time
            self._waiting.append((time, say))
            if len(self._waiting) >= _MANY:
                self._put_into_words()
                if len(self._buffer) >= _FULL:
                    self._flush()
        listener = self.listener  # another thread may take it away just now
        if listener is not None:
            listener(_words(self.node, say), say)

    def _put_into_words(self) -> None:
        while self._waiting:
            time, say = self._waiting.popleft()
            self._buffer += line_of(time, self._worded + 1, self.node, say, _words(self.node, say))
            self._worded += 1

    def maybe_flush(self) -> None:
        """Flush if something has been waiting for ``flush_every`` seconds."""
        if (self._waiting or self._buffer) and monotonic() - self._since >= self.flush_every:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the system. What a full disk does not take stays here, and a later flush goes on where it stopped.

        Once the file is closed nothing more can be done, and nothing is.
        """
        with self._lock:
            if not self._file.closed:
                self._put_into_words()
                self._flush()

    def _flush(self) -> None:
        try:
            while self._buffer:
                written = self._file.write(self._buffer)
                del self._buffer[:written]
        except OSError as error:
            advice = f"make room or check the disk, then restart node {self.node}"
            raise DumpError(f"cannot be written ({error.strerror}); {advice}", self.path) from error

    def close(self) -> None:
        """Flush and close the file. Closing twice is harmless."""
        if not self._file.closed:
            try:
                self.flush()
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _continue(path: Path) -> tuple[int, Seconds]:
    """Return seq and time of the last event in the file, after cutting a torn last line off."""
    if not path.exists():
        return 0, 0.0
    keep, last = last_line(path)
    if keep < path.stat().st_size:
        os.truncate(path, keep)
    if not last or last == HEADER:
        return 0, 0.0
    fields = parse_line(last, path, None)
    return int(fields[1]), float(fields[0])


class Said(NamedTuple):
    """One event in memory."""

    time: Seconds
    seq: int
    node: NodeId
    say: Say


class MemoryDump:
    """The events of one node, kept in memory as ``rows``; the same interface as `DumpWriter`.

    Sentences and JSON are made only when they are asked for, by `lines` or `save`.
    """

    def __init__(self, node: NodeId, *, listener: Listener | None = None) -> None:
        self.node, self.listener = node, listener
        self._kept: list[tuple[Seconds, Say]] = []

    @property
    def rows(self) -> list[Said]:
        """The events so far, made anew from what is kept."""
        return [Said(time, seq, self.node, say) for seq, (time, say) in enumerate(self._kept, 1)]

    @property
    def seq(self) -> int:
        """The number of events so far."""
        return len(self._kept)

    def write(self, time: Seconds, say: Say) -> None:
        """Keep an event that happened at ``time`` (protocol seconds)."""
        self._kept.append((time, say))
        if self.listener is not None:
            self.listener(_words(self.node, say), say)

    def maybe_flush(self) -> None:
        """Do nothing: there is no file."""

    def flush(self) -> None:
        """Do nothing: there is no file."""

    def close(self) -> None:
        """Do nothing: there is no file."""

    def lines(self) -> Iterator[bytes]:
        """Yield what the dump.txt of this node would hold, line by line, without the header."""
        for seq, (time, say) in enumerate(self._kept, 1):
            yield line_of(time, seq, self.node, say, _words(self.node, say))

    def save(self, path: str | Path) -> None:
        """Write everything as a new dump.txt."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            file.write(HEADER)
            file.writelines(self.lines())
