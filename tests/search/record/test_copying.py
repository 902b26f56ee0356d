"""search/record/copying.py: a study moves between databases, whole or not at all."""

import datetime
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages._rdb import models
from optuna.trial import TrialState
from optuna_dashboard import get_note, save_note, save_plotly_graph_object
from plotly import graph_objects

from search import provenance
from search.database import storage
from search.errors import StorageError, StudyNotFoundError, UsageError
from search.record import chains, copying, study
from search.studyfile import reading
from tests.postgresql import administer

Cli = Callable[..., Any]
SPACE: dict[str, BaseDistribution] = {
    "float": FloatDistribution(-1.0, 1.0),
    "log": FloatDistribution(1e-300, 1e300, log=True),
    "stepped": FloatDistribution(0.0, 1.0, step=0.1),
    "int": IntDistribution(-9, 9),
    "int_log": IntDistribution(1, 2**40, log=True),
    "int_stepped": IntDistribution(0, 100, step=5),
    "choice": CategoricalDistribution(["a", None, True, 1, 1.5, "é\0"]),
}
PARAMS = {
    "float": 0.1 + 0.2,
    "log": 5e-299,
    "stepped": 0.30000000000000004,
    "int": -3,
    "int_log": 2**39 + 1,
    "int_stepped": 95,
    "choice": "é\0",
}
REPORTS = {0: 1 / 3, 1: 5e-324, 2: float("inf"), 3: float("-inf"), 4: float("nan"), 7: 1.5e308}
# An hour that exists twice where the clocks go back: it has no exact local time
TWICE = datetime.datetime(2025, 10, 26, 1, 30, 0, 123456)


@pytest.fixture
def server(postgresql_server: str) -> Iterator[str]:
    """The URL of a PostgreSQL database of the test's own, without tables."""
    with administer(postgresql_server) as connection:
        connection.execute(sqlalchemy.text("CREATE DATABASE copies"))
    yield postgresql_server.replace("/postgres?", "/copies?")
    with administer(postgresql_server) as connection:
        connection.execute(sqlalchemy.text("DROP DATABASE copies WITH (FORCE)"))


def rich_study(url: str) -> optuna.Study:
    """A study with everything that a database can hold, beside another one.

    The other one comes first, so that no id here is what it will be elsewhere.
    """
    other = optuna.create_study(study_name="other", storage=storage.open_storage(url))
    for _ in range(3):
        other.tell(other.ask(), 1.0)
    made, _ = study.open_study(reading.load("./mine.yaml").spec, url, {"metric": "val_accuracy"})
    complete = _add(made, PARAMS, SPACE)
    complete.set_constraint("memory", 1.5)
    complete.set_user_attr("history", {"loss": [0.1, float("nan"), float("inf")], "é": None})
    save_note(complete, "# of a trial\n" + "long " * 1000)
    save_note(made, "# of the study")
    made.tell(complete, 1 / 3)
    made.tell(_add(made, {}, {}), float("-inf"))
    made.tell(_add(made, {}, {}), state=TrialState.PRUNED)
    failed = made.ask()
    failed.set_user_attr("error", "Traceback ...")
    _upload(made, failed)
    made.tell(failed, state=TrialState.FAIL)
    save_plotly_graph_object(made, graph_objects.Figure())
    made._storage.set_study_system_attr(
        made._study_id, "NSGAIISampler:parent:1", [complete._trial_id, failed._trial_id]
    )
    made.enqueue_trial({"x": 1.25}, user_attrs={"configuration": "mine"})
    with storage.database_of(made).engine.begin() as connection:
        connection.execute(
            models.TrialModel.__table__.update()
            .where(models.TrialModel.trial_id == complete._trial_id)
            .values(datetime_start=TWICE)
        )
    return study.load_study("mine", url)


def _add(
    made: optuna.Study, params: dict[str, Any], space: dict[str, BaseDistribution]
) -> optuna.Trial:
    made.enqueue_trial(params)
    trial = made.ask(fixed_distributions=space)
    for step, value in REPORTS.items():
        trial.report(value, step)
    return trial


def _upload(made: optuna.Study, trial: optuna.Trial) -> None:
    store = optuna.artifacts.FileSystemArtifactStore(Path.cwd())
    for owner in (made, trial):
        optuna.artifacts.upload_artifact(
            artifact_store=store, file_path="mine.py", study_or_trial=owner, storage=made._storage
        )


