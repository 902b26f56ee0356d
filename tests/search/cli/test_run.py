"""`optsearch run`, end to end: from a study file to an answer, with objectives as they are."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.search.cli.places import DATABASE, RUN, stored, studies_in

Write = Callable[[str, str], Path]
Cli = Callable[..., Any]


def test_a_run_ends_with_the_best_trials_a_file_and_the_next_commands(cli: Cli) -> None:
    """A table, the path of best.yaml, and what to type next."""
    answer = cli(*RUN)
    assert (answer.code, answer.err) == (0, "")
    assert "Where is the top of the parabola?" in answer.out
    assert "4 trials: " in answer.out
    assert "best configuration: best.yaml" in answer.out
    for command in (
        "dashboard",
        "show --study mine",
        "run --study ./mine.yaml --workers 1 --trials 8",
    ):
        assert f"optsearch {command}" in answer.out
    best = max(t.value for t in stored().trials if t.state.name == "COMPLETE")
    assert yaml.safe_load(Path("best.yaml").read_text())["score"]["value"] == best


@pytest.mark.soak
def test_a_budget_of_epochs_that_is_used_up_is_doubled_in_the_next_command(cli: Cli) -> None:
    """The same command would do nothing."""
    answer = cli(*RUN, "--set", "budget={epochs: 20}", "--set", "settings.epochs=5")
    assert answer.code == 0, answer.err
    assert "--set budget.epochs=40" in answer.out.splitlines()[-1]


@pytest.mark.soak
def test_where_trials_and_epochs_are_used_up_the_next_command_has_more_of_both(cli: Cli) -> None:
    """And it trains, as it was printed."""
    budget = ("--set", "budget={epochs: 20, trials: 4}", "--set", "settings.epochs=5")
    answer = cli(*RUN, *budget)
    assert answer.code == 0, answer.err
    again = shlex.split(answer.out.splitlines()[-1], comments=True)
    assert again[-4:] == ["--set", "budget.epochs=40", "--trials", "8"]
    used = cli(*again[1:-4])
    assert "--trials N with --set budget.epochs=N goes on" in used.out + used.err
    assert cli(*again[1:]).code == 0
    assert len(stored().trials) > 4


@pytest.mark.soak
def test_the_same_command_resumes_and_trials_means_in_all(cli: Cli) -> None:
    """4, then 4 again, then 7 in all."""
    for arguments, count in (((), 4), ((), 4), (("--trials", 7), 7)):
        assert cli(*RUN, *arguments).code == 0
        assert len(stored().trials) == count


@pytest.mark.soak
def test_many_workers_run_exactly_the_budget(cli: Cli) -> None:
    """Each is a process of its own."""
    assert cli("run", "--study", "./mine.yaml", "--trials", 9, "--workers", 3).code == 0
    assert len(stored().trials) == 9


@pytest.mark.soak
def test_a_run_without_a_terminal_prints_a_line_per_trial(cli: Cli) -> None:
    """Number, state, value, epochs, reason, parameters; no control characters."""
    out = cli(*RUN).out
    lines = [line for line in out.splitlines() if " ep " in line]
    assert [int(line.split()[0]) for line in lines] == [0, 1, 2, 3]
    assert "x=" in lines[0]
    assert "\x1b" not in out


@pytest.mark.soak
def test_the_options_of_a_run_reach_it(cli: Cli) -> None:
    """--set, --name, --storage, --out, --workdir."""
    answer = cli(
        *(*RUN, "--set", "settings.epochs=1", "--name", "other"),
        *("--storage", "sqlite:///deep/other.db", "--out", "deep/top.yaml", "--trials", 2),
        *("--workdir", "elsewhere"),
    )
    assert answer.code == 0
    assert studies_in(Path("deep/other.db")) == ["other"]
    assert not DATABASE.exists()
    read = yaml.safe_load(Path("deep/top.yaml").read_text())
    assert (read["study"], read["config"]) == ("other", {"epochs": 1})


@pytest.mark.soak
def test_the_storage_may_come_from_the_environment(
    cli: Cli, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPTSEARCH_STORAGE, here a PostgreSQL server: run, show, export, delete."""
    monkeypatch.setenv("OPTSEARCH_STORAGE", postgresql)
    assert cli(*RUN, "--name", "on-a-server").code == 0
    assert cli("show", "--study", "on-a-server", "--json").json["trials"]["complete"] > 0
    assert "on-a-server" in cli("list").out
    assert cli("export", "--study", "on-a-server", "--out", "a.yaml").code == 0
    assert cli("delete", "--study", "on-a-server", "--yes").code == 0
    assert "on-a-server" not in cli("list").out
    assert not DATABASE.exists()


