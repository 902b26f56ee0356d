"""The command line, end to end: what a person types, sees and gets; and what bad input costs."""

import contextlib
import csv
import io
import json
import os
import shlex
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

Write = Callable[[str, str], Path]
Cli = Callable[..., Any]
WaitFor = Callable[[Callable[[], bool]], None]
DATABASE = Path("runs/optsearch.db")
RUN = ("run", "--study", "./mine.yaml", "--workers", 1)


def studies_in(database: Path) -> list[str]:
    """What is in a database, asked of SQLite itself; [] where there is none yet."""
    if not database.exists():
        return []
    with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(database) as connection:
        return [row[0] for row in connection.execute("SELECT study_name FROM studies")]
    return []  # it is being made


def stored(name: str = "mine") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{DATABASE}")


# From a study file to an answer


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


# Objectives as they are


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


# Reading it back


@pytest.fixture
def finished(cli: Cli) -> Cli:
    assert cli(*RUN).code == 0
    return cli


def test_show_prints_one_object_as_json(finished: Cli) -> None:
    """At least study, direction, budget, trials by state, and best."""
    read = finished("show", "--study", "mine", "--json").json
    assert (read["study"], read["direction"]) == ("mine", "maximize")
    assert read["budget"]["trials"] == 4
    states = {"complete", "pruned", "failed", "retried", "running", "paused", "waiting", "known"}
    assert read["trials"].keys() == states
    assert sum(read["trials"].values()) == 4
    assert read["best"].keys() >= {"number", "value", "params"}
    assert len(read["rows"]) == 4


def test_show_prints_rows_as_csv(finished: Cli) -> None:
    """A row per trial, or per epoch with --history; headings that a program can rely on."""
    rows = list(csv.DictReader(io.StringIO(finished("show", "--study", "mine", "--csv").out)))
    assert [row["number"] for row in rows] == ["0", "1", "2", "3"]
    epochs = finished("show", "--study", "mine", "--history", "--csv").out
    assert len(list(csv.DictReader(io.StringIO(epochs)))) == sum(int(r["epochs"]) for r in rows)


def test_show_prints_the_table_of_the_run_again(finished: Cli) -> None:
    """And the epochs as a table with --history."""
    assert "Where is the top of the parabola?" in finished("show", "--study", "mine").out
    assert "epoch" in finished("show", "--study", "mine", "--history").out


@pytest.mark.soak
def test_json_stays_json_whatever_an_objective_reports(cli: Cli, write: Write) -> None:
    """NaN and infinity become null: no strict reader takes them. Infinity is no answer."""
    write("mine.py", "def objective(t):\n    t.report(float('nan'), 0)\n    return float('inf')\n")
    assert cli(*RUN, "--trials", 1).code == 1

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for options in ((), ("--history",)):
        out = cli("show", "--study", "mine", "--json", *options).out
        read = json.loads(out, parse_constant=refuse)
    assert read["best"] is None
    assert (read["trials"]["pruned"], stored().trials[0].user_attrs["reason"]) == (1, "diverged")


def test_list_names_stored_studies_and_those_that_come_along(finished: Cli) -> None:
    """With trials, best and question."""
    out = finished("list").out
    for words in ("mine", "Where is the top", "digits", "cifar", "mnist"):
        assert words in out


def test_list_works_before_anything_was_run_and_makes_nothing(cli: Cli) -> None:
    """The first command of a new user."""
    answer = cli("list")
    assert answer.code == 0
    assert "nothing yet" in answer.out
    assert "digits" in answer.out
    assert not DATABASE.parent.exists()


@pytest.mark.soak
def test_export_writes_the_best_first(finished: Cli) -> None:
    """best.yaml, best.2.yaml, best.3.yaml, in the order of the scores."""
    assert finished("export", "--study", "mine", "--out", "e/best.yaml", "--top", 3).code == 0
    complete = [t for t in stored().trials if t.state.name == "COMPLETE"]
    ranked = sorted(complete, key=lambda t: -(t.value or 0))[:3]
    names = ["best.yaml", "best.2.yaml", "best.3.yaml"][: len(ranked)]
    for trial, name in zip(ranked, names, strict=True):
        assert yaml.safe_load((Path("e") / name).read_text())["trial"] == trial.number


