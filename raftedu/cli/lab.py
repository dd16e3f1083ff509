"""``raftedu lab``: the notebooks, copied to where they may be changed, and opened."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from raftedu.cli.telling import one_line
from raftedu.data import data_path

__all__ = ["command"]

PROGRAMS = ("jupyterlab", "notebook")
"""What can open notebooks, the one that is preferred first; `python -m` runs either."""


@click.command(short_help="Open the notebooks.")
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), default="raftedu-notebooks", show_default=True,
              help="Where your copies are. A notebook that is there already is left as it is.")  # fmt: skip
@click.option("--no-open", is_flag=True, help="Only copy.")
def command(folder: Path, no_open: bool) -> None:
    """Copy the notebooks into a folder of yours and open them in JupyterLab, or in the classic notebook."""
    module = next((name for name in PROGRAMS if find_spec(name)), None)
    if module is None and not no_open:
        raise click.ClickException("neither jupyterlab nor notebook is installed: pip install 'raftedu[lab]'")
    with one_line(OSError):
        new, kept = _copy(data_path("notebooks"), folder)
    click.echo(
        f"{folder}: {new} file{'' if new == 1 else 's'} copied" + (f", {kept} that were there already left as they are" if kept else "")
    )
    if module is not None and not no_open:
        raise SystemExit(subprocess.call([sys.executable, "-m", module, str(folder)]))


def _copy(source: Path, folder: Path) -> tuple[int, int]:
    """Copy what is not there yet; return how many files were copied and how many were left."""
    new = kept = 0
    for path in sorted(path for path in source.rglob("*") if path.is_file() and ".ipynb_checkpoints" not in path.parts):
        target = folder / path.relative_to(source)
        if target.exists():
            kept += 1
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        new += 1
    return new, kept