@pytest.mark.soak
def test_a_time_limit_ends_a_study_that_has_no_other(cli: Cli, write: Write) -> None:
    """At the end of the running epoch; what was found is the answer. On a busy machine a worker
    takes seconds to start."""
    write("mine.yaml", "objective: ./mine.py:objective\n")
    write(
        "mine.py",
        """
        import time
        def objective(trial):
            for epoch in range(4):
                time.sleep(0.02)
                trial.report(epoch, epoch)
            return trial.suggest_float("x", 0, 1)
        """,
    )
    answer = cli(*RUN, "--timeout", "30s")
    assert answer.code == 0
    assert "the time is used up" in answer.out
    assert "best configuration: best.yaml" in answer.out
    assert len(stored().trials) > 1


def test_a_dry_run_trains_one_epoch_and_leaves_nothing(cli: Cli, write: Write) -> None:
    """Time per trial, hours in all, memory; no database and no file."""
    write(
        "mine.py",
        """
        def objective(trial, workdir, epochs=100):
            for epoch in range(epochs):
                open("epochs", "a").write("x")
                trial.set_user_attr("history", {"seconds": [2.0] * (epoch + 1)})
                trial.report(0.1, epoch)
            return 1.0
        """,
    )
    answer = cli(*RUN, "--set", "settings.epochs=100", "--dry-run")
    assert answer.code == 0
    assert len(Path("epochs").read_text()) <= 2
    for words in ("one epoch", "one trial", "4 trials", "memory", "GiB"):
        assert words in answer.out
    assert not DATABASE.exists()
    assert not Path("best.yaml").exists()