@pytest.mark.soak
def test_no_output_ever_holds_the_password(
    cli: Cli, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run, list, show, export, errors: it stays in the URL."""
    url = postgresql.replace("postgres:@", "postgres:s3cr3t@")
    monkeypatch.setenv("OPTSEARCH_STORAGE", url)
    printed = [
        cli(*RUN, "--name", "hushed"),
        cli("list"),
        cli("show", "--study", "hushed", "--json"),
        cli("show", "--study", "nosuch"),
        cli("export", "--study", "hushed"),
        cli("delete", "--study", "hushed", "--yes"),
        cli("list", "--storage", "postgresql://me:s3cr3t@127.0.0.1:1/db"),
        cli("list", "--storage", "postgresql://me:s3cr3t@127.0.0.1:port/db"),
    ]
    assert [p.code for p in printed] == [0, 0, 0, 6, 0, 0, 5, 5]
    text = "".join(p.out + p.err for p in printed) + Path("best.yaml").read_text()
    assert "s3cr3t" not in text


def test_validate_says_that_a_file_is_valid_and_how_to_run_it(cli: Cli) -> None:
    """Asking the objective, and making nothing."""
    answer = cli("validate", "./mine.yaml")
    assert (answer.code, answer.out) == (
        0,
        "not confirmed: ./mine.py:objective declares no parameter `seed`\n"
        "./mine.yaml: valid; optsearch run --study ./mine.yaml\n",
    )
    assert not DATABASE.parent.exists()


@pytest.mark.soak
def test_delete_asks_for_the_name(finished: Cli, command: Callable[..., Any]) -> None:
    """A wrong one deletes nothing; the right one deletes the study."""
    for typed, code, left in (("mnie\n", 2, ["mine"]), ("mine\n", 0, [])):
        answer = command("delete", "--study", "mine", stdin=subprocess.PIPE).end(typed)
        assert answer.code == code, answer.err
        assert "has 4 trials" in answer.err
        assert studies_in(DATABASE) == left


# Ctrl-C

SLOW = """
    import os, time
    def objective(trial):
        trial.suggest_float("x", 0, 1)
        start = int(os.path.exists("interrupted"))
        for epoch in range(start, 3):
            trial.report(epoch / 10, epoch)
            while os.path.exists("hold"):
                open("waits", "w").close()
                time.sleep(0.01)
        return 0.5
"""


@pytest.fixture
def held(folder: Path, write: Write) -> Path:
    """An objective whose trials wait in their first epoch while the file `hold` is there."""
    write("mine.py", SLOW)
    write("mine.yaml", "objective: ./mine.py:objective\nbudget: {trials: 3}\n")
    (folder / "hold").touch()
    return folder / "hold"


def waits() -> bool:
    """Whether a trial is between two reports: asked to end within one, it would end there."""
    return Path("waits").exists()


def test_ctrl_c_finishes_the_epoch_and_the_same_command_resumes(
    held: Path,
    command: Callable[..., Any],
    cli: Cli,
    wait_for: Callable[[Callable[[], bool]], None],
) -> None:
    """Exit code 130, the trial is retried, and the budget is exact in the end."""
    run = command(*RUN)
    wait_for(waits)
    run.interrupt()
    line = ""
    while "Ctrl-C again stops at once" not in line:
        line = run.process.stdout.readline()
        assert line, "the command ended without a word"
    held.unlink()
    answer = run.end()
    assert answer.code == 130
    assert "Traceback" not in answer.err
    first, retry = stored().trials
    assert first.user_attrs["reason"] == "preempted"
    assert sorted(first.intermediate_values) == [0, 1]  # the epoch was finished
    assert retry.state.name == "WAITING"

    again = cli(*RUN)
    assert again.code == 0
    counts = cli("show", "--study", "mine", "--json").json["trials"]
    assert (counts["complete"], counts["retried"], counts["failed"]) == (3, 1, 0)
    assert stored().trials[1].params == first.params


@pytest.mark.soak
def test_ctrl_c_before_the_first_trial_ends_without_a_word(
    command: Callable[..., Any], wait_for: Callable[[Callable[[], bool]], None]
) -> None:
    """While everything is still being imported: no traceback of any process, exit code 130."""
    run = command(*RUN)
    wait_for(DATABASE.parent.exists)
    run.interrupt()
    answer = run.end()
    assert answer.code == 130
    assert answer.err.strip() == ""


@pytest.mark.soak
def test_ctrl_c_twice_stops_at_once(
    held: Path,
    command: Callable[..., Any],
    cli: Cli,
    wait_for: Callable[[Callable[[], bool]], None],
) -> None:
    """In the middle of an epoch; the trial is retried all the same."""
    run = command(*RUN)
    wait_for(waits)
    run.interrupt()
    while "Ctrl-C again" not in run.process.stdout.readline():
        pass
    run.interrupt()  # the epoch is still held, and must not be waited for
    answer = run.end()
    assert answer.code == 130
    first, retry = stored().trials
    assert (first.user_attrs["reason"], retry.state.name) == ("preempted", "WAITING")
    held.unlink()
    assert cli(*RUN).code == 0
    counts = cli("show", "--study", "mine", "--json").json["trials"]
    assert (counts["complete"], counts["retried"]) == (3, 1)


@pytest.mark.soak
def test_a_killed_command_loses_no_trial(
    held: Path,
    command: Callable[..., Any],
    cli: Cli,
    wait_for: Callable[[Callable[[], bool]], None],
) -> None:
    """Its worker notices, ends the trial and queues it again."""
    run = command(*RUN)
    wait_for(waits)
    os.kill(run.process.pid, 9)
    wait_for(lambda: len(stored().trials) == 2)
    held.unlink()
    assert cli(*RUN).code == 0
    counts = cli("show", "--study", "mine", "--json").json["trials"]
    assert (counts["complete"], counts["retried"], counts["running"]) == (3, 1, 0)


# Bad input: a line that names place, rule, value and next step; a code of its own; nothing made

CHECKED = """
    OPTIMIZERS = ["sgd", "adam"]
    READ = ["optimizer", "x"]

    def check(settings, space):
        for value in space.get("optimizer", {}).get("choice", []):
            if value not in OPTIMIZERS:
                yield "space.optimizer", f"unknown optimizer '{value}'; one of: sgd, adam"
        for name in space:
            if name not in READ:
                yield f"space.{name}", f"nobody reads '{name}' here; remove it"

    def prepare(settings, device):
        if device == "cuda":
            raise ValueError("--device cuda: there is no GPU here; use --device cpu")
        if settings.get("data") == "missing":
            raise FileNotFoundError("no data in /data; put them there")
        return {}

    def objective(trial, data=""):
        return trial.params["x"]
"""
GOOD = "objective: ./checked.py:objective\nspace:\n  x: {float: [0, 1]}\nbudget: {trials: 1}\n"
REFUSED = {
    # what: (study file, further arguments, exit code, what the message holds)
    "an unknown study": (None, ("--study", "digist"), 6, ["--study digist", "nearest: digits"]),
    "a missing file": (None, ("--study", "./no.yaml"), 6, ["--study ./no.yaml: no such file"]),
    "no YAML": ("a: [\n", (), 3, ["bad.yaml:2:1 not valid YAML", "mend"]),
    "a control character": ("a: \x07", (), 3, ["bad.yaml not valid YAML", "mend"]),
    "an unknown key": (GOOD + "sede: 1\n", (), 3, ["bad.yaml:5 sede", "did you mean 'seed'?"]),
    "a wrong type": (GOOD + "seed: x\n", (), 3, ["bad.yaml:5 seed", "integer", "'x'"]),
    "low above high": (
        GOOD.replace("[0, 1]", "[1, 0]"),
        (),
        3,
        ["bad.yaml:3 space.x.float", "low < high must hold", "[1.0, 0.0]", "swap them"],
    ),
    "log of zero": (
        GOOD.replace("]}", "], log: true}"),
        (),
        3,
        ["bad.yaml:3 space.x.float", "log needs low > 0", "[0.0, 1.0]", "raise low or drop log"],
    ),
    "when without a parent": (
        GOOD.replace("]}", "], when: {o: [1]}}"),
        (),
        3,
        ["bad.yaml:3 space.x.when.o", "not in the space", "one of: x"],
    ),
    "a parameter that nobody reads": (
        GOOD.replace("budget", "  dead: {float: [0, 1]}\nbudget"),
        (),
        3,
        ["bad.yaml:4 space.dead", "nobody reads 'dead' here; remove it"],
    ),
    "an unknown optimizer": (
        GOOD.replace("budget", "  optimizer: {choice: [sdg]}\nbudget"),
        (),
        3,
        ["bad.yaml:4 space.optimizer", "unknown optimizer 'sdg'; one of: sgd, adam"],
    ),
    "a setting that nobody takes": (
        GOOD + "settings: {dta: 1}\n",
        (),
        3,
        ["bad.yaml:5 settings", "takes no setting 'dta'; it takes: data"],
    ),
    "a baseline outside": (
        GOOD + "baselines: [{name: a, params: {x: 2}}]\n",
        (),
        3,
        ["bad.yaml:5 baselines[0].params.x", "must lie in [0.0, 1.0], got 2", "widen"],
    ),
    "a baseline that lacks a parameter": (
        GOOD + "baselines: [{name: a, params: {}}]\n",
        (),
        3,
        ["bad.yaml:5 baselines[0].params", "active parameter 'x' is missing; add it"],
    ),
    "no module": (GOOD.replace("checked", "chekced"), (), 4, ["no such file: ./chekced.py"]),
    "no function": (GOOD.replace(":objective\n", ":f\n"), (), 4, ["no function 'f'"]),
    "no data": (GOOD + "settings: {data: missing}\n", (), 4, ["no data in /data; put them there"]),
    "no GPU": (GOOD, ("--device", "cuda"), 4, ["--device cuda", "--device cpu"]),
    "no trials": (GOOD, ("--trials", 0), 2, ["--trials 0: must be at least 1"]),
    "a negative time": (GOOD, ("--timeout", "-5"), 2, ["--timeout -5", "above zero", "2h"]),
    "no limit": (GOOD.split("budget")[0], (), 2, ["no limit", "--trials N or --timeout 2h"]),
    "no workers": (GOOD, ("--workers", 0), 2, ["--workers 0: must be auto or a number"]),
    "a bad override": (GOOD, ("--set", "epochs"), 2, ["--set epochs: must be key.path=value"]),
    "a bad value of an override": (GOOD, ("--set", "seed=x"), 3, ["--set seed", "integer"]),
    "no place for the answer": (GOOD, ("--out", "bad.yaml/x"), 8, ["--out bad.yaml/x", "name"]),
    "a folder for the answer": (GOOD, ("--out", "."), 8, ["--out .: cannot be written", "name"]),
    "no place to work": (GOOD, ("--workdir", "bad.yaml"), 8, ["--workdir bad.yaml", "name"]),
    "no server": (
        GOOD,
        ("--storage", "postgresql://me:pw@127.0.0.1:1/db"),
        5,
        ["--storage postgresql", "me:***@127.0.0.1:1/db", "refused", "check the URL"],
    ),
    "no database": (GOOD, ("--storage", "sqlite:///bad.yaml"), 5, ["not a database", "check"]),
    "no URL": (GOOD, ("--storage", "my.db"), 5, ["--storage my.db: not a database URL; write"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_told_and_leaves_nothing_half_made(cli: Cli, write: Write, what: str) -> None:
    """Exit code of its kind, on standard error, no traceback; no study, no file, no folder."""
    text, arguments, code, words = REFUSED[what]
    write("checked.py", CHECKED)
    write("bad.yaml", text or "")
    before = Path("bad.yaml").read_bytes()
    study = () if text is None else ("--study", "bad.yaml")
    answer = cli("run", "--workers", 1, *study, *arguments)
    assert answer.code == code, answer.err
    assert answer.out == ""
    for word in words:
        assert word in answer.err
    assert "Traceback" not in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert studies_in(DATABASE) == []
    assert not Path("best.yaml").exists()
    assert Path("bad.yaml").read_bytes() == before


@pytest.mark.parametrize("command", ["run --study ./mine.yaml", "list", "show --study mine"])
@pytest.mark.parametrize("url", ["postgresql://me:pw@127.0.0.1:1/db", "sqlite:///mine.py/a.db"])
def test_every_command_tells_at_once_that_the_storage_cannot_be_reached(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str, url: str
) -> None:
    """`list` must not say 'nothing yet' of a server that is down."""
    monkeypatch.setenv("OPTSEARCH_STORAGE", url)
    answer = cli(*command.split())
    assert answer.code == 5
    assert answer.err.startswith("--storage ")


@pytest.mark.soak
def test_a_study_whose_question_has_changed_is_refused(finished: Cli) -> None:
    """Its trials stay as they are; the message names the difference and --name."""
    before = stored().trials
    answer = finished(*RUN, "--set", "space.x.float=[-5, 5]")
    assert answer.code == 7
    assert "space.x.float: was [-10.0, 10.0], is [-5.0, 5.0]" in answer.err
    assert "--name NAME" in answer.err
    assert stored().trials == before
    renamed = ("--set", "space.x.float=[-5, 5]", "--name", "narrow")
    assert finished(*RUN, *renamed).code == 0
    assert sorted(studies_in(DATABASE)) == ["mine", "narrow"]


@pytest.mark.soak
@pytest.mark.parametrize("trials", [2, 5])
def test_a_run_in_which_every_trial_raises_fails_with_the_traceback_kept(
    cli: Cli, write: Write, trials: int
) -> None:
    """It stops after three; fewer are no answer either."""
    write("mine.py", "def objective(trial):\n    raise RuntimeError('no such layer')\n")
    answer = cli(*RUN, "--trials", trials)
    assert answer.code == 1
    assert not Path("best.yaml").exists()
    failed = stored().trials
    assert len(failed) == min(trials, 3)
    assert all("no such layer" in t.user_attrs["error"] for t in failed)
    assert ("no such layer" in answer.err) == (trials > 2)


def test_an_objective_that_fails_on_import_is_told_with_its_traceback(
    cli: Cli, write: Write
) -> None:
    """Before any study is made."""
    write("mine.py", "import no_such_library\n")
    answer = cli(*RUN)
    assert answer.code == 4
    assert "No module named 'no_such_library'" in answer.err
    assert studies_in(DATABASE) == []


@pytest.mark.soak
def test_export_of_a_study_without_an_answer_is_refused(cli: Cli, write: Write) -> None:
    """With what to do; no file is written."""
    write("mine.py", "import optuna\ndef objective(trial):\n    raise optuna.TrialPruned\n")
    assert cli(*RUN).code == 1
    answer = cli("export", "--study", "mine")
    assert answer.code == 1
    assert "no complete trial yet; run it further first" in answer.err
    assert not Path("best.yaml").exists()


@pytest.mark.parametrize("command", ["show", "export", "delete"])
def test_an_unknown_stored_study_is_told_with_those_that_exist(finished: Cli, command: str) -> None:
    """By every command that reads one."""
    answer = finished(command, "--study", "mnie")
    assert answer.code == 6
    assert "studies there: mine" in answer.err


# Help


def test_help_ends_with_commands_that_can_be_typed(cli: Cli) -> None:
    """For all commands together, and for each."""
    assert "optsearch run --study digits" in cli("--help").out
    for name in ("run", "show", "list", "dashboard", "export", "validate", "copy", "delete"):
        out = cli(name, "--help").out
        assert f"$ optsearch {name}" in out


def test_a_traceback_is_shown_to_those_who_ask(cli: Cli) -> None:
    """`optsearch --traceback run ...`: for a report."""
    from search.errors import StudyNotFoundError

    with pytest.raises(StudyNotFoundError):
        cli("--traceback", "run", "--study", "nosuch")


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
def test_names_are_not_read_as_markup(cli: Cli, write: Write) -> None:
    """A study called [/x] is listed like any other."""
    assert cli(*RUN, "--name", "[/x]").code == 0
    assert "[/x]" in cli("list").out


@pytest.mark.soak
def test_a_command_says_where_its_code_has_changed(finished: Cli, write: Write) -> None:
    """Resuming goes on, since a comment may be all that changed, but not in silence."""
    write("mine.py", Path("mine.py").read_text() + "\n# a change\n")
    answer = finished(*RUN, "--trials", 5)
    assert answer.code == 0
    assert "the code of ./mine.py:objective has changed" in answer.err


@pytest.mark.soak
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_command_that_is_killed_loses_nothing(
    command: Callable[..., Any], cli: Cli, write: Write, wait_for: WaitFor, name: str
) -> None:
    """The same command again goes on; SIGTERM is answered in good order, with code 143."""
    write(
        "mine.py",
        """
        import time
        def objective(trial):
            for epoch in range(20):
                time.sleep(0.01 if "optsearch:chain" in trial.user_attrs else 0.5)
                trial.report(epoch, epoch)
            return trial.number
        """,
    )
    two = ("run", "--study", "./mine.yaml", "--workers", 2, "--trials", 2, "--set", "pruner=none")
    started = command(*two)
    wait_for(lambda: studies_in(DATABASE) == ["mine"] and len(reporting()) == 2)
    started.process.send_signal(getattr(signal, name))
    assert started.end().code == {"SIGTERM": 143, "SIGKILL": -9}[name]
    wait_for(lambda: not [t for t in stored().trials if t.state.name == "RUNNING"])
    again = cli(*two)
    assert again.code == 0
    assert "2 trials: 2 complete, 2 retried" in again.out
    assert [len(t.intermediate_values) for t in stored().trials[2:]] == [20, 20]


def reporting() -> list[Any]:
    return [t for t in stored().trials if t.intermediate_values]
