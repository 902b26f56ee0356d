"""search/strategy/pruners.py: each row of the table works, and what is wrong is told."""

from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import TrialState

from search.record import chains
from search.strategy import percentiles, pruners
from search.strategy.pruners import PRUNERS
from search.workers import live_trial
from search.workers.stop import Stop

NEEDED = {"threshold": {"lower": 0.0}, "percentile": {"percentile": 25.0}}


@pytest.mark.parametrize("name", PRUNERS)
def test_each_pruner_runs_a_study(name: str) -> None:
    """Every row of the table, with no more options than it needs."""
    options = NEEDED.get(name, {})
    assert list(pruners.problems(name, options)) == []
    study = optuna.create_study(pruner=pruners.build(name, options, epochs=9), direction="maximize")
    for i in range(4):
        trial = study.ask()
        for step in range(9):
            trial.report(0.5 - i / 10, step)
            trial.should_prune()
        study.tell(trial, 0.5 - i / 10)
    assert len(study.trials) == 4


def test_hopeless_trials_are_pruned_by_the_default() -> None:
    """The median pruner ends what is worse than half of its peers."""
    study = optuna.create_study(
        pruner=pruners.build("median", {"n_startup_trials": 1}, epochs=3), direction="maximize"
    )
    good, bad = study.ask(), study.ask()
    good.report(0.9, 0)
    study.tell(good, 0.9)
    bad.report(0.1, 0)
    assert bad.should_prune()


def test_hyperband_takes_the_epochs_as_its_resource_unless_told_otherwise() -> None:
    """`epochs` of the settings is the pruner's max_resource."""
    assert pruners.build("hyperband", {}, epochs=27)._max_resource == 27  # type: ignore[attr-defined]
    options = {"max_resource": 9}
    assert pruners.build("hyperband", options, epochs=27)._max_resource == 9  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("medain", {}, "unknown pruner 'medain'; did you mean 'median'? one of: none, median"),
        ("none", {"x": 1}, "pruner 'none' has no option 'x'; options: none"),
        ("threshold", {}, "pruner 'threshold': "),
        ("median", {"n_startup_trials": -1}, "pruner 'median': "),
    ],
)
def test_a_wrong_pruner_is_told(name: str, options: dict[str, object], message: str) -> None:
    """The nearest name, the valid options, or what the pruner itself says."""
    (found,) = pruners.problems(name, options)
    assert found.startswith(message)


# Equal progress of equal horizon

