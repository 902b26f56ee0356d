"""What SQLAlchemy's engine needs for each kind of database: its options, and its settings."""

from typing import Any

import sqlalchemy
from sqlalchemy.engine import URL, Engine

from search.errors import StorageError

BUSY_TIMEOUT_S = 60  # how long a writer waits for another one in SQLite
CONNECT_TIMEOUT_S = 10
NUMBERS = ("prepare_threshold",)  # of psycopg: not of the server, which reads texts


def options(url: URL) -> dict[str, Any]:
    """Keyword arguments of `create_engine`."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
    options: dict[str, Any] = {"pool_pre_ping": True}  # idle connections drop during long epochs
    if url.get_backend_name() == "postgresql":
        connect = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
        options["connect_args"] = connect | _numbers(url)
    return options


def _numbers(url: URL) -> dict[str, int]:
    """Options of psycopg that are numbers, which a URL can only hold as text."""
    given = {name: str(url.query[name]) for name in NUMBERS if name in url.query}
    for name, text in given.items():
        if not text.isdecimal():
            raise StorageError(
                f"--storage: {name} must be a whole number, got {text!r}; mend it, or leave it out"
            )
    return {name: int(text) for name, text in given.items()}


def tune(engine: Engine) -> None:
    """SQLite: readers and a writer at once (WAL)."""
    if engine.dialect.name == "sqlite":
        sqlalchemy.event.listen(engine, "connect", _sqlite_pragmas)
        engine.dispose()  # connections made before the listener was there


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")  # safe in WAL mode: a power cut loses no commit
    cursor.close()
