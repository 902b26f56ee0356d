"""`from search import run_study, load_results, best_config`: optsearch in a script or notebook."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml

from search import Answer, best_config, figures, load_results, run_study
from search.errors import RunFailedError, StudyNotFoundError, UsageError
from search.record import study
from search.studyfile import reading

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
WaitFor = Callable[..., None]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def ready(folder: Path, fork_server: None) -> None:
    """A folder with a study of its own."""


def script(text: str) -> "subprocess.Popen[str]":
    """A program without `if __name__ == "__main__"`, as a notebook's cell is."""
    Path("script.py").write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, "script.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_importing_search_stays_light() -> None:
    """Whatever imports a part of it pays for that part only."""
    slow = ("torch", "optuna", "pandas", "pydantic", "sqlalchemy", "typer")
    code = f"import sys, search; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    with pytest.raises(ImportError):
        from search import nosuch  # noqa: F401


def test_run_study_does_what_the_command_does(cli: Cli, capfd: pytest.CaptureFixture[str]) -> None:
    """The same trials, the same file; it returns the answer in place of printing it."""
    answer = run_study("./mine.yaml", workers=1, overrides={"settings.epochs": 2, "seed": 3})
    out = capfd.readouterr().out
    assert out.count(" ep ") == 4
    assert "best configuration" not in out
    assert (answer.study, answer.is_interrupted) == ("mine", False)
    shown = cli("show", "--study", "mine", "--json").json
    assert answer.best == shown["best"]
    assert answer.best["number"] == yaml.safe_load(Path("best.yaml").read_text())["trial"]
    assert {row["epochs"] for row in shown["rows"] if row["state"] == "complete"} == {2}