THEIRS: dict[str, Any] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "threshold": optuna.pruners.ThresholdPruner,
}
EAGER: dict[str, dict[str, Any]] = {
    "median": {"n_startup_trials": 1},
    "percentile": {"percentile": 25.0, "n_startup_trials": 2},
    "successive_halving": {"reduction_factor": 2},
    "hyperband": {"max_resource": 8, "reduction_factor": 2},
    "threshold": {"lower": 0.3},
}
COMPARING = ("median", "percentile", "successive_halving", "hyperband")  # with peers
SCORE = st.sampled_from([i / 20 for i in range(21)])  # ties, too
PAIR = st.tuples(*[st.lists(SCORE, min_size=1, max_size=4)] * 2)  # curves of trials side by side
HORIZONS = (None, 10, 500)
ROUND = st.tuples(PAIR, st.sampled_from(HORIZONS), st.sampled_from(HORIZONS))
often = settings(
    deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def shared() -> _CachedStorage:
    """SQLite in memory: a property asks for thousands of reports."""
    return _CachedStorage(RDBStorage("sqlite://"))


def ours(shared: _CachedStorage, name: str, options: dict[str, Any]) -> optuna.Study:
    """A study as a worker has it, with the pruner of the table."""
    pruner = pruners.build(name, options, epochs=5)
    return optuna.create_study(storage=shared, direction="maximize", pruner=pruner)


def theirs(study: optuna.Study, name: str, options: dict[str, Any]) -> optuna.Study:
    """A study of that name with Optuna's own pruner: Hyperband's brackets follow from the name."""
    pruner = THEIRS[name](**options)
    return optuna.create_study(study_name=study.study_name, direction="maximize", pruner=pruner)


def begin(study: optuna.Study, horizon: int | None) -> live_trial.LiveTrial:
    trial = live_trial.LiveTrial(study, study.ask()._trial_id, Stop())
    if horizon is not None:
        trial.set_user_attr(percentiles.HORIZON, horizon)
    return trial


def play(
    study: optuna.Study, others: dict[int | None, optuna.Study], rounds: Sequence[Any]
) -> None:
    """Run pairs of trials here, and each of them in the other study of its horizon as well; at
    every report both must decide the same."""
    for curves, *horizons in rounds:
        here = [begin(study, horizon) for horizon in horizons]
        there = [others[horizon].ask() for horizon in horizons]
        is_open = [True, True]
        for epoch in range(4):
            for i in (0, 1):
                if not is_open[i]:
                    continue
                step = epoch * (100 if horizons[i] == 500 else 1)
                pruned = []
                if epoch < len(curves[i]):
                    for trial in (here[i], there[i]):
                        trial.report(curves[i][epoch], step)
                        pruned.append(trial.should_prune())
                    assert pruned[0] == pruned[1], (horizons[i], epoch)
                if epoch == len(curves[i]) or epoch == 3 or any(pruned):
                    end(study, here[i], any(pruned))
                    end(others[horizons[i]], there[i], any(pruned))
                    is_open[i] = False


@pytest.mark.parametrize(("planned", "floor"), [(6, 3), (7, 4), (None, 9)])
def test_what_was_asked_for_is_not_pruned_before_its_floor(
    shared: _CachedStorage, planned: int | None, floor: int
) -> None:
    """Half of its planned epochs, all where nobody tells how many; a drawn one at once."""
    study = ours(shared, "threshold", {"lower": 0.5})
    study.enqueue_trial({}, user_attrs={chains.ASKED: True})
    asked, drawn = begin(study, None), begin(study, None)
    if planned is not None:
        asked.set_user_attr("epochs_planned", planned)
    told = []
    for epoch in range(8):
        for trial in (asked, drawn):
            trial.report(0.1, epoch)
        told.append(asked.should_prune())
        assert drawn.should_prune()
    assert told == [epoch + 1 >= floor for epoch in range(8)]


def end(study: optuna.Study, trial: optuna.Trial, is_pruned: bool) -> None:
    study.tell(trial, None if is_pruned else 0.5, TrialState.PRUNED if is_pruned else None)


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials that run side by side see each other's last report, as Optuna's do."""
    monkeypatch.setattr(live_trial, "REFRESH_S", -1.0)


@pytest.mark.soak
@pytest.mark.parametrize("name", PRUNERS)
@often
@given(pairs=st.lists(PAIR, min_size=1, max_size=3))
def test_without_horizons_the_decisions_are_exactly_optunas(
    shared: _CachedStorage, name: str, pairs: list[Any]
) -> None:
    """Every pruner of the table, trials side by side, at every report."""
    options = EAGER.get(name, {})
    study = ours(shared, name, options)
    play(study, {None: theirs(study, name, options)}, [(pair, None, None) for pair in pairs])


@pytest.mark.soak
@pytest.mark.parametrize("name", COMPARING)
@often
@given(rounds=st.lists(ROUND, min_size=2, max_size=4))
def test_each_horizon_is_to_the_pruner_as_a_study_of_its_own(
    shared: _CachedStorage, name: str, rounds: list[Any]
) -> None:
    """Trials of other horizons, and those without one, change no decision. Hyperband deals trials
    to its brackets by their numbers, which are not those of another study: it has one here."""
    options = EAGER.get(name, {}) | ({"max_resource": 1} if name == "hyperband" else {})
    study = ours(shared, name, options)
    play(study, {horizon: theirs(study, name, options) for horizon in HORIZONS}, rounds)


@pytest.mark.parametrize("name", COMPARING)
def test_a_long_cosine_is_not_hopeless_against_short_ones(
    shared: _CachedStorage, name: str
) -> None:
    """At epoch 8 a short one is nearly done; the same curve among its own is ended."""
    study = ours(shared, name, EAGER[name] | ({"max_resource": 1} if name == "hyperband" else {}))
    peers = [(10, 0.8), (50, 0.1)] * 3
    answers = []
    for horizon, level in (*peers, (50, 0.2), (10, 0.2)):
        trial = begin(study, horizon)
        for step in range(9):
            trial.report(level + step / 100, step)
        answers.append(trial.should_prune())
        end(study, trial, False)
    assert answers[-2:] == [False, True]


def test_the_rungs_of_a_horizon_follow_from_its_own_trials(shared: _CachedStorage) -> None:
    """`min_resource: auto` is a hundredth of the trials' length: 4 steps and 1 step here."""
    study = ours(shared, "successive_halving", {"reduction_factor": 2})
    answers = []
    for horizon, step, value in ((500, 400, 0.5),) * 2 + ((10, 9, 0.5), (10, 1, 0.5), (10, 1, 0.1)):
        trial = begin(study, horizon)
        trial.report(value, step)
        answers.append(trial.should_prune())
        end(study, trial, False)
    assert answers == [False, False, False, False, True]


def test_the_sampler_sees_every_horizon(shared: _CachedStorage) -> None:
    """A good learning rate is worth knowing, however long the schedule was."""
    study = ours(shared, "median", {})
    for horizon in (10, 50, None, 10):
        trial = begin(study, horizon)
        trial.report(0.5, 0)
        trial.should_prune()
        end(study, trial, False)
    assert len(trial.study.get_trials(deepcopy=False)) == 4
