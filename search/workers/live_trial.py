"""The trial that a worker hands to an objective."""

import contextlib
import copy
import math
import time
from collections.abc import Container
from typing import Any

import optuna
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, TrialState

from search import provenance
from search.record import chains, outcomes, results
from search.record.study import CONFIRMS
from search.strategy import audit, percentiles
from search.workers.attributes import PlainAttributes
from search.workers.choices import AnyChoice
from search.workers.chooser import Chooser
from search.workers.stop import Stop
from search.workers.trial_study import CONFIRMING, ConfirmedStudy, Numbered, TrialStudy

REFRESH_S = 1.0  # how old a trial's view of its peers may be
FLOOR = 0.5  # of its planned epochs: before, what a person asked for is not given up


class _Noted(Numbered):
    """A trial that knows what its objective has written since it began, or went on."""

    _told: dict[str, Any]  # what is our own is written past this, by optuna.Trial.set_user_attr

    def set_user_attr(self, key: str, value: Any) -> None:
        super().set_user_attr(key, value)
        self._told[key] = value


class LiveTrial(AnyChoice, PlainAttributes, _Noted):
    """A trial that ends at the next report once its worker is asked to stop, and pauses where it
    has run as far as a strategy lets it.

    It sees its peers as they were up to REFRESH_S ago: sampler and pruner share one reading of
    them. That a peer's end is seen a second late is harmless, as workers are not in step anyway:
    the same report, made a second earlier, would have been compared with the same peers. A single
    worker sees all: its peers have ended before its trial begins, and the first look is fresh.
    """

    def __init__(
        self,
        study: optuna.Study,
        trial_id: int,
        stop: Stop,
        audit_share: float = 0.0,
        chooser: Chooser | None = None,
    ) -> None:
        """
        Args:
            audit_share: of the decisions to prune or pause, those not to be carried out, 0 to 1.
            chooser: decides at a rung; None where the pruner ends trials, and nothing pauses.
        """
        assert isinstance(study._storage, _CachedStorage)
        self._peers = _Peers(study._storage)
        view = copy.copy(study)
        view._storage = self._peers
        view._storage.get_all_trials(study._study_id, deepcopy=False)  # makes the trial known to it
        super().__init__(view, trial_id)
        self._view = view
        self._offer(study)
        self._stop, self._audit_share, self._chooser = stop, audit_share, chooser
        attrs = self._cached_frozen_trial.user_attrs
        self._before = set(self._cached_frozen_trial.intermediate_values)
        self._checkpointed = attrs.get(chains.CHECKPOINTED, 0)  # epochs, when it went on
        self._told: dict[str, Any] = {}  # attributes that the objective has written since
        self._reported, self.had_folder = False, False  # of its own, when it went on
        self._until = math.inf if chooser is None else attrs.get(chains.UNTIL, math.inf)
        self._seconds, self._since = attrs.get(results.SECONDS, 0.0), time.monotonic()

    def _offer(self, study: optuna.Study) -> None:
        """What the objective finds as `trial.study`: a run that confirms sees the search."""
        search = study.user_attrs.get(CONFIRMS)
        if search is None:
            self.study = TrialStudy(self._view, study, self.row)
            return
        self._first = CONFIRMING
        with contextlib.suppress(KeyError):  # it has been deleted, and this run will find out
            confirmed = optuna.load_study(study_name=search, storage=study._storage)
            confirmed.sampler, confirmed.pruner = study.sampler, study.pruner
            self.study = ConfirmedStudy(confirmed, confirmed, self.row)

    @property
    def epochs(self) -> int:
        """Epochs that it has behind it."""
        return results.epochs_run(self._cached_frozen_trial)

    @property
    def seconds(self) -> float:
        """For how long it has been trained, all in all."""
        return float(self._seconds + time.monotonic() - self._since)

    def report(self, value: float, step: int) -> None:
        """As Optuna's. What was reported before a pause may be reported again.

        Raises:
            outcomes.Ended: the worker is asked to stop, or the trial is at its rung.
        """
        if step not in self._before:
            super().report(value, step)
        if self._before and not self._reported:
            self._see_where_it_goes_on(step)
        self._reported = True
        if self._stop.requested and not self._may_return():
            self._stop.preempt()
        if self.epochs >= self._until and not self._is_at_its_end():
            self._ask()

    def _may_return(self) -> bool:
        """Whether a trial that is to end with its epoch may have nothing left but to return what it
        has found: it has reported as many epochs as it plans, as the study tells, or as the longest
        that completed. Where it reports another one after all, it ends there."""
        if self._stop.interrupts:
            return False
        return "stop_epoch" in self._told or self.epochs in self._known_ends()

    def _known_ends(self) -> set[int]:
        attrs = self._cached_frozen_trial.user_attrs
        if planned := self._told.get("epochs_planned", attrs.get("epochs_planned")):
            return {int(planned)}
        complete = (TrialState.COMPLETE,)
        peers = [t for s in (self._view, self.study) for t in s.get_trials(False, complete)]
        return {self._longest_told() or 0, max(map(results.epochs_run, peers), default=0)}

    def _longest_told(self) -> int | None:
        """The most epochs that a trial can take, as the study knows it."""
        about = self._view.user_attrs
        told: int | None = about.get("longest") or about.get("settings", {}).get("epochs")
        return told

    def _is_at_its_end(self) -> bool:
        """An objective tells `stop_epoch` before its last report where that comes early."""
        return "stop_epoch" in self._told or self.epochs >= self._planned()

    def _planned(self) -> int:
        assert self._chooser is not None
        attrs = self._cached_frozen_trial.user_attrs
        return int(self._told.get("epochs_planned", attrs.get("epochs_planned", 0))) or (
            self._chooser.longest
        )

    def _ask(self) -> None:
        """Go on where that is worth it; else pause, or stop where the objective cannot pause."""
        assert self._chooser is not None
        until, why = self._chooser.at_rung(self._trial_id)
        if until is None:
            until = self._to_its_floor(why)
        if until is None and self._runs_on(why):
            until = self._planned()
        if until is not None:
            self._until = until
        else:
            raise outcomes.Paused(why) if self._chooser.resumes else outcomes.Stopped(why)

    def _to_its_floor(self, why: str) -> int | None:
        """Its floor where it is still below, and the budget has room for that; else None."""
        assert self._chooser is not None
        floor = self._floor()
        if self.epochs >= floor or floor == math.inf:
            return None
        asked = f"asked for, so it runs to epoch {floor} at least ({why})"
        return int(floor) if self._chooser.run_to(self._trial_id, int(floor), asked) else None

    def _floor(self) -> float:
        """Epochs before which it is not given up: of what a person asked for half of its own, all
        where nobody tells how many it has; 0 of what was drawn."""
        if not self._cached_frozen_trial.user_attrs.get(chains.ASKED):
            return 0
        attrs = self._cached_frozen_trial.user_attrs
        told = self._told.get("epochs_planned", attrs.get("epochs_planned"))
        planned = told or self._longest_told()
        return math.ceil(FLOOR * planned) if planned else math.inf

    def _runs_on(self, why: str) -> bool:
        """Whether this pause, its first, is audited: the trial runs to its end instead."""
        assert self._chooser is not None
        attrs = self._cached_frozen_trial.user_attrs
        if chains.AUDIT in attrs or not audit.is_drawn(attrs.get("seed"), self._audit_share):
            return False
        if not self._chooser.run_to(self._trial_id, self._planned(), f"audited ({why})"):
            return False
        optuna.Trial.set_user_attr(self, chains.AUDIT, _decision(self._get_latest_trial()))
        return True

    def _see_where_it_goes_on(self, step: int) -> None:
        """Tell of a trial that paused and begins anew: its checkpoint is torn or elsewhere, or the
        objective makes none."""
        if step > min(self._before) or chains.RESUMED in self._told:
            return
        if self._checkpointed:
            why = chains.lost_words(self._checkpointed, self._cached_frozen_trial)
        elif self._chooser is not None and self.had_folder:
            self._chooser.cannot_resume()
            why = "the objective does not go on where it paused; from now on none is paused"
        else:
            why = f"its folder is not in the workdir of {provenance.process()['host']}"
        optuna.Trial.set_user_attr(self, chains.ANEW, why)

    def should_prune(self) -> bool:
        """As Optuna's, against peers of equal horizon (percentiles.py); an audited trial runs on
        from its first prune decision as if there was no pruner."""
        trial = self._get_latest_trial()
        if chains.AUDIT in trial.user_attrs or self.epochs < self._floor():
            return False
        rivals = copy.copy(self._view)
        rivals._storage = _Rivals(self._peers, trial.user_attrs.get(percentiles.HORIZON))
        if not self._view.pruner.prune(rivals, trial):
            return False
        if not audit.is_drawn(trial.user_attrs.get("seed"), self._audit_share):
            return True
        optuna.Trial.set_user_attr(self, chains.AUDIT, _decision(trial))
        return False


