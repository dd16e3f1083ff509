"""`Child`: a process in which a student's rules run and which can be ended, so that no rule can hang, flood or kill whoever asked.

The parent's half of `raftedu.checker.worker`. Knows processes and nothing of rules.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from threading import Lock, Thread
from time import monotonic
from typing import IO, Any

import cloudpickle  # type: ignore[import-untyped]

from raftedu.checker.coverage import Coverage
from raftedu.checker.frames import receive, send
from raftedu.checker.tasks import Done, Task

__all__ = ["CheckerFailed", "Child", "NoProcess", "Spares", "Stopped"]

PATIENCE = 8.0
"""Seconds without a word from the child after which it is ended: something in it lets no other thread run."""

DEAF = 4.0
"""Seconds that a call of a rule may last by the child's own count. After half of that it tries to interrupt it; this is for who is deaf."""

GRACE = 2.0
"""Seconds that a child may take to answer after the time for its task is up."""

TELLING = 8.0
"""Seconds that it may take once it has said that it has found something: a find must not be lost to a clock."""

ROOT = str(Path(__file__).resolve().parents[2])


class NoProcess(RuntimeError):
    """No process could be started."""


class CheckerFailed(RuntimeError):
    """Not a rule but the checker itself failed in its process; the message has where."""


class Stopped(Exception):
    """The task was given up, for nobody needs its outcome any more."""


class Child:
    """One process, for the rules of one check.

    Raises
    ------
    NoProcess
        There is none to be had.
    """

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "raftedu.checker.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *filter(None, sys.path)])},
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise NoProcess(str(error)) from error
        self._frames: Queue[tuple[str, Any]] = Queue()
        self._ready = False  # until it has said a word, a slow machine may be all that is wrong
        assert self._process.stdout is not None
        Thread(target=_listen, args=(self._process.stdout, self._frames), daemon=True).start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def begin(self, blob: bytes) -> None:
        """Give it the rules, pickled."""
        self._send(blob)

    def do(self, task: Task, names: list[str], seconds: float, hear: Callable[[float], bool]) -> Done | None:
        """Return what became of a task; ``None``: its time was up before it could tell. ``hear`` is told which part is done.

        Raises
        ------
        Stopped
            ``hear`` said so.
        CheckerFailed
            A fault of the checker's own.
        """
        self._send(bytes(cloudpickle.dumps((task, seconds))))
        end, who = monotonic() + seconds + GRACE, " or ".join(names) or "the rules"
        part, lasts, heard = 0.0, 0.0, monotonic()
        while True:
            try:
                kind, value = self._frames.get(timeout=0.05)
            except Empty:
                kind, value = "", None
            now = monotonic()
            match kind:
                case "done":
                    return value  # type: ignore[no-any-return]
                case "gone":
                    return _failed(task, who, f"{who} ended the process in which it was called: a rule only looks and decides")
                case "failed":
                    raise CheckerFailed(f"the checker itself failed, which is no fault of {who}; please report this: {value}")
                case "progress":
                    (part, lasts), heard, self._ready = value, now, True
                    end = max(end, now + TELLING) if part >= 1.0 else end
            if not hear(part):
                raise Stopped
            silent = now - heard if self._ready else 0.0
            if lasts >= DEAF or silent >= PATIENCE or (now > end and silent >= PATIENCE / 2):
                return _failed(task, who, f"{who} did not answer within {max(lasts, silent):.0f} s, and could not be interrupted")
            if now > end:
                return None

    def _send(self, pickled: bytes) -> None:
        assert self._process.stdin is not None
        try:
            send(self._process.stdin, pickled)
        except OSError:  # it is gone, and `do` will be told so
            return

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not yet written is of no use to anybody
                    continue
        self._process.wait()


def _failed(task: Task, who: str, words: str) -> Done:
    return Done(task, Coverage(), error=(who, "", words))


def _listen(pipe: IO[bytes], frames: Queue[tuple[str, Any]]) -> None:
    try:
        while True:
            frames.put(pickle.loads(receive(pipe)))
    except (EOFError, ValueError, OSError):
        frames.put(("gone", None))


class Spares:
    """Children that wait ready between two cells, so that the next check begins at once."""

    def __init__(self) -> None:
        self._waiting: list[Child] = []
        self._lock = Lock()
        atexit.register(self.end)

    def take(self) -> Child:
        """Return a child that has not yet met any rule; errors as for `Child`."""
        with self._lock:
            while self._waiting:
                child = self._waiting.pop()
                if child._process.poll() is None:
                    return child
                child.end()
        return Child()

    def fill(self, number: int) -> None:
        """See to it that so many children wait."""
        with self._lock:
            while len(self._waiting) < number:
                try:
                    self._waiting.append(Child())
                except NoProcess:  # then the next check will say so
                    return

    def end(self) -> None:
        """End all that wait."""
        with self._lock:
            for child in self._waiting:
                child.end()
            self._waiting.clear()