def facts(loaded: optuna.Study) -> list[str]:
    """Every field and attribute of a study and of its trials, as text: NaN equals NaN there."""
    numbers = {t._trial_id: t.number for t in loaded.trials}
    attrs = loaded._storage.get_study_system_attrs(loaded._study_id)
    shared = {k: v for k, v in attrs.items() if not re.match(r"dashboard:\d+:|\w+:parent:", k)}
    parents = [[numbers[i] for i in v] for k, v in attrs.items() if ":parent:" in k]
    lines: list[Any] = [loaded.directions, loaded.metric_names, loaded.user_attrs, shared, parents]
    for trial in loaded.trials:
        fields = {k: v for k, v in vars(trial).items() if k != "_trial_id"}
        lines += [
            *fields,
            *fields.values(),
            list(trial.params),
            trial.duration,
            _note(loaded, trial),
        ]
    return [*map(_text, lines), *_times(loaded)]


def _text(fact: Any) -> str:
    """Attributes and reports have no order: databases return them in any."""
    return repr(sorted(fact.items()) if isinstance(fact, dict) else fact)


def _note(loaded: optuna.Study, trial: optuna.trial.FrozenTrial) -> str:
    return get_note(optuna.Trial(loaded, trial._trial_id)) if trial.state.is_finished() else ""


def _times(loaded: optuna.Study) -> list[str]:
    """What is stored, in UTC."""
    trials = models.TrialModel.__table__
    query = sqlalchemy.select(trials.c.datetime_start, trials.c.datetime_complete)
    with storage.database_of(loaded).engine.connect() as connection:
        rows = connection.execute(
            query.where(trials.c.study_id == loaded._study_id).order_by(trials.c.number)
        )
        return [repr(tuple(row)) for row in rows]


def names(url: str) -> list[str]:
    return [s.study_name for s in storage.open_storage(url).get_all_studies()]


# What is copied


@pytest.mark.soak
def test_a_round_trip_over_postgresql_changes_nothing(database: str, server: str) -> None:
    """Every field of every trial and every attribute, whatever ids the other database gives."""
    made = rich_study(database)
    states = {t.state for t in made.trials}
    assert states == {*TrialState} - {TrialState.RUNNING}
    assert "long " * 1000 in _note(made, made.trials[0])
    copying.copy_study("mine", database, server, "mine")
    assert facts(study.load_study("mine", server)) == facts(made)
    back = f"sqlite:///{Path.cwd()}/back.db"
    copying.copy_study("mine", server, back, "again")
    assert facts(study.load_study("again", back)) == facts(made)
    assert facts(study.load_study("mine", database)) == facts(made)
    assert names(back) == ["again"]


@pytest.mark.soak
def test_a_copy_goes_on_where_the_original_stopped(cli: Cli, server: str) -> None:
    """`run` on the copy, with more trials: none is repeated."""
    run = ("run", "--study", "./mine.yaml", "--workers", 1, "--trials")
    assert cli(*run, 3).code == 0
    source = "sqlite:///runs/optsearch.db"
    assert cli("copy", "--study", "mine", "--from", source, "--to", server).code == 0
    assert cli(*run, 5, "--storage", server).code == 0
    original, copied = study.load_study("mine", source), study.load_study("mine", server)
    assert len(copied.trials) == 5
    assert [t.params for t in copied.trials[:3]] == [t.params for t in original.trials]
    assert copied.user_attrs["uid"] == original.user_attrs["uid"]


def test_a_study_that_another_program_made_is_copied_too(database: str, tmp_path: Path) -> None:
    """Optuna's own, with several objectives."""
    made = optuna.create_study(
        study_name="two", storage=storage.open_storage(database), directions=["minimize"] * 2
    )
    made.tell(made.ask(), [1.0, float("inf")])
    copying.copy_study("two", database, f"sqlite:///{tmp_path}/b.db", "two")
    assert facts(study.load_study("two", f"sqlite:///{tmp_path}/b.db")) == facts(made)


def test_a_trial_whose_process_is_dead_is_queued_again_and_copied(
    database: str, tmp_path: Path
) -> None:
    """A run that was killed does not stand in the way: it is ended as the next run would do."""
    made, _ = study.open_study(reading.load("./mine.yaml").spec, database, {})
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    made.ask().set_user_attr(chains.LEASE, provenance.process(dead.pid))
    dead.communicate(b"\n")
    copying.copy_study("mine", database, f"sqlite:///{tmp_path}/b.db", "mine")
    copied = study.load_study("mine", f"sqlite:///{tmp_path}/b.db")
    assert [t.state for t in copied.trials] == [TrialState.FAIL, TrialState.WAITING]


# The files that both share


@pytest.mark.soak
def test_a_copy_of_another_name_finds_the_files(database: str, tmp_path: Path) -> None:
    """By the uid, which is that of the original."""
    made, _ = study.open_study(reading.load("./mine.yaml").spec, database, {})
    files = study.folder(made, tmp_path / "work")
    files.mkdir(parents=True)
    copying.copy_study("mine", database, f"sqlite:///{tmp_path}/b.db", "yours")
    copied = study.load_study("yours", f"sqlite:///{tmp_path}/b.db")
    assert study.folder(copied, tmp_path / "work") == files


