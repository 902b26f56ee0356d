"""search/database/storage.py: SQLite and PostgreSQL alike, and no password told."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from search.database import storage
from search.errors import StorageError
from tests.mysql import DATABASES


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/deep/er/a.db"
        return
    server = request.getfixturevalue(request.param)
    with _admin(server) as engine:
        engine.execute(sqlalchemy.text("CREATE DATABASE contract"))
    yield sqlalchemy.make_url(server).set(database="contract").render_as_string(False)
    force = " WITH (FORCE)" if request.param == "postgresql" else ""
    with _admin(server) as engine:
        engine.execute(sqlalchemy.text(f"DROP DATABASE contract{force}"))


def _admin(url: str) -> sqlalchemy.Connection:
    engine = sqlalchemy.create_engine(storage._parse(url), isolation_level="AUTOCOMMIT")
    return engine.connect()


# The contract


def test_a_storage_is_made_where_there_is_none(url: str) -> None:
    """Tables, and for SQLite the folders above the file."""
    opened = storage.open_storage(url)
    assert opened.get_all_studies() == []


def test_a_storage_is_not_made_by_a_command_that_only_reads(url: str) -> None:
    """`show`, `list`, `export` and `dashboard` say what to do, and leave nothing behind."""
    with pytest.raises(StorageError, match=r"^--storage .*`run` starts a study there"):
        storage.open_storage(url, create=False)
    if url.startswith("sqlite"):
        assert not Path(url.removeprefix("sqlite:///")).parent.exists()
    else:
        with sqlalchemy.create_engine(storage._parse(url)).connect() as connection:
            assert sqlalchemy.inspect(connection).get_table_names() == []


def test_a_trial_comes_back_as_it_was_written(url: str) -> None:
    """Values, parameters, reports and attributes, bit by bit, through a second connection."""
    study = optuna.create_study(storage=storage.open_storage(url), study_name="s")
    trial = study.ask()
    params = {
        "x": trial.suggest_float("x", 1e-300, 1e300, log=True),
        "c": trial.suggest_categorical("c", ["a", True, None, 1.5]),
        "n": trial.suggest_int("n", 1, 9),
    }
    for step, value in enumerate([0.1 + 0.2, 1e-17, float("inf")]):
        trial.report(value, step)
    trial.set_user_attr("history", {"loss": [0.1, 1 / 3]})
    study.tell(trial, 1 / 3)
    (read,) = optuna.load_study(storage=storage.open_storage(url), study_name="s").trials
    assert read.value == 1 / 3
    assert read.params == params
    assert read.intermediate_values == {0: 0.1 + 0.2, 1: 1e-17, 2: float("inf")}
    assert read.user_attrs == {"history": {"loss": [0.1, 1 / 3]}}


def test_one_holder_at_a_time_has_the_studys_lock(url: str) -> None:
    """`exclusive` keeps others out, from connections of their own, until it is left."""
    first, second = (storage.open_storage(url) for _ in range(2))
    study = optuna.create_study(storage=first, study_name="s")
    other = optuna.load_study(storage=second, study_name="s")
    order: list[str] = []
    entered = threading.Event()

    def wait_in_line() -> None:
        entered.set()
        with storage.exclusive(other):
            order.append("second")

    thread = threading.Thread(target=wait_in_line)
    with storage.exclusive(study):
        thread.start()
        entered.wait()
        trial = study.ask()  # Optuna itself can write while the lock is held
        study.tell(trial, 1.0)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.soak
def test_the_lock_is_given_back_after_an_error(url: str) -> None:
    """An exception inside does not lock the study for ever."""
    study = optuna.create_study(storage=storage.open_storage(url))

    class BoomError(Exception):
        pass

    for _ in range(2):
        with pytest.raises(BoomError), storage.exclusive(study):
            raise BoomError


# SQLite


def test_sqlite_is_in_wal_mode_and_waits_for_other_writers(tmp_path: Path) -> None:
    """So that a dashboard reads while a run writes, and no writer meets 'database is locked'."""
    opened = storage.open_storage(f"sqlite:///{tmp_path}/a.db")
    with opened.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000


def test_a_reader_reads_while_a_writer_writes(tmp_path: Path) -> None:
    """An open write transaction blocks nobody who reads."""
    url = f"sqlite:///{tmp_path}/a.db"
    optuna.create_study(storage=storage.open_storage(url), study_name="s")
    writer = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE studies SET study_name = 't'")
    with sqlalchemy.create_engine(url).connect() as connection:
        assert connection.exec_driver_sql("SELECT study_name FROM studies").scalar() == "s"
    writer.execute("ROLLBACK")
    writer.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    """Workers are other processes: they would each see a database of their own."""
    with pytest.raises(StorageError, match=r"in memory is lost.*name a file"):
        storage.open_storage(url)


# What cannot be opened


def _foreign(folder: Path) -> str:
    (folder / "a.db").write_text("this is no database, but a text that is long enough" * 99)
    return f"sqlite:///{folder}/a.db"


def _below_a_file(folder: Path) -> str:
    (folder / "file").touch()
    return f"sqlite:///{folder}/file/a.db"


def _a_folder(folder: Path) -> str:
    return f"sqlite:///{folder}"


def _other_tables(folder: Path) -> str:
    with sqlite3.connect(folder / "a.db") as connection:
        connection.execute("CREATE TABLE version_info (x INTEGER)")
    return f"sqlite:///{folder}/a.db"


def _nobody_listens(folder: Path) -> str:
    return "postgresql://me:s3cret@127.0.0.1:1/optsearch"


def _unknown_dialect(folder: Path) -> str:
    return "oracel://me:s3cret@host/db"


def _no_url(folder: Path) -> str:
    return "runs/optsearch.db"


def _at_in_the_password(folder: Path) -> str:
    return "postgresql://me:s3c@ret@127.0.0.1:1/db"


@pytest.mark.parametrize(
    "make",
    [
        _foreign,
        _below_a_file,
        _a_folder,
        _other_tables,
        _nobody_listens,
        _unknown_dialect,
        _no_url,
        _at_in_the_password,
    ],
)
def test_a_storage_that_cannot_be_used_is_told_in_one_line(
    make: Callable[[Path], str], tmp_path: Path
) -> None:
    """The place, the cause in the driver's words, the next step, and no password."""
    with pytest.raises(StorageError) as caught:
        storage.open_storage(make(tmp_path))
    message = str(caught.value)
    assert message.startswith("--storage ")
    assert "\n" not in message
    assert "s3c" not in message
    assert "ret@" not in message
    assert any(word in message for word in ("check", "write "))


