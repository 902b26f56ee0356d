"""A storage URL becomes an Optuna storage that is ready for many processes and bad networks."""

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import optuna
import sqlalchemy
from filelock import FileLock
from sqlalchemy.engine import URL, Engine, make_url

from search.database import engines, mysql_columns, patience, server_lock
from search.database.rdb import Database
from search.errors import NoStudiesError, StorageError

DEFAULT_FILE = Path("runs/optsearch.db")
DEFAULT_URL = f"sqlite:///{DEFAULT_FILE}"
_IN_MEMORY = (None, "", ":memory:")
LOCK_S = 60  # how long a holder of a study's lock may be silent; held it is for milliseconds
_DRIVERS = {  # those of our extras, where a URL names none
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
# Whatever has another shape may hold a password in a place where nobody looks for one.
_WELL_FORMED = re.compile(
    r"[\w+]+://([^:/@%;\s]*(:\*\*\*)?@)?[^/@:;%\s]*(:\w+)?(/[^/@:;%\s?]*)?(\?[^@;%\s]*)?"
)
_CANNOT_OPEN = (
    sqlalchemy.exc.SQLAlchemyError,
    optuna.exceptions.StorageInternalError,
    ImportError,
    RuntimeError,
    OSError,
    TypeError,  # an option that the driver does not know
    ValueError,  # or a value that it cannot have
)
_PASSWORD_KEYS = ("password", "passwd", "pwd", "sslpassword")
_PASSWORD_OPTION = re.compile(rf"([?&](?:{'|'.join(_PASSWORD_KEYS)})=)[^&]*", re.IGNORECASE)

# Optuna logs every study it makes or finds; whoever opens a storage here speaks for itself
optuna.logging.set_verbosity(optuna.logging.WARNING)
# It warns of each list among choices; they come back as they were offered (workers/choices.py)
warnings.filterwarnings("ignore", "Choices for a categorical distribution should be")


def resolve_url(url: str | None) -> str:
    """The URL of `--storage`, else of OPTSEARCH_STORAGE, else a file in `runs/`."""
    given = (url or "").strip() or os.environ.get("OPTSEARCH_STORAGE", "").strip()
    return given or DEFAULT_URL


def absolute(url: str) -> str:
    """The URL with the path of a SQLite file made absolute: the same file from any folder."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite":
        return url
    file = Path(str(parsed.database)).absolute()
    return parsed.set(database=str(file)).render_as_string(hide_password=False)


def file(url: str) -> Path | None:
    """The file of a SQLite URL; None where it names none."""
    parsed = _parse(url)
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in _IN_MEMORY
    return Path(str(parsed.database)) if is_file else None


def redacted(url: str) -> str:
    """The URL with every password in it replaced: what may be printed, logged or stored.

    It works on text: a URL with a slip in it (an @ in the password) must not tell it either.
    """
    if re.match(r"sqlite(\+\w+)?:///", url) or re.fullmatch(r"[\w./-]*", url):
        return url
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    rest = re.sub(r"^([^:/@]*):.*@", r"\1:***@", rest)
    text = scheme + separator + re.sub(_PASSWORD_OPTION, r"\1***", rest)
    if _WELL_FORMED.fullmatch(text):
        return text
    return f"{scheme}://***" if separator and re.fullmatch(r"[\w+]+", scheme) else "***"


def place(study: optuna.Study) -> str | None:
    """What `--storage` has to say for a command to find the study again; None where nothing."""
    database = getattr(study._storage, "_backend", study._storage)
    if not isinstance(database, Database) or database.engine.url == _parse(resolve_url(None)):
        return None
    return redacted(database.engine.url.render_as_string(hide_password=False))


def open_storage(url: str, *, create: bool = True) -> Database:
    """Open a database for studies, in a state in which it can be written.

    From then on it is waited for; one that cannot be reached now is an error at once.

    Args:
        create: make the file (SQLite) and the tables where they are missing.

    Raises:
        StorageError: it cannot be reached, read or written; never with a password in its text.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        _check_sqlite_file(parsed, create)
    try:
        if not create:
            _require_tables(parsed)
        with _creation_lock(parsed):  # two first commands would make the tables at once
            text = parsed.render_as_string(hide_password=False)
            waiting = patience.Patience(redacted(text), _secrets(parsed))
            storage = Database(text, engines.options(parsed), waiting)
        _prepare(storage.engine)
        if create:
            mysql_columns.fit(storage.engine)
        _require_same_major(parsed, storage.engine)
        if parsed.get_backend_name() == "sqlite":
            storage.inode = Path(str(parsed.database)).stat().st_ino
    except _CANNOT_OPEN as error:
        raise StorageError(_explain(parsed, error)) from error
    return storage


def _creation_lock(url: URL) -> contextlib.AbstractContextManager[Any]:
    if url.get_backend_name() == "sqlite":
        return FileLock(f"{url.database}.lock")
    return contextlib.nullcontext()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise StorageError(
            f"--storage {redacted(url)}: not a database URL; "
            "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from error
    if parsed.get_backend_name() == "sqlite" and str(parsed.database or "").startswith("~"):
        return parsed.set(database=_home(str(parsed.database), url))
    if "@" in (parsed.host or ""):
        raise StorageError(f"--storage {redacted(url)}: write an @ in the password as %40")
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def _home(file: str, url: str) -> str:
    """The path with its `~` expanded, as a shell does outside of a URL."""
    try:
        return str(Path(file).expanduser())
    except RuntimeError as error:
        raise StorageError(
            f"--storage {url}: there is no such home folder; write the whole path"
        ) from error


def _check_sqlite_file(url: URL, create: bool) -> None:
    if url.database in _IN_MEMORY:
        raise StorageError(
            "--storage sqlite://: a database in memory is lost with its process; "
            f"name a file, as in {DEFAULT_URL}"
        )
    file = Path(str(url.database))
    if create:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(_explain(url, error)) from error
    elif not file.exists():
        raise StorageError(
            f"--storage {redacted(str(url))}: no such file; "
            "`run` starts a study there, or name another storage"
        )


def _require_tables(url: URL) -> None:
    engine = sqlalchemy.create_engine(url, **engines.options(url))
    try:
        if not sqlalchemy.inspect(engine).has_table("studies"):
            raise NoStudiesError(
                f"--storage {redacted(str(url))}: holds no Optuna tables; "
                "`run` starts a study there, or name another storage"
            )
    finally:
        engine.dispose()


def _prepare(engine: Engine) -> None:
    """See that writing works."""
    engines.tune(engine)
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(sqlalchemy.text("UPDATE version_info SET version_info_id = 1"))
        transaction.rollback()


def _require_same_major(url: URL, engine: Engine) -> None:
    """Refuse tables of another Optuna: 4.x writes local time where 5.x reads UTC."""
    with engine.connect() as connection:
        made = connection.scalar(sqlalchemy.text("SELECT library_version FROM version_info"))
    if str(made).split(".")[0] != optuna.__version__.split(".")[0]:
        place = redacted(url.render_as_string(hide_password=False))
        raise StorageError(
            f"--storage {place}: was made by Optuna {made}, which keeps times in another way than "
            f"{optuna.__version__} here, so they must not be mixed; name another storage"
        )


def _secrets(url: URL) -> list[str]:
    query = (str(v) for k, v in url.query.items() if k.lower() in _PASSWORD_KEYS)
    return [secret for secret in (url.password, *query) if secret]


def _explain(url: URL, error: Exception) -> str:
    """One line without the password, whatever the driver wrote into its message."""
    cause = patience.cause_of(error, _secrets(url))
    place = f"--storage {redacted(url.render_as_string(hide_password=False))}"
    extra = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
    if isinstance(error, ImportError) and url.get_backend_name() in extra:
        return (
            f"{place}: needs the driver; pip install 'optsearch[{extra[url.get_backend_name()]}]'"
        )
    if place.endswith("***"):  # not well-formed: the driver may repeat any part of it
        cause = type(error).__name__
    return f"{place}: cannot be opened for writing: {cause}; check the URL, the server and rights"


@contextlib.contextmanager
def exclusive(study: optuna.Study) -> Iterator[None]:
    """Hold the study's lock among all processes, on any host, that share its database.

    SQLite: a lock file beside the database (an open write transaction would block Optuna's own
    writes). A server: a lock of its own, which it takes back from a holder that dies, or is
    silent for LOCK_S. A server that restarts has forgotten who held it: what runs inside goes
    on, and must bear that another process runs the same. So a slot is not claimed in here, but in
    a transaction (`Database.claim`).

    Raises:
        StorageError: another process has held it for twice LOCK_S.
    """
    database = database_of(study)
    lock = _file_lock if database.engine.dialect.name == "sqlite" else _server_lock
    with contextlib.ExitStack() as held:
        database.patience.run(lambda: held.enter_context(lock(database, study._study_id)))
        yield


@contextlib.contextmanager
def _file_lock(database: Database, _study_id: int) -> Iterator[None]:
    try:
        lock = FileLock(f"{database.engine.url.database}.lock").acquire(timeout=2 * LOCK_S)
    except filelock.Timeout as error:
        raise _held(database) from error
    with lock:
        yield


@contextlib.contextmanager
def _server_lock(database: Database, study_id: int) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(server_lock.hold(database.engine, study_id, LOCK_S))
        except TimeoutError as error:
            raise _held(database) from error
        yield


def _held(database: Database) -> StorageError:
    place = redacted(database.engine.url.render_as_string(hide_password=False))
    return StorageError(
        f"storage {place}: another process has held the study's lock for {2 * LOCK_S} s; "
        "end the optsearch process that hangs, then run the same command again"
    )


def check_present(study: optuna.Study) -> None:
    """Raise StorageError where the file of a SQLite database was removed or replaced since it was
    opened: what is written goes to a file without a name, and is lost with the last process."""
    database = database_of(study)
    if database.engine.dialect.name != "sqlite":
        return
    file = Path(str(database.engine.url.database))
    with contextlib.suppress(FileNotFoundError):
        if file.stat().st_ino == database.inode:
            return
    raise StorageError(
        f"--storage sqlite:///{file}: the file was removed or replaced while the run wrote to it; "
        "put it back, or start anew"
    )


def database_of(study: optuna.Study) -> Database:
    """What is below Optuna's cache in a study that was opened with `open_storage`."""
    database = getattr(study._storage, "_backend", study._storage)
    assert isinstance(database, Database)
    return database
