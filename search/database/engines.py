"""What SQLAlchemy's engine needs for each kind of database: its options, and its settings."""

import difflib
import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy
from optuna.storages._rdb import models
from sqlalchemy.engine import URL, Engine

from search.database.trial_rows import UPSERTS
from search.errors import StorageError

BUSY_TIMEOUT_S = 60  # how long a writer waits for another one in SQLite
CONNECT_TIMEOUT_S = 10
_WIDER = {"text": "MEDIUMTEXT", "datetime": "DATETIME(6)"}
_log = logging.getLogger("optsearch")
NUMBERS = ("prepare_threshold", "connect_timeout")  # that psycopg itself reads


def options(url: URL) -> dict[str, Any]:
    """Keyword arguments of `create_engine`."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
    options: dict[str, Any] = {"pool_pre_ping": True}  # idle connections drop during long epochs
    if url.get_backend_name() == "postgresql":
        connect = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
        options["connect_args"] = connect | _values(url)
    elif url.get_backend_name() not in UPSERTS:
        kinds = ", ".join(sorted(UPSERTS))
        raise StorageError(
            f"--storage {url.get_backend_name()}://...: no such database is known here; "
            f"write the URL of one of {kinds}"
        )
    return options


def _values(url: URL) -> dict[str, int | None]:
    """Options that the driver reads, and which a URL can only hold as text: their values.

    Raises:
        StorageError: there is no such option, or it cannot have that value. (The server's own
            values, as of `sslmode`, are judged by the driver.)
    """
    known = {*NUMBERS, *_options_of_server()}
    found: dict[str, int | None] = {}
    for name, text in url.query.items():
        if name not in known and url.get_driver_name() == "psycopg":
            raise StorageError(f"--storage: {_unknown(name, text, known)}")
        if not isinstance(text, str) and name not in ("host", "port"):
            raise StorageError(f"--storage: {name} is given {len(text)} times; keep one of them")
        if name in NUMBERS:
            found[name] = _number(name, str(text))
    return found


def _unknown(name: str, text: str | tuple[str, ...], known: Iterable[str]) -> str:
    if "@" in str(text) or not name.isidentifier():  # a password with a ? in it
        return "what follows the ? is no option; write ?, @ and = in a password as %3F, %40 and %3D"
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "leave it out"
    return f"{name} is no option of a PostgreSQL URL; {hint}"


def _number(name: str, text: str) -> int | None:
    """`prepare_threshold=None` tells psycopg never to prepare a statement."""
    if name == "prepare_threshold" and text.lower() == "none":
        return None
    if not text.isdecimal():
        raise StorageError(
            f"--storage: {name} must be a whole number, got {text!r}; mend it, or leave it out"
        )
    return int(text)


def _options_of_server() -> list[str]:
    """What libpq takes; psycopg's other parameters are Python objects, or none of a user's."""
    from psycopg import pq  # an extra of ours: whoever has no such URL may not have it

    return [option.keyword.decode() for option in pq.Conninfo.get_defaults()]


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


def widen(engine: Engine) -> None:
    """MySQL: give Optuna's tables room for long texts, and times their microseconds, as other
    databases do: a TEXT ends at 64 KB there (a history of 1,500 epochs has more), a DATETIME at
    whole seconds. Where that is forbidden, all else works."""
    if engine.dialect.name not in ("mysql", "mariadb"):
        return
    narrow = sqlalchemy.text(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name IN :tables"
        " AND (data_type = 'text' OR data_type = 'datetime' AND datetime_precision = 0)"
    ).bindparams(sqlalchemy.bindparam("tables", expanding=True))
    changes = defaultdict(list)
    with engine.connect() as connection:
        tables = list(models.BaseModel.metadata.tables)
        for table, column, kind, is_nullable in connection.execute(narrow, {"tables": tables}):
            null = "NULL" if is_nullable == "YES" else "NOT NULL"
            changes[table].append(f"MODIFY `{column}` {_WIDER[kind]} {null}")
        try:
            for table, parts in changes.items():
                connection.exec_driver_sql(f"ALTER TABLE `{table}` {', '.join(parts)}")
        except sqlalchemy.exc.DBAPIError as error:
            _log.warning(
                "storage: a history of more than 64 KB will not fit: %s; grant ALTER, "
                "then run the same command again",
                error.orig,
            )
