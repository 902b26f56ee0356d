"""One trial changes its state, by compare-and-set and in one transaction.

A second try, after a commit whose answer was lost, finds what the first one did: a trial that was
let go is not its holder's any more, and one that was ended bears the moment.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, orm

from search.database import states, trial_rows
from search.database.rdb import Database
from search.database.trial_rows import TRIALS, USER_ATTRS

BEATS: sqlalchemy.Table = models.TrialHeartbeatModel.__table__


class Change(NamedTuple):
    """What becomes of a trial: its new state, `values` where it ends with some, user attributes
    that it gets, and the names of those that it loses."""

    state: TrialState
    values: Sequence[float] | None = None
    attrs: Mapping[str, Any] = {}
    dropped: Sequence[str] = ()


def change(
    database: Database,
    trial_id: int,
    before: TrialState,
    proof: tuple[str, Any] | None,
    after: Change,
) -> bool:
    """Change a trial's state by compare-and-set.

    Args:
        proof: a user attribute that tells this time in the state `before` from every other one,
            such as its holder's lease.

    Returns:
        Whether it was done here; False where the trial is not so any more.
    """
    moment, tries = states.now(), 0

    def attempt() -> bool:
        nonlocal tries
        tries += 1
        with orm.Session(database.engine) as session, session.begin():
            if touch(session.connection(), trial_id, before, proof):
                become(database, session, trial_id, after, moment)
                return True
            return tries > 1 and _has_become(session.connection(), trial_id, after, moment)

    return database.patience.run(attempt)


def touch(
    connection: Connection, trial_id: int, before: TrialState, proof: tuple[str, Any] | None
) -> bool:
    """Whether the trial is as it was; if so, nobody else changes it before this transaction ends.

    (It begins with a write, as a SQLite transaction that reads first may not write any more.)
    """
    is_so = (TRIALS.c.trial_id == trial_id) & (TRIALS.c.state == before)
    if proof is not None:
        key, value = proof
        is_so &= sqlalchemy.exists().where(
            USER_ATTRS.c.trial_id == TRIALS.c.trial_id,
            USER_ATTRS.c.key == key,
            USER_ATTRS.c.value_json == json.dumps(value),
        )
    touched = sqlalchemy.update(TRIALS).where(is_so).values(state=before)
    return bool(connection.execute(touched).rowcount)


def become(
    database: Database, session: orm.Session, trial_id: int, after: Change, moment: datetime
) -> None:
    """Attributes first: what has ended takes none."""
    connection = session.connection()
    put(connection, trial_id, after.attrs)
    drop(connection, trial_id, after.dropped)
    if not after.state.is_finished():
        connection.execute(sqlalchemy.delete(BEATS).where(BEATS.c.trial_id == trial_id))
    trial = models.TrialModel.find_or_raise_by_id(trial_id, session)
    for objective, value in enumerate(after.values or ()):
        database._set_trial_value_without_commit(session, trial, objective, value)
    trial.state = after.state
    if after.state.is_finished():
        trial.datetime_complete = moment
    session.flush()


def _has_become(connection: Connection, trial_id: int, after: Change, moment: datetime) -> bool:
    """Whether an earlier try of the same change did it: a trial that was let go is no more its
    holder's, and one that has ended bears the moment."""
    row = connection.execute(
        sqlalchemy.select(TRIALS.c.state, TRIALS.c.datetime_complete).where(
            TRIALS.c.trial_id == trial_id
        )
    ).one()
    if not after.state.is_finished():
        return not row.state.is_finished()
    return bool(row.state == after.state and row.datetime_complete == moment)


def beat(connection: Connection, trial_id: int) -> None:
    """A heartbeat, whether there is one or not: who let the trial go may just be beating for it."""
    upsert = trial_rows.UPSERTS.get(connection.dialect.name)
    if upsert is None:
        connection.execute(sqlalchemy.delete(BEATS).where(BEATS.c.trial_id == trial_id))
        connection.execute(sqlalchemy.insert(BEATS).values(trial_id=trial_id))
        return
    now = {"heartbeat": sqlalchemy.func.current_timestamp()}
    first = upsert(BEATS).values(trial_id=trial_id)
    connection.execute(first.on_conflict_do_update(index_elements=["trial_id"], set_=now))


def put(connection: Connection, trial_id: int, attrs: Mapping[str, Any]) -> None:
    for key, value in attrs.items():
        row = {"key": key, "value_json": json.dumps(value)}
        trial_rows.put(connection, USER_ATTRS, trial_id, row, is_kept=False)


def drop(connection: Connection, trial_id: int, names: Sequence[str]) -> None:
    if names:
        of_it = (USER_ATTRS.c.trial_id == trial_id) & USER_ATTRS.c.key.in_(names)
        connection.execute(sqlalchemy.delete(USER_ATTRS).where(of_it))
