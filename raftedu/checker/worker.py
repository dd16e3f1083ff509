"""The child in which a student's rules run: ``python -m raftedu.checker.worker``, rules and tasks in as cloudpickle blobs, outcomes out.

What a rule prints goes nowhere; what it eats is limited; a call that does not end is interrupted; when the parent is gone, so is the child.
It works for one check only: nothing that a rule did to its process is met by the next.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Thread
from time import perf_counter
from typing import IO, Any

import cloudpickle  # type: ignore[import-untyped]

from raftedu.checker.checking import replaced_names
from raftedu.checker.coverage import Coverage
from raftedu.checker.engines import do
from raftedu.checker.frames import receive, send
from raftedu.checker.preflight import preflight, views_of
from raftedu.checker.tasks import Done, Task
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
    """Take rules and then tasks from stdin, one after the other; write progress and outcomes to what was stdout."""
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C and a notebook's interrupt are for the parent, which then ends this
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    _be_quiet()
    asked: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()
    views_of("grant_vote")  # records them for all rules: a child that waits for work may as well get ready
    rules: Rules = asked.get()
    _limit_memory()
    watch = _Watch()
    watched = replace(rules, **{name: watch.over(name, getattr(rules, name)) for name in replaced_names(rules)})
    looked_at = False
    frame: tuple[str, Any]
    while True:
        task, seconds = asked.get()
        try:
            frame = "done", _work(pipe, watch, watched, task, seconds, look_first=not looked_at)
        except Exception:
            frame = "failed", traceback.format_exc()
        looked_at = True
        send(pipe, _pickled(frame))


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _listen(stdin: IO[bytes], asked: SimpleQueue[Any]) -> None:
    try:
        while True:
            asked.put(receive(stdin))
    except EOFError:
        os._exit(1)  # the parent is gone; without waiting for whatever a rule has started


def _limit_memory() -> None:
    if resource is None:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    except (ValueError, OSError):  # a system that knows the limit and does not grant it, such as macOS
        return


def _work(pipe: IO[bytes], watch: _Watch, rules: Rules, task: Task, seconds: float, *, look_first: bool) -> Done:
    names = replaced_names(rules)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, watch.look)
        signal.setitimer(signal.ITIMER_REAL, CALL_LIMIT / 4, CALL_LIMIT / 4)
    try:
        if look_first:
            preflight(rules, names)
        return do(task, rules, names, _Progress(pipe, seconds))
    except RuleError as error:
        return Done(task, Coverage(), error=(error.rule, repr(error.view), str(error)))
    except (_TooLong, SystemExit, KeyboardInterrupt, MemoryError, RecursionError) as error:
        name, view = watch.call or (" or ".join(names), None)
        did = f"did not answer within {CALL_LIMIT:.0f} s" if isinstance(error, _TooLong) else f"raised {type(error).__name__}"
        return Done(task, Coverage(), error=(name, repr(view), f"{name} {did}. It was given {view!r}"))
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


class _Progress:
    """Tells the parent now and then how far a task is, and thereby that it lives; ends the task when its time is up."""

    def __init__(self, pipe: IO[bytes], seconds: float) -> None:
        self._pipe, self._last = pipe, 0.0
        self._end = perf_counter() + seconds

    def __call__(self, part: float) -> bool:
        now = perf_counter()
        if now - self._last > 0.1 or part >= 1.0:
            self._last = now
            send(self._pipe, _pickled(("progress", part)))
        return now < self._end


def _pickled(frame: tuple[str, Any]) -> bytes:
    """Return the frame as bytes; what a rule answered may be of a kind that cannot travel, then its words do."""
    try:
        return bytes(cloudpickle.dumps(frame))
    except Exception:
        kind, done = frame
        assert isinstance(done, Done) and done.case is not None
        return bytes(cloudpickle.dumps((kind, replace(done, case=done.case.in_words_only()))))


if __name__ == "__main__":
    main()
