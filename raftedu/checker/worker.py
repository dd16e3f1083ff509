"""The child in which a student's rules run: ``python -m raftedu.checker.worker``, rules in as a cloudpickle blob, a report out.

What a rule prints goes nowhere; what it eats is limited; a call that does not end is interrupted; when the parent is gone, so is the child.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from threading import Thread
from time import perf_counter
from typing import IO, Any

import cloudpickle  # type: ignore[import-untyped]

from raftedu.checker.checking import check_here, replaced_names
from raftedu.checker.frames import receive, send
from raftedu.checker.report import Report
from raftedu.core.guard import RuleError
from raftedu.core.rules import Rules

resource = import_module("resource") if find_spec("resource") else None  # there is none on Windows

__all__ = ["main"]

MEMORY = 2 * 2**30
"""Bytes of address space that the child may use; beyond it a rule gets a MemoryError."""

CALL_LIMIT = 2.0
"""Seconds that one call of a rule may take."""


class _TooLong(BaseException):
    """Raised inside a rule that does not come back; no `except Exception` in the rule can swallow it."""


class _Watch:
    """Knows which rule is being called since when; `look` is called by a timer."""

    def __init__(self) -> None:
        self.call: tuple[str, Any] | None = None
        self.calls = 0
        self._seen, self._since = -1, 0.0

    def over(self, name: str, rule: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return the rule, watched."""

        def watched(view: Any) -> Any:
            self.calls += 1
            self.call = (name, view)
            answer = rule(view)
            self.call = None
            return answer

        return watched

    def look(self, *_: Any) -> None:
        """Interrupt a call that was there already when this looked before, too long ago."""
        if self.call is None or self.calls != self._seen:
            self._seen, self._since = self.calls, perf_counter()
        elif perf_counter() - self._since >= CALL_LIMIT:
            raise _TooLong


def main() -> None:
    """Do one task: read it from stdin, write progress and the result to what was stdout."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    _be_quiet()
    task = receive(sys.stdin.buffer)
    Thread(target=_end_with_parent, args=(sys.stdin.buffer,), daemon=True).start()
    _limit_memory()
    send(pipe, _pickled(_work(pipe, *task)))
    pipe.close()
    os._exit(0)  # without waiting for whatever a rule has started


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _end_with_parent(stdin: IO[bytes]) -> None:
    stdin.read()
    os._exit(1)


def _limit_memory() -> None:
    if resource is None:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    except (ValueError, OSError):  # a system that knows the limit and does not grant it, such as macOS
        return


def _work(pipe: IO[bytes], rules: Rules, settings: dict[str, Any]) -> tuple[str, Any]:
    watch = _Watch()
    watched = replace(rules, **{name: watch.over(name, getattr(rules, name)) for name in replaced_names(rules)})
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, watch.look)
        signal.setitimer(signal.ITIMER_REAL, CALL_LIMIT / 4, CALL_LIMIT / 4)
    told = _Progress(pipe)
    try:
        return "report", check_here(watched, progress=told, **settings)
    except RuleError as error:
        return "rule", (error.rule, repr(error.view), str(error))
    except (_TooLong, SystemExit, KeyboardInterrupt, MemoryError, RecursionError) as error:
        name, view = watch.call or (" or ".join(replaced_names(rules)), None)
        did = f"did not answer within {CALL_LIMIT:.0f} s" if isinstance(error, _TooLong) else f"raised {type(error).__name__}"
        return "rule", (name, repr(view), f"{name} {did}. It was given {view!r}")
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


class _Progress:
    """Tells the parent now and then how far the search is, and thereby that it lives."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe, self._last = pipe, 0.0

    def __call__(self, transitions: int) -> None:
        now = perf_counter()
        if now - self._last > 0.2:
            self._last = now
            send(self._pipe, _pickled(("progress", transitions)))


def _pickled(result: tuple[str, Any]) -> bytes:
    """Return the result as bytes; what a rule answered may be of a kind that cannot travel, then its words do."""
    try:
        return bytes(cloudpickle.dumps(result))
    except Exception:
        kind, report = result
        assert isinstance(report, Report)
        return bytes(cloudpickle.dumps((kind, report.in_words_only())))


if __name__ == "__main__":
    main()
