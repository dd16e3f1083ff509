"""Cells of a real notebook kernel."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from tests.live.helpers import ROOT

pytestmark = pytest.mark.live


@pytest.mark.notebook
def test_running_a_cell_again_in_a_real_kernel(tmp_path):
    made = "import raftedu\nold = globals().get('cluster')\ncluster = raftedu.Cluster(3, pace=0.02)\nprint(cluster.set('x', '1').outcome)"
    cells = [made, "print(old is None, cluster.stopped)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        with client.setup_kernel():
            for i in (0, 1, 0):
                client.execute_cell(notebook.cells[i], i)
            assert notebook.cells[1].outputs[0].text == "True False\n"
            check = nbformat.v4.new_code_cell("import threading\nprint(old.stopped, cluster.stopped)\ncluster.stop()")
            notebook.cells.append(check)
            client.execute_cell(check, 2)
            assert check.outputs[0].text == "True False\n"
