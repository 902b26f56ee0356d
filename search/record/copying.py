"""Copy a study to another database: every row that Optuna keeps of it, as it stands there.

`optuna.copy_study` goes trial by trial, so that a kill leaves half a study; it takes times through
local time, where an hour a year is ambiguous; and it loses the notes of trials, as their keys hold
ids that mean nothing elsewhere.
"""

import contextlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, Select, Table, select, text

from search.database import storage
from search.errors import StorageError, UsageError
from search.record import chains, study

BATCH = 1000  # rows held in memory
_METADATA: sqlalchemy.MetaData = models.BaseModel.metadata
_STUDIES, _TRIALS = _METADATA.tables["studies"], _METADATA.tables["trials"]
# Of optuna-dashboard: notes, artifacts and skipped trials, by the id of a trial
_KEY_WITH_ID = re.compile(r"(dashboard:(?:artifacts:)?|preference:skip_trial:)(\d+)(:.*)?")
_KEY_OF_IDS = re.compile(r"\w+:parent:\d+")  # of Optuna's genetic samplers: a list of such ids


def copy_study(name: str, source_url: str, target_url: str, new_name: str) -> int:
    """Copy a study with all that the database holds of it; the original stays as it is.

    One transaction: whoever is killed in the middle leaves nothing behind.

    Returns:
        How many trials it has.

    Raises:
        StudyNotFoundError: it is not in the database that --from names.
        StorageError: trials are running, the name is taken, or a database cannot be used.
        UsageError: both URLs lead to the same database.
    """
    with _speaking_of("--from"):
        original = study.load_study(name, source_url)
    source = storage.database_of(original).engine
    both = [original, *study.siblings(original)]  # with the runs that confirm its best
    for one in both:
        with source.connect() as now:
            running = _running(now, one._study_id)
        if running and (spec := study.stored_spec(one)):  # else the dead would run for ever
            chains.mend(one, spec.budget.retries)
    with _snapshot(source) as old:
        _refuse_running(name, sum(_running(old, one._study_id) for one in both), source_url)
        with _speaking_of("--to"):
            target = storage.open_storage(target_url).engine
        if _is_same(source, target):
            raise UsageError(
                f"--to {storage.redacted(target_url)}: must be another database than --from; "
                "name the one to copy to"
            )
        with target.begin() as new:
            copied = [
                _copy(old, new, one._study_id, _create(new, _renamed(one, new_name), target_url))
                for one in both
            ]
            _point_at(new, new_name)
    return copied[0]


def _renamed(one: optuna.Study, new_name: str) -> str:
    return new_name + study.SUFFIX * (study.CONFIRMS in one.user_attrs)


def _point_at(new: Connection, name: str) -> None:
    """Let the copy of the confirming runs name the copy that they confirm."""
    attributes = _METADATA.tables["study_user_attributes"]
    runs = select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name + study.SUFFIX)
    own = (attributes.c.study_id == runs.scalar_subquery()) & (attributes.c.key == study.CONFIRMS)
    new.execute(attributes.update().where(own).values(value_json=json.dumps(name)))


@contextlib.contextmanager
def _speaking_of(option: str) -> Iterator[None]:
    """Name the right one of two databases where an error speaks of --storage."""
    try:
        yield
    except StorageError as error:
        raise StorageError(str(error).replace("--storage", option, 1)) from error


@contextlib.contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """Reads that see the database as it was at the first of them, whoever writes meanwhile."""
    is_sqlite = engine.dialect.name == "sqlite"
    options = {} if is_sqlite else {"isolation_level": "REPEATABLE READ"}
    with engine.execution_options(**options).connect() as connection:
        if is_sqlite:
            connection.exec_driver_sql("BEGIN")  # the driver begins only before it writes
        yield connection


def _running(connection: Connection, study_id: int) -> int:
    """How many trials of a study are running."""
    query = select(sqlalchemy.func.count()).where(_TRIALS.c.study_id == study_id)
    return int(connection.scalar(query.where(_TRIALS.c.state == TrialState.RUNNING)) or 0)


