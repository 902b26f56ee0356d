"""Trials in Optuna's own tables: read in bulk, one select a table; written one statement a row.

Optuna goes through SQLAlchemy's object-relational mapper, which takes seconds for thousands of
trials. What is read and written here equals what Optuna's own methods read and write (tested).
"""

import functools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    String,
    Table,
    bindparam,
    select,
    type_coerce,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite

TRIALS: Table = models.TrialModel.__table__
PARAMS: Table = models.TrialParamModel.__table__
VALUES: Table = models.TrialValueModel.__table__
REPORTS: Table = models.TrialIntermediateValueModel.__table__
USER_ATTRS: Table = models.TrialUserAttributeModel.__table__
SYSTEM_ATTRS: Table = models.TrialSystemAttributeModel.__table__
_NOT_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
_STATES = {state.name: state for state in TrialState}
FEW = 500  # so many trials are named; more are found by the database a second time
UPSERTS: dict[str, Callable[..., Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
    "mysql": mysql.insert,
    "mariadb": mysql.insert,
}
Rows = dict[int, list[tuple[Any, ...]]]


class Marks(NamedTuple):
    """User attributes that tell what a trial is. Of a WAITING one `chain` marks the retry of
    another, `paused` one that has begun; without them it is queued. `known` is another study's."""

    chain: str
    paused: str
    known: str


def read(
    connection: Connection, condition: ColumnElement[bool], *, whole: bool = True
) -> list[FrozenTrial]:
    """The trials that meet a condition on TRIALS, by id; where they need not be `whole`, without
    values, parameters and system attributes.

    The trials themselves are read first: one that has ended by then is whole in all that follows,
    and one that has not is read again anyway.
    """
    columns = ("trial_id", "number", "state", "datetime_start", "datetime_complete")
    query = select(*_plain(TRIALS, columns)).where(condition).order_by(TRIALS.c.trial_id)
    found = connection.execute(query).all()
    if not found:
        return []
    trials = select(TRIALS.c.trial_id).where(condition)
    of_these = named([row[0] for row in found]) if len(found) <= FEW else trials
    of_table = functools.partial(_by_trial, connection, of_these)
    values: Rows = defaultdict(list)
    params, system_attrs = values, values
    if whole:
        values = of_table(VALUES, ("value", "value_type"), order="objective")
        drawn = ("param_name", "param_value", "distribution_json")
        params = of_table(PARAMS, drawn, order="param_id")
        system_attrs = of_table(SYSTEM_ATTRS, ("key", "value_json"))
    reports = of_table(REPORTS, ("step", "intermediate_value", "intermediate_value_type"))
    user_attrs = of_table(USER_ATTRS, ("key", "value_json"))
    return [
        FrozenTrial(
            trial_id=trial_id,
            number=number,
            state=_STATES[state],
            datetime_start=_local(start),
            datetime_complete=_local(complete),
            value=None,
            values=[_float(*row) for row in values[trial_id]] or None,
            params={k: distribution(d).to_external_repr(v) for k, v, d in params[trial_id]},
            distributions={k: distribution(d) for k, _, d in params[trial_id]},
            intermediate_values={step: _float(v, kind) for step, v, kind in reports[trial_id]},
            user_attrs={key: json.loads(text) for key, text in user_attrs[trial_id]},
            system_attrs={key: json.loads(text) for key, text in system_attrs[trial_id]},
        )
        for trial_id, number, state, start, complete in found
    ]


def of_study(
    connection: Connection, study_id: int, *, open_only: bool = False
) -> list[FrozenTrial]:
    """All trials of a study, or those that have not ended, by id."""
    condition = TRIALS.c.study_id == study_id
    return read(connection, condition & is_updatable() if open_only else condition)


def since(
    connection: Connection, study_id: int, newest: int, open_ids: Iterable[int]
) -> list[FrozenTrial]:
    """The trials of a study that were made after the one with the id `newest`, and those named; not
    whole (`read`)."""
    changed = (TRIALS.c.trial_id > newest) | TRIALS.c.trial_id.in_(named(open_ids))
    return read(connection, (TRIALS.c.study_id == study_id) & changed, whole=False)


def system_attrs_since(connection: Connection, study_id: int, newest: int, key: str) -> list[Any]:
    """A system attribute of the trials of a study that were made after the one given."""
    query = select(SYSTEM_ATTRS.c.value_json).join(TRIALS)
    newer = (TRIALS.c.study_id == study_id) & (TRIALS.c.trial_id > newest)
    found = connection.scalars(query.where(newer, SYSTEM_ATTRS.c.key == key))
    return [json.loads(text) for text in found]


def count(connection: Connection, study_id: int) -> int:
    """How many trials a study has."""
    query = select(sqlalchemy.func.count()).where(TRIALS.c.study_id == study_id)
    return int(connection.scalar(query) or 0)


def _by_trial(
    connection: Connection,
    trials: Any,
    table: Table,
    columns: Sequence[str],
    order: str | None = None,
) -> Rows:
    query = select(table.c.trial_id, *_plain(table, columns)).where(table.c.trial_id.in_(trials))
    rows: Rows = defaultdict(list)
    for trial_id, *row in connection.execute(query.order_by(table.c[order]) if order else query):
        rows[trial_id].append(tuple(row))
    return rows


def named(trial_ids: Iterable[int]) -> BindParameter[Any]:
    """Ids for `in_`, written into the statement: databases limit the number of parameters."""
    ids = sorted(trial_ids)
    return bindparam("ids", ids, expanding=True, literal_execute=True)


def _plain(table: Table, names: Iterable[str]) -> list[ColumnElement[Any]]:
    """Columns, enumerations as the text that they are in the database: that is faster."""
    return [
        type_coerce(table.c[name], String)
        if isinstance(table.c[name].type, sqlalchemy.Enum)
        else table.c[name]
        for name in names
    ]


def _float(value: float | None, kind: str) -> float:
    return _NOT_FINITE[kind] if value is None else value


# Distributions are not changed by anybody: trials share them, as they share few distinct ones
@functools.lru_cache(maxsize=4096)
def distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _local(moment: datetime | None) -> datetime | None:
    """Optuna keeps UTC and shows local time, both without saying so. Of an hour that comes twice,
    as summer ends, `fold` tells which: so no moment is lost on the way."""
    if moment is None:
        return None
    known = moment.replace(tzinfo=UTC)
    local = known.astimezone().replace(tzinfo=None)
    return local if local.timestamp() == known.timestamp() else local.replace(fold=1)


def put(
    connection: Connection, table: Table, trial_id: int, row: dict[str, Any], *, is_kept: bool
) -> bool:
    """Insert or update a row of a trial, by the statement that sees that it has not ended.

    Args:
        row: the first column tells the trial's rows of this table from each other.
        is_kept: a row that is there stays as it is.

    Returns:
        Whether there is such a trial, and it has not ended.
    """
    parameters = {"put_trial_id": trial_id, **{f"put_{k}": v for k, v in row.items()}}
    name = connection.dialect.name
    counted = connection.execution_options(preserve_rowcount=True)
    done = counted.execute(_put_statement(name, table, tuple(row), is_kept), parameters)
    return bool(done.rowcount > 0)


@functools.cache
def _put_statement(dialect: str, table: Table, columns: tuple[str, ...], is_kept: bool) -> Any:
    values = {k: bindparam(f"put_{k}", type_=table.c[k].type) for k in columns}
    trial = TRIALS.c.trial_id == bindparam("put_trial_id")
    source = select(TRIALS.c.trial_id, *values.values()).where(trial, is_updatable())
    insert = UPSERTS[dialect](table).from_select(["trial_id", *columns], source)
    given = insert.inserted if UPSERTS[dialect] is mysql.insert else insert.excluded
    new = table.c if is_kept else given
    return or_update(insert, ["trial_id", columns[0]], {k: new[k] for k in columns[1:]})


def or_update(insert: Any, key: Sequence[str], new: dict[str, Any]) -> Any:
    """The insert (one of UPSERTS) that changes the row of this key where there is one."""
    if isinstance(insert, mysql.Insert):  # it knows the key by itself
        return insert.on_duplicate_key_update(new)
    return insert.on_conflict_do_update(index_elements=key, set_=new)


def is_updatable() -> ColumnElement[bool]:
    """Optuna's rule: what has ended is not changed any more."""
    return TRIALS.c.state.in_((TrialState.RUNNING, TrialState.WAITING))


def without(trial_id: int, key: str) -> sqlalchemy.Delete:
    """The statement that takes a system attribute from a trial."""
    attrs = SYSTEM_ATTRS.c
    return sqlalchemy.delete(SYSTEM_ATTRS).where(attrs.trial_id == trial_id, attrs.key == key)


def distribution_of(connection: Connection, trial_id: int, name: str) -> BaseDistribution | None:
    """That of some trial of the same study with a parameter of this name."""
    study = select(TRIALS.c.study_id).where(TRIALS.c.trial_id == trial_id).scalar_subquery()
    text = connection.scalar(
        select(PARAMS.c.distribution_json)
        .join(TRIALS, TRIALS.c.trial_id == PARAMS.c.trial_id)
        .where(TRIALS.c.study_id == study, PARAMS.c.param_name == name)
        .limit(1)
    )
    return None if text is None else distribution(text)


def queued(connection: Connection, study_id: int, marks: Marks) -> tuple[int, bool] | None:
    """The waiting trial whose turn it is: retries first, then queued ones; never a paused one.

    Returns:
        Its id, and whether it is a retry.
    """
    is_retry = _has(marks.chain)
    found = connection.execute(
        select(TRIALS.c.trial_id, is_retry)
        .where(TRIALS.c.study_id == study_id, TRIALS.c.state == TrialState.WAITING)
        .where(~_has(marks.paused))
        .order_by(is_retry.desc(), TRIALS.c.trial_id)
        .limit(1)
    ).one_or_none()
    return None if found is None else (found[0], bool(found[1]))


def chains(connection: Connection, study_id: int, marks: Marks) -> int:
    """How many chains have begun: trials that have, without those that retry another one."""
    begun = (TRIALS.c.state != TrialState.WAITING) | _has(marks.paused)
    query = select(sqlalchemy.func.count()).where(TRIALS.c.study_id == study_id, begun)
    own = ~_has(marks.chain) & ~_has(marks.known)
    return int(connection.scalar(query.where(own)) or 0)


def is_followed(
    connection: Connection, study_id: int, last_id: int, chain: str, number: str
) -> bool:
    """Whether a chain (its `number` as JSON) has a link that was made after the one given."""
    links = (
        select(TRIALS.c.trial_id)
        .join(USER_ATTRS, USER_ATTRS.c.trial_id == TRIALS.c.trial_id)
        .where(
            TRIALS.c.study_id == study_id,
            TRIALS.c.trial_id > last_id,
            USER_ATTRS.c.key == chain,
            USER_ATTRS.c.value_json == number,
        )
    )
    return connection.execute(links.limit(1)).first() is not None


def _has(key: str) -> ColumnElement[bool]:
    """Whether a trial has a user attribute."""
    return sqlalchemy.exists().where(
        USER_ATTRS.c.trial_id == TRIALS.c.trial_id, USER_ATTRS.c.key == key
    )
