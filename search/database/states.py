"""A trial's state in Optuna's own words: who of several writers changes it, and who did already."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import orm, select

from search.database import trial_rows
from search.database.trial_rows import TRIALS


def now() -> datetime:
    """As Optuna keeps it: UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)


def write(
    database: RDBStorage, trial_id: int, state: TrialState, values: Sequence[float] | None
) -> Callable[[], bool]:
    """What sets the state, and may be called again where its answer was lost: it carries its own
    time to the microsecond. A trial that has the state and the time of this call was changed by
    this call, whatever the first answer would have been.

    It is one transaction; the first statement decides who of several writers has the trial.
    """
    moment = now()
    stamp = {"datetime_complete": moment} if state.is_finished() else {}
    stamp = {"datetime_start": moment} if state == TrialState.RUNNING else stamp
    waits = TRIALS.c.state == TrialState.WAITING
    allowed = waits if state == TrialState.RUNNING else trial_rows.is_updatable()
    take = sqlalchemy.update(TRIALS).where(TRIALS.c.trial_id == trial_id, allowed)

    def attempt() -> bool:
        with orm.Session(database.engine) as session, session.begin():
            before = session.execute(take.values(state=TrialState.RUNNING, **stamp))
            if not before.rowcount:  # type: ignore[attr-defined]
                return _is_own(database, session, trial_id, state, stamp)
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session)
            for objective, value in enumerate(values or ()):
                database._set_trial_value_without_commit(session, trial, objective, value)
            trial.state = state
        return True

    return attempt


def _is_own(
    database: RDBStorage,
    session: orm.Session,
    trial_id: int,
    state: TrialState,
    stamp: dict[str, datetime],
) -> bool:
    """Whether an earlier try of the same call did it.

    Raises:
        UpdateFinishedTrialError: somebody else has ended the trial.
    """
    stored = session.execute(select(TRIALS).where(TRIALS.c.trial_id == trial_id)).one_or_none()
    if stored is None:
        raise KeyError(models.NOT_FOUND_MSG)
    if stored.state == state and all(getattr(stored, k) == v for k, v in stamp.items()):
        return True
    database.check_trial_is_updatable(trial_id, stored.state)
    return False