def _refuse_running(name: str, running: int, url: str) -> None:
    if running:
        raise StorageError(
            f"study '{name}' in {storage.redacted(url)}: no trial may be running while it is "
            f"copied, but {running} {'is' if running == 1 else 'are'}; "
            "stop the run (Ctrl-C) or wait for its end, and repeat"
        )


def _is_same(source: Engine, target: Engine) -> bool:
    """Whether two engines lead to one database, by whatever path, host name or socket."""
    if source.dialect.name != target.dialect.name:
        return False
    if source.dialect.name == "sqlite":
        return Path(str(source.url.database)).samefile(str(target.url.database))
    if source.dialect.name != "postgresql":
        places = [(e.url.host, e.url.port, e.url.database) for e in (source, target)]
        return places[0] == places[1]
    key = {"key": secrets.randbits(62)}  # locks of this kind are known within one database only
    with source.connect() as one, target.connect() as other:
        one.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)
        return not other.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), key)


def _create(new: Connection, name: str, url: str) -> int:
    """The id of a new study; StorageError where its name is taken."""
    try:
        created = new.execute(_STUDIES.insert().values(study_name=name)).inserted_primary_key
    except sqlalchemy.exc.IntegrityError as error:
        raise StorageError(
            f"--to {storage.redacted(url)}: has a study '{name}' already; "
            "give the copy another name with --name NAME"
        ) from error
    assert created is not None
    return int(created[0])


def _copy(old: Connection, new: Connection, old_study: int, new_study: int) -> int:
    """Copy every row below a study, with new ids in place of the old ones; count the trials."""
    ids: dict[int, int] = {}
    for table in [_TRIALS, *(t for t in _METADATA.sorted_tables if t is not _TRIALS)]:
        if not {"study_id", "trial_id"} & {key.parent.name for key in table.foreign_keys}:
            continue  # not below a study: the studies themselves, the version
        rows = old.execute(_rows(table, old_study).execution_options(yield_per=BATCH))
        for batch in rows.mappings().partitions():
            new.execute(table.insert(), [_moved(table, row, new_study, ids) for row in batch])
        if table is _TRIALS:  # in the order of their numbers, on both sides
            ids = dict(zip(_ids(old, old_study), _ids(new, new_study), strict=True))
    return len(ids)


def _rows(table: Table, study_id: int) -> Select[Any]:
    """A study's rows of a table, in the order in which they were written."""
    rows = select(table).order_by(*table.primary_key)
    if "study_id" not in table.c:
        rows = rows.join(_TRIALS)
    return rows.where((table if "study_id" in table.c else _TRIALS).c.study_id == study_id)


def _ids(connection: Connection, study_id: int) -> list[int]:
    trials = select(_TRIALS.c.trial_id).where(_TRIALS.c.study_id == study_id)
    return list(connection.scalars(trials.order_by(_TRIALS.c.trial_id)))


def _moved(
    table: Table, row: Mapping[Any, Any], study_id: int, ids: Mapping[int, int]
) -> dict[str, Any]:
    """A row for the other database, which gives it a primary key of its own."""
    moved = {column: row[column] for column in row if column not in table.primary_key}
    if "study_id" in moved:
        moved["study_id"] = study_id
    if "trial_id" in moved:
        moved["trial_id"] = ids[moved["trial_id"]]
    if table.name == "study_system_attributes":
        moved |= _readdressed(moved["key"], moved["value_json"], ids)
    return moved


def _readdressed(key: str, value_json: str, ids: Mapping[int, int]) -> dict[str, str]:
    """A system attribute of the study, the ids of trials in it replaced."""
    if (found := _KEY_WITH_ID.fullmatch(key)) and int(found[2]) in ids:
        key = f"{found[1]}{ids[int(found[2])]}{found[3] or ''}"
    elif _KEY_OF_IDS.fullmatch(key):
        value_json = json.dumps([ids.get(trial, trial) for trial in json.loads(value_json)])
    return {"key": key, "value_json": value_json}