@pytest.mark.soak
@pytest.mark.usefixtures("one_core")
def test_the_digits_study_trains_networks(cli: Cli) -> None:
    """The real thing, two trials of one epoch: curves, best epoch, device, fingerprint."""
    setting = ("--set", "settings.epochs=1", "--device", "cpu", "--workers", 1)
    answer = cli("run", "--study", "digits", "--trials", 2, *setting)
    assert answer.code == 0, answer.err
    assert "2 trials are fewer than the 6 values of optimizer" in answer.out + answer.err
    first = stored("digits").trials[0]
    assert first.user_attrs["configuration"] == "keras-defaults"
    assert set(first.user_attrs["history"]) >= {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert {"best_epoch", "stop_epoch", "reason", "seed", "device"} <= first.user_attrs.keys()
    assert first.value == pytest.approx(max(first.user_attrs["history"]["val_accuracy"]), abs=1e-5)
    read = yaml.safe_load(Path("best.yaml").read_text())
    assert read["data"]["fingerprint"].startswith("sha256:")
    assert read["config"]["optimizer"]
    assert read["config"]["epochs"] == 1


TUTORIAL = {
    "first": """
        import optuna
        def objective(trial):
            x = trial.suggest_float("x", -10, 10)
            return (x - 2) ** 2
    """,
    "pythonic search space": """
        def objective(trial):
            classifier = trial.suggest_categorical("classifier", ["SVC", "RandomForest"])
            if classifier == "SVC":
                return trial.suggest_float("svc_c", 1e-10, 1e10, log=True)
            return float(trial.suggest_int("rf_max_depth", 2, 32, log=True))
    """,
    "pruning": """
        import optuna
        def objective(trial):
            alpha = trial.suggest_float("alpha", 1e-5, 1e-1, log=True)
            for step in range(20):
                trial.report(alpha * step, step)
                if trial.should_prune():
                    raise optuna.TrialPruned()
            return alpha
    """,
    "a callable object": """
        class Objective:
            def __init__(self, low):
                self.low = low
            def __call__(self, trial):
                return trial.suggest_float("x", self.low, 10)
        objective = Objective(-1)
    """,
    "constraints": """
        def objective(trial):
            x = trial.suggest_float("x", -15, 30)
            trial.set_constraint("c0", (x - 5) ** 2 - 2500)
            return x
    """,
}


@pytest.mark.soak
@pytest.mark.parametrize("kind", TUTORIAL)
def test_an_objective_of_optunas_own_tutorials_runs_unchanged(
    cli: Cli, write: Write, kind: str
) -> None:
    """With neither space nor settings: it suggests inside."""
    write("theirs.py", TUTORIAL[kind])
    write(
        "theirs.yaml",
        "objective: ./theirs.py:objective\ndirection: minimize\nbudget: {trials: 3}\n",
    )
    answer = cli("run", "--study", "./theirs.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert all(t.params for t in stored("theirs").trials)


@pytest.mark.soak
def test_modules_beside_the_file_are_importable(cli: Cli, write: Write) -> None:
    """As under `python mine.py`, from another folder, too."""
    write("far/beside.py", "SCORE = 3.5\n")
    write("far/theirs.py", "import beside\ndef objective(trial): return beside.SCORE\n")
    write("far/theirs.yaml", "objective: ./theirs.py:objective\nbudget: {trials: 1}\n")
    assert cli("run", "--study", "far/theirs.yaml", "--workers", 1).code == 0
    assert stored("theirs").best_value == 3.5


@pytest.mark.soak
@pytest.mark.parametrize("raised", ["SystemExit(3)", "KeyboardInterrupt()", "GeneratorExit()"])
def test_an_objective_that_wants_to_exit_fails_its_trial_only(
    cli: Cli, write: Write, raised: str
) -> None:
    """The worker lives on, and the trial is told like any other exception."""
    body = f"    if trial.number == 0:\n        raise {raised}\n    return 1.0\n"
    write("mine.py", f"def objective(trial):\n    trial.suggest_float('x', 0, 1)\n{body}")
    write("mine.yaml", "objective: ./mine.py:objective\nbudget: {trials: 3}\n")
    answer = cli("run", "--study", "./mine.yaml", "--workers", 1)
    assert answer.code == 0
    assert [t.state.name for t in stored().trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert raised.partition("(")[0] in answer.out


@pytest.mark.soak
def test_a_trial_that_always_kills_its_worker_fails_for_good(cli: Cli, write: Write) -> None:
    """It is tried again three times; then the budget is used up and there is no answer."""
    write("mine.py", "import os\ndef objective(trial):\n    os._exit(3)\n")
    write("mine.yaml", "objective: ./mine.py:objective\nbudget: {trials: 1}\n")
    ended = cli("run", "--study", "./mine.yaml", "--workers", 1)
    assert ended.code == 1
    assert "a worker died (exit code 3); another one takes its place" in ended.out
    assert "trial 3 lost its worker: given up after 4 crashes in a row" in ended.out
    assert "1 trials: 1 failed (crashed 1), 3 retried" in ended.out
    assert [t.state.name for t in stored().trials] == ["FAIL"] * 4


@pytest.mark.soak
def test_a_command_says_where_its_code_has_changed(finished: Cli, write: Write) -> None:
    """Resuming goes on, since a comment may be all that changed, but not in silence."""
    write("mine.py", Path("mine.py").read_text() + "\n# a change\n")
    answer = finished(*RUN, "--trials", 5)
    assert answer.code == 0
    assert "the code of ./mine.py:objective has changed" in answer.err
