"""The CNN that comes along pauses and goes on: the numbers are those of one that never paused."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from optuna.trial import FixedTrial, TrialState

from objectives import checkpoint, cnn
from search.record import chains, study
from search.strategy import strategies
from search.strategy.steps import Run, Step
from tests.search import pausing
from tests.search.pausing import curve, states, work

SETTINGS = {"dataset": "digits", "network": "digits_cnn", "epochs": 5, "flip": True}
STUDY = f"""\
objective: objectives.cnn:objective
settings: {SETTINGS}
space:
  lr: {{float: [1.0e-4, 1.0e-2], log: true}}
  optimizer: {{choice: [adam, sgd]}}
  momentum: {{float: [0.0, 0.9], when: {{optimizer: [sgd]}}}}
strategy: freeze_thaw
budget: {{trials: 2}}
"""
TRIED: list[dict[str, Any]] = [
    {"lr": 0.001, "optimizer": "adam"},
    {"lr": 0.005, "optimizer": "sgd", "momentum": 0.9},
]


@pytest.fixture(autouse=True)
def subnormal_floats() -> Iterator[None]:
    """Training flushes them to zero for the whole process; other tests write and read them."""
    yield
    torch.set_flush_denormal(False)


class InTurns:
    """Two configurations, an epoch at a time each, as far as they are to go."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def next(self, runs: Sequence[Run], timely: int | None = None) -> Step | None:
        if len(runs) < len(TRIED):
            return Step(None, TRIED[len(runs)], 1, "new")
        paused = [r for r in runs if r.state == "paused" and len(r.scores) < self.epochs]
        if not paused:
            return None
        run = min(paused, key=lambda r: len(r.scores))
        return Step(run.number, dict(run.params), len(run.scores) + 1, "its turn")

    def explain(self, runs: Sequence[Run], number: int) -> str:
        return "it takes turns"


class Alone(FixedTrial):
    """Outside of any study; keeps what is reported."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.reported: list[float] = []

    def report(self, value: float, step: int) -> None:
        self.reported.append(value)


@pytest.fixture(autouse=True)
def digits(database: str, own_signals: None) -> None:
    """The study of these tests."""
    pausing.write(file=STUDY)


@pytest.mark.soak
def test_a_trial_that_paused_four_times_equals_one_that_never_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the last bit: every report, the score, and what is in its files."""
    monkeypatch.setattr(strategies.FreezeThaw, "build", lambda *_: InTurns(9))
    made = work()
    assert states(made) == ["COMPLETE"] * 2
    for trial in made.trials:
        alone = Alone(trial.params)
        seed = trial.user_attrs["seed"]
        value = cnn.objective(alone, seed=seed, device="cpu", threads=1, **SETTINGS)
        assert curve(trial) == alone.reported
        assert trial.value == value
        assert trial.user_attrs[chains.RESUMED] == 4
        assert trial.user_attrs["stop_epoch"] == 4
        assert len(trial.user_attrs["history"]["loss"]) == 5


@pytest.mark.soak
def test_a_torn_checkpoint_costs_its_epochs_and_no_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before it serves; without one the trial begins anew, and says so."""
    monkeypatch.setattr(strategies.FreezeThaw, "build", lambda *_: InTurns(2))
    with monkeypatch.context() as patched:
        patched.setattr("search.record.pauses.settle", lambda *_: True)
        made = work()
    assert states(made) == ["PAUSED"] * 2
    folder = study.folder(made, "work")
    for chain, names in ((0, ["checkpoint.pt"]), (1, ["checkpoint.pt", "checkpoint.old.pt"])):
        for name in names:
            file = folder / str(chain) / name
            assert file.is_file()
            file.write_bytes(file.read_bytes()[:-100])
    monkeypatch.setattr(strategies.FreezeThaw, "build", lambda *_: InTurns(9))
    made = work()
    first, second = made.trials
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.COMPLETE)
    assert chains.ANEW not in first.user_attrs
    assert second.user_attrs[chains.ANEW].startswith("the checkpoint of 2 epochs is not in")
    for trial in (first, second):
        alone = Alone(trial.params)
        seed = trial.user_attrs["seed"]
        cnn.objective(alone, seed=seed, device="cpu", threads=1, **SETTINGS)
        assert curve(trial) == alone.reported
    assert checkpoint.CHECKPOINT == "checkpoint.pt"
