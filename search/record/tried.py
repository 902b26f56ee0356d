"""Which points of a finite space a study has tried."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from search.record import chains
from search.studyfile.points import Key, Points


def points(of: Points, trials: Sequence[FrozenTrial]) -> set[Key]:
    """The points that trials have, or wait for: a queued one will be trained."""
    told = ({**t.system_attrs.get(chains.FIXED, {}), **t.params} for t in trials)
    return {of.key(params) for params in told if params.keys() <= of.space.keys()}


def is_all(of: Points | None, trials: Sequence[FrozenTrial]) -> bool:
    """Whether nothing new is left to try."""
    if of is None or len(trials) < of.number:
        return False
    return len(points(of, trials)) >= of.number
