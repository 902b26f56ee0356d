"""choices.py: whatever an objective may offer as a choice, on a worker and in a replay."""

from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from search.answers import report
from search.cli import summary
from search.record import results, study
from search.studyfile import reading
from search.studyfile.spec import Baseline, StudySpec
from search.workers import requests, worker
from search.workers.choices import AnyChoice

Write = Callable[[str, str], Path]
URL = "sqlite:///a.db"
MINE = """
    def objective(trial):
        layers = trial.suggest_categorical("layers", {choices})
        assert type(layers) is {kind}
        return len(layers) + trial.suggest_float("x", 0, 1)
"""


@pytest.mark.soak
@pytest.mark.usefixtures("database", "own_signals")
@pytest.mark.parametrize("kind", ["list", "tuple", "dict"])
def test_choices_come_back_as_they_were_offered(database: str, write: Write, kind: str) -> None:
    """Two workers one after the other: the second reads what the first has written; each command
    tells of it, and a replay gives the objective the same."""
    choices = {"list": "[[32, 64], [1]]", "tuple": "[(32, 64), (1,)]", "dict": "[{'a': 1}, {}]"}
    write("mine.py", MINE.format(choices=choices[kind], kind=kind))
    write("mine.yaml", "objective: ./mine.py:objective\nbudget: {trials: 8}\n")
    asked = reading.load("./mine.yaml", ["budget.trials=8"]).spec
    opened, pinned = study.open_study(asked, URL, {})
    for _ in range(2):
        worker.work(pinned, URL, device="cpu", workdir="work")
    assert results.counts(opened.trials)["complete"] == 8
    best = results.ranking(opened)[0]
    assert best.params["layers"] == ({"a": 1} if kind == "dict" else [32, 64])
    assert "layers" in report.html(opened, {})
    assert "layers" in results.as_csv(results.rows(opened))
    summary.print_answer(opened, pinned)
    again = StudySpec(
        name="replay",
        objective=pinned.objective,
        folder=pinned.folder,
        configurations=[Baseline(name="replay", params=best.params)],
    )
    told = requests.replay(again, None, Pipe()[1], seed=0, threads=1)
    assert told["value"] == best.value


def test_choices_of_numpy_come_back_as_they_were_offered() -> None:
    """Numbers and arrays, in lists, too; what is kept is plain."""

    class Trial(AnyChoice, optuna.Trial):
        pass

    study = optuna.create_study()
    trial = Trial(study, study.ask()._trial_id)
    for name, offered in {"n": np.int64(3), "list": [np.float32(0.5)], "a": np.arange(2)}.items():
        assert trial.suggest_categorical(name, [offered]) is offered
    assert trial.params == {"n": 3, "list": [0.5], "a": [0, 1]}
    assert type(trial.params["n"]) is int


def test_a_choice_that_no_database_can_hold_is_told_in_one_sentence() -> None:
    """With what a choice may be, and what to offer in its place."""

    class Trial(AnyChoice, optuna.trial.FixedTrial):
        pass

    with pytest.raises(ValueError, match=r"'act': a choice is a text, .* got <class 'int'>; offer"):
        Trial({}).suggest_categorical("act", ["relu", int])


@pytest.mark.parametrize("stored", [[1], {"lr": 1}, {"lr": ["a"]}, {"lr": [1.0], "loss": []}])
def test_a_history_of_another_shape_is_none(stored: Any) -> None:
    """Figures and tables go through its columns, an item an epoch."""
    assert not results.is_history(stored)
    assert results.is_history({"lr": [0.1, 1], "loss": [float("nan"), 2.0]})
