"""Which parameters matter: how much of the scores' differences each of them makes."""

import json
import math
import warnings

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from search.record import results


def importances(study: optuna.Study) -> dict[str, float]:
    """How much of the scores' differences each parameter makes, most first, summing to 1; {} where
    too few trials, or too equal ones, tell."""
    ranked = results.ranking(study)
    if len(ranked) < 5 or len({t.value for t in ranked}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = optuna.importance.get_param_importances(_hashable(study))
        except (ValueError, RuntimeError, ZeroDivisionError):
            return {}
    return {k: v for k, v in found.items() if math.isfinite(v)}


def _hashable(study: optuna.Study) -> optuna.Study:
    """The study, or a copy where choices are lists: Optuna sorts trials by their distributions, and
    a list has no hash. A text stands for each choice."""
    trials = study.get_trials(deepcopy=False)
    if not any(_is_odd(kind) for trial in trials for kind in trial.distributions.values()):
        return study
    copied = optuna.create_study(direction=study.direction)
    copied.add_trials([_of_texts(trial) for trial in trials if trial.state.is_finished()])
    return copied


def _is_odd(kind: BaseDistribution) -> bool:
    return isinstance(kind, CategoricalDistribution) and any(
        isinstance(choice, list | dict) for choice in kind.choices
    )


def _of_texts(trial: FrozenTrial) -> FrozenTrial:
    kinds, params = dict(trial.distributions), dict(trial.params)
    for name, kind in trial.distributions.items():
        if isinstance(kind, CategoricalDistribution) and _is_odd(kind):
            kinds[name] = CategoricalDistribution([json.dumps(choice) for choice in kind.choices])
            params[name] = json.dumps(params[name])
    return optuna.trial.create_trial(
        state=trial.state,
        value=trial.value,
        params=params,
        distributions=kinds,
        system_attrs=trial.system_attrs,  # constraints are among them
        intermediate_values=trial.intermediate_values,
    )
