"""Every notebook runs from top to bottom; a lecture is committed with what it showed, an exercise without its solution."""

from __future__ import annotations

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from raftedu import rule
from raftedu.core.rules import rule_names

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = sorted((ROOT / "exercises").glob("*.ipynb"))
LECTURES = [path for path in NOTEBOOKS if path.name not in {source.name for source in SOURCES}]


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


def tool() -> ModuleType:
    spec = spec_from_file_location("make_notebooks", ROOT / "tools" / "make_notebooks.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def executed(notebook: NotebookNode, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[NotebookNode]:
    """Return the code cells after a run; the first exception in a cell that does not expect one ends the test with its traceback."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code if cell.source.strip())
    return code


def shown(cell: NotebookNode) -> str:
    """Return all text that a cell showed."""
    told = [output.get("data", {}).get("text/plain", "") + output.get("text", "") for output in cell.outputs]
    return "\n".join([*told, *("\n".join(output["traceback"]) for output in cell.outputs if output["output_type"] == "error")])


def pictures(cells: list[NotebookNode]) -> int:
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)


def test_there_are_notebooks() -> None:
    assert [path.stem for path in LECTURES][:1] == ["00-five-minutes"]
    assert [path.stem for path in SOURCES][:1] == ["02-the-vote-rule"]
    assert {path.name for path in SOURCES} <= {path.name for path in NOTEBOOKS}


# ---- all of them


@each(NOTEBOOKS)
def test_what_is_committed_is_clean(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert "widgets" not in notebook["metadata"], "saved widget state shows nothing without a network"
    assert not [output for output in outputs if output["output_type"] in ("error",)]
    assert not re.search(r"(?<![\w.])/(tmp|home|work|root|Users)/\w", text), "a path of somebody's machine"
    assert "http" not in text, "a notebook works without a network"


# ---- lectures


@each(LECTURES)
class TestLectures:
    def test_it_is_committed_with_its_pictures(self, path: Path) -> None:
        assert pictures([cell for cell in read(path).cells if cell.cell_type == "code"])

    def test_it_was_run_in_order(self, path: Path) -> None:
        counts = [cell.execution_count for cell in read(path).cells if cell.cell_type == "code"]
        assert counts == list(range(1, len(counts) + 1))

    @pytest.mark.notebook
    @pytest.mark.timeout(600)
    @pytest.mark.filterwarnings("ignore")  # of the kernel's own libraries
    def test_it_runs_from_top_to_bottom(self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        executed(read(path), tmp_path, monkeypatch)


# ---- exercises


@each(SOURCES)
class TestExercises:
    def test_what_students_get_is_made_from_the_source(self, path: Path) -> None:
        committed = read(ROOT / "notebooks" / path.name)
        assert committed == tool().students(read(path)), "run tools/make_notebooks.py"

    def test_students_get_no_solution_and_no_outputs(self, path: Path) -> None:
        code = [cell for cell in read(ROOT / "notebooks" / path.name).cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count or "SOLUTION" in cell.source for cell in code)
        assert any("NotImplementedError" in cell.source for cell in code)

    def test_stubs_are_those_of_the_sheets(self, path: Path) -> None:
        cells = [cell.source for cell in read(ROOT / "notebooks" / path.name).cells if "raise NotImplementedError" in cell.source]
        named = [re.findall(r"^def (\w+)", source, flags=re.MULTILINE)[-1] for source in cells]
        assert named and [rule(name).stub.strip() for name in named if name in rule_names()] == cells

    def test_it_has_hints_that_unfold(self, path: Path) -> None:
        text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
        assert text.count("<details>") == text.count("</details>") == text.count("<summary>") >= 3

    @pytest.mark.notebook
    @pytest.mark.timeout(600)
    @pytest.mark.filterwarnings("ignore")
    def test_the_solution_passes(self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        notebook = read(path)
        for cell in notebook.cells:
            cell.metadata.pop("tags", None)  # with the solution no cell may fail
        code = executed(notebook, tmp_path, monkeypatch)
        assert pictures(code) >= 2
        checks = [shown(cell) for cell in code if "raise_if_failed" not in cell.source and re.search(r"\.check\((?!raftedu)", cell.source)]
        assert checks and [told for told in checks if "no violation in" not in told] == []
        broken = [shown(cell) for cell in code if ".check(raftedu.RULES.but(" in cell.source]
        assert broken and [told for told in broken if "broken in" not in told and "nothing ever happened" not in told] == []
        assert "✗" not in "\n".join(shown(cell) for cell in code)

    @pytest.mark.notebook
    @pytest.mark.timeout(600)
    @pytest.mark.filterwarnings("ignore")
    def test_without_a_solution_it_runs_to_its_end_and_says_what_is_missing(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = executed(read(ROOT / "notebooks" / path.name), tmp_path, monkeypatch)
        told = [output["traceback"] for cell in code for output in cell.outputs if output["output_type"] == "error"]
        assert told
        for lines in told:
            assert len(lines) == 1 and "is not written yet: put your rule where it says `raise NotImplementedError`" in lines[0]
