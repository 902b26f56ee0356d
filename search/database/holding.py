"""Who gets a trial: slots and grants of epochs, each one transaction that has the study to itself.

A second try, after a commit whose answer was lost, finds what the first one did: a trial that was
made or taken bears the token of its taker.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, orm

from search.database import changes, rdb, states, trial_rows
from search.database.changes import Change
from search.database.rdb import Database
from search.database.trial_rows import SYSTEM_ATTRS, TRIALS, Marks

Asked = Callable[[Connection], bool]


def claim(
    database: Database, study_id: int, marks: Marks, attrs: Mapping[str, Any], has_slot: Asked
) -> int | None:
    """Take a slot: a waiting retry, else a queued or new trial while the budget lasts.

    Counting and taking are one transaction, so the budget is exact whoever else is at it, and
    whatever becomes of the connection.

    Args:
        attrs: user attributes of whoever takes it.
        has_slot: whether another chain of trials may begin.

    Returns:
        The id of a trial that is RUNNING now, with a first heartbeat; None where the budget is used
        up.
    """

    def begin(session: orm.Session, token: dict[str, str]) -> int | None:
        connection = session.connection()
        trial_id, is_retry = trial_rows.queued(connection, study_id, marks) or (None, False)
        if not is_retry and not has_slot(connection):
            return None
        if trial_id is None:
            trial_id = _new(database, session, study_id, token, {})
        else:
            _start(connection, trial_id, token)
        _mark(connection, trial_id, attrs)
        return trial_id

    return database.once(study_id, begin)


def take(
    database: Database,
    study_id: int,
    which: int | Mapping[str, Any],
    change: Change,
    is_paid: Asked,
) -> int | None:
    """Take exactly this trial, or begin a new one, if the budget pays for it.

    Args:
        which: the id of a WAITING trial, or system attributes of a new one.
        change: attributes of whoever takes it; its state is RUNNING.
        is_paid: whether the budget has room for it.

    Returns:
        As `claim`; None also where somebody else was faster.
    """

    def begin(session: orm.Session, token: dict[str, str]) -> int | None:
        connection = session.connection()
        if not is_paid(connection):
            return None
        if not isinstance(which, int):
            trial_id = _new(database, session, study_id, token, which)
        elif _start(connection, which, token):
            trial_id = which
        else:
            return None
        _mark(connection, trial_id, change.attrs, change.dropped)
        return trial_id

    return database.once(study_id, begin)


def follow(
    database: Database, study_id: int, last_id: int, template: FrozenTrial, chain: str
) -> int | None:
    """Add the next link of a chain, unless a link after the one given is there already.

    Args:
        template: with the chain's number in its user attribute `chain`.

    Returns:
        The new trial's id; None where somebody else was first.
    """

    def add(session: orm.Session, token: dict[str, str]) -> int | None:
        number = json.dumps(template.user_attrs[chain])
        if trial_rows.is_followed(session.connection(), study_id, last_id, chain, number):
            return None
        tagged = copy.copy(template)
        tagged.system_attrs = {**template.system_attrs, **token}
        return int(database._get_prepared_new_trial(study_id, tagged, session).trial_id)

    return database.once(study_id, add)


def grant(
    database: Database,
    study_id: int,
    trial_id: int,
    proof: tuple[str, Any],
    attrs: Mapping[str, Any],
    is_paid: Asked,
) -> bool:
    """Write attributes to a RUNNING trial, if the budget pays for what they allow.

    Args:
        proof: a user attribute that the trial has as long as it is held.

    Raises:
        UpdateFinishedTrialError: the trial is held no more.
    """

    def attempt() -> bool:
        with database.locked(study_id) as session:
            connection = session.connection()
            if not is_paid(connection):
                return False
            if not changes.touch(connection, trial_id, TrialState.RUNNING, proof):
                raise optuna.exceptions.UpdateFinishedTrialError
            changes.put(connection, trial_id, attrs)
        return True

    return database.patience.run(attempt)


def settle(
    database: Database,
    study_id: int,
    marks: Marks,
    end: Callable[[FrozenTrial], Change],
    mark: Callable[[int], tuple[str, Any]],
) -> bool:
    """End every paused trial of a study in which nothing runs, and none is to go on.

    Args:
        end: how a paused trial ends.
        mark: the study attribute that says so, by the number of rows.

    Returns:
        Whether that was so.
    """
    moment = states.now()

    def attempt() -> bool:
        with database.locked(study_id) as session:
            connection = session.connection()
            found = trial_rows.of_study(connection, study_id, open_only=True)
            if any(t.state == TrialState.RUNNING for t in found) or any(
                marks.chain in t.user_attrs and marks.paused not in t.user_attrs for t in found
            ):
                return False
            for trial in found:
                if marks.paused in trial.user_attrs:
                    changes.become(database, session, trial._trial_id, end(trial), moment)
            key, value = mark(trial_rows.count(connection, study_id))
            _put_of_study(session, study_id, key, value)
        return True

    return database.patience.run(attempt)


def _new(
    database: Database,
    session: orm.Session,
    study_id: int,
    token: dict[str, str],
    system_attrs: Mapping[str, Any],
) -> int:
    template = optuna.trial.create_trial(
        state=TrialState.RUNNING, system_attrs={**system_attrs, **token}
    )
    return int(database._get_prepared_new_trial(study_id, template, session).trial_id)


def _start(connection: Connection, trial_id: int, token: dict[str, str]) -> bool:
    """A WAITING trial runs from now on; False where it does not wait any more."""
    waits = (TRIALS.c.trial_id == trial_id) & (TRIALS.c.state == TrialState.WAITING)
    begun = {"state": TrialState.RUNNING, "datetime_start": states.now()}
    if not connection.execute(sqlalchemy.update(TRIALS).where(waits).values(**begun)).rowcount:
        return False
    taken = {"key": rdb.CLAIM, "value_json": json.dumps(token[rdb.TOKEN])}
    trial_rows.put(connection, SYSTEM_ATTRS, trial_id, taken, is_kept=False)
    return True


def _mark(
    connection: Connection, trial_id: int, attrs: Mapping[str, Any], dropped: Sequence[str] = ()
) -> None:
    """What a taken trial bears: its taker's attributes, and a first heartbeat."""
    changes.put(connection, trial_id, attrs)
    changes.drop(connection, trial_id, dropped)
    changes.beat(connection, trial_id)


def _put_of_study(session: orm.Session, study_id: int, key: str, value: Any) -> None:
    attribute = models.StudyUserAttributeModel
    study = models.StudyModel.find_or_raise_by_id(study_id, session)
    found = attribute.find_by_study_and_key(study, key, session)
    if found is None:
        session.add(attribute(study_id=study_id, key=key, value_json=json.dumps(value)))
    else:
        found.value_json = json.dumps(value)
