"""patience.py and database.py: a database that goes away and comes back loses nothing."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from search.database import engines, patience, storage
from search.database.rdb import Database
from search.errors import StorageError
from tests.mysql import DATABASES
from tests.postgres import Server

pytestmark = pytest.mark.soak  # servers that stop

Lossy = Callable[[Database, bool], Callable[[], None]]
REPORTS = 30
REPORTER = f"""
import sys, time, optuna
from search.database import engines, storage

study = optuna.load_study(study_name="s", storage=storage.open_storage(sys.argv[1]))
trial = study.ask()
for step in range({REPORTS}):
    trial.report(step / 7, step)
    print(step, flush=True)
    time.sleep(0.02)
study.tell(trial, 1.0)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = Server(folder)
        yield server
        server.close()


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return storage.open_storage(f"sqlite:///{tmp_path}/a.db")
    return storage.open_storage(request.getfixturevalue(request.param))


@pytest.fixture
def study(database: Database) -> Iterator[optuna.Study]:
    study = optuna.create_study(storage=database)
    yield study
    optuna.delete_study(study_name=study.study_name, storage=database)
    database.engine.dispose()


def rows(url: str, study: optuna.Study) -> list[tuple[int, float]]:
    """All reports of a study, as they lie in the table."""
    query = "SELECT step, intermediate_value FROM trial_intermediate_values ORDER BY step"
    engine = sqlalchemy.create_engine(storage._parse(url))
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


# Away and back


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_every_report_arrives_though_the_server_stops(server: Server, mode: str) -> None:
    """A real server is stopped for two seconds while a process reports: it waits, says so once,
    says once that the storage is back, tells no password, and each report is there, once."""
    study = optuna.create_study(storage=storage.open_storage(server.url), study_name="s")
    reporter = subprocess.Popen(
        [sys.executable, "-c", REPORTER, server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reporter.stdout is not None
    while reporter.stdout.readline() != "5\n":
        assert reporter.poll() is None
    server.stop(mode)
    time.sleep(2)
    server.start()
    _, errors = reporter.communicate(timeout=60)
    assert reporter.returncode == 0, errors
    waiting, back = errors.splitlines()
    assert waiting.startswith("waiting for storage postgresql+psycopg://***, ")
    assert back.endswith("is back")
    assert "s3cr3t" not in errors
    assert rows(server.url, study) == [(step, step / 7) for step in range(REPORTS)]
    (trial,) = study.trials
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 1.0)
    optuna.delete_study(study_name="s", storage=study._storage)


def test_a_locked_file_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another program holds the SQLite file for longer than SQLite itself waits."""
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.1)
    url = f"sqlite:///{tmp_path}/a.db"
    study = optuna.create_study(storage=storage.open_storage(url))
    trial = study.ask()
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(1.5, lambda: other.execute("ROLLBACK"))
    release.start()
    trial.report(0.5, 0)
    release.join()
    assert rows(url, study) == [(0, 0.5)]
    assert "database is locked" in caplog.messages[0]
    assert len(caplog.messages) == 2


def test_a_full_disk_that_gets_room_again_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A write that finds no room is repeated until there is some."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk")
    try:
        study = optuna.create_study(storage=storage.open_storage(f"sqlite:///{tmp_path}/a.db"))
        trial = study.ask()
        ballast = tmp_path / "ballast"
        ballast.write_bytes(b"\0" * (os.statvfs(tmp_path).f_bavail * 4096))
        release = threading.Timer(1, ballast.unlink)
        release.start()
        trial.set_user_attr("history", "x" * 300_000)
        release.join()
        assert study.trials[0].user_attrs == {"history": "x" * 300_000}
        assert len(caplog.messages) == 2
        database = storage.database_of(study)
        database.engine.dispose()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_patience_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What stays away is an error in one line, with the next step."""
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(patience, "PATIENCE_S", 0.5)
    study = optuna.create_study(storage=storage.open_storage(f"sqlite:///{tmp_path}/a.db"))
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match=r"away for more than 0\.5 s: database is locked; .*sam"):
        study.ask()
    assert len(caplog.messages) == 1
    other.close()


# What is no reason to wait


