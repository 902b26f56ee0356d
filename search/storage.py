"""A storage URL becomes an Optuna storage that is ready for many processes and bad networks."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock
from sqlalchemy.engine import URL, Engine, make_url

from search.errors import StorageError

DEFAULT_FILE = Path("runs/optsearch.db")
DEFAULT_URL = f"sqlite:///{DEFAULT_FILE}"
BUSY_TIMEOUT_S = 60  # how long a writer waits for another one in SQLite
CONNECT_TIMEOUT_S = 10
# Whatever has another shape may hold a password in a place where nobody looks for one.
_WELL_FORMED = re.compile(
    r"[\w+]+://([^:/@%;\s]*(:\*\*\*)?@)?[^/@:;%\s]*(:\w+)?(/[^/@:;%\s?]*)?(\?[^@;%\s]*)?"
)
_LOCK_SPACE = 0x0975  # tells our advisory locks from those of other programs
_CANNOT_OPEN = (
    sqlalchemy.exc.SQLAlchemyError,
    optuna.exceptions.StorageInternalError,
    ImportError,
    RuntimeError,
    OSError,
)
_PASSWORD_KEYS = ("password", "passwd", "pwd", "sslpassword")
_PASSWORD_OPTION = re.compile(rf"([?&](?:{'|'.join(_PASSWORD_KEYS)})=)[^&]*", re.IGNORECASE)

# Optuna logs every study it makes or finds; whoever opens a storage here speaks for itself
optuna.logging.set_verbosity(optuna.logging.WARNING)


def resolve_url(url: str | None) -> str:
    """The URL of `--storage`, else of OPTSEARCH_STORAGE, else a file in `runs/`."""
    return url or os.environ.get("OPTSEARCH_STORAGE") or DEFAULT_URL


def absolute(url: str) -> str:
    """The URL with the path of a SQLite file made absolute: the same file from any folder."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite":
        return url
    file = Path(str(parsed.database)).absolute()
    return parsed.set(database=str(file)).render_as_string(hide_password=False)


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


def open_storage(url: str, *, create: bool = True) -> optuna.storages.RDBStorage:
    """Open a database for studies, in a state in which it can be written.

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
            storage = optuna.storages.RDBStorage(
                parsed.render_as_string(hide_password=False), engine_kwargs=_engine_options(parsed)
            )
        _prepare(storage.engine)
        _require_same_major(parsed, storage.engine)
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
    if "@" in (parsed.host or ""):
        raise StorageError(f"--storage {redacted(url)}: write an @ in the password as %40")
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")  # psycopg 3, the driver of our extra
    return parsed


def _engine_options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
    options: dict[str, Any] = {"pool_pre_ping": True}  # idle connections drop during long epochs
    if url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query:
        options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT_S}
    return options


def _check_sqlite_file(url: URL, create: bool) -> None:
    if url.database in (None, "", ":memory:"):
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
            "start a study with `optsearch run`, or name another storage"
        )


def _require_tables(url: URL) -> None:
    engine = sqlalchemy.create_engine(url, **_engine_options(url))
    try:
        if not sqlalchemy.inspect(engine).has_table("studies"):
            raise StorageError(
                f"--storage {redacted(str(url))}: holds no Optuna tables; "
                "start a study with `optsearch run`, or name another storage"
            )
    finally:
        engine.dispose()


def _prepare(engine: Engine) -> None:
    """SQLite: readers and a writer at once (WAL). Everywhere: see that writing works."""
    if engine.dialect.name == "sqlite":
        sqlalchemy.event.listen(engine, "connect", _sqlite_pragmas)
        engine.dispose()  # connections made before the listener was there
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


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")  # safe in WAL mode: a power cut loses no commit
    cursor.close()


def _explain(url: URL, error: Exception) -> str:
    """One line without the password, whatever the driver wrote into its message."""
    cause = str(getattr(error, "orig", None) or error.__cause__ or error).strip().split("\n")[0]
    secrets = [url.password, *(v for k, v in url.query.items() if k.lower() in _PASSWORD_KEYS)]
    for secret in secrets:
        cause = cause.replace(str(secret), "***") if secret else cause
    place = f"--storage {redacted(url.render_as_string(hide_password=False))}"
    if isinstance(error, ImportError) and url.get_backend_name() == "postgresql":
        return f"{place}: needs the driver; pip install 'optsearch[postgres]'"
    if place.endswith("***"):  # not well-formed: the driver may repeat any part of it
        cause = type(error).__name__
    return f"{place}: cannot be opened for writing: {cause}; check the URL, the server and rights"


@contextlib.contextmanager
def exclusive(study: optuna.Study) -> Iterator[None]:
    """Hold the study's lock among all processes, on any host, that share its database.

    SQLite: a lock file beside the database (an open write transaction would block Optuna's own
    writes). PostgreSQL: an advisory lock, which the server gives back if this process dies.
    """
    engine = _engine(study._storage)
    if engine.dialect.name == "sqlite":
        with FileLock(f"{engine.url.database}.lock"):
            yield
    elif engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            key = {"space": _LOCK_SPACE, "study": study._study_id}
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:space, :study)"), key)
            try:
                yield
            finally:
                connection.execute(
                    sqlalchemy.text("SELECT pg_advisory_unlock(:space, :study)"), key
                )
    else:
        with engine.begin() as connection:  # the row stays locked until the transaction ends
            row = sqlalchemy.text("SELECT 1 FROM version_info WHERE version_info_id = 1 FOR UPDATE")
            connection.execute(row)
            yield


def _engine(backend: optuna.storages.BaseStorage) -> Engine:
    """The engine of an RDBStorage, with or without Optuna's cache around it."""
    backend = getattr(backend, "_backend", backend)
    assert isinstance(backend, optuna.storages.RDBStorage)
    return backend.engine