def test_the_original_can_be_removed_without_the_files(cli: Cli, database: str) -> None:
    """As the last line of `copy` says; without the option they go with it."""
    made, _ = study.open_study(reading.load("./mine.yaml").spec, database, {})
    files = study.folder(made, "runs/work")
    files.mkdir(parents=True)
    copy = "sqlite:///b.db"
    answer = cli("copy", "--study", "mine", "--from", database, "--to", copy)
    removal = answer.out.splitlines()[-1].split()
    assert removal[-1] == "--keep-files"
    assert cli(*removal[1:], "--yes").code == 0
    assert (names(database), files.is_dir()) == ([], True)
    answer = cli("delete", "--study", "mine", "--storage", copy, "--yes")
    assert str(files) in answer.out
    assert (names(copy), files.is_dir()) == ([], False)


@pytest.mark.soak
def test_the_last_lines_name_both_databases_and_no_password(cli: Cli, server: str) -> None:
    """How many trials went from where to where, and what to do next."""
    assert cli("run", "--study", "./mine.yaml").code == 0
    secret = server.replace("postgres:@", "postgres:s3cr3t@")
    source = "sqlite:///runs/optsearch.db"
    answer = cli("copy", "--study", "mine", "--from", source, "--to", secret, "--name", "m2")
    assert answer.code == 0
    shown = storage.redacted(secret)
    assert f"copied 'mine' with 4 trials from {source} to {shown} as 'm2'" in answer.out
    assert "go on with one of them only" in answer.out
    assert f"optsearch delete --study mine --storage {source} --keep-files" in answer.out
    refused = cli("copy", "--study", "mine", "--from", source, "--to", secret, "--name", "m2")
    assert refused.code == 5
    assert "s3cr3t" not in answer.out + answer.err + refused.out + refused.err


# Killed


@pytest.mark.soak
def test_a_copy_to_postgresql_that_is_killed_leaves_nothing(
    database: str, server: str, command: Cli, wait_for: Cli
) -> None:
    """The study and its trials are written when it dies; then the same command succeeds."""
    made = rich_study(database)
    storage.open_storage(server)
    arguments = ("copy", "--study", "mine", "--from", database, "--to", server)
    with administer(server) as watcher:
        with _locked(server, "trial_params"):
            killed = command(*arguments)
            wait_for(lambda: _waiting(watcher, "trial_params"))
            killed.process.send_signal(signal.SIGKILL)
            assert killed.end().code == -signal.SIGKILL
        wait_for(lambda: not _others(watcher))
        tables = (f"SELECT count(*) FROM {name}" for name in ("studies", "trials"))
        assert [watcher.scalar(sqlalchemy.text(t)) for t in tables] == [0, 0]
    assert command(*arguments).end().code == 0
    assert facts(study.load_study("mine", server)) == facts(made)


@pytest.mark.soak
def test_a_copy_to_sqlite_that_is_killed_leaves_nothing(
    database: str, server: str, command: Cli, wait_for: Cli, tmp_path: Path
) -> None:
    """The study and its trials are written when it dies; then the same command succeeds."""
    made = rich_study(database)
    copying.copy_study("mine", database, server, "mine")
    file = tmp_path / "b.db"
    arguments = ("copy", "--study", "mine", "--from", server, "--to", f"sqlite:///{file}")
    with _locked(server, "trial_heartbeats"), administer(server) as watcher:
        killed = command(*arguments)
        wait_for(lambda: _waiting(watcher, "trial_heartbeats"))
        with sqlite3.connect(file, timeout=0) as connection, pytest.raises(sqlite3.Error):
            connection.execute("BEGIN IMMEDIATE")  # it is in the middle of writing
        connection.close()
        killed.process.send_signal(signal.SIGKILL)
        assert killed.end().code == -signal.SIGKILL
    assert names(f"sqlite:///{file}") == []
    assert command(*arguments).end().code == 0
    assert facts(study.load_study("mine", f"sqlite:///{file}")) == facts(made)


