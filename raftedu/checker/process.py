"""Runs a check in a process of its own, which can be ended: so no rule can hang, flood or kill whoever asked.

The parent's half of `raftedu.checker.worker`. Knows processes and nothing of rules.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

import cloudpickle  # type: ignore[import-untyped]

from raftedu.checker.frames import receive, send
from raftedu.checker.report import Report
from raftedu.core.guard import RuleError
from raftedu.core.rules import Rules

__all__ = ["NoProcess", "check_in_child"]

PATIENCE = 20.0
"""Seconds without a word from the child after which it is ended. Most slow rules it interrupts itself; this is for the others."""

ROOT = str(Path(__file__).resolve().parents[2])


class NoProcess(RuntimeError):
    """No process could be started."""


def check_in_child(
    rules: Rules, names: list[str], settings: dict[str, Any], progress: Callable[[int], None], patience: float = PATIENCE,
) -> Report:  # fmt: skip
    """Return the report that a child works out.

    Raises
    ------
    NoProcess
        There is none to be had.
    RuleError
        As in `raftedu.checker.check`; and if a rule ended the child, or made it silent for ``patience`` seconds.
    """
    blob = cloudpickle.dumps((rules, settings))
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "raftedu.checker.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *filter(None, sys.path)])},
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise NoProcess(str(error)) from error
    try:
        return _talk(child, blob, names, progress, patience)
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:  # what was not yet written is of no use to anybody
                continue
    child.wait()


def _talk(child: subprocess.Popen[bytes], blob: bytes, names: list[str], progress: Callable[[int], None], patience: float) -> Report:
    assert child.stdin is not None and child.stdout is not None
    frames: Queue[tuple[str, Any]] = Queue()
    Thread(target=_listen, args=(child.stdout, frames), daemon=True).start()
    who = " or ".join(names) or "the rules"
    try:
        send(child.stdin, blob)
    except BrokenPipeError:
        raise NoProcess("the process ended before it had begun") from None
    while True:
        try:
            kind, value = frames.get(timeout=patience)
        except Empty:
            raise RuleError(who, None, f"{who} did not answer within {patience:.0f} s, and could not be interrupted") from None
        match kind:
            case "progress":
                progress(value)
            case "report":
                return value  # type: ignore[no-any-return]
            case "rule":
                raise RuleError(*value)
            case _:
                raise RuleError(who, None, f"{who} ended the process in which it was called: a rule only looks and decides")


def _listen(pipe: IO[bytes], frames: Queue[tuple[str, Any]]) -> None:
    try:
        while True:
            frames.put(receive(pipe))
    except (EOFError, ValueError, OSError):
        frames.put(("gone", None))
