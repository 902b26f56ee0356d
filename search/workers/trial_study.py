"""What an objective finds as `trial.study`, and `trial.number`, wherever its trial runs.

The study can be read as Optuna's. What would change the search is done where that is possible, and
otherwise told in a line: it never costs a score.
"""

import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.record import ended, queueing
from search.record import study as studies
from search.workers.attributes import ASIDE, PREFIX, as_plain, is_ours

# Files that an objective names after `trial.number` are never those of another stage.
STAGE = 1_000_000
CONFIRMING, REPLAYED, REHEARSED = 1 * STAGE, 2 * STAGE, 3 * STAGE
# All study attributes that are ours, beside those that begin with PREFIX.
OURS = (
    *("uid", "spec_version", "settings", "data", "longest", "code", "versions", "spec"),
    *(studies.JOINED, studies.CONFIRMS, "confirmation", "choice", "earlier", "test_scores"),
)
_told: set[str] = set()  # a line for each kind, not for each trial


class Numbered(optuna.Trial):
    """A trial whose `number` tells the stage, too: in the search it is what the dashboard shows."""

    _first = 0

    @property
    def number(self) -> int:
        return self._first + self.row

    @property
    def row(self) -> int:
        """Its number in the study that holds it."""
        return self._cached_frozen_trial.number


class TrialStudy(optuna.Study):
    """The study of one trial of the search.

    It sees the trials as they are now, though the trial's sampler and pruner share an older view.
    """

    def __init__(self, view: optuna.Study, real: optuna.Study, row: int) -> None:
        """
        Args:
            view: what the trial's sampler and pruner see.
            real: the same study without delay.
            row: the trial's number.
        """
        self.__dict__.update(vars(view))
        self._real, self._row = real, row
        self._aside: optuna.Study | None = None  # of trials that only the objective knows

    @property
    def user_attrs(self) -> dict[str, Any]:
        """As Optuna's; under its name also what is kept aside of it (`set_user_attr`)."""
        attrs = self._real.user_attrs
        own = {k.removeprefix(ASIDE): v for k, v in attrs.items() if k.startswith(ASIDE)}
        return attrs | own

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return self._real.get_trials(deepcopy, states)

    def set_user_attr(self, key: str, value: Any) -> None:
        """As Optuna's, for any value, and without harm to what optsearch keeps in the study."""
        name = key
        if key in OURS or key.startswith(PREFIX):
            name = ASIDE + key
            _tell(key, f"'{key}' is kept as '{name}': optsearch keeps its own under this name")
        try:
            self._real.set_user_attr(name, as_plain(value))
        except TypeError as error:
            _tell(key, f"'{key}' is dropped: no database can hold it ({error})")

    def stop(self) -> None:
        """No further trial begins; those that run come to their end."""
        ended.end(self._real, self._row)
        _tell("stop", "ends the search: no further trial begins, and those that run finish")

    def enqueue_trial(
        self,
        params: dict[str, Any],
        user_attrs: dict[str, Any] | None = None,
        skip_if_exists: bool = False,
    ) -> None:
        """As Optuna's, where the question lets these parameters be tried."""
        spec = studies.stored_spec(self._real)
        if spec and (why := next(queueing.problems(self._real, spec, params), "")):
            _tell("enqueue_trial", f"queues nothing: {why.removeprefix('--params ')}")
            return
        attrs = {k: as_plain(v) for k, v in (user_attrs or {}).items()}
        own = {ASIDE * is_ours(k) + k: v for k, v in attrs.items()}
        self._real.enqueue_trial(params, own, skip_if_exists)

    def add_trial(self, trial: FrozenTrial) -> None:
        self.add_trials([trial])

    def add_trials(self, trials: Iterable[FrozenTrial]) -> None:
        why = "a study holds what was trained for it; the key `from` names one to start from"
        _tell("add_trial", f"adds nothing: {why}")

    def ask(self, fixed_distributions: Mapping[str, Any] | None = None) -> optuna.Trial:
        """A trial that only the objective knows, drawn with the knowledge of the complete ones."""
        if self._aside is None:
            sampler = optuna.samplers.TPESampler(seed=self._row)
            self._aside = optuna.create_study(direction=self.direction, sampler=sampler)
            self._aside.add_trials(self.get_trials(states=(TrialState.COMPLETE,)))
        _tell("ask", "gives a trial that is not kept, as the budget counts what optsearch begins; "
              "`enqueue_trial` asks for one that is")  # fmt: skip
        return self._aside.ask(dict(fixed_distributions or {}))

    def tell(
        self,
        trial: optuna.Trial | int,
        values: float | Sequence[float] | None = None,
        state: TrialState | None = None,
        skip_if_finished: bool = False,
    ) -> FrozenTrial:
        """Of a trial that `ask` gave. The objective's own ends by what it returns."""
        if isinstance(trial, optuna.Trial) and trial.study is self._aside:
            return self._aside.tell(trial, values, state, skip_if_finished)
        number = trial if isinstance(trial, int) else trial.number
        _tell("tell", f"changes nothing of trial {number}: it ends by what its objective returns")
        return next(t for t in self.get_trials() if t.number == number)

    def optimize(self, *_: Any, **__: Any) -> NoReturn:
        """As Optuna's within an objective. Raises RuntimeError."""
        raise RuntimeError("Nested invocation of `Study.optimize` method isn't allowed.")


class ConfirmedStudy(TrialStudy):
    """What a confirming run sees: the search whose best it trains again, which has ended."""

    def stop(self) -> None:
        self._tell_over("stop")

    def enqueue_trial(self, *_: Any, **__: Any) -> None:
        self._tell_over("enqueue_trial")

    def set_user_attr(self, key: str, value: Any) -> None:
        self._tell_over("set_user_attr")

    def _tell_over(self, method: str) -> None:
        _tell(method, "changes nothing in a run that confirms: the search is over")


class LoneStudy(TrialStudy):
    """Of a trial that is in no study: a rehearsal, or one configuration trained once more. It lives
    as long as the trial."""

    def __init__(self, alone: optuna.Study) -> None:
        super().__init__(alone, alone, REPLAYED)

    def stop(self) -> None:
        """No further trial begins anyway."""


def _tell(what: str, words: str) -> None:
    if what not in _told:
        _told.add(what)
        method = what if hasattr(optuna.Study, what) else "set_user_attr"
        # The command tells it with the trial's number, as of attributes.
        logging.getLogger(__name__).warning("trial.study.%s %s", method, words)
