"""A database and a best.yaml that an earlier version made go on working. The files stay for good.

They are of version 0.1.0 with study files of version 2: `optsearch run --study digits --workers 1`.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.answers import replay

BEFORE = Path(__file__).with_name("before")
Cli = Callable[..., Any]


@pytest.fixture
def storage(folder: Path) -> str:
    """The old database, unpacked into the test's own folder."""
    file = folder / "digits.db"
    file.write_bytes(gzip.decompress((BEFORE / "digits.db.gz").read_bytes()))
    return f"sqlite:///{file}"


def test_an_old_study_is_shown_as_it_was(storage: str, cli: Cli) -> None:
    """Every trial, the best, and the answer on fresh seeds, as that version showed them."""
    shown = cli("show", "--study", "digits", "--json", "--storage", storage)
    was = json.loads((BEFORE / "show.json").read_text())
    assert shown.code == 0
    now = {key: shown.json[key] for key in was}
    told = was["rows"][0]  # since then there are more columns
    now["rows"] = [{key: row[key] for key in told} for row in now["rows"]]
    assert now == was


@pytest.mark.soak
def test_an_old_study_is_compared(storage: str, cli: Cli) -> None:
    """What it did not try is not called worse."""
    found = cli("compare", "--study", "digits", "--json", "--storage", storage).json
    verdicts = {row["value"]: row["verdict"] for row in found["rows"]}
    assert verdicts["adamw"] == "not compared"
    assert verdicts["sgd"] == "no score"


def test_an_old_best_yaml_is_read() -> None:
    """With its evidence; what is new in a file since then has its default."""
    best = replay.load(BEFORE / "best.yaml")
    assert best.params["optimizer"] == "adamw"
    assert len(best.known_seeds("val_accuracy")) == 6
    assert best.ranking == []
