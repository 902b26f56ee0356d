"""search/news/track.py: a run a trial in other tools, read back with their own readers."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.news import ledger, line, track, trackers
from search.news.trackers import Run
from search.record.listener import Listener
from tests.search import made
from tests.search.conftest import Command

Cli = Callable[..., Any]
RUN = ("run", "--study", "./mine.yaml", "--workers", 1, "--no-confirm")
SCORES = {"sgd": 0.5, "adam": 0.9}


@pytest.fixture
def study(database: str) -> optuna.Study:
    """A study in which nothing has begun."""
    study, _ = made.opened(question="Which optimizer?", by="optimizer", budget={"trials": 20})
    return study


class Kept:
    """A tracker that writes down what it is told."""

    place = "a list"

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def is_empty(self) -> bool:
        return False

    def begin(self, run: Run) -> None:
        self.told.append(("begin", run.name, dict(run.params)))

    def point(self, run: Run, epoch: int, values: Mapping[str, float]) -> None:
        self.told.append(("point", run.name, epoch, dict(values)))

    def end(self, run: Run, outcome: Mapping[str, Any], files: Sequence[Path]) -> None:
        self.told.append(("end", run.name, dict(outcome), [file.name for file in files]))

    def close(self) -> None: ...


class Heard(Listener):
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, study: str, message: str) -> None:
        self.warned.append(message)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """In the place of TensorBoard."""
    found = Kept()
    monkeypatch.setitem(trackers.TRACKERS, "tensorboard", lambda *_: found)
    return found


def told(study: optuna.Study, do: Callable[[Listener], None], *names: str) -> list[str]:
    """What is warned of while something is told."""
    heard = Heard()
    with track.tracking(study, names or ("tensorboard",), Path("runs"), heard) as listener:
        do(listener)
    return heard.warned


def test_a_trial_is_told_epoch_by_epoch_and_once(study: optuna.Study, kept: Kept) -> None:
    """The score as soon as it is reported, the rest of the history when it is written."""
    asked = made.study.stored_spec(study)
    assert asked is not None
    params = {"optimizer": "adam", "lr": 0.1, "batch_size": 16}

    def do(listener: Listener) -> None:
        def look() -> None:
            listener.saw("mine", study.get_trials(deepcopy=False))

        trial = made.ask(study, asked, params)
        trial.report(0.1, 0)
        look()
        trial.report(0.2, 1)
        look()
        look()
        trial.set_user_attr("history", {"loss": [2.0, 1.0], "val_accuracy": [0.1, 0.2]})
        trial.set_user_attr("reason", "all_epochs")
        study.tell(trial, 0.2)
        look()
        look()

    assert told(study, do) == []
    assert kept.told == [
        ("begin", "trial-0", params),
        ("point", "trial-0", 0, {"val_accuracy": 0.1}),
        ("point", "trial-0", 1, {"val_accuracy": 0.2}),
        ("point", "trial-0", 0, {"loss": 2.0}),
        ("point", "trial-0", 1, {"loss": 1.0}),
        ("end", "trial-0", {"state": "complete", "reason": "all_epochs", "score": 0.2}, []),
    ]


def test_a_run_begins_with_all_of_its_parameters(study: optuna.Study, kept: Kept) -> None:
    """An objective draws them one by one; what it draws later stands with the outcome. A pruned
    trial has no score beside the complete ones."""
    pruned = optuna.trial.TrialState.PRUNED

    def do(listener: Listener) -> None:
        trial = study.ask()
        for name in ("lr", "dropout"):
            trial.suggest_float(name, 0, 1)
            listener.saw("mine", study.get_trials(deepcopy=False))
        trial.report(0.1, 0)
        listener.saw("mine", study.get_trials(deepcopy=False))
        trial.suggest_categorical("late", ["yes"])
        study.tell(trial, state=pruned)
        listener.saw("mine", study.get_trials(deepcopy=False))

    told(study, do)
    begun, _, end = kept.told
    assert begun[2].keys() == {"lr", "dropout"}
    assert end[2] == {"state": "pruned", "reason": None, "late": "yes"}


def test_a_retry_goes_on_in_the_run_of_its_chain(study: optuna.Study, kept: Kept) -> None:
    """What it repeats is not told again, and its run ends with the chain."""
    asked = made.study.stored_spec(study)
    assert asked is not None

    def do(listener: Listener) -> None:
        trial = made.ask(study, asked, {"optimizer": "adam", "lr": 0.1, "batch_size": 16})
        trial.report(0.1, 0)
        trial.set_user_attr("reason", "preempted")
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        listener.saw("mine", study.get_trials(deepcopy=False))
        track.chains.mend(study, 3)
        again = study.ask()
        again.report(0.1, 0)
        again.report(0.2, 1)
        study.tell(again, 0.2)
        listener.saw("mine", study.get_trials(deepcopy=False))

    told(study, do)
    assert [one[:3] for one in kept.told if one[0] == "point"] == [
        ("point", "trial-0", 0),
        ("point", "trial-0", 1),
    ]
    assert [one[1] for one in kept.told if one[0] != "point"] == ["trial-0", "trial-0"]


PARAMS = {"optimizer": "adam", "lr": 0.1, "batch_size": 16}


def nothing(listener: Listener) -> None: ...


def names(kept: Kept, what: str = "end") -> list[str]:
    return [one[1] for one in kept.told if one[0] == what]


def test_what_ended_before_it_was_asked_for_is_told_whole_and_once(
    study: optuna.Study, kept: Kept
) -> None:
    """Of the search and of its confirming: a point an epoch, the outcome, the reason. A command
    that is repeated adds what has ended since."""
    asked = made.study.stored_spec(study)
    assert asked is not None
    made.search(study, asked, [(PARAMS | {"optimizer": o}, s) for o, s in SCORES.items()])
    made.confirm_best(study, asked, made.noisy(SCORES))
    told(study, nothing)
    assert kept.told[0] == ("begin", "trial-0", PARAMS | {"optimizer": "sgd"})
    points = [one for one in kept.told if one[:2] == ("point", "trial-0")]
    assert [one[2] for one in points] == [0, 1, 2, 3]
    assert points[-1][3]["val_accuracy"] == 0.5
    ends = {one[1]: one[2] for one in kept.told if one[0] == "end"}
    assert ends["trial-1"] == {"state": "complete", "reason": "all_epochs", "score": 0.9}
    runs = [name for name in ends if name.startswith("confirm-")]
    assert len(ends) == 2 + len(runs)
    assert runs
    before = len(kept.told)
    told(study, nothing)
    assert len(kept.told) == before
    made.search(study, asked, [(PARAMS, 0.7)])
    told(study, nothing)
    assert {one[1] for one in kept.told[before:]} == {"trial-2"}


def test_of_two_commands_at_work_one_tells_a_trial(study: optuna.Study, kept: Kept) -> None:
    """Whichever came first; the other goes on with what that has left when it ends."""
    asked = made.study.stored_spec(study)
    assert asked is not None
    made.search(study, asked, [(PARAMS, 0.7)])
    trial = made.ask(study, asked, PARAMS)
    trial.report(0.1, 0)
    first, second = (track.Tracking(study, ["tensorboard"], Path(), Heard()) for _ in range(2))
    second.saw("mine", study.get_trials(deepcopy=False))
    first.close()
    assert names(kept, "begin") == ["trial-0", "trial-1"]
    study.tell(trial, 0.1)
    second.saw("mine", study.get_trials(deepcopy=False))
    second.close()
    assert names(kept) == ["trial-0", "trial-1"]


def test_what_a_tracker_did_not_take_is_told_by_the_next_command(
    study: optuna.Study, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed, or its process died; a store that is gone is filled again."""
    asked = made.study.stored_spec(study)
    assert asked is not None
    made.search(study, asked, [(PARAMS, 0.7)])

    def fails(*_: object) -> None:
        raise ConnectionError("no route")

    with monkeypatch.context() as patched:
        patched.setattr(kept, "end", fails)
        assert len(told(study, nothing)) == 1
    dies = ledger.Ledger(study, f"tensorboard {kept.place}", is_empty=False)
    assert dies.take([("mine", 0)]) == {("mine", 0)}
    told(study, nothing)
    assert names(kept) == []  # as another command is at it
    monkeypatch.setattr(ledger.provenance, "is_gone", lambda _: True)
    told(study, nothing)
    told(study, nothing)
    assert names(kept) == ["trial-0"]
    monkeypatch.setattr(kept, "is_empty", lambda: True)
    told(study, nothing)
    assert names(kept) == ["trial-0", "trial-0"]