def test_a_file_that_cannot_be_written_is_an_error_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also in mid-use: read-only does not go away by itself."""
    study = optuna.create_study(storage=storage.open_storage(f"sqlite:///{tmp_path}/a.db"))
    trial = study.ask()
    engine = storage.database_of(study).engine
    # as a read-only disk answers; the rights of a file would not keep root from writing
    make_read_only = "PRAGMA query_only = ON"
    sqlalchemy.event.listen(engine, "connect", lambda raw, _: raw.execute(make_read_only))
    engine.dispose()
    with pytest.raises(StorageError, match=r"^storage .*: attempt to write a readonly database; "):
        trial.report(0.5, 0)
    assert caplog.messages == []


@pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "no SQL", "DROP TABLE nowhere"])
def test_what_will_never_succeed_is_not_repeated(database: Database, statement: str) -> None:
    """Missing tables and mistakes, which SQLite calls OperationalError as it calls a lock."""
    assert not patience.is_transient(_error(database, statement))


@pytest.mark.soak
def test_a_driver_of_mysql_that_tells_numbers_only_is_understood(mysql: str) -> None:
    """Most call nearly everything OperationalError: two rows where one was due will not go away
    by itself; a connection that the operator ended will, and so will a row that has changed."""
    database = storage.open_storage(mysql)
    mistake = _error(database, "SELECT (SELECT 1 UNION SELECT 2)")
    ended = _error(database, "KILL CONNECTION_ID()")
    changed = _error(database, "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1020")
    for error in (mistake, ended, changed):
        vars(error.orig).pop("sqlstate", None)  # which the newest PyMySQL has
    assert [patience.is_transient(e) for e in (mistake, ended, changed)] == [False, True, True]


def _error(database: Database, statement: str) -> sqlalchemy.exc.DBAPIError:
    with (
        pytest.raises(sqlalchemy.exc.DBAPIError) as caught,
        database.engine.connect() as connection,
    ):
        connection.exec_driver_sql(statement)
    return caught.value


def test_who_may_not_is_told_at_once(server: Server) -> None:
    """A wrong password, a role or database that does not exist, a table without rights."""
    opened = storage.open_storage(server.url)
    with opened.engine.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE reader LOGIN PASSWORD 'right'")
    server.require_password("reader")
    reader = server.url.replace("postgres:s3cr3t@", "reader:s3cr3t@")
    unknown = server.url.replace("postgres:s3cr3t@", "nobody:s3cr3t@")
    for url in (reader, unknown, server.url.replace("/postgres?", "/nowhere?")):
        with pytest.raises(sqlalchemy.exc.OperationalError) as caught:
            sqlalchemy.create_engine(storage._parse(url)).connect()
        assert not patience.is_transient(caught.value)
    right = sqlalchemy.create_engine(storage._parse(reader.replace("s3cr3t", "right")))
    with pytest.raises(sqlalchemy.exc.ProgrammingError) as denied, right.connect() as connection:
        connection.exec_driver_sql("UPDATE studies SET study_name = 'x'")
    assert not patience.is_transient(denied.value)


# A commit whose answer was lost


@pytest.mark.parametrize("is_committed", [True, False])
def test_nothing_is_lost_and_nothing_is_done_twice(
    study: optuna.Study,
    database: Database,
    lose_answers: Lossy,
    caplog: pytest.LogCaptureFixture,
    is_committed: bool,
) -> None:
    """Whether the commit before the failure took place or not, each request is done once."""
    lose = lose_answers(database, is_committed)
    lose()
    study.enqueue_trial({"x": 0.25}, user_attrs={"a": 1})
    lose()
    trial = study.ask()  # takes the queued one: RUNNING, and ours at the second try
    lose()
    assert trial.suggest_float("x", 0, 1) == 0.25
    lose()
    trial.report(0.5, 3)
    lose()
    trial.set_user_attr("b", [1, 2])
    lose()
    study.tell(trial, 0.75)
    lose()
    second = study.ask()
    lose()
    study.tell(second, state=TrialState.FAIL)
    first, other = study.trials
    assert (first.state, first.value) == (TrialState.COMPLETE, 0.75)
    assert (first.params, first.intermediate_values) == ({"x": 0.25}, {3: 0.5})
    assert first.user_attrs == {"a": 1, "b": [1, 2]}
    assert (other.state, other.number) == (TrialState.FAIL, 1)
    assert len(caplog.messages) == 2 * 8


@pytest.mark.parametrize("is_committed", [True, False])
def test_deleting_a_study_is_done_once(
    database: Database, lose_answers: Lossy, is_committed: bool
) -> None:
    """A study that is gone at the second try was deleted by the first; else it is an error."""
    gone = optuna.create_study(storage=database)
    lose = lose_answers(database, is_committed)
    lose()
    database.delete_study(gone._study_id)
    with pytest.raises(KeyError):
        database.delete_study(gone._study_id)


def test_a_trial_that_somebody_else_ended_is_still_told(study: optuna.Study) -> None:
    """Patience takes no other worker's end of a trial for its own."""
    trial = study.ask()
    same = optuna.Trial(study, trial._trial_id)
    study.tell(same, 0.5)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        study._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.5])
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        trial.report(0.5, 0)
    running = study.ask()
    assert not study._storage.set_trial_state_values(running._trial_id, TrialState.RUNNING)
    study.tell(running, state=TrialState.FAIL)


# The lock


def test_the_lock_survives_a_server_that_stops(server: Server) -> None:
    """One who waits for it gets it afterwards; one who held it ends without an error."""
    opened = storage.open_storage(server.url)
    study = optuna.create_study(storage=opened, study_name="lock")
    other = optuna.load_study(study_name="lock", storage=storage.open_storage(server.url))
    entered = threading.Event()

    def wait_in_line() -> None:
        with storage.exclusive(other):
            entered.set()

    thread = threading.Thread(target=wait_in_line)
    with storage.exclusive(study):
        thread.start()
        assert not entered.wait(0.3)
        server.stop("immediate")
        server.start()
        assert entered.wait(20)
        study.tell(study.ask(), 1.0)
    thread.join()
    assert len(study.trials) == 1


def test_a_hung_holder_does_not_keep_the_lock(
    study: optuna.Study, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server takes it back; for a file, one who waits gets an error that says what to do."""
    monkeypatch.setattr(storage, "LOCK_S", 1)
    url = database.engine.url.render_as_string(hide_password=False)
    other = optuna.load_study(study_name=study.study_name, storage=storage.open_storage(url))
    with storage.exclusive(study):
        if database.engine.dialect.name != "sqlite":
            with storage.exclusive(other):
                study.tell(study.ask(), 1.0)
        else:
            with pytest.raises(StorageError, match=r"held the study's lock for 2 s; end the"):
                storage.exclusive(other).__enter__()
