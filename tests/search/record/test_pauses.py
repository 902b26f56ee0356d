"""search/record/pauses.py and the grants of budget.py: one row, one holder, one exact budget."""

import threading
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from optuna.trial import FrozenTrial, TrialState

from search.database import storage
from search.record import budget, chains, copying, outcomes, pauses, results
from search.record.budget import Grant, Limits
from search.workers import leases

LIMITS = Limits(trials=4, epochs=40, longest=9, steps=True)
Lossy = Callable[[Any, bool], Callable[[], None]]


@pytest.fixture(params=["sqlite", "postgresql"])
def study(request: pytest.FixtureRequest) -> optuna.Study:
    """A study in each kind of database."""
    name = {"sqlite": "database", "postgresql": "postgresql"}[request.param]
    return optuna.create_study(
        storage=storage.open_storage(str(request.getfixturevalue(name))), direction="maximize"
    )


def take(study: optuna.Study, until: int, trial: FrozenTrial | None = None) -> int | None:
    """What a worker takes: a new trial, or one that waits."""
    grant = Grant(trial, {"x": len(study.trials) / 10}, until, "its turn")
    return budget.take(study, LIMITS, grant, study.get_trials(deepcopy=False))


def paused(study: optuna.Study, epochs: int = 3, value: float = 0.5) -> FrozenTrial:
    """A new trial that has paused after so many epochs."""
    taken = take(study, epochs)
    assert taken is not None
    for epoch in range(epochs):
        study._storage.set_trial_intermediate_value(taken, epoch, value)
    pauses.pause(study, taken, epochs, "others first", 2.5)
    return study.get_trials(deepcopy=False)[-1]


def test_a_paused_trial_is_neither_queued_nor_a_retry(study: optuna.Study) -> None:
    """Whoever looks at what waits must tell them apart."""
    one = paused(study)
    study.enqueue_trial({"x": 1.0})
    assert (one.state, one.intermediate_values) == (TrialState.WAITING, {0: 0.5, 1: 0.5, 2: 0.5})
    assert chains.is_paused(one)
    assert not chains.is_queued(one)
    assert not chains.is_retry(one)
    assert not budget.has_retry(study.trials)
    assert chains.started(study.trials) == 1
    assert chains.last_links(study.trials) == [one]
    assert chains.mend(study, 3) == []
    assert len(study.trials) == 2
    queued = budget.claim(study, Limits(9))
    assert queued == study.trials[1]._trial_id
    assert budget.claim(study, Limits(2)) is None  # a paused one has its slot
    assert results.counts(study.trials) | {"paused": 1, "running": 1} == results.counts(
        study.trials
    )