def test_a_trial_that_is_given_up_is_over(study: optuna.Study, kept: Kept) -> None:
    """After its retries; before, while it waits for one, nothing is told of it."""
    asked = made.study.stored_spec(study)
    assert asked is not None
    for _ in range(asked.budget.retries + 1):
        told(study, nothing)
        assert kept.told == []
        trial = study.ask()
        trial.report(0.1, 0)
        trial.set_user_attr("reason", "crashed")
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        track.chains.mend(study, asked.budget.retries)
    told(study, nothing)
    told(study, nothing)
    assert names(kept) == ["trial-0"]


def test_numbers_are_packed_in_runs() -> None:
    """Thousands of trials are a few characters."""
    assert ledger.packed([7, 0, 1, 3, 2]) == "0-3,7"
    assert ledger.unpacked("0-3,7") == {0, 1, 2, 3, 7}
    assert ledger.unpacked(ledger.packed([])) == set()


@pytest.mark.soak
def test_the_confirmed_answer_is_a_run_with_its_files(study: optuna.Study, kept: Kept) -> None:
    """Means with their intervals; best.yaml and the report."""
    asked = made.study.stored_spec(study)
    assert asked is not None
    tried = [({"optimizer": o, "lr": 0.1, "batch_size": 16}, s) for o, s in SCORES.items()]
    made.search(study, asked, tried)
    made.confirm_best(study, asked, made.noisy(SCORES))
    Path("best.yaml").write_text("study: mine\n")
    told(study, lambda listener: listener.answered(study, Path("best.yaml")))
    begun, point, end = (one for one in kept.told if one[1] == "answer")
    assert begun[1:] == ("answer", {"optimizer": "adam", "lr": 0.1, "batch_size": 16})
    assert {"val_accuracy_mean", "val_accuracy_low", "val_accuracy_high"} <= point[3].keys()
    score = point[3]["val_accuracy_mean"]
    told_of = {"trial": 1, "confirmed": True, "score": score}
    assert end[2:] == (told_of, ["best.yaml", "report.html"])
    told(study, lambda listener: listener.answered(study, Path("best.yaml")))
    assert names(kept).count("answer") == 1
    made.search(study, asked, [(PARAMS, 0.1)])
    told(study, lambda listener: listener.answered(study, Path("best.yaml")))
    assert names(kept).count("answer") == 2


