"""`load`: the rules in a student's file, which is run in a process of its own, so that nothing in it can hang or end whoever asked.

``python -m raftedu.checker.loading FILE`` is the child: it runs the file and sends what is named after a rule, pickled by value. Knows the
names of the rules, and nothing of checking.
"""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tokenize
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import IO, Any, NamedTuple

import cloudpickle  # type: ignore[import-untyped]

from raftedu.checker.frames import receive, send
from raftedu.checker.stub import near_name
from raftedu.core.rules import RULES, Rules, rule_names

__all__ = ["FileError", "Found", "load"]

PATIENCE = 15.0
"""Seconds that a file may take to run."""

ROOT = Path(__file__).resolve().parents[2]


class FileError(Exception):
    """A file of rules cannot be used; the message says why, in one line."""


class Found(NamedTuple):
    """What a file has: functions named after rules, tables of rules by the name of their variable, and names that are nearly a rule's."""

    functions: dict[str, Callable[[Any], Any]]
    tables: dict[str, Rules]
    near: dict[str, str]


def load(path: Path, patience: float = PATIENCE) -> Found:
    """Return the rules that a file defines.

    Raises
    ------
    FileError
        It cannot be read or run, does not end, or what it defines cannot travel.
    """
    if path.is_dir():
        raise FileError(f"{path} is a folder: name one file with your rules in it")
    if not path.exists():
        raise FileError(f"there is no file {path}")
    if path.suffix == ".ipynb":
        raise FileError(f"{path} is a notebook: call raftedu.check(...) in it, or save your rules as a .py file")
    answer = _ask(path, patience)
    if "error" in answer:
        raise FileError(answer["error"])
    try:
        functions, tables = (
            {name: pickle.loads(blob) for name, blob in answer[kind].items()} for kind in ("functions", "tables")
        )  # fmt: skip
    except Exception as error:  # a class of the student's own may do anything when it is made anew
        raise FileError(f"{path}: what it defines cannot be sent to another process: {type(error).__name__}: {error}") from error
    return Found(functions, tables, answer["near"])


def _ask(path: Path, patience: float) -> dict[str, Any]:
    child = subprocess.Popen(
        [sys.executable, "-m", "raftedu.checker.loading", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
    )  # fmt: skip
    assert child.stdout is not None and child.stdin is not None
    told: list[dict[str, Any]] = []
    listener = Thread(target=_listen, args=(child.stdout, told), daemon=True)
    listener.start()
    listener.join(patience)
    hangs = listener.is_alive()
    child.kill()
    child.stdin.close()
    child.wait()
    listener.join()
    child.stdout.close()
    if hangs:
        raise FileError(f"{path} did not come to its end within {patience:.0f} s: is there an endless loop outside of the functions?")
    if not told:
        raise FileError(f"{path} ended the process in which it was run")
    return told[0]


def _listen(pipe: IO[bytes], told: list[dict[str, Any]]) -> None:
    try:
        told.append(pickle.loads(receive(pipe)))
    except (EOFError, pickle.UnpicklingError):  # the child is gone, which is all there is to know
        return


# ---- the child


def _main() -> None:
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    Thread(target=_end_with_parent, args=(sys.stdin.buffer,), daemon=True).start()
    sys.stdin = io.StringIO()  # nobody is there to answer an input()
    send(pipe, pickle.dumps(_look(Path(sys.argv[1]))))
    pipe.close()
    os._exit(0)  # without waiting for whatever the file has started


def _end_with_parent(stdin: IO[bytes]) -> None:
    stdin.read()
    os._exit(1)


def _look(path: Path) -> dict[str, Any]:
    before = set(sys.modules)
    module = ModuleType(f"checked_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with tokenize.open(path) as file:
            source = file.read()
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:  # SystemExit too; whatever the file does is told, and ends here
        return {"error": _why(path, error)}
    for name in sorted({*sys.modules} - before):
        if _is_beside(sys.modules[name], path):
            cloudpickle.register_pickle_by_value(sys.modules[name])
    return _found(path, module)


def _is_beside(module: ModuleType, path: Path) -> bool:
    """Return whether this module is the student's too: then it travels with the rules and need not be found again elsewhere."""
    file = getattr(module, "__file__", None)
    if not file or module.__name__.split(".")[0] == "raftedu" or {"site-packages", "dist-packages"} & set(Path(file).parts):
        return False
    return Path(file).resolve().is_relative_to(path.resolve().parent)


def _found(path: Path, module: ModuleType) -> dict[str, Any]:
    functions, tables, near = {}, {}, {}
    for name, value in vars(module).items():
        if isinstance(value, Rules) and value != RULES:
            tables[name] = value
        elif name in rule_names() and callable(value) and value is not getattr(RULES, name):
            functions[name] = value
        elif not name.startswith("_") and getattr(value, "__module__", None) == module.__name__ and callable(value):
            meant = near_name(name, cutoff=0.8)
            if meant is not None and name not in rule_names():
                near[name] = meant
    pickled: dict[str, dict[str, bytes]] = {"functions": {}, "tables": {}}
    for kind, found in (("functions", functions), ("tables", tables)):
        for name, value in found.items():
            try:
                pickled[kind][name] = cloudpickle.dumps(value)
            except Exception as error:  # any kind: it comes from what the student's function holds on to
                return {"error": f"{path}: {name} uses something that cannot be sent to another process: {_line(error)}"}
    return {**pickled, "near": near}


def _why(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    if isinstance(error, UnicodeDecodeError | OSError):
        return f"{path} cannot be read: {_line(error)}"
    if isinstance(error, SystemExit):
        return f"{path} ends the program when it is run: take out the exit, or put it below `if __name__ == '__main__':`"
    at, trace = "", error.__traceback__
    while trace is not None:
        at = f", line {trace.tb_lineno}" if trace.tb_frame.f_code.co_filename == str(path) else at
        trace = trace.tb_next
    return f"{path}{at}: {_line(error)}"


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()):.300}"


if __name__ == "__main__":
    _main()