def test_a_paused_trial_goes_on_in_one_worker_only(study: optuna.Study) -> None:
    """Eight that want it at once."""
    one, got = paused(study), list[int | None]()

    def fight() -> None:
        got.append(take(study, 9, one))

    threads = [threading.Thread(target=fight) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [t for t in got if t is not None] == [one._trial_id]
    (trial,) = study.trials
    assert trial.state == TrialState.RUNNING
    assert trial.user_attrs[chains.UNTIL] == 9
    assert trial.user_attrs["granted"] == "to epoch 9: its turn"
    assert not {chains.PAUSED, "paused"} & trial.user_attrs.keys()
    assert trial.user_attrs[results.SECONDS] == 2.5


def test_two_workers_never_begin_the_same_configuration(study: optuna.Study) -> None:
    """Of one reading, one strategy makes one decision; the second must decide again."""
    seen = study.get_trials(deepcopy=False)
    grant = Grant(None, {"x": 0.5}, 1, "new")
    assert budget.take(study, LIMITS, grant, seen) is not None
    assert budget.take(study, LIMITS, grant, seen) is None
    other = grant._replace(params={"x": 0.25})
    assert budget.take(study, LIMITS, other, seen) is not None


def test_only_its_holder_pauses_a_trial(study: optuna.Study) -> None:
    """Whoever has lost it hears so, and what was ended stays so."""
    taken = take(study, 3)
    assert taken is not None
    elsewhere = {"host": "another", "pid": 1, "room": "", "since": 0}
    study._storage.set_trial_user_attr(taken, chains.LEASE, elsewhere)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        pauses.pause(study, taken, 0, "", 0.0)
    chains.prune(study, lambda _: True, "deadline")
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        budget.go_on(study, LIMITS, Grant(study.trials[0], {}, 9, ""), study.trials)
    assert study.trials[0].state == TrialState.PRUNED


def test_a_trial_that_was_let_go_in_time_is_not_ended_by_who_thought_it_dead(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It paused between the look and the end."""
    taken = take(study, 3)
    assert taken is not None
    before = study.get_trials(deepcopy=False)
    pauses.pause(study, taken, 0, "", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(chains, "_running", lambda _: before)
        assert chains.mend(study, 3, {taken}) == []
    assert [chains.is_paused(t) for t in study.trials] == [True]
    assert "reason" not in study.trials[0].user_attrs


@pytest.mark.parametrize("is_committed", [True, False])
def test_each_change_is_made_once_though_the_answer_is_lost(
    study: optuna.Study, lose_answers: Lossy, is_committed: bool
) -> None:
    """Taking, going on, pausing, ending."""
    lose = lose_answers(storage.database_of(study), is_committed)
    lose()
    taken = take(study, 3)
    (trial,) = study.trials
    assert (trial._trial_id, trial.state) == (taken, TrialState.RUNNING)
    lose()
    assert budget.go_on(study, LIMITS, Grant(trial, {}, 5, "further"), study.trials)
    assert study.trials[0].user_attrs[chains.UNTIL] == 5
    lose()
    pauses.pause(study, trial._trial_id, 0, "", 0.0)
    lose()
    (trial,) = study.trials
    assert take(study, 9, trial) == taken
    pauses.pause(study, trial._trial_id, 0, "", 0.0)
    lose()
    assert pauses.end(study, study.trials[0])
    assert study.trials[0].state == TrialState.PRUNED


def test_settling_ends_what_is_paused_unless_something_runs(study: optuna.Study) -> None:
    """Or is to go on; the mark holds for these limits and rows."""
    one, two = paused(study), paused(study, 2, 0.25)
    taken = take(study, 3)
    assert taken is not None
    assert not pauses.settle(study, LIMITS)
    chains.mend(study, 3, {taken})
    assert not pauses.settle(study, LIMITS)  # its retry waits
    retry = budget.claim_retry(study)
    assert retry is not None
    study._storage.set_trial_state_values(retry, TrialState.COMPLETE, [1.0])
    assert not budget.is_over(study.trials, LIMITS, budget.settled(study, LIMITS))
    assert pauses.settle(study, LIMITS)
    ended = study.trials[one.number], study.trials[two.number]
    assert [(t.state, t.value) for t in ended] == [(TrialState.PRUNED, v) for v in (0.5, 0.25)]
    assert {t.user_attrs["reason"] for t in ended} == {"hopeless"}
    assert budget.is_over(study.trials, LIMITS, budget.settled(study, LIMITS))
    more = LIMITS._replace(epochs=99)
    assert not budget.is_over(study.trials, more, budget.settled(study, more))
    study.enqueue_trial({"x": 1.0})
    assert not budget.is_over(study.trials, LIMITS, budget.settled(study, LIMITS))


def test_a_late_heartbeat_does_not_keep_a_trial_from_going_on(study: optuna.Study) -> None:
    """Who paused it had one more on the way."""
    one = paused(study)
    leases.beat(study, one._trial_id)
    assert take(study, 9, one) == one._trial_id
    assert leases.Watch(study)._beats()[one._trial_id] is not None


def test_under_optuna_nothing_stays_paused(study: optuna.Study) -> None:
    """Its sampler and pruner would never go on with it."""
    paused(study)
    study.enqueue_trial({"x": 1.0})
    pauses.end_all(study)
    assert [t.state for t in study.trials] == [TrialState.PRUNED, TrialState.WAITING]


def test_a_paused_trial_without_a_number_to_its_name_ends_without_a_value(
    study: optuna.Study,
) -> None:
    """Its last report was nan, or it made none."""
    paused(study, 1, float("nan"))
    paused(study, 0)
    assert pauses.settle(study, LIMITS)
    assert [t.value for t in study.trials] == [None, None]


def test_the_worst_of_too_many_is_ended(study: optuna.Study) -> None:
    """By their best report, in the direction of the study; once, however many look."""
    for value in (0.3, 0.1, 0.2):
        paused(study, 1, value)
    assert [t.number for t in pauses.end_beyond(study, 2)] == [1]
    assert pauses.end_beyond(study, 2) == []


def test_the_retry_of_a_trial_keeps_what_it_was_granted(study: optuna.Study) -> None:
    """It asks at the same rung."""
    one = paused(study)
    taken = take(study, 7, one)
    assert taken is not None
    chains.mend(study, 3, {taken})
    retry = study.trials[1]
    assert chains.is_retry(retry)
    assert retry.user_attrs[chains.UNTIL] == 7
    assert chains.PAUSED not in retry.user_attrs
    assert budget.left(study.trials, LIMITS) == 40 - 7


def test_a_chain_between_its_links_keeps_its_epochs(study: optuna.Study) -> None:
    """Another worker would take them in the moment before the retry is there."""
    taken = take(study, 7)
    assert taken is not None
    outcomes.tell(
        study, optuna.Trial(study, taken), outcomes.Outcome(TrialState.FAIL, reason="preempted")
    )
    assert budget.left(study.trials, LIMITS) == 40 - 7


def test_copied_to_another_database_it_is_still_paused(database: str) -> None:
    """And goes on there."""
    study = optuna.create_study(storage=storage.open_storage(database), study_name="mine")
    paused(study)
    copying.copy_study("mine", database, "sqlite:///b.db", "mine")
    copy = optuna.load_study(study_name="mine", storage=storage.open_storage("sqlite:///b.db"))
    (trial,) = copy.trials
    assert chains.is_paused(trial)
    assert take(copy, 9, trial) == trial._trial_id


class Exact(RuleBasedStateMachine):
    """However trials are taken, paused, lost and ended: the budget is never passed."""

    folder: str

    @initialize()
    def begin(self) -> None:
        self.study = optuna.create_study(
            storage=storage.open_storage(f"sqlite:///{self.folder}/a.db")
        )
        self.retries = 2

    def having(self, which: Callable[[FrozenTrial], bool]) -> list[FrozenTrial]:
        return [t for t in self.study.get_trials(deepcopy=False) if which(t)]

    @rule(until=st.integers(1, 9))
    def take_new(self, until: int) -> None:
        take(self.study, until)

    @rule(more=st.integers(1, 9), data=st.data())
    def resume(self, more: int, data: st.DataObject) -> None:
        if found := self.having(chains.is_paused):
            trial = data.draw(st.sampled_from(found))
            take(self.study, min(9, results.epochs_run(trial) + more), trial)

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        budget.claim_retry(self.study)

    @rule(data=st.data(), then=st.sampled_from(["pause", "on", "end", "lose", "prune"]))
    def run(self, data: st.DataObject, then: str) -> None:
        """To its rung, and what becomes of it there; or not so far, where it is lost or pruned."""
        if not (found := self.having(lambda t: t.state == TrialState.RUNNING)):
            return
        trial = data.draw(st.sampled_from(found))
        until = trial.user_attrs[chains.UNTIL]
        for epoch in range(until - (then in ("lose", "prune"))):
            self.study._storage.set_trial_intermediate_value(trial._trial_id, epoch, 0.5)
        if then == "pause":
            pauses.pause(self.study, trial._trial_id, until, "", 1.0)
        elif then == "on":
            grant = Grant(trial, {}, min(9, until + 3), "")
            budget.go_on(self.study, LIMITS, grant, self.study.get_trials(deepcopy=False))
        elif then == "lose":
            chains.mend(self.study, self.retries, {trial._trial_id})
        else:
            self.study._storage.set_trial_state_values(trial._trial_id, TrialState.PRUNED, [0.5])

    @precondition(lambda self: hasattr(self, "study"))
    @invariant()
    def within(self) -> None:
        trials = self.study.get_trials(deepcopy=False)
        last = [links[-1] for links in chains.grouped(trials).values()]
        assert chains.started(trials) <= (LIMITS.trials or 0)
        assert sum(map(results.epochs_run, last)) <= (LIMITS.epochs or 0)
        assert budget.left(trials, LIMITS) >= 0


@pytest.mark.soak
def test_no_budget_is_ever_passed(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Any
) -> None:
    """Found out by Hypothesis, in real databases."""

    class InFolder(Exact):
        def __init__(self) -> None:
            self.folder = str(tmp_path_factory.mktemp("exact"))
            (storage.Path(self.folder) / "a.db").write_bytes(empty_database.read_bytes())
            super().__init__()

    case = InFolder.TestCase
    case.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
    case().runTest()
