"""The child in which a student's rules run: ``python -m raftedu.checker.worker``, rules and tasks in as cloudpickle blobs, outcomes out.

What a rule prints goes nowhere; what it eats is limited; a call that does not end is interrupted; when the parent is gone, so is the child.
It works for one check only: nothing that a rule did to its process is met by the next.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Lock, Thread
from time import perf_counter, sleep
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

TICK = 0.1
"""Seconds between two words to the parent."""

CALL_LIMIT = 2.0
"""Seconds that one call of a rule may take."""

LOOKS = 4
"""So many looks make the limit: a process that gets no time from the machine is not looked at, and no rule is blamed for that."""


class _TooLong(BaseException):
    """Raised inside a rule that does not come back; no `except Exception` in the rule can swallow it."""


class _Watch:
    """Knows which rule is being called; `look` is called by a timer, `lasts` by a thread."""

    def __init__(self) -> None:
        self.call: tuple[str, Any] | None = None
        self.calls = 0
        self._looked = self._ticked = (-1, 0)

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
        """Interrupt a call that so many looks have seen."""
        self._looked = self._again(self._looked)
        if self._looked[1] > LOOKS:
            raise _TooLong

    def lasts(self) -> float:
        """Return for how many seconds the call has lasted, by the ticks of whoever asks."""
        self._ticked = self._again(self._ticked)
        return self._ticked[1] * TICK

    def _again(self, before: tuple[int, int]) -> tuple[int, int]:
        calls, times = before
        if self.call is None:
            return (-1, 0)
        return (calls, times + 1) if calls == self.calls else (self.calls, 0)


def main() -> None:
    """Take rules and then tasks from stdin, one after the other; write progress and outcomes to what was stdout."""
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C and a notebook's interrupt are for the parent, which then ends this
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    _be_quiet()
    asked: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()
    views_of("grant_vote")  # records them for all rules: a child that waits for work may as well get ready
    blob = asked.get()
    told = _Told(pipe)
    Thread(target=told.now_and_then, daemon=True).start()
    rules: Rules = pickle.loads(blob)
    _limit_memory()
    names = replaced_names(rules)
    watched = replace(rules, **{name: told.watch.over(name, getattr(rules, name)) for name in names})
    looked_at = False
    frame: tuple[str, Any]
    while True:
        task, seconds = pickle.loads(asked.get())
        try:
            frame = "done", _work(told, watched, task, seconds, look_first=not looked_at)
        except Exception:
            frame = "failed", traceback.format_exc()
        looked_at = True
        told.tell(frame)


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _listen(stdin: IO[bytes], asked: SimpleQueue[bytes]) -> None:
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


def _work(told: _Told, rules: Rules, task: Task, seconds: float, *, look_first: bool) -> Done:
    names = replaced_names(rules)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, told.watch.look)
        signal.setitimer(signal.ITIMER_REAL, CALL_LIMIT / LOOKS, CALL_LIMIT / LOOKS)
    end = perf_counter() + seconds

    def hear(part: float) -> bool:
        told.part = part
        return perf_counter() < end

    try:
        if look_first:
            preflight(rules, names)
        return do(task, rules, names, hear)
    except RuleError as error:
        return Done(task, Coverage(), error=(error.rule, repr(error.view), str(error)))
    except (_TooLong, SystemExit, KeyboardInterrupt, MemoryError, RecursionError) as error:
        name, view = told.watch.call or (" or ".join(names), None)
        did = f"did not answer within {CALL_LIMIT:.0f} s" if isinstance(error, _TooLong) else f"raised {type(error).__name__}"
        return Done(task, Coverage(), error=(name, repr(view), f"{name} {did}. It was given {view!r}"))
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


class _Told:
    """What the parent is told: now and then how far the task is and for how long a rule has been thinking, at last the outcome."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.watch = _Watch()
        self.part = 0.0
        self._pipe, self._lock = pipe, Lock()

    def tell(self, frame: tuple[str, Any]) -> None:
        """Send a frame."""
        pickled = _pickled(frame)
        with self._lock:
            send(self._pipe, pickled)
            self.part = 0.0 if frame[0] == "done" else self.part

    def now_and_then(self) -> None:
        """Tell how far it is, again and again."""
        while True:
            self.tell(("progress", (self.part, self.watch.lasts())))
            sleep(TICK)


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
