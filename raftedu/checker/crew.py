"""Who does the tasks of a check: children of this process, or whatever executor is given. The verdict does not depend on it.

The order in which tasks count is theirs, so an outcome decides once all before it are there. Knows processes and executors, and nothing
of rules or engines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from threading import Event, Lock, Thread
from time import monotonic

from raftedu.checker.process import GRACE, TELLING, CheckerFailed, Child, NoProcess, Spares, Stopped
from raftedu.checker.tasks import Done, Task, decided

__all__ = ["Errand", "by_children", "by_executor", "carry"]

LATER = 0.3
"""Seconds after which the second child begins: what is found at once needs no second one."""

SPARES = Spares()


class Errand:
    """The tasks of one check, and what has become of them so far; any thread may ask.

    ``blob`` is the pickled table of rules, ``names`` which of them are not the reference's.
    """

    def __init__(self, tasks: Sequence[Task], blob: bytes, names: list[str], budget: float) -> None:
        self.tasks, self.blob, self.names = tasks, blob, names
        self.end = monotonic() + budget
        self.done: dict[int, Done] = {}
        self.over = Event()
        """Nothing more is needed, or wanted."""
        self.failed: NoProcess | CheckerFailed | None = None
        self._parts = [0.0] * len(tasks)
        self._next = 0
        self._lock = Lock()

    @property
    def left(self) -> float:
        """How many seconds are left."""
        return max(0.0, self.end - monotonic())

    @property
    def part(self) -> float:
        """Which part of the whole work is done, 0 to 1."""
        return min(1.0, sum(task.share * min(1.0, part) for task, part in zip(self.tasks, self._parts, strict=True)))

    def take(self) -> int | None:
        """Return the place of the next task that nobody has begun."""
        with self._lock:
            if self.over.is_set() or self._next == len(self.tasks) or not self.left:
                return None
            self._next += 1
            return self._next - 1

    def hear(self, place: int, part: float) -> bool:
        """Note how far a task is, and return whether its outcome is still of interest."""
        self._parts[place] = part
        return not self.over.is_set()

    def put(self, place: int, done: Done | None) -> None:
        """Note the outcome of a task; ``None``: it had no time to tell."""
        with self._lock:
            self._parts[place] = 1.0
            if done is not None:
                self.done[place] = done
            if decided(self.tasks, self.done):
                self.over.set()


# ---- children of this process


def by_children(errand: Errand, workers: int, look: Callable[[], None], *, keep: bool) -> None:
    """Do the tasks with so many children; ``look`` is called now and then. ``keep``: others are made ready for the next check.

    Raises
    ------
    NoProcess
        None could be started.
    CheckerFailed
        As in `raftedu.checker.process.Child.do`.
    """
    crew = [Thread(target=_work, args=(errand, number * LATER), daemon=True) for number in range(max(1, min(workers, len(errand.tasks))))]
    for one in crew:
        one.start()
    try:
        while any(one.is_alive() for one in crew) and not errand.over.wait(0.05):
            look()
    finally:
        errand.over.set()
        for one in crew:
            one.join()
    if isinstance(errand.failed, CheckerFailed) or (errand.failed is not None and not errand.done):
        raise errand.failed
    if keep:
        Thread(target=SPARES.fill, args=(workers,), daemon=True).start()


def _work(errand: Errand, later: float) -> None:
    if later and errand.over.wait(later):
        return
    try:
        child = SPARES.take()
    except NoProcess as error:
        errand.failed = error
        return
    try:
        child.begin(errand.blob)
        while (place := errand.take()) is not None:
            done = child.do(errand.tasks[place], errand.names, errand.left, lambda part, place=place: errand.hear(place, part))  # type: ignore[misc]
            errand.put(place, done)
            if done is None or done.error is not None:
                return
    except CheckerFailed as error:
        errand.failed = error
        errand.over.set()
    except Stopped:
        return
    finally:
        child.end()


# ---- any executor


def carry(blob: bytes, names: list[str], task: Task, seconds: float) -> Done | None:
    """Return what became of one task: what an executor's worker runs, wherever that is. The rules run in a child of it.

    Raises
    ------
    NoProcess
        That worker can start none.
    """
    child = Child()
    try:
        child.begin(blob)
        return child.do(task, names, seconds, lambda _: True)
    finally:
        child.end()


def by_executor(errand: Errand, executor: Executor, look: Callable[[], None]) -> None:
    """Do the tasks through ``executor.submit``; ``look`` is called now and then.

    Raises
    ------
    NoProcess, CheckerFailed
        As for `carry`; what else the executor raises is its own.
    """
    futures: dict[Future[Done | None], int] = {
        executor.submit(carry, errand.blob, errand.names, task, errand.left): place for place, task in enumerate(errand.tasks)
    }
    try:
        while futures and not errand.over.is_set() and monotonic() < errand.end + GRACE + TELLING:
            ended, _ = wait(futures, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in ended:
                errand.put(futures.pop(future), future.result())
            look()
    finally:
        errand.over.set()
        for future in futures:
            future.cancel()