# URLs

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
URLS = [
    "postgresql://me:{}@host:5432/db",
    "postgresql+psycopg://me:{}@/db?host=/run/pg",
    "mysql://:{}@host/db",
    "postgresql://host/db?user=me&password={}",
    "postgresql://host/db?PWD={}&sslmode=require",
    "postgresql://me:{}@[::1]/db",
    "postgresql://me:{}@host:port/db",  # no URL: the port is no number
    "me:{}@host/db",  # no URL: the scheme is missing
]


@given(TEXT, st.sampled_from(URLS), st.booleans())
def test_a_redacted_url_never_contains_the_password(
    password: str, url: str, is_quoted: bool
) -> None:
    """Whatever it consists of, quoted as it should be or not, in a good URL or a broken one."""
    secret = f"7%{password}" if not is_quoted else quote(f"7%{password}", safe="")
    if not is_quoted and "?" in url.split("{}")[0]:
        secret = secret.replace("&", "")  # there it would end the password
    assert secret not in storage.redacted(url.format(secret))
    assert "***" in storage.redacted(url.format(secret))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///runs/optsearch.db", "sqlite:///runs/optsearch.db"),
        ("sqlite:////a/b:c@d.db", "sqlite:////a/b:c@d.db"),
        ("postgresql://me:pw@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://me:p@w@host/db", "postgresql://me:***@host/db"),
        ("postgresql://h/d?password=pw&a=b", "postgresql://h/d?password=***&a=b"),
    ],
)
def test_all_of_a_redacted_url_but_the_password_can_be_read(url: str, shown: str) -> None:
    """A message is of use only where it says which database is meant."""
    assert storage.redacted(url) == shown


def test_the_url_is_that_of_the_option_else_of_the_environment_else_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """--storage, OPTSEARCH_STORAGE, runs/optsearch.db, in this order; empty ones do not count."""
    monkeypatch.setenv("OPTSEARCH_STORAGE", "sqlite:///env.db")
    assert storage.resolve_url("sqlite:///option.db") == "sqlite:///option.db"
    assert storage.resolve_url(None) == "sqlite:///env.db"
    monkeypatch.setenv("OPTSEARCH_STORAGE", "")
    assert storage.resolve_url(None) == "sqlite:///runs/optsearch.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_urls_use_psycopg_3(scheme: str) -> None:
    """The driver of the extra `optsearch[postgres]`, whichever way the scheme is written."""
    assert storage._parse(f"{scheme}://me@host/db").drivername == "postgresql+psycopg"


def test_idle_connections_to_a_server_are_checked_before_use(postgresql: str) -> None:
    """They drop during long epochs: a connection that the server closed must not fail a trial."""
    opened = storage.open_storage(postgresql)
    study = optuna.create_study(storage=opened, study_name="idle")
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with _admin(postgresql) as connection:
        connection.execute(sqlalchemy.text(kill))
    study.tell(study.ask(), 1.0)
    assert len(study.trials) == 1


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u/b:s3cr3t@127.0.0.1:1/x",
        "postgresql//u:s3cr3t@127.0.0.1:1/x",
        "host=127.0.0.1 user=u password=s3cr3t",
        "postgresql://127.0.0.1:1/x?user=u;password=s3cr3t",
        "postgresql://u/b%3As3cr3t%40127.0.0.1/x",
    ],
)
def test_a_malformed_url_tells_no_password_either(url: str) -> None:
    """Neither by itself, nor in the error of a driver that repeats parts of it."""
    assert "s3cr3t" not in storage.redacted(url)
    with pytest.raises(StorageError) as caught:
        storage.open_storage(url)
    assert "s3cr3t" not in str(caught.value)


