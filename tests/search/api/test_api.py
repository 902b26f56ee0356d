"""`from optsearch import run_study, load_results, best_config`: in a script or notebook."""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
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
from search.api import run
from search.errors import OptsearchError, RunFailedError, StudyNotFoundError, UsageError
from search.record import study
from search.studyfile import reading

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
WaitFor = Callable[..., None]
ROOT = Path(__file__).resolve().parents[3]


pytestmark = pytest.mark.usefixtures("ready")


def script(text: str) -> "subprocess.Popen[str]":
    """A program without `if __name__ == "__main__"`, as a notebook's cell is."""
    Path("script.py").write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, "script.py"],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'search' / 'face'}",
            "TMPDIR": tempfile.gettempdir(),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_model_is_loaded_without_the_search(tmp_path: Path) -> None:
    """A service that predicts needs no database driver, and nothing that chooses or trains; of
    Optuna what the objective's own module names."""
    held = {"format": "optsearch-folder-1", "objective": "./mine.py:objective", "files": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(held | {"folder": str(tmp_path)}))
    mine = "def objective(trial): return 0.0\ndef load(folder, device): return [folder.name]\n"
    (tmp_path / "mine.py").write_text(mine)
    heavy = ("sqlalchemy", "pydantic", "search.record", "search.studyfile")
    code = (
        f"import sys, search; assert search.load_model({str(tmp_path)!r}) == [{tmp_path.name!r}]; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


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


@pytest.mark.soak
def test_run_study_does_what_the_command_does(cli: Cli, capfd: pytest.CaptureFixture[str]) -> None:
    """The same trials, the same file; it returns the answer in place of printing it."""
    answer = run_study(
        "./mine.yaml",
        workers=1,
        overrides={"settings.epochs": 2, "seed": 3},
        storage="sqlite:///runs/optsearch.db",
        out="best.yaml",
        progress=True,
    )
    out = capfd.readouterr().out
    assert out.count(" ep ") == 4
    assert "best configuration" not in out
    assert (answer.study, answer.is_interrupted) == ("mine", False)
    shown = cli("show", "--study", "mine", "--json").json
    assert answer.best == shown["best"]
    assert answer.best["number"] == yaml.safe_load(Path("best.yaml").read_text())["trial"]
    assert {row["epochs"] for row in shown["rows"] if row["state"] == "complete"} == {2}


@pytest.mark.soak
def test_run_study_resumes_and_takes_the_commands_options(
    database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Storage, name, trials in all, files elsewhere; without a word, as none is asked for."""
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
        )
        assert answer.study == "other"
        assert len(load_results("other", database)) == trials
    assert capfd.readouterr().out == ""
    assert Path("deep/top.yaml").exists()
    assert not Path("runs/optsearch.db").exists()


def test_an_answer_does_not_show_the_password() -> None:
    """A notebook prints what a cell returns, and is then shared."""
    assert "s3cr3t" not in repr(Answer("a", None, None, False, "postgresql://me:s3cr3t@host/db"))


@pytest.mark.soak
def test_what_is_wrong_is_raised_in_one_line() -> None:
    """Errors of our own, in the words of a call."""
    with pytest.raises(
        StudyNotFoundError, match=r"^study='digist': no such study; nearest: digits"
    ):
        run_study("digist")
    with pytest.raises(UsageError, match=r"^trials=0: must be at least 1$"):
        run_study("./mine.yaml", trials=0)
    with pytest.raises(UsageError, match=r"^workers='many': must be"):
        run_study("./mine.yaml", workers="many")
    answer = run_study("./mine.yaml", trials=1, workers=1)
    with pytest.raises(StudyNotFoundError, match=r"^study='nosuch': .* studies there: mine"):
        load_results("nosuch", answer.storage)


@pytest.mark.soak
def test_a_plain_script_needs_no_guard() -> None:
    """Workers do not run it again: it would start itself for ever."""
    started = script(
        """
        print("once")
        import sys
        from optsearch import run_study
        answer = run_study("./mine.yaml", workers=2)
        print(answer.best["number"], "torch" in sys.modules)
        """
    )
    out, err = started.communicate(timeout=120)
    assert (started.returncode, err) == (0, "")
    assert out.splitlines()[0] == "once"
    assert out.splitlines()[1].endswith(" False")
    assert len(out.splitlines()) == 2


@pytest.mark.soak
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
        answer = run_study("./mine.yaml", workers=1, storage="sqlite:///runs/optsearch.db")
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


@pytest.mark.soak
def test_a_function_of_a_cell_is_searched_and_its_study_resumed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By processes of its own; nothing is printed, nothing written into the current folder."""
    before = sorted(folder.iterdir())
    names: dict[str, Any] = {"__name__": "__main__", "top": 2.0}
    exec(
        "import os\n"
        "def objective(trial, seed):\n"
        "    trial.set_user_attr('pid', os.getpid())\n"
        "    return -(trial.suggest_float('x', -5, 5) - top) ** 2 + trial.params['y']\n",
        names,
    )
    space = {"y": {"float": [0, 1]}}
    found = run_study(names["objective"], space=space, trials=2, workers=2, confirm=False)
    assert set(found.best["params"]) == {"x", "y"}
    whole = {"objective": names["objective"], "space": space, "budget": {"trials": 4}}
    whole["confirm"] = {"top": 1, "seeds": 2}
    again = run_study(whole, storage=found.storage, workers=2)
    assert again.confirmed is not None
    assert again.storage == found.storage
    table = load_results(again)
    assert list(table["state"]) == ["complete"] * 4
    opened = optuna.load_study(study_name="objective", storage=found.storage)
    assert os.getpid() not in {t.user_attrs["pid"] for t in opened.trials}
    assert len({t.user_attrs["versions"]["code"] for t in opened.trials}) == 1
    assert best_config(again)["x"] == again.best["params"]["x"]
    assert sorted(folder.iterdir()) == before
    assert capfd.readouterr() == ("", "")


def test_packages_of_the_session_are_imported_ahead() -> None:
    """Each worker would take seconds for them; the user's own modules are left to it."""
    assert {"numpy", "numpy.random"} <= {*run._slow()}
    assert {"search", "mine", "pytest"}.isdisjoint(run._slow())


@pytest.mark.soak
def test_warnings_are_pythons() -> None:
    """In its words; they are heard though nothing is printed."""
    found = run_study(lambda trial: 1.0, trials=1, workers=1)
    with pytest.warns(UserWarning, match=r"^the budget of 1 trials is used up: .*; trials=N goes"):
        run_study(lambda trial: 1.0, trials=1, workers=1, storage=found.storage)


@pytest.mark.soak
def test_a_script_that_is_ended_is_resumed(folder: Path, wait_for: WaitFor) -> None:
    """Its function is imported by workers, below its guard nothing is. SIGTERM is for the whole
    program, which ends as any does once everything is kept."""
    started = script(
        """
        from optsearch import run_study
        def objective(trial):
            for epoch in range(600):
                trial.report(trial.suggest_float("x", 0, 1), epoch)
                if not __import__("pathlib").Path("quick").exists():
                    __import__("time").sleep(0.1)
            return 1.0
        if __name__ == "__main__":
            run_study(objective, trials=2, workers=1, storage="sqlite:///here/a.db")
        """
    )

    def reports() -> bool:
        try:
            return len(load_results("script", "sqlite:///here/a.db", history=True)) > 0
        except OptsearchError:  # it is being made
            return False

    wait_for(reports)
    started.terminate()
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err) == (-signal.SIGTERM, "", "")
    (folder / "quick").touch()
    study = {"objective": "./script.py:objective"}
    done = run_study(study, trials=2, workers=1, storage="sqlite:///here/a.db")
    assert sorted(load_results(done)["state"]) == ["complete", "complete", "retried"]
    assert {p.name for p in (folder / "here").iterdir()} >= {"a.db"}
    assert not (folder / "runs").exists()


def test_the_package_has_the_face_of_search() -> None:
    """`import optsearch` is `import search`; `python -m optsearch` is the command."""
    import optsearch

    import search

    assert optsearch.run_study is run_study
    assert set(optsearch.__all__) == {*search.__all__, "__version__"}
    assert optsearch.__version__ == search.__version__
    done = subprocess.run(
        [sys.executable, "-m", "optsearch", "--version"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'search' / 'face'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("optsearch ")


def test_run_study_works_beside_the_main_thread() -> None:
    """Where Python hears no signals: a notebook's server, a web application."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(run_study("./mine.yaml", workers=1)))
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


@pytest.mark.soak
def test_best_config_is_what_export_writes(cli: Cli) -> None:
    """Every default filled in, where the objective can tell; its parameters in any case."""
    setting = ("--set", "settings.epochs=1", "--set", "by=none", "--device", "cpu", "--workers", 1)
    assert cli("run", "--study", "digits", "--trials", 1, "--no-confirm", *setting).code == 0
    best = best_config("digits")
    assert best == yaml.safe_load(Path("best.yaml").read_text())["config"]
    assert best["optimizer"] == "adam"
    answer = run_study("./mine.yaml", workers=1)
    plain = best_config(answer)
    assert plain == {"x": load_results(answer).set_index("value")["params.x"].sort_index().iloc[-1]}


@pytest.mark.soak
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
