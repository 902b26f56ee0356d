"""Optuna's relational storage, made patient and fast, with the same tables.

Fast: trials are read in bulk, and what a trial writes is one statement in place of three.

Patient: a request is repeated until it is answered. A commit may have succeeded although its
answer was lost with the connection. What the second try then does is decided here, method by
method:

- reads, heartbeats, reports and attributes: the second try writes the same row again.
- `_set_trial_param`: its row is there already, and Optuna keeps the first one: the same.
- `_create_new_trial`, and what takes a trial (holding.py): carry a token as a system attribute; the
  second try finds its trial by it.
- `set_trial_state_values`: finds its own time in the trial that it changed (states.py).
- `delete_study`: a study that is gone after the first try is deleted.
- `create_new_study`: says DuplicatedStudyError, which callers take for `load_if_exists`.
"""

import contextlib
import copy
import functools
import json
import secrets
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import optuna
import sqlalchemy
from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
)
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import orm, select

from search.database import engines, states, trial_rows
from search.database.patience import Patience, repeated
from search.database.trial_rows import SYSTEM_ATTRS, TRIALS

TOKEN, CLAIM = "optsearch:token", "optsearch:claim"  # system attributes: who made, who took it
_EACH_ALONE: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
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
    "record_heartbeat",
    "_get_best_trial_id",
    "_get_stale_trial_ids",
)

_T = TypeVar("_T")
_Id = TypeVar("_Id", int, int | None)


class Database(optuna.storages.RDBStorage):
    """An RDBStorage that waits for its database. Opening one does not wait."""

    def __init__(self, url: str, engine_kwargs: dict[str, Any], patience: Patience) -> None:
        self.patience = patience
        self.inode = 0  # of a SQLite file, as it was opened
        super().__init__(url, engine_kwargs)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process: an engine of its own, set up as `storage.open_storage` does."""
        super().__setstate__(state)
        engines.tune(self.engine)

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

        trial_id = self.once(study_id, create)

        def settle(connection: sqlalchemy.Connection) -> int:
            connection.execute(trial_rows.without(trial_id, TOKEN))  # it has served its purpose
            number = select(TRIALS.c.number).where(TRIALS.c.trial_id == trial_id)
            return int(connection.execute(number).scalar_one())

        made = copy.deepcopy(template)
        made._trial_id, made.number = trial_id, self._ask(settle)
        return made

    def once(self, study_id: int, create: Callable[[orm.Session, dict[str, str]], _Id]) -> _Id:
        """Let a transaction that has the study to itself create a trial; its id, at any try."""
        token, tries = secrets.token_hex(8), 0

        def attempt() -> _Id:
            nonlocal tries
            tries += 1
            with self.locked(study_id) as session:
                found = _by_token(session, token) if tries > 1 else None
                return create(session, {TOKEN: token}) if found is None else found

        return self.patience.run(attempt)

    @contextlib.contextmanager
    def locked(self, study_id: int) -> Iterator[orm.Session]:
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

    def get_trial(self, trial_id: int) -> FrozenTrial:
        found = self._ask(lambda c: trial_rows.read(c, TRIALS.c.trial_id == trial_id))
        if not found:
            raise KeyError(models.NOT_FOUND_MSG)
        return found[0]

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        condition = TRIALS.c.study_id == study_id
        if trial_id_greater_than > -1:
            older = {i for i in included_trial_ids if i <= trial_id_greater_than}
            newer = TRIALS.c.trial_id > trial_id_greater_than
            condition &= newer | TRIALS.c.trial_id.in_(trial_rows.named(older))
        if isinstance(states, Iterable):
            condition &= TRIALS.c.state.in_(list(states))
        found = self._ask(lambda connection: trial_rows.read(connection, condition))
        if not found:
            self.get_study_name_from_id(study_id)  # KeyError where there is no such study
        return found

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        to_stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
        value, kind = to_stored(intermediate_value)
        row = {"step": step, "intermediate_value": value, "intermediate_value_type": kind}
        self._put(trial_rows.REPORTS, trial_id, row)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._put(trial_rows.USER_ATTRS, trial_id, {"key": key, "value_json": json.dumps(value)})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._put(SYSTEM_ATTRS, trial_id, {"key": key, "value_json": json.dumps(value)})

    def _set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        """`previous_distribution`: of this name in the study; looked up where it is None."""
        before = previous_distribution or self._ask(
            functools.partial(trial_rows.distribution_of, trial_id=trial_id, name=param_name)
        )
        if before is not None:
            try:
                check_distribution_compatibility(before, distribution)
            except ValueError:
                self._check_updatable(trial_id)  # what has ended is told before all else
                raise
        row = {
            "param_name": param_name,
            "param_value": param_value_internal,
            "distribution_json": distribution_to_json(distribution),
        }
        self._put(trial_rows.PARAMS, trial_id, row, is_kept=True)

    def _put(
        self, table: sqlalchemy.Table, trial_id: int, row: dict[str, Any], is_kept: bool = False
    ) -> None:
        def put(connection: sqlalchemy.Connection) -> None:
            if not trial_rows.put(connection, table, trial_id, row, is_kept=is_kept):
                self._refuse(connection, trial_id)

        self._ask(put)

    def _check_updatable(self, trial_id: int) -> None:
        self._ask(functools.partial(self._refuse, trial_id=trial_id))

    def _refuse(self, connection: sqlalchemy.Connection, trial_id: int) -> None:
        """Raise KeyError where there is no such trial, UpdateFinishedTrialError where it ended."""
        state = connection.scalar(select(TRIALS.c.state).where(TRIALS.c.trial_id == trial_id))
        if state is None:
            raise KeyError(models.NOT_FOUND_MSG)
        self.check_trial_is_updatable(trial_id, state)

    def _ask(self, request: Callable[[sqlalchemy.Connection], _T]) -> _T:
        """The answer of a request of one writing statement, or of any that read.

        Each statement is a transaction of its own: that spares the server two round trips.
        """

        def attempt() -> _T:
            with self.engine.connect().execution_options(**_EACH_ALONE) as connection:
                answer = request(connection)
                connection.commit()
            return answer

        return self.patience.run(attempt)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        return self.patience.run(states.write(self, trial_id, state, values))


def _by_token(session: orm.Session, token: str) -> int | None:
    attrs = models.TrialSystemAttributeModel
    return session.scalar(
        select(attrs.trial_id).where(
            attrs.key.in_((TOKEN, CLAIM)), attrs.value_json == json.dumps(token)
        )
    )


for _name in _PLAIN:
    setattr(Database, _name, repeated(getattr(optuna.storages.RDBStorage, _name)))
