"""search/strategy/percentiles.py: these pruners answer what Optuna's answer."""

import math

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from search.strategy import percentiles

VALUES = st.one_of(st.floats(-10, 10), st.sampled_from([math.nan, math.inf, -math.inf]))
CURVES = st.dictionaries(st.integers(0, 5), VALUES, max_size=6)
ENDED = st.tuples(st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED]), CURVES)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, on both sides: all values are NaN
@settings(deadline=None)
@given(
    rounds=st.lists(st.tuples(st.lists(ENDED, max_size=4), CURVES), max_size=3),
    direction=st.sampled_from(["maximize", "minimize"]),
    percentile=st.sampled_from([0.0, 25.0, 50.0, 100.0]),
    startup=st.integers(0, 3),
    warmup=st.integers(0, 2),
    interval=st.integers(1, 3),
    least=st.integers(1, 3),
)
def test_they_prune_what_optuna_prunes(
    rounds: list[tuple[list[tuple[TrialState, dict[int, float]]], dict[int, float]]],
    direction: str,
    percentile: float,
    startup: int,
    warmup: int,
    interval: int,
    least: int,
) -> None:
    """Whatever was reported, with more trials from round to round, at every step."""
    options = (percentile, startup, warmup, interval)
    theirs = optuna.pruners.PercentilePruner(*options, n_min_trials=least)
    ours = percentiles.PercentilePruner(*options, n_min_trials=least)
    study = optuna.create_study(direction=direction)
    for ended, curve in rounds:
        for state, reports in ended:
            study.add_trial(create_trial(state=state, value=0.0, intermediate_values=reports))
        trial = create_trial(state=TrialState.RUNNING, intermediate_values={})
        for step, value in curve.items():
            trial.intermediate_values[step] = value
            assert ours.prune(study, trial) == theirs.prune(study, trial)


def test_the_median_is_the_percentile_at_50() -> None:
    """With the options of Optuna's own."""
    pruner = percentiles.MedianPruner(3, 2, interval_steps=4, n_min_trials=5)
    theirs = optuna.pruners.MedianPruner(3, 2, interval_steps=4, n_min_trials=5)
    assert vars(pruner) == vars(theirs)


def test_another_study_has_other_peers() -> None:
    """One pruner for two studies mixes nothing up."""
    pruner = percentiles.MedianPruner(n_startup_trials=0)
    storage = optuna.storages.InMemoryStorage()
    low, high = (
        optuna.create_study(storage=storage, direction="maximize", pruner=pruner) for _ in range(2)
    )
    for study, value in ((low, 0.1), (high, 0.9)):
        study.add_trial(create_trial(value=value, intermediate_values={0: value}))
    for study, is_pruned in ((low, False), (high, True), (low, False)):
        trial = study.ask()
        trial.report(0.5, 0)
        assert trial.should_prune() == is_pruned
