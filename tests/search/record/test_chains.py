"""search/record/chains.py: whatever a death leaves, every chain has one next link."""

import os
import subprocess
import sys
import threading
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search import provenance
from search.database import storage
from search.record import budget, chains

OPEN = budget.Limits()


@pytest.fixture
def study(database: str) -> optuna.Study:
    return optuna.create_study(storage=storage.open_storage(database))


def claim(study: optuna.Study) -> optuna.Trial:
    taken = budget.claim(study, OPEN)
    assert taken is not None
    study.get_trials(deepcopy=False)  # makes it known to Optuna's cache, as a LiveTrial does
    return optuna.Trial(study, taken)


def end(study: optuna.Study, reason: str | None, **attrs: Any) -> optuna.Trial:
    """Claim a trial and end it: complete, or failed for the reason."""
    trial = claim(study)
    for key, value in ({"reason": reason} if reason else {}).items() | attrs.items():
        trial.set_user_attr(key, value)
    study.tell(trial, None if reason else 1.0, TrialState.FAIL if reason else TrialState.COMPLETE)
    return trial


def dead_process() -> dict[str, str | int]:
    """The lease of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = provenance.process(ended.pid)
    ended.communicate(b"\n")
    return identity


def states(study: optuna.Study) -> list[str]:
    return [t.state.name for t in study.trials]


def test_a_trial_of_a_dead_process_is_ended_and_queued_again(study: optuna.Study) -> None:
    """A living process is left alone, here and on hosts that cannot be asked."""
    dead, alive, elsewhere = claim(study), claim(study), claim(study)
    dead.set_user_attr(chains.LEASE, dead_process())
    elsewhere.set_user_attr(chains.LEASE, {**dead_process(), "host": "another"})
    assert [t.number for t in chains.mend(study, 3)] == [dead.number]
    assert states(study) == ["FAIL", "RUNNING", "RUNNING", "WAITING"]
    assert study.trials[0].user_attrs["reason"] == "crashed"
    assert chains.of(study.trials[3]) == 0
    assert chains.mend(study, 3) == []
    assert alive.number == 1


def test_a_pid_that_was_given_to_another_process_is_not_the_same_one(study: optuna.Study) -> None:
    """Numbers come round again on a machine that runs for days."""
    trial = claim(study)
    lease = dict(trial.user_attrs[chains.LEASE])
    assert (lease["pid"], provenance.is_gone(lease)) == (os.getpid(), False)
    assert provenance.is_gone({**lease, "since": lease["since"] - 1})


def test_a_trial_that_fell_silent_is_ended_and_queued_again(study: optuna.Study) -> None:
    """Whoever watched its heartbeat names it by its id."""
    silent, other = claim(study), claim(study)
    chains.mend(study, 3, {silent._trial_id})
    assert states(study) == ["FAIL", "RUNNING", "WAITING"]
    assert other.number == 1


@pytest.mark.parametrize("reason", ["preempted", "crashed", None])
def test_a_failure_without_its_retry_gets_one(study: optuna.Study, reason: str | None) -> None:
    """Failing and queueing are two writes: a kill may fall between them. A failure without any
    reason is a crash."""
    trial = claim(study)
    if reason:
        trial.set_user_attr("reason", reason)
    study.tell(trial, state=TrialState.FAIL)
    for _ in range(2):
        chains.mend(study, 3)
        assert states(study) == ["FAIL", "WAITING"]


def test_an_exception_is_not_retried(study: optuna.Study) -> None:
    """It would raise again; `optsearch retry` is the way where it would not."""
    end(study, "exception")
    chains.mend(study, 3)
    assert states(study) == ["FAIL"]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_chain_that_crashes_again_and_again_fails_for_good(
    study: optuna.Study, retries: int
) -> None:
    """After as many retries as allowed, each of which crashed without a new checkpoint."""
    for _ in range(retries + 1):
        end(study, "crashed")
        chains.mend(study, retries)
    assert states(study) == ["FAIL"] * (retries + 1)
    assert chains.started(study.trials) == 1
    assert chains.superseded(study.trials) == set(range(retries))


def test_a_new_checkpoint_between_crashes_starts_the_count_anew(study: optuna.Study) -> None:
    """A trial of days on a flaky machine goes on as long as it gets somewhere."""
    for epochs in (3, 6, 9, 12):
        end(study, "crashed", checkpointed=epochs)
        chains.mend(study, 1)
    for _ in range(2):
        end(study, "crashed", checkpointed=12)  # loaded it, and wrote none
        chains.mend(study, 1)
    assert states(study) == ["FAIL"] * 6


def test_a_preemption_never_counts(study: optuna.Study) -> None:
    """Neither as a crash, nor as an end of a row of them."""
    for reason in ("crashed", "preempted", "preempted", "crashed", "preempted"):
        end(study, reason)
        chains.mend(study, 2)
    assert states(study) == ["FAIL"] * 5 + ["WAITING"]
    assert chains.crashes(study.trials[:5]) == 2
    end(study, "crashed")
    chains.mend(study, 2)
    assert states(study) == ["FAIL"] * 6


@pytest.mark.parametrize(
    ("reasons", "reopened"),
    [((), [0, 1]), (("exception",), [0]), (("crashed",), [1]), (("deadline",), [])],
)
def test_failed_chains_are_reopened_by_reason(
    study: optuna.Study, reasons: tuple[str, ...], reopened: list[int]
) -> None:
    """Each gets a link of the same chain, so the budget stays as it is; crashes count anew."""
    end(study, "exception")
    end(study, "crashed")
    end(study, None)
    chains.mend(study, 0)
    assert [t.number for t in chains.reopen(study, reasons)] == reopened
    assert [chains.of(t) for t in study.trials[3:]] == reopened
    assert chains.started(study.trials) == 3
    assert chains.reopen(study, reasons) == []
    for _ in reopened:
        end(study, "crashed")
    chains.mend(study, 1)
    waiting = {chains.of(t) for t in study.trials if t.state == TrialState.WAITING}
    assert waiting >= set(reopened)


@pytest.mark.parametrize(
    ("reason", "value", "infeasible"), [("deadline", 0.4, False), ("out_of_memory", 0.4, True)]
)
def test_a_trial_is_pruned_in_place_of_its_worker(
    study: optuna.Study, reason: str, value: float, infeasible: bool
) -> None:
    """Its value is its last report; a region that takes too much memory is infeasible."""
    trial, other = claim(study), claim(study)
    trial.report(0.9, 0)
    trial.report(value, 1)
    chains.prune(study, lambda t: t.number == trial.number, reason)
    first = study.trials[0]
    assert (first.state, first.value) == (TrialState.PRUNED, value)
    assert first.user_attrs["reason"] == reason
    assert any(c > 0 for c in first.constraints.values()) == infeasible
    assert study.trials[other.number].state == TrialState.RUNNING


@pytest.mark.parametrize("kind", ["database", "postgresql"])
def test_many_menders_queue_one_retry(kind: str, request: pytest.FixtureRequest) -> None:
    """Every worker and every command mends; together they are as one."""
    url = request.getfixturevalue(kind)
    made = optuna.create_study(storage=storage.open_storage(url))
    for _ in range(5):
        end(made, "crashed")

    def mend() -> None:
        mine = optuna.load_study(study_name=made.study_name, storage=storage.open_storage(url))
        chains.mend(mine, 3)

    threads = [threading.Thread(target=mend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states(made) == ["FAIL"] * 5 + ["WAITING"] * 5
    assert {chains.of(t) for t in made.trials[5:]} == {0, 1, 2, 3, 4}


def test_a_retry_far_from_its_checkpoint_is_known(study: optuna.Study) -> None:
    """Once it trains, and has not told that it resumed."""
    end(study, "crashed", checkpointed=7)
    chains.mend(study, 3)
    again = claim(study)
    assert chains.begun_anew(study.trials) == ""
    again.report(0.1, 0)
    lost = "the checkpoint of 7 epochs is not in the workdir of"
    assert chains.begun_anew(study.trials).startswith(lost)
    again.set_user_attr(chains.RESUMED, 7)
    assert chains.begun_anew(study.trials) == ""


def test_a_baseline_that_died_early_keeps_what_it_was_queued_with(study: optuna.Study) -> None:
    """Its parameters are not drawn yet when its process dies."""
    study.enqueue_trial({"x": 0.25, "y": 3}, user_attrs={chains.ASKED: True})
    trial = claim(study)
    trial.suggest_float("x", 0, 1)
    study.tell(trial, state=TrialState.FAIL)
    chains.mend(study, 3)
    again = claim(study)
    assert (again.suggest_float("x", 0, 1), again.suggest_int("y", 1, 9)) == (0.25, 3)
    assert again.user_attrs[chains.ASKED]  # and is not pruned before its floor