def test_white_space_around_a_url_is_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that was read from a file ends with a line break."""
    monkeypatch.setenv("OPTSEARCH_STORAGE", " sqlite:///a.db\n")
    assert storage.resolve_url(None) == "sqlite:///a.db"
    assert storage.resolve_url(" sqlite:///b.db\n") == "sqlite:///b.db"
    monkeypatch.setenv("OPTSEARCH_STORAGE", " ")
    assert storage.resolve_url(None) == storage.DEFAULT_URL


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell expands it where it stands alone; nobody wants a folder called ~."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    storage.open_storage("sqlite:///~/a.db")
    assert (tmp_path / "home" / "a.db").is_file()
    assert not (tmp_path / "~").exists()
    with pytest.raises(StorageError, match="no such home folder"):
        storage.open_storage("sqlite:///~nobody-of-that-name/a.db")


@pytest.mark.soak
@pytest.mark.parametrize("threshold", ["0", "5", "None"])
def test_an_option_that_is_a_number_reaches_the_driver_as_one(
    postgresql: str, threshold: str
) -> None:
    """A pooler in front of the server wants `prepare_threshold=0` or `None`; a URL holds texts."""
    opened = storage.open_storage(f"{postgresql}{_joint(postgresql)}prepare_threshold={threshold}")
    with opened.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        assert str(raw.prepare_threshold) == threshold


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("prepare_threshold=x", "prepare_threshold must be a whole number, got 'x'"),
        ("prepare_threshold=-1", "prepare_threshold must be a whole number, got '-1'"),
        ("connect_timeout=soon", "connect_timeout must be a whole number, got 'soon'"),
        ("connect_timeout=1&connect_timeout=2", "connect_timeout is given 2 times; keep one"),
        ("prepare_treshold=0", r"prepare_treshold is no option .* mean prepare_threshold\?"),
        ("pool_size=5", "pool_size is no option of a PostgreSQL URL; leave it out"),
        # psycopg's own, which a text would make something else of: any text is true
        ("autocommit=false", "autocommit is no option"),
        ("row_factory=dict", "row_factory is no option"),
        ("self=1", "self is no option"),
    ],
)
def test_an_option_that_cannot_be_is_named_in_a_line(
    postgresql: str, option: str, line: str
) -> None:
    """Also where the rest of the URL may hold a password and is not shown."""
    for create in (True, False):
        with pytest.raises(StorageError, match=f"^--storage: {line}"):
            storage.open_storage(f"{postgresql}{_joint(postgresql)}{option}", create=create)


@pytest.mark.parametrize("option", ["timeout=abc", "cached_statements=x"])
def test_an_option_that_sqlite_cannot_take_is_told_in_a_line(tmp_path: Path, option: str) -> None:
    """The driver's word, behind the URL that has the option in it."""
    with pytest.raises(StorageError, match=rf"^--storage sqlite:.*\?{option}: cannot be opened"):
        storage.open_storage(f"sqlite:///{tmp_path}/a.db?{option}")


def test_a_password_with_a_question_mark_is_not_told_as_an_option() -> None:
    """What stands behind the mark is half of the password."""
    with pytest.raises(StorageError, match="no option; write") as caught:
        storage.open_storage("postgresql://me:p@a?secret=word@host/db")
    assert "secret" not in str(caught.value)


def test_a_database_of_another_kind_is_refused_in_a_line() -> None:
    """Optuna has tables for it perhaps; our statements were never tried there."""
    with pytest.raises(StorageError, match=r"^--storage mssql://\.\.\.: no such database is known"):
        storage.open_storage("mssql+pyodbc://me:s3cr3t@host/db")


@pytest.mark.soak
def test_who_may_not_change_mysql_tables_is_told_once(
    mysql: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All works but for what is too long; whoever may, widens the columns later."""
    engine = sqlalchemy.create_engine(mysql)
    with engine.connect() as connection:
        for statement in (
            "CREATE DATABASE narrow CHARACTER SET utf8mb4",
            "CREATE USER guest@localhost IDENTIFIED BY 's3cr3t'",
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX, REFERENCES "
            "ON narrow.* TO guest@localhost",
        ):
            connection.exec_driver_sql(statement)
    narrow = mysql.replace("/optsearch?", "/narrow?")
    study = optuna.create_study(
        storage=storage.open_storage(narrow.replace("root@", "guest:s3cr3t@")), study_name="s"
    )
    trial = study.ask()
    study.tell(trial, 1.0)
    (told,) = caplog.messages
    assert "more than 64 KB will not fit" in told
    assert "s3cr3t" not in told
    with pytest.raises(StorageError, match="Data too long"):
        study.set_user_attr("history", "x" * 70_000)
    wide = optuna.load_study(storage=storage.open_storage(narrow), study_name="s")
    wide.set_user_attr("history", "x" * 70_000)
    assert wide.user_attrs == {"history": "x" * 70_000}


def _joint(url: str) -> str:
    return "&" if "?" in url else "?"
