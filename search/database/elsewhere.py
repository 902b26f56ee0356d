"""Trials of a study in any database that Optuna has made, which is read and never written."""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import optuna
import sqlalchemy
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, Table, select
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from search.database import engines, storage, trial_rows
from search.errors import StorageError, StudyNotFoundError

_TABLES: dict[str, Table] = dict(models.BaseModel.metadata.tables)


class Elsewhere(NamedTuple):
    """What was read of a study: its trials by number, and what is known of the study itself."""

    trials: list[FrozenTrial]
    directions: list[str]
    user_attrs: dict[str, str]  # values as JSON


def read(name: str, url: str) -> Elsewhere:
    """A study as it stands there.

    No storage of Optuna's is made of it: that would change the tables of an older one.

    Raises:
        StudyNotFoundError: it is not there; the names of those that are.
        StorageError: the database cannot be read, or is none of Optuna's.
    """
    parsed = storage._parse(url)
    try:
        with _reading(parsed) as connection:
            return _study(connection, name, url)
    except (sqlalchemy.exc.SQLAlchemyError, OSError, ImportError) as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        if storage.redacted(url) != url:  # a driver may repeat any part of it
            cause = type(error).__name__
        raise StorageError(
            f"from {storage.redacted(url)}: no study can be read there ({cause}); "
            "name a database that Optuna 3 or newer has made"
        ) from error


@contextlib.contextmanager
def _reading(url: URL) -> Iterator[Connection]:
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database))
        if not file.is_file():
            raise FileNotFoundError(f"no such file: {file}")
        address = f"{file.absolute().as_uri()}?mode=ro"
        engine = sqlalchemy.create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool
        )
    else:
        engine = sqlalchemy.create_engine(url, **engines.options(url))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _study(connection: Connection, name: str, url: str) -> Elsewhere:
    studies = _TABLES["studies"]
    ids = dict(connection.execute(select(studies.c.study_name, studies.c.study_id)).all())
    if name not in ids:
        have = ", ".join(sorted(ids)) or "none"
        raise StudyNotFoundError(
            f"from {name}: not in {storage.redacted(url)}; studies there: {have}"
        )
    trials = trial_rows.of_study(connection, ids[name])
    if _major(connection) < 5:
        for trial in trials:
            trial.datetime_start = _as_local(trial.datetime_start)
            trial.datetime_complete = _as_local(trial.datetime_complete)
    directions, attrs = _TABLES["study_directions"], _TABLES["study_user_attributes"]
    told = select(directions.c.direction).where(directions.c.study_id == ids[name])
    known = select(attrs.c.key, attrs.c.value_json).where(attrs.c.study_id == ids[name])
    return Elsewhere(
        trials,
        [StudyDirection[_word(d)].name.lower() for d in connection.scalars(told)],
        dict(connection.execute(known).all()),
    )


def _word(direction: object) -> str:
    return direction.name if isinstance(direction, StudyDirection) else str(direction)


def _major(connection: Connection) -> int:
    made = connection.scalar(sqlalchemy.text("SELECT library_version FROM version_info"))
    return int(str(made or optuna.__version__).split(".")[0])


def _as_local(moment: datetime | None) -> datetime | None:
    """Optuna before 5 keeps local time, which was read as if it were UTC."""
    return moment and moment.astimezone(UTC).replace(tzinfo=None)
