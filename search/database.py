"""Optuna's relational storage, made patient: a request is repeated until it is answered.

A commit may have succeeded although its answer was lost with the connection. What the second try
then does is decided here, method by method:

- reads, heartbeats, reports and attributes: the second try writes the same row again.
- `_set_trial_param`: its row is there already, and Optuna keeps the first one: the same.
- `_create_new_trial`: carries a token as a system attribute; the second try finds its trial by it.
- `set_trial_state_values`: carries its own time to the microsecond; a trial that has the state
  and the time of this call was changed by this call, whatever the first answer would have been.
- `delete_study`: a study that is gone after the first try is deleted.
- `create_new_study`: says DuplicatedStudyError, which every caller here takes for "resume it"
  (`load_if_exists`).
"""

import contextlib
import copy
import functools
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import optuna
import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import orm

from search.patience import Patience

TOKEN = "optsearch:token"  # system attribute: which request made this trial
UPDATABLE = (TrialState.RUNNING, TrialState.WAITING)
TRIALS = models.TrialModel.__table__
_PLAIN = (  # repeated as they are; the private ones are what Optuna's cache calls
    "create_new_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "get_trial_param",
    "get_trial_user_attrs",
    "get_trial_system_attrs",
    "get_trial_id_from_study_id_trial_number",
    "get_trial",
    "record_heartbeat",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "_set_trial_param",
    "_get_best_trial_id",
    "_get_trials",
    "_get_stale_trial_ids",
)


class Database(optuna.storages.RDBStorage):
    """An RDBStorage that waits for its database. Opening one does not wait."""

    def __init__(self, url: str, engine_kwargs: dict[str, Any], patience: Patience) -> None:
        self.patience = patience
        super().__init__(url, engine_kwargs)

    def delete_study(self, study_id: int) -> None:
        tries = 0

        def delete() -> None:
            nonlocal tries
            tries += 1
            with contextlib.suppress(*([KeyError] if tries > 1 else [])):
                optuna.storages.RDBStorage.delete_study(self, study_id)

        self.patience.run(delete)

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        """As Optuna's, which would make a second trial where the first commit's answer was lost."""
        template = template_trial or optuna.trial.create_trial(state=TrialState.RUNNING)

        def create(session: orm.Session, token: dict[str, str]) -> int:
            tagged = copy.copy(template)
            tagged.system_attrs = {**template.system_attrs, **token}
            return int(self._get_prepared_new_trial(study_id, tagged, session).trial_id)

        return self.get_trial(self._once(study_id, create))

    def _once(self, study_id: int, create: Callable[[orm.Session, dict[str, str]], int]) -> int:
        """Let a transaction that has the study to itself create a trial; its id, at any try."""
        token, tries = secrets.token_hex(8), 0

        def attempt() -> int:
            nonlocal tries
            tries += 1
            with self._locked(study_id) as session:
                found = _by_token(session, token) if tries > 1 else None
                return create(session, {TOKEN: token}) if found is None else found

        return self.patience.run(attempt)

    @contextlib.contextmanager
    def _locked(self, study_id: int) -> Iterator[orm.Session]:
        """A transaction that no other claim or creation in the study overlaps, in any process.

        It begins with a write: that takes the row in a server, as Optuna does, and the file in
        SQLite, where a transaction that reads first may not write any more.
        """
        studies = models.StudyModel.__table__
        row = studies.c.study_id == study_id
        with orm.Session(self.engine) as session, session.begin():
            taken = session.execute(
                sqlalchemy.update(studies).where(row).values(study_name=studies.c.study_name)
            )
            if not taken.rowcount:  # type: ignore[attr-defined]
                raise KeyError(models.NOT_FOUND_MSG)
            yield session

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        now = datetime.now(UTC).replace(tzinfo=None)  # as Optuna keeps it
        write = functools.partial(self._set_state, trial_id, state, values, now)
        return self.patience.run(write)

    def _set_state(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None, now: datetime
    ) -> bool:
        """In one transaction; the first statement decides who of several writers has the trial."""
        stamp = {"datetime_complete": now} if state.is_finished() else {}
        stamp = {"datetime_start": now} if state == TrialState.RUNNING else stamp
        allowed = (TrialState.WAITING,) if state == TrialState.RUNNING else UPDATABLE
        row = TRIALS.c.trial_id == trial_id
        with orm.Session(self.engine) as session, session.begin():
            before = session.execute(
                sqlalchemy.update(TRIALS)
                .where(row, TRIALS.c.state.in_(allowed))
                .values(state=TrialState.RUNNING, **stamp)
            )
            if not before.rowcount:  # type: ignore[attr-defined]
                return self._is_own(session, trial_id, state, stamp)
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session)
            for objective, value in enumerate(values or ()):
                self._set_trial_value_without_commit(session, trial, objective, value)
            trial.state = state
        return True

    def _is_own(
        self, session: orm.Session, trial_id: int, state: TrialState, stamp: dict[str, datetime]
    ) -> bool:
        """Whether an earlier try of the same call did it.

        Raises:
            UpdateFinishedTrialError: somebody else has ended the trial.
        """
        stored = session.execute(
            sqlalchemy.select(TRIALS).where(TRIALS.c.trial_id == trial_id)
        ).one_or_none()
        if stored is None:
            raise KeyError(models.NOT_FOUND_MSG)
        if stored.state == state and all(getattr(stored, k) == v for k, v in stamp.items()):
            return True
        self.check_trial_is_updatable(trial_id, stored.state)
        return False


def _by_token(session: orm.Session, token: str) -> int | None:
    attrs = models.TrialSystemAttributeModel
    return session.scalar(
        sqlalchemy.select(attrs.trial_id).where(
            attrs.key == TOKEN, attrs.value_json == f'"{token}"'
        )
    )


def _patient(name: str) -> Callable[..., Any]:
    plain = getattr(optuna.storages.RDBStorage, name)

    @functools.wraps(plain)
    def method(self: Database, *args: Any, **kwargs: Any) -> Any:
        return self.patience.run(functools.partial(plain, self, *args, **kwargs))

    return method


for _name in _PLAIN:
    setattr(Database, _name, _patient(_name))
