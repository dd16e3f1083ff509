"""Traces: what happened in a run, read from its dump.txt files, and the tidy frames that every picture is drawn from."""

from __future__ import annotations

from raftedu.trace.trace import Trace, load_trace, read_dump, trace_names, trace_of

__all__ = ["Trace", "load_trace", "read_dump", "trace_names", "trace_of"]