def test_a_tracker_that_fails_or_hangs_is_a_line_once(
    study: optuna.Study, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are told all the same, and the run waits for none."""
    asked = made.study.stored_spec(study)
    assert asked is not None

    class Fails(Kept):
        def begin(self, run: Run) -> None:
            raise ConnectionError("no\nroute")

    class Hangs(Kept):
        def begin(self, run: Run) -> None:
            threading.Event().wait()

    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda *_: Fails())
    monkeypatch.setitem(trackers.TRACKERS, "wandb", lambda *_: Hangs())
    monkeypatch.setattr(line, "CLOSE_S", 0.5)
    tried = [({"optimizer": o, "lr": 0.1, "batch_size": 16}, s) for o, s in SCORES.items()]

    def do(listener: Listener) -> None:
        made.search(study, asked, tried)
        listener.saw("mine", study.get_trials(deepcopy=False))

    lines = told(study, do, "tensorboard", "mlflow", "wandb")
    assert len(lines) == 2
    assert "track: mlflow failed (ConnectionError: no route)" in lines[0]
    assert "track: wandb has not taken all within" in lines[1]
    assert [one[1] for one in kept.told if one[0] == "end"] == ["trial-0", "trial-1"]


# The trackers themselves


def test_a_package_that_is_missing_is_told_before_anything_runs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what installs it; a name that is none with those that there are."""
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda _: None)
    answer = cli(*RUN, "--track", "tensorboard")
    assert (answer.code, answer.err.count("\n")) == (3, 1)
    assert "track[0]: tensorboard is not installed here; pip install" in answer.err
    assert cli(*RUN, "--track", "tensorbord").code == 3
    assert not Path("runs/optsearch.db").exists()