def _locked(url: str, table: str) -> Any:
    """A transaction that nobody who reads or writes the table gets past."""
    engine = sqlalchemy.create_engine(storage._parse(url), poolclass=sqlalchemy.NullPool)
    connection = engine.connect()
    connection.execute(sqlalchemy.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    return connection


def _waiting(watcher: sqlalchemy.Connection, table: str) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST(:t AS regclass)"
    return bool(watcher.scalar(sqlalchemy.text(query), {"t": table}))


def _others(watcher: sqlalchemy.Connection) -> int:
    """Transactions of others that the server has not ended yet."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    )
    return int(watcher.scalar(sqlalchemy.text(query)) or 0)


# Refused


def refusal(error: type[Exception], *arguments: str) -> str:
    with pytest.raises(error) as caught:
        copying.copy_study(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_study_is_refused_with_those_that_exist(database: str, tmp_path: Path) -> None:
    """And nothing is made at the other end."""
    rich_study(database)
    text = refusal(StudyNotFoundError, "mnie", database, f"sqlite:///{tmp_path}/b.db", "mnie")
    there = "studies there: mine, other; did you mean mine?"
    assert text == f"--study mnie: not in {database}; {there}"
    assert not (tmp_path / "b.db").exists()


def test_running_trials_are_refused_with_their_number(database: str, tmp_path: Path) -> None:
    """A copy in the midst of a run would hold trials that never end."""
    made, _ = study.open_study(reading.load("./mine.yaml").spec, database, {})
    made.ask(), made.ask()
    text = refusal(StorageError, "mine", database, f"sqlite:///{tmp_path}/b.db", "mine")
    assert "but 2 are; stop the run (Ctrl-C) or wait for its end" in text
    assert not (tmp_path / "b.db").exists()


@pytest.mark.soak
def test_a_name_that_is_taken_is_refused(database: str, tmp_path: Path) -> None:
    """Nothing there is changed; another name does it."""
    rich_study(database)
    to = f"sqlite:///{tmp_path}/b.db"
    copying.copy_study("mine", database, to, "mine")
    before = facts(study.load_study("mine", to))
    text = refusal(StorageError, "other", database, to, "mine")
    assert text == (
        f"--to {to}: has a study 'mine' already; give the copy another name with --name NAME"
    )
    assert facts(study.load_study("mine", to)) == before
    copying.copy_study("other", database, to, "yours")
    assert names(to) == ["mine", "yours"]


@pytest.mark.soak
def test_the_same_sqlite_file_is_refused_by_whatever_path(database: str, tmp_path: Path) -> None:
    """Relative, absolute, through a link."""
    rich_study(database)
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    for to in (database, "sqlite:///a.db", "sqlite:///./link.db"):
        assert "must be another database" in refusal(UsageError, "mine", database, to, "new")
    assert names(database) == ["other", "mine"]


@pytest.mark.soak
def test_the_same_server_database_is_refused_by_whatever_url(database: str, server: str) -> None:
    """Another way to write the URL is not another database; another database on the server is."""
    rich_study(database)
    assert copying.copy_study("mine", database, server, "mine") == 5
    alias = server.replace("postgresql://", "postgresql+psycopg://") + "&application_name=other"
    assert "must be another database" in refusal(UsageError, "mine", server, alias, "new")
    with administer(server) as connection:
        connection.execute(sqlalchemy.text("CREATE DATABASE neighbour"))
    neighbour = server.replace("/copies?", "/neighbour?")
    copying.copy_study("mine", server, neighbour, "mine")
    assert names(neighbour) == ["mine"]
    with administer(server) as connection:
        connection.execute(sqlalchemy.text("DROP DATABASE neighbour WITH (FORCE)"))


@pytest.mark.parametrize("end", ["--from", "--to"])
def test_a_database_of_another_optuna_is_refused(
    end: str, database: str, tmp_path: Path, empty_database: Path
) -> None:
    """4.x and 5.x keep times differently; what 5.0 made, 5.9 may use."""
    rich_study(database)
    to = f"sqlite:///{tmp_path}/b.db"
    storage.open_storage(to)
    file = tmp_path / ("a.db" if end == "--from" else "b.db")
    _set_version(file, "5.9.1")
    assert names(f"sqlite:///{file}") == (["other", "mine"] if end == "--from" else [])
    _set_version(file, "4.5.0")
    text = refusal(StorageError, "mine", database, to, "mine")
    assert text.startswith(f"{end} sqlite:///{file}: was made by Optuna 4.5.0")
    assert "must not be mixed; name another storage" in text


def _set_version(file: Path, version: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE version_info SET library_version = ?", [version])
    connection.close()


@pytest.mark.soak
def test_an_end_that_cannot_be_opened_is_told_by_its_option(database: str, tmp_path: Path) -> None:
    """Which of the two URLs is wrong, and no password."""
    rich_study(database)
    nobody = "postgresql://me:s3cr3t@127.0.0.1:1/db"
    to = refusal(StorageError, "mine", database, nobody, "mine")
    source = refusal(StorageError, "mine", nobody, database, "mine")
    assert to.startswith("--to postgresql+psycopg://me:***@127.0.0.1:1/db: cannot be opened")
    assert source.startswith("--from postgresql+psycopg://me:***@127.0.0.1:1/db: cannot be opened")
