"""The files around the package: what is installed, what is shipped, and what `make` says when something is missing."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import raftedu

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCTESTED = sorted(path for path in (ROOT / "raftedu").rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))
TARGETS = {"bench", "check", "clean", "demo", "help", "lab", "lower-bounds", "proto", "soak", "test", "test-all", "test-rest"}


def run(*command: str | Path, **settings) -> subprocess.CompletedProcess[str]:
    settings = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 150, **settings}
    return subprocess.run([str(part) for part in command], **settings)


def bounds(requirements: list[str]) -> dict[str, str]:
    """Return the bound of each name, as in ``{"pandas": ">=2.2"}``."""
    return {match[1]: match[2] for match in (re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", text) for text in requirements)}


# ---------------------------------------------------------------- what is installed


def test_conda_and_pip_install_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = bounds([line for line in environment["dependencies"] if isinstance(line, str)])
    extras = PROJECT["optional-dependencies"]
    pip = bounds(PROJECT["dependencies"] + extras["lab"] + extras["test"])
    assert conda.pop("python") == PROJECT["requires-python"]
    assert conda.pop("pip") == ""
    assert conda == pip
    assert {"pip": ["-e ."]} in environment["dependencies"]
    assert environment["channels"] == ["conda-forge"]


def test_the_docs_say_that_the_conda_route_has_not_been_run():
    assert "conda route has not been run yet" in (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("extra", ["", "grade", "lab", "test", "dev"])
def test_every_dependency_has_its_reason(extra):
    listed = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert [name for name in bounds(listed) if f"| {name} |" not in text] == []


def test_the_oldest_versions_are_pinned_for_every_dependency():
    pins = run(sys.executable, "tools/lower_bounds.py").stdout.split()
    assert {pin.replace("==", ">=").removesuffix(".*") for pin in pins} == set(PROJECT["dependencies"])


def test_the_package_and_its_metadata_have_one_version():
    assert raftedu.__version__ == PROJECT["version"]


def test_the_changelog_knows_this_version():
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------- make

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
needs_sh = pytest.mark.skipif(shutil.which("sh") is None, reason="there is no POSIX shell here")


@needs_make
def test_make_alone_lists_what_can_be_made():
    listed = re.findall(r"^make ([a-z-]+) ", run("make").stdout, flags=re.MULTILINE)
    assert set(listed) >= TARGETS


@needs_make
def test_all_and_rest_select_what_their_names_say():
    def marks(target: str) -> str:
        return re.search(r'-m "(.*?)"', run("make", "-n", target).stdout)[1]

    def chosen(target: str) -> set[frozenset[str]]:
        kinds = [frozenset(), frozenset({"slow"}), frozenset({"notebook"}), frozenset({"soak"}), frozenset({"slow", "soak"})]
        return {kind for kind in kinds if eval(marks(target), {name: name in kind for name in ("slow", "notebook", "soak")})}

    assert chosen("test") == {frozenset()}
    assert chosen("test") | chosen("test-rest") == chosen("test-all")
    assert chosen("test").isdisjoint(chosen("test-rest"))


def fake_python(folder: Path, version: str, modules_missing: bool) -> Path:
    """Return a command that answers make_venv.sh as a Python of that kind would."""
    path = folder / "python3"
    too_old = tuple(int(part) for part in version.split(".")) < (3, 11)
    answers = [
        "*pass*) exit 0;;",
        f"*version_info*) exit {too_old:d};;",
        f"*ensurepip*) exit {modules_missing:d};;",
        f"*--version*) echo Python {version};;",
    ]
    path.write_text("\n".join(["#!/bin/sh", 'case "$*" in', *answers, "*) exit 1;;", "esac", ""]))
    path.chmod(0o755)
    return path


@needs_sh
@pytest.mark.parametrize(
    ("version", "modules_missing", "words"),
    [
        ("", False, ["no '", "runs here", "install Python 3.11", "python3-venv", "make PYTHON="]),
        ("3.9.2", False, ["Python 3.9.2", "3.11 or newer", "make PYTHON="]),
        ("3.11.2", True, ["venv", "apt-get install python3-venv"]),
    ],
    ids=["no python", "old python", "no venv"],
)
def test_what_is_missing_is_named_in_one_line(tmp_path, version, modules_missing, words):
    python = fake_python(tmp_path, version, modules_missing) if version else tmp_path / "none"
    done = run("sh", "tools/make_venv.sh", python, tmp_path / "venv")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert [word for word in words if word not in done.stderr] == []
    assert not (tmp_path / "venv").exists()


@needs_sh
@pytest.mark.slow
def test_an_environment_is_made_once_and_kept(tmp_path):
    venv = tmp_path / "a venv"
    assert run("sh", "tools/make_venv.sh", sys.executable, venv).returncode == 0
    (venv / "kept").touch()
    assert run("sh", "tools/make_venv.sh", sys.executable, venv).returncode == 0
    assert (venv / "kept").exists()
    shutil.rmtree(next(venv.glob("lib*/python*/site-packages/pip")))  # as after an interrupted first time
    assert run("sh", "tools/make_venv.sh", sys.executable, venv).returncode == 0
    assert not (venv / "kept").exists()


# ---------------------------------------------------------------- what is shipped


def files_below(folder: str) -> set[str]:
    """Return what a wheel should hold of a folder of the source tree."""
    skipped = {"__pycache__", ".ipynb_checkpoints"}
    paths = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if skipped.isdisjoint(path.parts)}


def hatch(kind: str, tree: Path, folder: Path) -> None:
    done = run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=tree)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Return the wheel, built from the source archive and not from the tree, as an index would have it."""
    folder = tmp_path_factory.mktemp("dist")
    hatch("sdist", ROOT, folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    hatch("wheel", folder / f"raftedu-{PROJECT['version']}", folder)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    info = f"raftedu-{PROJECT['version']}.dist-info/"
    data = {f"raftedu/_data/{name}" for folder in ("notebooks", "traces") for name in files_below(folder)}
    assert {name for name in names if not name.startswith(info)} == files_below("raftedu") | data
    assert {info + "entry_points.txt", info + "licenses/LICENSE", info + "METADATA"} <= names


@pytest.mark.slow
def test_an_installed_wheel_puts_raftedu_alone_at_the_top(wheel, tmp_path):
    site = tmp_path / "site"
    done = run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in site.iterdir()} - {"bin"} == {"raftedu", f"raftedu-{PROJECT['version']}.dist-info"}
    program = "import raftedu, raftedu.data as d; print(raftedu.__file__, d.data_path('notebooks'), d.data_path('traces'), sep='\\n')"
    done = run(sys.executable, "-c", program, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)})
    package = site / "raftedu"
    expected = [package / "__init__.py", package / "_data" / "notebooks", package / "_data" / "traces"]
    assert [Path(line) for line in done.stdout.splitlines()] == expected, done.stderr


# ---------------------------------------------------------------- what the docstrings show


def test_tab_completion_offers_the_public_names_and_no_others():
    assert raftedu.read_dump and raftedu.Cluster  # loaded names are not offered twice
    assert [name for name in dir(raftedu) if not name.startswith("_")] == raftedu.__all__


@pytest.mark.parametrize("path", DOCTESTED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_examples_in_docstrings_run(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert doctest.testmod(module).failed == 0