def test_run_study_resumes_and_takes_the_commands_options(
    database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Storage, name, trials in all, files elsewhere; without a word where none is wanted."""
    for trials in (2, 5):
        answer = run_study(
            Path("mine.yaml"),
            storage=database,
            name="other",
            trials=trials,
            workers=2,
            timeout=600,
            out="deep/top.yaml",
            workdir="elsewhere",
            progress=False,
        )
        assert answer.study == "other"
        assert len(load_results("other", database)) == trials
    assert capfd.readouterr().out == ""
    assert Path("deep/top.yaml").exists()
    assert not Path("runs/optsearch.db").exists()


def test_an_answer_does_not_show_the_password() -> None:
    """A notebook prints what a cell returns, and is then shared."""
    assert "s3cr3t" not in repr(Answer("a", None, None, False, "postgresql://me:s3cr3t@host/db"))


def test_what_is_wrong_is_raised_as_the_commands_line() -> None:
    """Errors of our own, with the same words."""
    with pytest.raises(StudyNotFoundError, match="nearest: digits"):
        run_study("digist")
    with pytest.raises(UsageError, match="--trials 0"):
        run_study("./mine.yaml", trials=0)
    run_study("./mine.yaml", trials=1, workers=1, progress=False)
    with pytest.raises(StudyNotFoundError, match="studies there: mine"):
        load_results("nosuch")


def test_a_plain_script_needs_no_guard() -> None:
    """Workers do not run it again: it would start itself for ever."""
    started = script(
        """
        print("once")
        import sys
        from search import run_study
        answer = run_study("./mine.yaml", workers=2, progress=False)
        print(answer.best["number"], "torch" in sys.modules)
        """
    )
    out, err = started.communicate(timeout=120)
    assert (started.returncode, err) == (0, "")
    assert out.splitlines()[0] == "once"
    assert out.splitlines()[1].endswith(" False")
    assert len(out.splitlines()) == 2


def test_the_stop_button_finishes_the_epoch_and_returns(write: Write, wait_for: WaitFor) -> None:
    """SIGINT, as a notebook sends it: everything is kept, and the program goes on."""
    write(
        "mine.py",
        """
        import time
        def objective(trial):
            for epoch in range(600):
                time.sleep(0.1)
                trial.report(epoch, epoch)
            return 1.0
        """,
    )
    started = script(
        """
        from search import run_study
        answer = run_study("./mine.yaml", workers=1)
        print("returned", answer.is_interrupted, answer.best)
        """
    )

    def reports() -> bool:
        if not Path("runs/optsearch.db").exists():
            return False
        try:
            table = load_results("mine", history=True)
        except Exception:  # it is being made
            return False
        return len(table) > 0

    wait_for(reports)
    os.killpg(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "returned True None"
    assert list(load_results("mine")["state"]) == ["retried", "waiting"]


def test_run_study_works_beside_the_main_thread() -> None:
    """Where Python hears no signals: a notebook's server, a web application."""
    answers: list[Answer] = []
    thread = threading.Thread(
        target=lambda: answers.append(run_study("./mine.yaml", workers=1, progress=False))
    )
    thread.start()
    thread.join(120)
    assert [a.study for a in answers] == ["mine"]


# Tables


@pytest.fixture
def filled(database: str) -> str:
    """Trials of several kinds, and one that waits."""
    text = "space: {x: {float: [0, 1]}, o: {choice: [sgd, adam]}, k: {int: [1, 9]}}"
    Path("mine.yaml").write_text(f"objective: ./mine.py:objective\n{text}\nbudget: {{trials: 4}}\n")
    made = study.open_study(reading.load("./mine.yaml").spec, database, {})[0]
    for i, value in enumerate((0.5, None, math.inf)):
        trial = made.ask()
        trial.suggest_float("x", 0, 1)
        if i != 1:
            trial.suggest_categorical("o", ["sgd", "adam"])
            trial.suggest_int("k", 1, 9)
        columns = {"loss": [1.0, math.nan], "val_accuracy": [0.1, 0.5]}
        trial.set_user_attr("history", columns)
        state = optuna.trial.TrialState.COMPLETE if value else optuna.trial.TrialState.FAIL
        made.tell(trial, value, state)
    made.enqueue_trial({"x": 0.5})
    return database


def test_results_are_a_tidy_table(filled: str) -> None:
    """A row a trial; numbers are numbers, what is missing is NaN, names are those of the CSV."""
    table = load_results("mine", filled)
    assert list(table["number"]) == [0, 1, 2, 3]
    assert list(table["state"]) == ["complete", "failed", "complete", "waiting"]
    for column in ("value", "best_epoch", "stop_epoch", "seconds", "seed", "params.x", "params.k"):
        assert table[column].dtype == np.float64, column
    assert table["epochs"].dtype == np.int64
    assert table["value"].isna().tolist() == [False, True, False, True]
    assert math.isinf(table["value"][2])
    assert table["params.o"].isna().tolist() == [False, True, False, True]


def test_history_is_a_row_an_epoch(filled: str) -> None:
    """Epochs count from 0, and find their trial by its number."""
    table = load_results("mine", filled, history=True)
    assert list(table["number"]) == [0, 0, 1, 1, 2, 2]
    assert list(table["epoch"]) == [0, 1] * 3
    assert table["loss"].isna().tolist() == [False, True] * 3
    assert table["val_accuracy"].dtype == np.float64
    assert len(table.merge(load_results("mine", filled), on="number")) == 6


def test_an_empty_study_is_an_empty_table(database: str) -> None:
    """With its columns."""
    study.open_study(reading.load("./mine.yaml").spec, database, {})
    table = load_results("mine", database)
    assert (len(table), math.isnan(table["value"].mean())) == (0, True)
    assert list(load_results("mine", database, history=True).columns) == ["number", "epoch"]


def test_best_config_is_what_export_writes(cli: Cli) -> None:
    """Every default filled in, where the objective can tell; its parameters in any case."""
    setting = ("--set", "settings.epochs=1", "--device", "cpu", "--workers", 1)
    assert cli("run", "--study", "digits", "--trials", 1, "--no-confirm", *setting).code == 0
    best = best_config("digits")
    assert best == yaml.safe_load(Path("best.yaml").read_text())["config"]
    assert best["optimizer"] == "adam"
    run_study("./mine.yaml", workers=1, progress=False)
    plain = best_config("mine")
    assert plain == {"x": load_results("mine").set_index("value")["params.x"].sort_index().iloc[-1]}


def test_figures_show_in_a_notebook(cli: Cli) -> None:
    """Plotly objects by the report's names; those with nothing to show are left out."""
    cli("run", "--study", "./mine.yaml")
    drawn = figures("mine")
    assert {"history", "slices"} <= drawn.keys()
    assert all(hasattr(figure, "_repr_mimebundle_") for figure in drawn.values())


def test_without_a_complete_trial_there_is_no_best_config(database: str) -> None:
    """With what to do."""
    study.open_study(reading.load("./mine.yaml").spec, database, {})
    with pytest.raises(RunFailedError, match="no complete trial yet"):
        best_config("mine", database)
