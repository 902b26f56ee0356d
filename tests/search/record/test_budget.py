"""search/record/budget.py: chains of retries, and an exact claim."""

import threading

import optuna
import pytest
from optuna.trial import TrialState

from search.database import storage
from search.record import budget, chains, spent


@pytest.fixture
def study(database: str) -> optuna.Study:
    return optuna.create_study(storage=storage.open_storage(database))


def claim(study: optuna.Study, limit: int | None, **limits: int) -> optuna.Trial | None:
    """The trial that `budget.claim` took."""
    trial_id = budget.claim(study, budget.Limits(limit, **limits))
    return None if trial_id is None else optuna.Trial(study, trial_id)


def end(study: optuna.Study, trial: optuna.Trial | None, reason: str | None = None) -> None:
    """End a trial: `complete`, or as the reason says."""
    assert trial is not None
    if reason:
        trial.set_user_attr("reason", reason)
    failed = reason in ("preempted", "exception")
    study.tell(trial, None if failed else 1.0, TrialState.FAIL if failed else TrialState.COMPLETE)


@pytest.mark.soak
def test_a_claim_ends_with_the_budget(study: optuna.Study) -> None:
    """However trials end, and while they still run, each of them counts once."""
    end(study, claim(study, 3))
    end(study, claim(study, 3), "exception")
    assert claim(study, 3) is not None  # runs
    assert claim(study, 3) is None
    assert claim(study, 4) is not None
    assert chains.started(study.trials) == 4


def test_there_is_no_end_without_a_limit(study: optuna.Study) -> None:
    """A study limited by time only goes on."""
    for _ in range(3):
        end(study, claim(study, None))
    assert claim(study, None) is not None


def test_queued_trials_count_once_they_begin(study: optuna.Study) -> None:
    """Baselines are part of the budget, and come first."""
    study.enqueue_trial({"x": 1.0})
    study.enqueue_trial({"x": 2.0})
    assert chains.started(study.trials) == 0
    trial = claim(study, 1)
    assert trial is not None
    assert trial.suggest_float("x", 0, 9) == 1.0
    assert claim(study, 1) is None


def test_a_retry_is_claimed_first_and_beyond_the_budget(study: optuna.Study) -> None:
    """It belongs to a chain that was counted when it began."""
    first = claim(study, 1)
    assert first is not None
    first.suggest_float("x", 0, 9)
    first.set_user_attr("seed", 7)
    first.set_user_attr("configuration", "base")
    first.set_user_attr("history", {"loss": [1.0]})
    end(study, first, "preempted")
    chains.mend(study, 3)
    assert chains.started(study.trials) == 1
    retry = claim(study, 1)
    assert retry is not None
    assert retry.suggest_float("x", 0, 9) == first.params["x"]
    kept = {k: v for k, v in retry.user_attrs.items() if k != chains.LEASE}
    assert kept == {"seed": 7, "configuration": "base", chains.CHAIN: 0}
    assert claim(study, 1) is None


def test_a_chain_is_named_after_its_first_trial(study: optuna.Study) -> None:
    """A retry of a retry is of the same chain; all but its last link are superseded."""
    for _ in range(3):
        end(study, claim(study, 2), "preempted")
        chains.mend(study, 3)
    end(study, claim(study, 2))
    end(study, claim(study, 2))
    assert [chains.of(t) for t in study.trials] == [0, 0, 0, 0, 4]
    assert chains.superseded(study.trials) == {0, 1, 2}
    assert chains.started(study.trials) == 2


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["database", "postgresql"])
def test_a_budget_is_exact_with_many_workers(kind: str, request: pytest.FixtureRequest) -> None:
    """Six claimants with connections of their own get exactly the ten slots that there are."""
    url = request.getfixturevalue(kind)
    name = optuna.create_study(storage=storage.open_storage(url)).study_name
    got: list[int] = []

    def claim_all() -> None:
        mine = optuna.load_study(study_name=name, storage=storage.open_storage(url))
        while trial := claim(mine, 10):
            got.append(trial.number)
            mine.tell(trial, 1.0)

    threads = [threading.Thread(target=claim_all) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(10))


@pytest.mark.parametrize(
    ("endings", "stops"),
    [
        (["exception"] * 2, False),
        (["exception"] * 3, True),
        (["exception"] * 4, True),
        ([None, "exception", "exception", "exception"], False),
        (["exception", "exception", "preempted"], False),
        (["exception", "preempted", "exception", "exception"], True),
    ],
)
def test_a_study_stops_if_all_of_its_first_trials_raised(
    study: optuna.Study, endings: list[str | None], stops: bool
) -> None:
    """One that has ever succeeded goes on; a preempted trial says nothing."""
    for reason in endings:
        end(study, claim(study, None), reason)
    assert (budget.first_failures(study.trials) is not None) == stops


# Epochs


def test_a_budget_of_epochs_is_never_passed(study: optuna.Study) -> None:
    """Every open trial may take its longest; what ended trials did not use goes to others."""
    limits = {"epochs": 10, "longest": 4}
    first, second = claim(study, None, **limits), claim(study, None, **limits)
    assert first is not None
    assert second is not None
    assert claim(study, None, **limits) is None  # 4 + 4 + 4 > 10
    first.report(0.5, 0)
    end(study, first)  # after one epoch
    third = claim(study, None, **limits)
    assert third is not None  # 1 + 4 + 4
    for trial in (second, third):
        for epoch in range(4):
            trial.report(0.5, epoch)
        end(study, trial)
    assert claim(study, None, **limits) is None  # 9 of 10
    assert "10 epochs has no room for a trial of up to 4" in spent.used_up(
        study, budget.Limits(**limits)
    )


def test_epochs_that_a_retry_repeats_count_once(study: optuna.Study) -> None:
    """The chain's last link speaks for the chain, and its slot is held meanwhile."""
    limits = {"epochs": 8, "longest": 4}
    first = claim(study, None, **limits)
    assert first is not None
    first.report(0.5, 2)
    end(study, first, "preempted")
    chains.mend(study, 3)
    assert claim(study, None, **limits) is not None  # the retry itself
    assert claim(study, None, **limits) is not None
    assert claim(study, None, **limits) is None
