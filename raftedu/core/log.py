"""The log of one node: append, cut, look up. It knows no terms but those in its entries, and nothing of who sent them.

Appending costs the same whatever the length. Index 1 is the first entry; index 0 is "before the log", with term 0.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import overload

from raftedu.core.types import Entry, Index, Term

__all__ = ["Log", "LogTerms"]


class LogTerms(Sequence[Term]):
    """The terms of a log, to read only, without a copy; ``terms[i - 1]`` belongs to entry i."""

    __slots__ = ("_entries",)

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries

    @overload
    def __getitem__(self, i: int) -> Term: ...
    @overload
    def __getitem__(self, i: slice) -> list[Term]: ...
    def __getitem__(self, i: int | slice) -> Term | list[Term]:
        if isinstance(i, slice):
            return [entry.term for entry in self._entries[i]]
        return self._entries[i].term

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return repr(list(self))


class Log:
    """A list of entries that counts from 1 and keeps a running hash.

    Parameters
    ----------
    entries
        What it starts with, e.g. what was found on disk.
    """

    __slots__ = ("_chain", "_entries", "last_index", "terms")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = list(entries)
        self._chain: list[bytes] = []
        self.terms = LogTerms(self._entries)
        self.last_index: Index = len(self._entries)
        """The index of the last entry, 0 if the log is empty."""

    @property
    def last_term(self) -> Term:
        """The term of the last entry, 0 if the log is empty."""
        return self._entries[-1].term if self._entries else 0

    def term_at(self, index: Index) -> Term | None:
        """Return the term of the entry at ``index``: 0 before the log, ``None`` beyond it."""
        if index == 0:
            return 0
        return self._entries[index - 1].term if 0 < index <= len(self._entries) else None

    def entry(self, index: Index) -> Entry:
        """Return the entry at ``index``."""
        if not 0 < index <= len(self._entries):
            raise IndexError(f"the log has entries 1 to {len(self._entries)}, not {index}")
        return self._entries[index - 1]

    def between(self, first: Index, last: Index, max_bytes: int | None = None) -> tuple[Entry, ...]:
        """Return the entries from ``first`` to ``last``; at least one of them, but about ``max_bytes`` of text at most."""
        entries = self._entries[max(first, 1) - 1 : last]
        if max_bytes is not None:
            total = 0
            for i, entry in enumerate(entries):
                total += len(entry.key) + len(entry.value)
                if total > max_bytes and i:
                    return tuple(entries[:i])
        return tuple(entries)

    def append(self, entry: Entry) -> Index:
        """Append one entry and return its index."""
        self._entries.append(entry)
        self.last_index += 1
        return self.last_index

    def extend(self, entries: Iterable[Entry]) -> None:
        """Append several entries."""
        self._entries.extend(entries)
        self.last_index = len(self._entries)

    def cut_after(self, index: Index) -> None:
        """Remove everything that follows ``index``."""
        del self._entries[index:]
        del self._chain[index:]
        self.last_index = len(self._entries)

    def first_index_of(self, term: Term) -> Index:
        """Return the index of the first entry with this term or a later one; one past the log if there is none."""
        return bisect_left(self.terms, term) + 1

    def last_index_of(self, term: Term) -> Index:
        """Return the index of the last entry of this very term, 0 if there is none."""
        index = bisect_right(self.terms, term)
        return index if index and self._entries[index - 1].term == term else 0

    def chain(self) -> str:
        """Return the running hash of the whole log: two logs with the same hash hold the same entries."""
        for i in range(len(self._chain), len(self._entries)):
            before = self._chain[i - 1] if i else b""
            self._chain.append(blake2b(before + repr(tuple(self._entries[i])).encode("utf-8", "surrogatepass"), digest_size=8).digest())
        return self._chain[-1].hex() if self._chain else ""
