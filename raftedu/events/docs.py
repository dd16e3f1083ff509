"""docs/events.md, made from the table of events: ``python -m raftedu.events.docs docs/events.md`` writes it anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from raftedu.events.table import COLUMNS, EVENTS, MESSAGE_FACTS, Event

__all__ = ["page"]

_TOP = """\
# Events: what stands in dump.txt

<!-- Made from raftedu/events/table.py by `python -m raftedu.events.docs docs/events.md`; do not edit. -->

Each node appends what happens to it to `logs_node_X/dump.txt`, over restarts: one event a line, UTF-8, ten columns separated by tabs,
the first line their names. Three readers are served by one file:

- `tail -f logs_node_2/dump.txt`, or `cut -f9 logs_node_2/dump.txt` for the sentences alone
- `pandas.read_csv("logs_node_2/dump.txt", sep="\\t")`, with no further options
- `raftedu.read_dump("logs_node_*")`, which knows what the events mean

A last line without its newline was being written when the process died; readers leave it
out, and the node cuts it off when it starts again.

| column | what |
| --- | --- |
"""

_COLUMNS = {
    "time": "protocol seconds since the run's zero, 6 decimals; `started` tells that zero as UTC",
    "seq": "counts this node's events from 1, over all its lives",
    "node": "the node's id",
    "term": "its term after the event (before it, where a leader steps down or an election starts)",
    "role": "`follower`, `candidate` or `leader`, at the same moment as `term`",
    "event": "a word from the tables below",
    "peer": "the other node, or empty",
    "index": "a log index, the last of a range, or empty",
    "sentence": "for people. Tabs, newlines, control characters and marks that change the direction of writing are escaped; "
    "it never begins with a quote",
    "facts": "a JSON object on one line, `{}` if there is nothing to say; the same characters are escaped as JSON does",
}

_FACTS = """
Moments among the facts (`wait_until`, `expiry`, `until`, `now`, ...) are on the node's own clock, with all their digits; without an
injected drift that is the clock of `time`. `msg` is an id of a message, unique in the run. A fact with `?` is not always there.
"""

_COURSE = """
## The course's sentences

Word for word. Where `client_request` is said by a node that does not lead, it has a sentence of its own.
"""

_OTHERS = """
## All other events
"""

_MESSAGES = """
## Further facts of a message, by its type

`sent`, `received`, `dropped` and `duplicated` say besides `msg`, `type` and `msg_term`:

| type | facts |
| --- | --- |
"""

_HEAD = """
| event | columns | sentence | facts | what it means |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page, in Markdown."""
    columns = "".join(f"| `{column}` | {_COLUMNS[column]} |\n" for column in COLUMNS)
    course = "".join(_rows(course=True))
    others = "".join(_rows(course=False))
    messages = "".join(f"| {kind} | {_code(names)} |\n" for kind, names in MESSAGE_FACTS.items())
    return _TOP + columns + _FACTS + _COURSE + _HEAD + course + _OTHERS + _HEAD + others + _MESSAGES + messages


def _rows(course: bool) -> Iterator[str]:
    for event in EVENTS.values():
        if event.course == course:
            yield _row(event)


def _row(event: Event) -> str:
    return f"| `{event.name}` | {_code(event.columns)} | `{event.sentence}` | {_code(event.facts)} | {event.meaning} |\n"


def _code(names: tuple[str, ...]) -> str:
    return " ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page(), encoding="utf-8", newline="\n")
    else:
        print(page(), end="")
