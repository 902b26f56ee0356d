"""trial_study.py: what an objective finds as `trial.study` and `trial.number`."""

import functools
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.answers import confirm
from search.record import budget, ended, queueing, spent, study
from search.studyfile import reading
from search.studyfile.spec import Baseline, Confirm, StudySpec
from search.workers import requests, trial_study, worker

Write = Callable[[str, str], Path]
URL = "sqlite:///a.db"


@pytest.fixture(autouse=True)
def told_anew(database: str, own_signals: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line, in each test."""
    monkeypatch.setattr(trial_study, "_told", set())


@pytest.fixture
def objective(write: Write) -> Callable[[str], None]:
    """Write an objective of these lines; its score is `x`."""

    def of(lines: str) -> None:
        body = "".join(f"    {line}\n" for line in lines.splitlines())
        write(
            "mine.py",
            "import optuna\ndef objective(trial, seed, epochs=8, workdir=None):\n"
            f"    x = trial.params['x']\n{body}    return x\n",
        )

    return of


def opened(*overrides: str) -> tuple[optuna.Study, StudySpec]:
    return study.open_study(reading.load("./mine.yaml", list(overrides)).spec, URL, {})


def work(*overrides: str) -> optuna.Study:
    made, pinned = opened(*overrides)
    worker.work(pinned, URL, device="cpu", workdir="work")
    return made


def states(made: optuna.Study) -> list[str]:
    return [t.state.name for t in made.trials]


STOPS = "if trial.number == 1:\n    trial.study.stop()"


def test_stop_ends_the_search_and_keeps_the_trial(
    objective: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """No further trial begins, as under `study.optimize`; the same command again finds it so."""
    objective(STOPS)
    made = work("budget.trials=5")
    assert states(made) == ["COMPLETE"] * 2
    assert "trial.study.stop ends the search" in caplog.text
    again = work("budget.trials=5")
    assert states(again) == ["COMPLETE"] * 2
    _, pinned = opened("budget.trials=5")
    limits = study.limits(made, pinned)
    assert not budget.has_work(made.trials, limits, budget.settled(made, limits))
    assert spent.used_up(made, limits).startswith("trial 1 has ended the search (trial.study.stop")


def test_another_budget_opens_the_search_again(objective: Callable[[str], None]) -> None:
    """And so does a person who queues a trial."""
    objective(STOPS)
    work("budget.trials=5")
    made = work("budget.trials=4")
    assert states(made) == ["COMPLETE"] * 4
    ended.end(made, 3)
    queueing.add(made, {"x": 1.5}, None)
    assert ended.by(made) is None


def test_what_another_worker_began_goes_on_after_a_stop(objective: Callable[[str], None]) -> None:
    """A retry of a trial that ran is no further trial."""
    objective("")
    made, pinned = opened("budget.trials=5")
    claimed = budget.claim(made, study.limits(made, pinned))
    assert claimed is not None
    made._storage.set_trial_user_attr(claimed, "reason", "preempted")
    made.tell(0, state=TrialState.FAIL)
    worker.chains.mend(made, 3)
    ended.end(made, 0)
    worker.work(pinned, URL, device="cpu", workdir="work")
    assert states(made) == ["FAIL", "COMPLETE"]


@pytest.mark.soak
def test_a_stop_ends_what_is_paused(objective: Callable[[str], None]) -> None:
    """Where epochs are granted step by step, nobody would ever go on with it."""
    objective(
        "for epoch in range(8):\n    trial.report(-abs(x), epoch)\n"
        "    if trial.number == 3:\n        trial.study.stop()"
    )
    made = work("budget.epochs=60", "settings.epochs=8", "strategy=freeze_thaw")
    assert len(made.trials) == 4
    assert all(t.state.is_finished() for t in made.trials)


def test_the_study_can_be_read_as_it_is_now(objective: Callable[[str], None]) -> None:
    """The best so far, the trials, the trial itself with its parameters, and attributes."""
    objective(
        "study = trial.study\n"
        "if trial.number:\n"
        "    assert study.best_value == max(t.value for t in study.trials if t.value is not None)\n"
        "    assert study.best_trial.params['x'] == study.best_value\n"
        "    assert study.user_attrs['data'] == {'best': [1, 2]}\n"
        "assert study.trials[trial.number].params == {'x': x}\n"
        "assert len(study.trials_dataframe()) == trial.number + 1\n"
        "study.set_user_attr('data', {'best': (1, 2)})\n"
        "study.set_user_attr('mine', study.study_name)"
    )
    made = work("budget.trials=3", "direction=maximize")
    assert states(made) == ["COMPLETE"] * 3
    assert made.user_attrs["data"] == {}  # ours
    assert made.user_attrs["objective:data"] == {"best": [1, 2]}
    assert made.user_attrs["mine"] == "mine"


def test_what_would_change_the_search_costs_no_score(
    objective: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """`enqueue_trial` queues what the space has; the rest is told in a line each."""
    objective(
        "study = trial.study\n"
        "if trial.number == 0:\n"
        "    study.enqueue_trial({'x': 1.25}, user_attrs={'seed': 'mine'})\n"
        "    study.enqueue_trial({'y': 1.25})\n"
        "    study.add_trial(optuna.trial.create_trial(value=1.0))\n"
        "    own = study.ask()\n"
        "    study.tell(own, own.suggest_float('x', -10, 10))\n"
        "    study.tell(trial, 3.0)"
    )
    made = work("budget.trials=2")
    assert states(made) == ["COMPLETE"] * 2
    assert made.trials[1].params == {"x": 1.25}
    assert made.trials[1].user_attrs["objective:seed"] == "mine"
    lines = [record.getMessage() for record in caplog.records]
    for words in (
        "trial.study.enqueue_trial queues nothing: ",
        "trial.study.add_trial adds nothing: ",
        "trial.study.ask gives a trial that is not kept",
        "trial.study.tell changes nothing of trial 0",
    ):
        assert sum(line.startswith(words) for line in lines) == 1


def test_a_confirming_run_sees_the_search_and_a_number_of_its_own(
    objective: Callable[[str], None], folder: Path
) -> None:
    """So that `model-{trial.number}.pt` of the search is not overwritten, and `best_value` is."""
    objective(
        "open(f'model-{trial.number}.pt', 'x').close()\n"
        "if trial.number > 1:\n    assert trial.study.best_value == trial.study.best_trial.value\n"
        "if trial.number > 100:\n    trial.study.stop()\n"
        "trial.set_user_attr('number', trial.number)"
    )
    made, pinned = opened("budget.trials=3")
    worker.work(pinned, URL, device="cpu", workdir="work")
    plan = Confirm(top=2, seeds=2)
    runs = confirm.begin(made, pinned, plan)
    assert runs is not None
    confirm.advance(runs, made, 1)
    worker.work(confirm.spec_of_runs(pinned), URL, device="cpu", workdir="work")
    assert set(states(runs)) == {"COMPLETE"}
    assert [t.user_attrs["number"] for t in runs.trials] == [
        1_000_000 + i for i in range(len(runs.trials))
    ]
    assert [t.user_attrs["number"] for t in made.trials] == [0, 1, 2]
    assert ended.by(made) is None is ended.by(runs)


def test_a_rehearsal_and_a_replay_have_numbers_of_their_own(
    objective: Callable[[str], None], folder: Path
) -> None:
    """That of the trial that is trained again; else the same again for the same training;
    `trial.study` is there, and nothing is in it."""
    objective(
        "trial.study.stop()\n"
        "assert trial.study.direction.name == 'MAXIMIZE'\n"
        "assert not [t for t in trial.study.trials if t.value is not None]\n"
        "trial.study.enqueue_trial({'x': 1.0})\n"
        "trial.set_user_attr('number', trial.number)"
    )
    spec = reading.load("./mine.yaml", ["direction=maximize"]).spec
    measured = requests.rehearse(spec, device="cpu", threads=1)
    assert measured["is_whole"]
    only: dict[str, Any] = {"name": "replay", "params": {"x": 1.0}}
    alone = spec.model_copy(update={"space": {}, "configurations": [Baseline(**only)]})
    heard, tell = multiprocessing.Pipe(duplex=False)
    offered: dict[str, Any] = {"tell": tell, "device": "cpu", "threads": 1, "workdir": "w"}
    assert requests.replay(alone, 12, seed=1, **offered)["attrs"]["number"] == 12
    replay = functools.partial(requests.replay, alone, None, **offered)
    first, again, other = (replay(seed=s)["attrs"]["number"] for s in (1, 1, 2))
    assert first == again != other
    assert {first // 1_000_000, other // 1_000_000} == {2}
    heard.close()
