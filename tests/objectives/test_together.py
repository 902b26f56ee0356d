"""Training and validation images together: nothing is left to judge by, and nothing pretends so."""

import json
from pathlib import Path

import pytest
import torch
from optuna.trial import FixedTrial

from objectives import augment, checkpoint, cnn, datasets

SETTINGS = {
    "dataset": "digits",
    "network": "digits_cnn",
    "epochs": 3,
    "precision": "float32",
    "normalize": True,
    "score": "val_f1_macro",
    "patience": 1,
    "lr": 0.05,
}
PARAMS = {"momentum": 0.9, "batch_size": 256}


class Trial(FixedTrial):
    """Keeps its reports; stops at an epoch as a worker does that is told to."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__(PARAMS)
        self.reports: dict[int, float] = {}
        self.stop_at = stop_at

    def report(self, value: float, step: int) -> None:
        self.reports[step] = value
        if step == self.stop_at:
            raise KeyboardInterrupt


def run(trial: Trial, workdir: Path, **changed: object) -> float:
    given = {**SETTINGS, "all_data": 2, **changed}
    return cnn.objective(trial, device="cpu", threads=1, workdir=workdir, **given)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trial, float, Path]:
    trial, folder = Trial(), tmp_path_factory.mktemp("whole")
    return trial, run(trial, folder), folder


def test_what_is_told_is_of_training_alone(trained: tuple[Trial, float, Path]) -> None:
    """Two epochs of three, whatever patience says; the last one's loss, and no val_ column."""
    trial, score, _ = trained
    history = trial.user_attrs["history"]
    assert list(history) == ["loss", "accuracy", "lr", "seconds"]
    assert trial.reports == pytest.approx(dict(enumerate(history["loss"])), rel=1e-5)
    assert score == trial.reports[1] < trial.reports[0]
    assert trial.user_attrs["reason"] == "all_epochs"
    assert (trial.user_attrs["best_epoch"], trial.user_attrs["stop_epoch"]) == (1, 1)


def test_the_model_tells_of_it(trained: tuple[Trial, float, Path], tmp_path: Path) -> None:
    """All images were trained on, and their mean is taken away; the test set alone scores it."""
    _, _, folder = trained
    cnn.save(folder, tmp_path)
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["all_data"] == {"epochs": 2, "images": 1527}
    stored = datasets.opened("digits").images("train")
    assert about["input"]["then_subtract"] == list(augment.statistics(stored, 16.0, None)[0])
    assert about["config"]["score"] == "val_f1_macro"
    assert cnn.evaluate(folder, "test", "cpu")["n"] == 270
    with pytest.raises(ValueError, match="was trained on the validation images, too"):
        cnn.evaluate(folder, "validation", "cpu")
    model = cnn.load(tmp_path)
    assert model.classes == [str(digit) for digit in range(10)]


@pytest.mark.soak
def test_a_resumed_one_equals_an_uninterrupted_one(
    trained: tuple[Trial, float, Path], tmp_path: Path
) -> None:
    """Bitwise; and no training with validation images finds its checkpoint."""
    _, score, folder = trained
    with pytest.raises(KeyboardInterrupt):
        run(Trial(stop_at=0), tmp_path)
    trial = Trial()
    assert run(trial, tmp_path) == score
    assert trial.user_attrs["resumed_from"] == 1
    whole, resumed = (checkpoint.load(one / checkpoint.MODEL) for one in (folder, tmp_path))
    assert whole is not None
    assert resumed is not None
    for name, weights in whole["weights"].items():
        assert torch.equal(weights, resumed["weights"][name])
    other = Trial()
    run(other, tmp_path, all_data=None, epochs=1)
    assert "resumed_from" not in other.user_attrs


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"schedule": "reduce_on_plateau"}, "reduce_on_plateau goes by the validation images"),
        ({"schedule": "phases", "phases": [0.1, 0.01]}, "phases goes by the validation images"),
        ({"epochs": 1}, "epochs 1: fewer than the 2 to be trained; raise it"),
    ],
)
def test_what_needs_validation_images_is_refused(
    changed: dict[str, object], message: str, tmp_path: Path
) -> None:
    """Before anything is trained."""
    with pytest.raises(ValueError, match=message):
        run(Trial(), tmp_path, **changed)
