"""Which parameters matter: how much of the scores' differences each of them makes."""

import math
import warnings

import optuna

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
            found = optuna.importance.get_param_importances(study)
        except (ValueError, RuntimeError, ZeroDivisionError):
            return {}
    return {k: v for k, v in found.items() if math.isfinite(v)}
