"""The trial that a worker hands to an objective."""

import copy
import time
from collections.abc import Container
from typing import Any

import optuna
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, TrialState

from search import outcomes
from search.stop import Stop

# User attributes that this program writes and reads again: not an objective's to write.
OURS = ("configuration", "seed", "versions")
PREFIX = "optsearch:"
# Those that an objective may write for the tables, figures and retries here, and as what.
KINDS: dict[str, type] = {
    "reason": str,
    "error": str,
    "device": str,
    "not_saved": str,
    "history": dict,
    "best_epoch": int,
    "stop_epoch": int,
    "epochs_planned": int,
    "checkpointed": int,
    "resumed_from": int,
}
REFRESH_S = 1.0  # how old a trial's view of its peers may be


class LiveTrial(optuna.Trial):
    """A trial that ends at the next report once its worker is asked to stop.

    It sees its peers as they were up to REFRESH_S ago: sampler and pruner share one reading of
    them. That a peer's end is seen a second late is harmless, as workers are not in step anyway:
    the same report, made a second earlier, would have been compared with the same peers. A single
    worker sees all: its peers have ended before its trial begins, and the first look is fresh.
    """

    def __init__(self, study: optuna.Study, trial_id: int, stop: Stop) -> None:
        assert isinstance(study._storage, _CachedStorage)
        view = copy.copy(study)
        view._storage = _Peers(study._storage)
        view._storage.get_all_trials(study._study_id, deepcopy=False)  # makes the trial known to it
        super().__init__(view, trial_id)
        self._stop = stop

    def set_user_attr(self, key: str, value: Any) -> None:
        """As Optuna's. Raises ValueError for a name that has another meaning here."""
        if key in OURS or key.startswith(PREFIX):
            raise ValueError(f"user attribute '{key}' is optsearch's own; choose another name")
        if not isinstance(value, KINDS.get(key, object)):
            raise ValueError(
                f"user attribute '{key}' must be of type {KINDS[key].__name__}, got {value!r}; "
                "or choose another name"
            )
        super().set_user_attr(key, value)

    def report(self, value: float, step: int) -> None:
        super().report(value, step)
        if self._stop.requested:
            raise outcomes.Preempted


class _Peers(_CachedStorage):
    """Optuna's cache of a study's trials, looked at again only after REFRESH_S."""

    def __init__(self, cache: _CachedStorage) -> None:
        self.__dict__.update(vars(cache))  # one cache, one lock, one database
        self._lists: dict[object, list[FrozenTrial]] = {}
        self._read_at = time.monotonic()

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        if time.monotonic() - self._read_at > REFRESH_S:
            self._lists.clear()
            self._read_at = time.monotonic()
        key = (study_id, None if states is None else tuple(s for s in TrialState if s in states))
        if key not in self._lists:
            self._lists[key] = super().get_all_trials(study_id, False, states)
        return copy.deepcopy(self._lists[key]) if deepcopy else list(self._lists[key])
