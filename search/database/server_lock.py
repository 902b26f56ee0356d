"""A study's lock that a database server keeps, and takes back from a holder that dies or hangs."""

import contextlib
from collections.abc import Iterator

import sqlalchemy
from sqlalchemy import Connection, Engine

_TIMEOUT = "55P03"  # PostgreSQL's code for a lock that was not to be had in time
_SPACE = 0x0975  # tells our advisory locks from those of other programs
_NAME = "CONCAT('optsearch:', SHA1(DATABASE()), ':', :study)"  # MySQL: 64 characters, all databases


@contextlib.contextmanager
def hold(engine: Engine, study_id: int, silence_s: int) -> Iterator[None]:
    """Hold the lock on a connection of its own, so that it ends with the connection at the latest.

    Args:
        silence_s: how long a holder may be silent before the server takes its lock back.

    Raises:
        TimeoutError: another one has held it for twice as long.
    """
    is_postgresql = engine.dialect.name == "postgresql"
    connection = engine.connect()
    try:
        take = _of_postgresql if is_postgresql else _of_mysql
        take(connection, study_id, silence_s)
    except BaseException as error:
        connection.invalidate()
        connection.close()
        if getattr(getattr(error, "orig", None), "sqlstate", None) == _TIMEOUT:
            raise TimeoutError from error
        raise
    try:
        yield
    finally:
        # what was done inside is done: a lock that went with its connection is no error now
        if not is_postgresql:
            with contextlib.suppress(sqlalchemy.exc.DBAPIError):
                release = sqlalchemy.text(f"SELECT RELEASE_LOCK({_NAME})")
                connection.execute(release, {"study": study_id})
        with contextlib.suppress(sqlalchemy.exc.DBAPIError):
            connection.rollback()
        with contextlib.suppress(sqlalchemy.exc.DBAPIError):
            connection.close()


def _of_postgresql(connection: Connection, study_id: int, silence_s: int) -> None:
    lock = sqlalchemy.text("SELECT pg_advisory_xact_lock(:space, :study)")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{2 * silence_s}s'")
    connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{silence_s}s'")
    connection.execute(lock, {"space": _SPACE, "study": study_id})


def _of_mysql(connection: Connection, study_id: int, silence_s: int) -> None:
    """Belongs to the session, which has settings of its own: nobody uses it afterwards."""
    connection.detach()
    connection.exec_driver_sql(f"SET SESSION wait_timeout = {silence_s}")
    lock = sqlalchemy.text(f"SELECT GET_LOCK({_NAME}, :timeout)")
    if connection.scalar(lock, {"study": study_id, "timeout": 2 * silence_s}) != 1:
        raise TimeoutError
