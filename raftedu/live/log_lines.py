"""One entry of the log as one line of ``logs.txt``, and back.

The first tab-separated column is the course's line, ``NO-OP {term}`` or ``SET {key} {value} {term}``, and ``GET {key} {term}`` where
reads go through the log; the second is JSON and names the client's operation. This module knows text, not files, and not whether a
line is the right one at its place.
"""

from __future__ import annotations

import json
import re
from typing import Any

from raftedu.core.types import GET, NO_OP, SET, Entry, Term

__all__ = ["entry_of", "line_of"]

_TERM = re.compile(r"[0-9]{1,18}", re.ASCII)
_NOT_ASCII = re.compile(r"[^\x00-\x7e]+")
_SHOWN = 60


def line_of(entry: Entry) -> str:
    r"""Return the line of an entry, without a newline at its end or anywhere else.

    A key or value stands bare if it is non-empty, printable, has no blank and does not begin with ``"``; else it is a JSON
    string whose blanks are written ``\u0020``, so that blanks always divide the tokens.

    Raises
    ------
    ValueError
        The entry cannot be written: an unknown operation, a NO-OP with a key, a GET with a value, a negative term or request, or half a
        character (a lone surrogate).

    Examples
    --------
    >>> line_of(Entry(3, "SET", "x", "a b", "anna", 7))
    'SET x "a\\u0020b" 3\t{"client":"anna","request":7}'
    >>> line_of(Entry(3)).split("\t")[0]
    'NO-OP 3'
    """
    if entry.op == SET:
        words = f"{SET} {_token(entry.key)} {_token(entry.value)} {entry.term}"
    elif entry.op == GET and not entry.value:
        words = f"{GET} {_token(entry.key)} {entry.term}"
    elif entry.op == NO_OP and not entry.key and not entry.value:
        words = f"{NO_OP} {entry.term}"
    else:
        raise ValueError(
            f"{_shown(entry.words)} cannot stand in the log: an entry is a SET, a GET without value, or a NO-OP without key and value"
        )
    if entry.term < 0 or entry.request < 0:
        raise ValueError(f"term {entry.term} and request {entry.request} of {_shown(entry.words)} must be numbers from 0")
    client = '""' if not entry.client else _quoted_for_ascii(entry.client)
    return f'{words}\t{{"client":{client},"request":{entry.request}}}'


def entry_of(line: str) -> Entry:
    """Return the entry of a line; a line of the course, without a second column, is an entry of no known client.

    Raises
    ------
    ValueError
        It is no such line; the message says what is wrong with it.

    Examples
    --------
    >>> entry_of("SET x 1 3")
    Entry(term=3, op='SET', key='x', value='1', client='', request=0)
    """
    words, tab, operation = line.partition("\t")
    client, request = _operation(operation) if tab else ("", 0)
    match words.split(" "):
        case ["SET", key, value, term]:
            return Entry(_term(term), SET, _text(key), _text(value), client, request)
        case ["GET", key, term]:
            return Entry(_term(term), GET, _text(key), "", client, request)
        case ["NO-OP", term]:
            return Entry(_term(term), NO_OP, client=client, request=request)
    raise ValueError(f"{_shown(line)} is none of 'NO-OP {{term}}', 'SET {{key}} {{value}} {{term}}' and 'GET {{key}} {{term}}'")


def _token(text: str) -> str:
    if text and text.isprintable() and " " not in text and text[0] != '"':
        return text
    _refuse_half_characters(text)
    quoted = json.dumps(text, ensure_ascii=False).replace(" ", "\\u0020")
    # JSON leaves characters alone that some readers take for the end of a line (U+0085, U+2028) or that nobody sees.
    return _NOT_ASCII.sub(lambda found: _visible(found[0]), quoted)


def _visible(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _quoted_for_ascii(text: str) -> str:
    _refuse_half_characters(text)
    return json.dumps(text)


def _refuse_half_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{_shown(text)} has half a character (a lone surrogate) at {error.start}: it is no text") from None


def _term(token: str) -> Term:
    if not _TERM.fullmatch(token):
        raise ValueError(f"{_shown(token)} is no term")
    return int(token)


def _text(token: str) -> str:
    if token.startswith('"'):
        text = _json(token)
        if isinstance(text, str):
            _refuse_half_characters(text)
            return text
    elif token and token.isprintable():
        return token
    raise ValueError(f"{_shown(token)} is neither a bare word nor a quoted one")


def _operation(column: str) -> tuple[str, int]:
    """Return who asked for an entry, and which of its requests it was."""
    match _json(column):
        case {"client": str(client), "request": int(request), **others} if not others and type(request) is int and request >= 0:
            return client, request
    raise ValueError(f'{_shown(column)} is not {{"client":…,"request":…}}')


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{_shown(text)} is no JSON") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
