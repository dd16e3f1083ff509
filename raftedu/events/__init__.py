"""Events: the table of what may be said, and dump.txt, in which it is said. Needs the core and orjson only."""

from __future__ import annotations

from raftedu.events.errors import DumpError
from raftedu.events.table import COLUMNS, EVENTS, Event, is_course, message_facts, persisted_facts, sentence
from raftedu.events.writer import DumpWriter, MemoryDump

__all__ = [
    "COLUMNS",
    "EVENTS",
    "DumpError",
    "DumpWriter",
    "Event",
    "MemoryDump",
    "is_course",
    "message_facts",
    "persisted_facts",
    "sentence",
]
