"""A confirmed answer is the answer until another one is confirmed."""

import optuna
import pytest

from search.answers import confirm, evidence, plans, words
from search.studyfile.spec import Confirm, StudySpec
from tests.search import made

MEANS = {"sgd": 0.9, "adam": 0.8, "adagrad": 0.7}
TRIED = [({"optimizer": name, "lr": 0.1, "batch_size": 16}, score) for name, score in MEANS.items()]
BETTER = {"optimizer": "adam", "lr": 0.5, "batch_size": 64}

Made = tuple[optuna.Study, StudySpec, optuna.Study]


@pytest.fixture
def confirmed(database: str) -> Made:
    """Three trials, confirmed and tested; the study and the study of its runs."""
    study, spec = made.opened()
    made.search(study, spec, TRIED)
    return study, spec, made.confirm_best(study, spec, made.noisy(MEANS), top=2, seeds=2)


def test_a_plan_that_comes_to_no_end_takes_no_answer_away(confirmed: Made) -> None:
    """The search has gone on and found a better one; the time was too short to confirm it."""
    study, spec, runs = confirmed
    before = evidence.of(study)
    made.search(study, spec, [(BETTER, 0.95)])
    confirm.begin(study, spec, Confirm(top=4, seeds=6))
    confirm.advance(runs, study, 1)
    trial = made.ask(runs, confirm.spec_of_runs(spec), None)  # a run of the new plan has ended
    made.end(runs, trial, 0.99)

    after, now = evidence.of(study), evidence.at_work(study)
    assert before is not None
    assert after is not None
    assert now is not None
    assert after.winner == before.winner
    assert (after.plan, after.runs) == (before.plan, before.runs)
    assert (after.pending, after.pending_runs) == (now.plan, before.runs + 1)
    assert now.winner is None
    told = " ".join(words.of_evidence(after, 4, "AGAIN"))
    assert "Confirmed by the earlier plan, of 3 trials. The new one, of 4 (4 candidates" in told
    assert "AGAIN" not in told  # it is at work already
    best = confirm.answer(study)
    assert best is not None
    assert best.params == before.winner.params  # type: ignore[union-attr]

    (noted,) = runs.user_attrs[plans.EARLIER]
    del noted[plans.BEGUN]  # an earlier version did not note it
    runs.set_user_attr(plans.EARLIER, [noted])
    after = evidence.of(study)
    assert after is not None
    assert after.winner is not None
    assert after.winner.number == best.number


def test_the_new_plan_is_the_answer_once_it_has_ended(confirmed: Made) -> None:
    """And says that the test set was read before."""
    study, spec, _ = confirmed
    made.search(study, spec, [(BETTER, 0.95)])
    runs = made.confirm_best(study, spec, made.noisy({0.1: 0.8, 0.5: 0.97}, by="lr"), top=4)
    known = evidence.of(study)
    assert known is not None
    assert known.winner is not None
    assert (known.winner.params, known.pending) == (BETTER, None)
    assert known.earlier == runs.user_attrs[plans.EARLIER][0][plans.TESTED] > 0


def test_a_plan_without_a_winner_is_no_answer(confirmed: Made) -> None:
    """Where none came through its fresh seeds, the next plan has nothing to stand in for."""
    study, spec, runs = confirmed
    made.search(study, spec, [(BETTER, 0.95)])
    runs.set_user_attr(plans.CHOICE, {"winner": None, "ties": [], "failed": [], "dropped": []})
    confirm.begin(study, spec, Confirm(top=4, seeds=6))
    known = evidence.of(study)
    assert known is not None
    assert (known.winner, known.pending, known.over) == (None, None, False)