@pytest.mark.soak
def test_tensorboard_reads_what_a_run_has_left(cli: Cli, folder: Path) -> None:
    """A run a trial below the study: parameters, a point an epoch, the outcome, the answer. A later
    command of the same study adds its own."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    answer = cli(*RUN, "--track", "tensorboard")
    assert (answer.code, answer.err) == (0, "")
    assert cli(*RUN, "--track", "tensorboard", "--trials", 5).code == 0
    (place,) = Path("runs/tensorboard").iterdir()
    assert place.name.startswith("mine-")
    read = EventMultiplexer().AddRunsFromDirectory(str(place)).Reload()
    runs = read.Runs()
    assert sorted(runs) == ["answer", *(f"trial-{i}" for i in range(5))]
    assert [e.step for e in read.Scalars("trial-0", "value")] == [0, 1, 2]
    assert "_hparams_/session_start_info" in runs["trial-4"]["tensors"]
    (outcome,) = read.Tensors("trial-0", "outcome")
    assert b"state: complete" in outcome.tensor_proto.string_val[0]
    assert b"study: mine" in read.Tensors("answer", "best.yaml")[-1].tensor_proto.string_val[0]


@pytest.mark.soak
def test_mlflow_reads_what_a_run_has_left(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a store of its own below runs/, or where MLflow is told."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    answer = cli(*RUN, "--track", "mlflow")
    assert (answer.code, answer.err) == (0, "")
    client = mlflow.MlflowClient(f"sqlite:///{folder}/runs/mlflow.db")
    experiment = client.get_experiment_by_name("mine")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["answer", *(f"trial-{i}" for i in range(4))]
    first = runs["trial-0"]
    assert first.info.status == "FINISHED"
    assert float(first.data.params["x"]) == pytest.approx(stored(0).params["x"])
    points = client.get_metric_history(first.info.run_id, "value")
    assert [p.step for p in points] == [0, 1, 2]
    files = {one.path for one in client.list_artifacts(runs["answer"].info.run_id)}
    assert files == {"best.yaml", "report.html"}


@pytest.mark.soak
def test_wandb_offline_keeps_a_run_a_trial(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in a folder that `wandb sync` takes; no forked worker hangs on its service."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    answer = cli(*RUN, "--track", "wandb")
    assert answer.code == 0
    assert "track: wandb" not in answer.err
    kept = sorted(Path("runs/wandb").glob("offline-run-*/run-*.wandb"))
    assert len(kept) == 5
    assert all(file.stat().st_size > 500 for file in kept)


INSIDE = {
    "tensorboard": """
        from torch.utils.tensorboard import SummaryWriter

        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            with SummaryWriter(f"own/{trial.number}") as writer:
                for epoch in range(3):
                    writer.add_scalar("value", x * epoch, epoch)
                    trial.report(x * epoch, epoch)
            return x
    """,
    "mlflow": """
        import os
        import mlflow

        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            mlflow.set_tracking_uri("sqlite:///own.db")
            with mlflow.start_run(run_name=str(trial.number)):
                for epoch in range(3):
                    mlflow.log_metric("value", x * epoch, step=epoch)
                    trial.report(x * epoch, epoch)
            os.makedirs(f"own/{trial.number}")
            return x
    """,
    "wandb": """
        import os
        import wandb

        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            os.makedirs(f"own/{trial.number}")
            with wandb.init(project="own", mode="offline", dir=f"own/{trial.number}") as run:
                for epoch in range(3):
                    run.log({"value": x * epoch})
                    trial.report(x * epoch, epoch)
            return x
    """,
}


@pytest.mark.soak
@pytest.mark.parametrize("tool", INSIDE)
def test_an_objective_may_call_such_a_tool_itself(
    tool: str, command: Callable[..., Command], write: Callable[[str, str], Path], database: str
) -> None:
    """In workers, which a fork server has made: none hangs on the tool's threads or its service,
    and each trial's own run is whole."""
    found = pytest.importorskip(tool)
    if tool == "mlflow":  # two processes at once cannot make its store
        found.MlflowClient("sqlite:///own.db").search_experiments()
    write("own.py", INSIDE[tool])
    write("own.yaml", "objective: ./own.py:objective\nbudget: {trials: 4}\n")
    run = ("run", "--study", "./own.yaml", "--workers", 2, "--storage", database)
    answer = command(*run, "--no-confirm").end(timeout_s=300)
    assert answer.code == 0, answer.err
    study = optuna.load_study(study_name="own", storage=database)
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 4
    assert sorted(one.name for one in Path("own").iterdir()) == list("0123")


def stored(number: int) -> optuna.trial.FrozenTrial:
    study = optuna.load_study(study_name="mine", storage="sqlite:///runs/optsearch.db")
    return study.trials[number]
