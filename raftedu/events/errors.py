"""`DumpError`: what is wrong with a dump.txt, where, and what to do. Knows nothing of how it is read."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DumpError"]


class DumpError(ValueError):
    """A dump.txt cannot be read or written. ``path`` and ``line`` (from 1) say where, ``None`` if there is no such place."""

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None) -> None:
        place = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        super().__init__(place + message)
        self.path, self.line = None if path is None else Path(path), line