def _decision(trial: FrozenTrial) -> dict[str, int | float | None]:
    """When the trial would have been pruned: `epoch` from 0, `value` null where not finite."""
    epoch, value = max(results.by_epoch(trial).items())
    return {
        "epoch": epoch,
        "value": value if math.isfinite(value) else None,  # a dashboard reads JSON
        "epochs_planned": trial.user_attrs.get("epochs_planned"),
    }


_ANY = object()  # whatever the horizon, and whether there is one


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
        horizon: object = _ANY,
    ) -> list[FrozenTrial]:
        if time.monotonic() - self._read_at > REFRESH_S:
            self._lists.clear()
            self._read_at = time.monotonic()
        listed = None if states is None else tuple(s for s in TrialState if s in states)
        key = (study_id, listed, horizon)
        if key not in self._lists:
            trials = super().get_all_trials(study_id, False, states)
            self._lists[key] = [
                t for t in trials if horizon in (_ANY, t.user_attrs.get(percentiles.HORIZON))
            ]
        return copy.deepcopy(self._lists[key]) if deepcopy else list(self._lists[key])


class _Rivals(_CachedStorage):
    """Those of a trial's peers whose horizon is its own; a storage, as Hyperband makes a study of
    its own from the storage of the one that it is given."""

    def __init__(self, peers: _Peers, horizon: object) -> None:
        self.__dict__.update(vars(peers))
        self._peers, self._horizon = peers, horizon

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return self._peers.get_all_trials(study_id, deepcopy, states, self._horizon)
