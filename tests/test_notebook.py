"""The notebook of the documents runs, from its first cell to its last."""

import os
import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "notebook.ipynb"
TRIALS = 4  # in place of any number


def read() -> Any:
    return nbformat.read(FILE, as_version=4)


def test_it_holds_what_a_person_wrote_and_no_outputs() -> None:
    """Else each look at it would be a change to be committed."""
    notebook = read()
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) > 5
    assert [cell for cell in cells if cell.outputs or cell.execution_count] == []


@pytest.mark.soak
def test_it_runs_and_shows_a_view_a_card_and_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a real kernel; the view is one output, however often it was drawn."""
    path = [str(ROOT), str(ROOT / "search" / "face"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    monkeypatch.delenv("OPTSEARCH_STORAGE", raising=False)
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "data"))
    notebook = read()
    for cell in notebook.cells:
        cell.source = re.sub(r"trials=\d+", f"trials={TRIALS}", cell.source)
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown: dict[str, list[Any]] = {
        cell.source.splitlines()[-1]: [o for o in cell.outputs if o.output_type != "stream"]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    (view,) = shown[f"answer = study.run(trials={TRIALS})"]
    assert view.output_type == "display_data"
    assert f"{TRIALS} of {TRIALS} trials" in view.data["text/html"]
    assert '<svg class="chart"' in view.data["text/html"]
    (before,), (card,), (table,) = shown["study"], shown["answer"], shown["table"]
    assert "starts" in before.data["text/html"]
    assert "runs on fresh seeds" in card.data["text/html"]
    assert "verdict" in table.data["text/html"]
    assert "to rehearse" in shown["digits.run(dry_run=True)"][-1].data["text/html"]
    assert "plotly" in "".join(shown['study.figures()["slices"]'][-1].data)
