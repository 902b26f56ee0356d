"""`train --all-data`: how many epochs, and what is told of a training that nothing judges."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.answers import all_data, replay
from search.errors import UsageError

Cli = Callable[..., Any]
SCORES = {"mean": 0.9, "seeds": {"1": 0.8, "2": 0.95, "3": 0.95}}
TOOK = {"best_epoch": {"1": 9, "2": 4, "3": 6}, "stop_epoch": {"1": 11, "2": 7, "3": 8}}


def best(measured: dict[str, Any], **changed: Any) -> replay.Best:
    about = {"objective": "objectives.cnn:objective", "score": {"val_accuracy": 0.9}}
    return replay.Best.model_validate({**about, "confirmed": {"val_accuracy": measured}, **changed})


@pytest.mark.parametrize(
    ("found", "count", "why"),
    [
        (best({**SCORES, **TOOK}), 5, "seed 2, its best of 3"),
        (best({**SCORES, **TOOK}, direction="minimize"), 10, "seed 1, its best of 3"),
        (best({**SCORES, **TOOK}, config={"restore_best_weights": False}), 8, "seed 2"),
        (best(SCORES, score={"val_accuracy": 0.9, "best_epoch": 0}), 1, "1 epoch, as many as the"),
    ],
)
def test_the_epochs_are_those_of_the_best_seed(found: replay.Best, count: int, why: str) -> None:
    """Up to the weights that were scored; of a file of an earlier version the search's own seed."""
    epochs = all_data.epochs(found, "best.yaml")
    assert epochs.count == count
    assert why in epochs.told


def test_a_file_that_tells_no_epochs_is_refused() -> None:
    """As of an objective that keeps none."""
    with pytest.raises(UsageError, match=r"^--all-data: best.yaml tells of no epochs"):
        all_data.epochs(best(SCORES), "best.yaml")


@pytest.mark.soak
def test_digits_are_trained_on_all_data(cli: Cli) -> None:
    """No score of the validation images is told; the test set is read where it was asked for."""
    config = {"dataset": "digits", "network": "digits_cnn", "epochs": 3, "precision": "float32"}
    about = {
        "study": "d",
        "objective": "objectives.cnn:objective",
        "seed": 4,
        "config": config,
        "params": {"lr": 0.05},
        "score": {"val_accuracy": 0.9, "best_epoch": 1},
    }
    Path("best.yaml").write_text(json.dumps(about))
    plain = cli("train", "best.yaml", "--all-data")
    assert plain.code == 0
    assert "together for 2 epochs, as many as the search's own seed took" in plain.out
    assert "in training\n" in plain.out
    assert all_data.NOT_COMPARED in plain.out
    assert "val_" not in plain.out.replace(all_data.NOT_COMPARED, "")
    folder = Path("runs/train/d-4-all")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["question"]["all_data"] == 2
    assert metrics["score"].keys() == {"loss", "reason", "best_epoch", "stop_epoch"}
    assert not {"validation", "test", "majority"} & metrics.keys()
    assert not (folder / "confusion.svg").exists()
    other = cli("train", "best.yaml", "--out", str(folder))
    assert (other.code, other.err.count("\n")) == (8, 1)
    assert "holds a result with another" in other.err
    tested = cli("train", "best.yaml", "--all-data", "--test", "--out", "tested")
    assert "test_accuracy 0." in tested.out
    assert (Path("tested") / "confusion.svg").exists()
