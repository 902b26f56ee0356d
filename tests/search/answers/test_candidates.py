"""search/answers/candidates.py: each value of the question is confirmed, within the budget."""

import optuna
import pytest
from optuna.trial import TrialState

from search import provenance
from search.answers import candidates, confirm, export, plans
from search.record import chains, pauses
from search.studyfile.spec import Confirm
from tests.search import made

SGD, ADAM, ADAGRAD = (
    {"optimizer": name, "lr": 0.01, "batch_size": 32} for name in ("sgd", "adam", "adagrad")
)

STEPS = {"settings": {"epochs": 4}, "budget": {"epochs": 90}}


@pytest.fixture
def study(database: str) -> optuna.Study:
    """Three good trials of SGD, and one of each other that scored less."""
    opened, asked = made.opened(by="optimizer")
    tried = [({**SGD, "lr": lr}, score) for lr, score in ((0.1, 0.9), (0.2, 0.92), (0.3, 0.91))]
    made.search(opened, asked, [*tried, (ADAM, 0.8), (ADAGRAD, 0.5)])
    return opened


def test_the_best_of_each_value_comes_before_all_others(study: optuna.Study) -> None:
    """However many of one value are better; what is left of `top` goes to the next best."""
    assert [t.number for t in candidates.candidates(study, 2)] == [1, 3, 4]
    assert [t.number for t in candidates.candidates(study, 5)] == [1, 3, 4, 2, 0]


def test_a_study_that_asks_for_no_value_confirms_its_best(database: str) -> None:
    """As before there was a question."""
    opened, asked = made.opened(by="none")
    tried = [({**SGD, "lr": lr}, score) for lr, score in ((0.1, 0.9), (0.2, 0.92))]
    made.search(opened, asked, [*tried, (ADAM, 0.8)])
    assert [t.number for t in candidates.candidates(opened, 2)] == [1, 0]


def test_a_part_of_the_epochs_at_most_is_kept_to_confirm(study: optuna.Study) -> None:
    """What two seeds of each value take, a half at most; a fifth where that is more; nothing
    without a budget of epochs, or without seeds."""
    assert candidates.reserve(study, 3, 5, 600, 20) == 120
    assert candidates.reserve(study, 3, 5, 600, 60) == 300
    assert candidates.reserve(study, 3, 5, 100, 20) == 100 - 3 * 20  # each value to its end first
    assert candidates.reserve(study, 3, 5, 900, 20) == 180
    assert candidates.reserve(study, 3, 1, 600, 20) == 60
    assert candidates.reserve(study, 3, 5, None, 20) == 0
    assert candidates.reserve(study, 3, 0, 600, 20) == 0
    assert candidates.reserve(study, 3, 5, 20, 20) == 0


def test_where_nothing_is_asked_a_fifth_is_kept_or_what_two_seeds_of_two_take() -> None:
    """A third at most for these; a search keeps at least one run."""
    epochs = {100: 33, 200: 66, 240: 80, 300: 80, 1000: 200, 3000: 500, 20: 0, 30: 10}
    assert {e: candidates.kept(e, 20, 5, 5, 0) for e in epochs} == epochs


@pytest.mark.soak
def test_the_race_stays_within_its_epochs(study: optuna.Study) -> None:
    """Each run may take its longest, four epochs here: so many as are paid, and no more."""
    _, asked = made.opened(by="optimizer")
    runs = confirm.begin(study, asked, Confirm(top=3, seeds=5), epochs=30)
    assert runs is not None
    runs.set_user_attr("longest", 4)
    asked = confirm.spec_of_runs(asked)
    equal = made.noisy(dict.fromkeys(("sgd", "adam", "adagrad"), 0.9))
    while confirm.advance(runs, study, 1):
        trial = made.ask(runs, asked, None)
        made.end(runs, trial, equal(trial.params, trial.number))
    spent = sum(len(t.intermediate_values) for t in runs.get_trials())
    assert 24 <= spent <= 30
    plan = plans.require_plan(runs)
    assert (len(plan.candidates), plan.by, plan.epochs) == (3, "optimizer", 30)


def test_epochs_that_pay_few_seeds_confirm_fewer_candidates(study: optuna.Study) -> None:
    """Two seeds of one rather than one of two; for less than that nothing is begun."""
    _, asked = made.opened(by="optimizer")
    runs = confirm.begin(study, asked, Confirm(top=3, seeds=5), epochs=10)
    assert runs is not None
    assert plans.require_plan(runs).candidates == [1]
    assert confirm.begin(study, asked, Confirm(top=3, seeds=5), epochs=7) is None


@pytest.mark.soak
def test_what_is_paused_as_the_time_ends_is_confirmed_and_may_win(database: str) -> None:
    """It has shown more than any that came to its end; the answer tells that it had paused."""
    opened, asked = made.opened(by="none", strategy={"name": "freeze_thaw"}, **STEPS)
    made.search(opened, asked, [(SGD, 0.8)])
    trial = made.ask(opened, asked, ADAM)
    for epoch, score in enumerate((0.5, 0.9, 0.85)):
        trial.report(score, epoch)
    mark = (chains.LEASE, provenance.process())
    opened._storage.set_trial_user_attr(trial._trial_id, *mark)
    pauses.pause(opened, trial._trial_id, 3, "the best so far, 0.9", 1.0)
    assert [t.number for t in candidates.candidates(opened, 2)] == [1, 0]

    means = {"sgd": 0.8, "adam": 0.95}
    made.confirm_best(opened, asked, made.noisy(means), top=2, seeds=2)
    best = confirm.answer(opened)
    assert best is not None
    assert (best.number, best.value) == (1, 0.85)
    assert opened.get_trials()[1].state == TrialState.WAITING  # it may still go on
    assert "0.85 when it paused" in export.document(opened, asked, best, {})
