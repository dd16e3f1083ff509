"""Make the notebooks: ``python tools/make_notebooks.py [NAME ...]``.

A lecture stands in notebooks/ and is run from top to bottom to keep its outputs. Each runs in an empty folder, with no network needed. What
would differ in every run and tells nobody anything (times of execution, the kernel's version, widget state) is left out.

An exercise has its source in exercises/, with solutions between ``# BEGIN SOLUTION`` and ``# END SOLUTION``: that is the instructor's
notebook. The student's is made from it into notebooks/, a stub in the place of each solution, without outputs. Needs the extra ``test``.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
EXERCISES = ROOT / "exercises"

SOLUTION = re.compile(r"^( *)# BEGIN SOLUTION\n.*?^ *# END SOLUTION$", flags=re.DOTALL | re.MULTILINE)
DEFINED = re.compile(r"^def (\w+)\(", flags=re.MULTILINE)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def read(path: Path) -> NotebookNode:
    """Return a notebook from its file."""
    return nbformat.read(path, as_version=4)


def run(path: Path) -> None:
    """Run one lecture and write it back with its outputs."""
    notebook = read(path)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = METADATA
    nbformat.write(notebook, path)


def students(source: NotebookNode) -> NotebookNode:
    """Return the student's notebook: every solution replaced by a line that says it is missing, and nothing of a run."""
    notebook = nbformat.from_dict(source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = SOLUTION.sub(lambda found, text=cell.source: found[1] + _missing(text[: found.start()]), cell.source)
            cell.outputs, cell.execution_count = [], None
        if "SOLUTION" in cell.source:
            raise ValueError(f"a mark of a solution has no partner:\n{cell.source}")
    notebook.metadata = METADATA
    return notebook


def _missing(before: str) -> str:
    return f'raise NotImplementedError("{DEFINED.findall(before)[-1]} is not written yet")'


def make(name: str) -> None:
    """Make the notebook of this file name in notebooks/."""
    print(f"making {name}")
    if (EXERCISES / name).exists():
        nbformat.write(students(read(EXERCISES / name)), NOTEBOOKS / name)
    else:
        run(NOTEBOOKS / name)


if __name__ == "__main__":
    for each in sys.argv[1:] or sorted({path.name for folder in (NOTEBOOKS, EXERCISES) for path in folder.glob("*.ipynb")}):
        make(each)
