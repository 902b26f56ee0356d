"""A study as one reading found it: whatever is reckoned from it agrees, while workers go on."""

import copy
from collections.abc import Container
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState


class Snapshot(optuna.Study):
    """For readers that ask a study more than once, as pages and figures do: between two looks at
    the database a trial may have ended. Trials and attributes are those of the first look."""

    def __init__(self, study: optuna.Study) -> None:
        self.__dict__.update(study.__dict__)
        self._trials = study.get_trials(deepcopy=False)
        self._attrs = study.user_attrs

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        found = [t for t in self._trials if states is None or t.state in states]
        return copy.deepcopy(found) if deepcopy else found

    @property
    def user_attrs(self) -> dict[str, Any]:
        return copy.deepcopy(self._attrs)


def of(study: optuna.Study) -> Snapshot:
    """The study as it is now; one that is a snapshot stays the same."""
    return study if isinstance(study, Snapshot) else Snapshot(study)
