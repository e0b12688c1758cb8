"""The notebook is the script, and runs from top to bottom."""

from __future__ import annotations

import json
from pathlib import Path

import jupytext
import nbclient
import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SCRIPTS = sorted(NOTEBOOKS.glob("*.py"))


def _cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_holds_the_cells_of_the_script(script):
    notebook = script.with_suffix(".ipynb")
    hint = f"run `jupytext --to ipynb --update notebooks/{script.name}`"
    assert notebook.exists(), hint
    assert _cells(jupytext.read(notebook)) == _cells(jupytext.read(script)), hint


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_is_committed_without_outputs(script):
    cells = json.loads(script.with_suffix(".ipynb").read_text())["cells"]
    assert all(not c["outputs"] and c["execution_count"] is None for c in cells if c["cell_type"] == "code")


def test_transfer_learning_runs_from_top_to_bottom(tmp_path):
    notebook = nbformat.read(NOTEBOOKS / "transfer_learning.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    printed = ["".join(o.get("text", "") for o in c.outputs) for c in notebook.cells if c.cell_type == "code"]
    assert any(text.startswith("feature values unchanged: 100 % with attnzoo") for text in printed)
    assert "same outputs: True\n" in printed
    assert printed[-1] == "feature values unchanged: 100 % from a mapping, 100 % from a file\n"
    assert not any(tmp_path.iterdir())
