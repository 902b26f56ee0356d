"""What a sampler proposes among the points of a finite space that no trial has tried."""

import random
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.record import tried
from search.studyfile import space as spaces
from search.studyfile.points import Points

DRAWS = 10  # of the sampler, before any untried point is as good as another
LISTED = 10_000  # points: so many are listed; of more, one is drawn at random until it is new


def draw(
    study: optuna.Study, points: Points, seed: int, trials: Sequence[FrozenTrial]
) -> dict[str, Any]:
    """A point that none of the trials has, by the study's sampler as long as it finds one.

    Args:
        seed: of the study: what is drawn otherwise follows from it, and from the trials' number.
    """
    known, rng = tried.points(points, trials), random.Random(f"{seed}:{len(trials)}")
    for _ in range(DRAWS):
        params = _proposed(study, points, len(trials), study.sampler)
        if points.key(params) not in known:
            return params
    if points.number <= LISTED:
        return rng.choice([p for p in points.all() if points.key(p) not in known])
    anywhere = optuna.samplers.RandomSampler(seed=rng.getrandbits(32))
    while True:
        params = _proposed(study, points, len(trials), anywhere)
        if points.key(params) not in known:
            return params


def _proposed(
    study: optuna.Study, points: Points, number: int, sampler: optuna.samplers.BaseSampler
) -> dict[str, Any]:
    """What the sampler draws for the next trial, as `optuna.Trial` asks for it."""
    trial = optuna.trial.create_trial(state=TrialState.RUNNING)
    trial.number = number
    together = sampler.infer_relative_search_space(study, trial)
    drawn = sampler.sample_relative(study, trial, together)
    for name in spaces.ordered(points.space):
        parameter = points.space[name]
        if not spaces.is_active(parameter, trial.params):
            continue
        kind = spaces.distribution(parameter)
        if name in drawn:
            trial.params[name] = drawn[name]
        else:
            trial.params[name] = sampler.sample_independent(study, trial, name, kind)
        trial.distributions[name] = kind
    return dict(trial.params)
