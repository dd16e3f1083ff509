"""Who may import whom: each floor of the house rests on those below it. The imports are read from the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "raftedu"

# A floor, and the floors that it may import. What stands in no row may not exist.
FLOORS: dict[str, set[str]] = {
    "data": set(),
    "core": set(),
    "events": {"core"},
    "trace": {"core", "events", "data"},
    "sim": {"core", "events", "trace"},
    "checker": {"core", "events", "sim", "trace"},
    "live": {"core", "events", "trace"},
    "plot": {"core", "events", "trace"},
    "widget": {"core", "events", "trace"},
    "lab": {"core", "events", "trace", "data", "sim", "checker", "plot", "widget"},
}
ROOF = {"__init__", "__main__", "cli"}  # may import every floor

# What one floor alone may import of other people's work; the rest of the dependencies is free above `events`.
ONLY_IN = {"grpc": {"live"}, "google": {"live"}, "matplotlib": {"plot", "lab"}, "anywidget": {"widget"}, "click": {"cli"}}
THIRD_PARTY_BELOW: dict[str, set[str]] = {"data": set(), "core": set(), "events": {"orjson"}}

# Imports inside functions hide a circle from these tests. Lazy public names and a command that starts fast are the reasons to have one.
MAY_IMPORT_LATE = {"raftedu", "raftedu.cli"}

IMPORT_NAMES = {"grpcio": "grpc", "protobuf": "google"}


class Import(NamedTuple):
    module: str
    target: str
    line: int
    inside_function: bool
    typing_only: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def targets(node: ast.Import | ast.ImportFrom, module: str) -> list[str]:
    """Return the full names of the modules that one import statement of ``module`` names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    base = resolve_name("." * node.level + (node.module or ""), package)
    return [f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names]


def is_typing_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_in(tree: ast.AST, module: str, inside: bool = False, typing_only: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (Import(module, target, node.lineno, inside, typing_only) for target in targets(node, module))
        deeper = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports_in(node, module, deeper, typing_only or is_typing_guard(node))


IMPORTS = [found for name, path in MODULES.items() for found in imports_in(ast.parse(path.read_text(encoding="utf-8")), name)]


def floor(module: str) -> str:
    """Return the floor of a module of ours: the second part of its name."""
    return (module.split(".") + ["__init__"])[1]


def at(found: Import) -> str:
    return f"{MODULES[found.module].relative_to(ROOT).as_posix()}:{found.line} imports {found.target}"


def is_ours(target: str) -> bool:
    return target.split(".")[0] == "raftedu"


def is_third_party(target: str) -> bool:
    top = target.split(".")[0]
    return top != "raftedu" and top not in sys.stdlib_module_names


def fresh(program: str) -> str:
    """Return what a program prints in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_folder_is_a_package():
    folders = {path.parent for path in MODULES.values()}
    assert [folder.relative_to(ROOT).as_posix() for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_every_module_stands_on_a_known_floor():
    strangers = sorted({floor(name) for name in MODULES} - set(FLOORS) - ROOF)
    assert strangers == [], "say in FLOORS what these may import"


def test_a_floor_imports_only_floors_below():
    def allowed(found: Import) -> bool:
        here = floor(found.module)
        return here in ROOF or floor(found.target) in FLOORS.get(here, set()) | {here}

    assert [at(i) for i in IMPORTS if is_ours(i.target) and not allowed(i)] == []


def test_the_floors_themselves_have_no_circle():
    below: dict[str, set[str]] = {}
    for name, allowed in FLOORS.items():
        assert allowed <= set(below), f"{name} may import {allowed - set(below)}, which do not stand below it"
        below[name] = allowed


@pytest.mark.parametrize("upper", ["plot", "widget", "lab"])
def test_pictures_never_import_live(upper):
    assert "live" not in FLOORS[upper]


@pytest.mark.parametrize("lower", ["live", "sim"])
def test_runtimes_never_import_pictures(lower):
    assert FLOORS[lower].isdisjoint({"plot", "widget", "lab"})


def test_core_imports_the_standard_library_only():
    assert [at(i) for i in IMPORTS if floor(i.module) == "core" and is_third_party(i.target)] == []


def test_other_peoples_packages_stay_on_their_floors():
    def allowed(found: Import) -> bool:
        top, where = found.target.split(".")[0], floor(found.module)
        return top in THIRD_PARTY_BELOW.get(where, {top}) and where in ONLY_IN.get(top, {where})

    assert [at(i) for i in IMPORTS if is_third_party(i.target) and not allowed(i)] == []


def test_every_import_is_a_declared_dependency():
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=!~\[ ]", requirement)[0] for requirement in requirements}
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}
    assert [at(i) for i in IMPORTS if is_third_party(i.target) and i.target.split(".")[0] not in declared] == []


def test_imports_stand_at_the_top_of_their_module():
    assert [at(i) for i in IMPORTS if i.inside_function and i.module not in MAY_IMPORT_LATE] == []


def test_modules_import_each_other_in_no_circle():
    edges: dict[str, set[str]] = {name: set() for name in MODULES}
    for found in IMPORTS:
        if found.target in MODULES and not found.typing_only and not found.inside_function:
            edges[found.module].add(found.target)
    done: set[str] = set()

    def circle(module: str, path: tuple[str, ...]) -> tuple[str, ...]:
        if module in path:
            return (*path[path.index(module) :], module)
        if module in done:
            return ()
        found = next(filter(None, (circle(target, (*path, module)) for target in sorted(edges[module]))), ())
        done.add(module)
        return found

    assert next(filter(None, (circle(module, ()) for module in edges)), ()) == ()


def test_importing_raftedu_loads_nothing_heavy():
    heavy = ("grpc", "google.protobuf", "matplotlib", "pandas", "numpy", "anywidget", "ipywidgets", "IPython")
    assert fresh(f"import sys, raftedu; print([name for name in {heavy} if name in sys.modules])") == "[]"


EVERY_MODULE = """
import importlib, raftedu
def load_all():
    for name in {names}:
        importlib.import_module(name)
def public():
    return {{name: getattr(raftedu, name) for name in raftedu.__all__}}
"""


@pytest.mark.parametrize("first", ["before = public(); load_all(); after = public()", "load_all(); after = public(); before = dict(after)"])
def test_importing_every_module_hides_no_public_name(first):
    names = [name for name in MODULES if not name.endswith("__main__")]
    program = EVERY_MODULE.format(names=names) + first + "\n"
    program += "print(sorted(name for name in after if before[name] is not after[name] or type(after[name]).__name__ == 'module'))"
    assert fresh(program) == "[]"
