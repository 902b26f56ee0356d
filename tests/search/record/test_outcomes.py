"""search/record/outcomes.py: what each ending of a trial becomes in Optuna."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState

from search.record import outcomes


def run(objective: Callable[[optuna.Trial], Any]) -> FrozenTrial:
    study = optuna.create_study()
    trial = study.ask()
    outcomes.tell(study, trial, outcomes.attempt(objective, trial))
    return study.trials[0]


def test_a_number_is_complete() -> None:
    """With the reason that the objective gave, if it gave one."""

    def plateau(trial: optuna.Trial) -> float:
        trial.set_user_attr("reason", "plateau")
        return 0.5

    assert (run(lambda t: 1).state, run(lambda t: 1).value) == (TrialState.COMPLETE, 1.0)
    assert "reason" not in run(lambda t: 1).user_attrs
    assert run(plateau).user_attrs["reason"] == "plateau"


@pytest.mark.parametrize(
    "value",
    [[0.5], (0.5,), np.array(0.5), np.array([[0.5]]), torch.tensor([0.5], requires_grad=True)],
    ids=repr,
)
def test_one_number_in_a_list_or_an_array_is_that_number(value: object) -> None:
    """As Optuna takes `return value,`, too; and nobody is warned of a gradient."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(lambda t: value).value == 0.5


@pytest.mark.parametrize(
    "value", [None, "many", float("nan"), [1, 2], object(), np.ones(2), torch.ones(2), 10**400]
)
def test_what_is_no_number_is_a_failure_that_says_so(value: object) -> None:
    """Optuna would fail the trial silently."""
    trial = run(lambda t: value)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"] == "exception"
    assert trial.user_attrs["error"].startswith("the objective must return a number, got ")
    assert len(trial.user_attrs["error"]) < 300


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_is_no_score_whichever_its_sign(value: float) -> None:
    """It ends as a diverged trial does: the sampler learns to keep away, and it wins nothing."""
    trial = run(lambda t: value)
    assert (trial.state, trial.user_attrs["reason"]) == (TrialState.PRUNED, "diverged")


def test_pruned_is_hopeless_with_the_last_report_as_its_value() -> None:
    """Against its peers, unless the objective knows better."""

    def prune(trial: optuna.Trial) -> float:
        trial.report(0.9, 0)
        trial.report(0.3, 1)
        raise optuna.TrialPruned

    trial = run(prune)
    assert (trial.state, trial.value) == (TrialState.PRUNED, 0.3)
    assert trial.user_attrs["reason"] == "hopeless"


@pytest.mark.parametrize("reason", ["diverged", "out_of_memory"])
def test_the_objectives_own_reason_stands(reason: str) -> None:
    """It has seen what happened; the worker has seen an exception."""

    def prune(trial: optuna.Trial) -> float:
        trial.set_user_attr("reason", reason)
        raise optuna.TrialPruned

    assert run(prune).user_attrs["reason"] == reason


def test_an_exception_is_a_failure_with_its_traceback_kept() -> None:
    """The end of it, where the cause stands; it is not tried again."""

    def fail(trial: optuna.Trial) -> float:
        trial.set_user_attr("reason", "plateau")
        raise ValueError("x" * 20_000 + " the cause")

    trial = run(fail)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"] == "exception"
    assert trial.user_attrs["error"].rstrip().endswith("the cause")
    assert len(trial.user_attrs["error"]) == outcomes.ERROR_CHARS


def test_preempted_is_a_failure_that_is_tried_again() -> None:
    """And an objective that catches every Exception does not swallow it."""

    def stubborn(trial: optuna.Trial) -> float:
        try:
            raise outcomes.Preempted
        except Exception:
            return 1.0

    study = optuna.create_study()
    outcome = outcomes.attempt(stubborn, study.ask())
    assert (outcome.state, outcome.reason) == (TrialState.FAIL, "preempted")


def test_a_trial_that_somebody_else_ended_is_a_lost_lease() -> None:
    """Not a failure of the objective: the worker leaves it alone."""
    study = optuna.create_study()
    trial = study.ask()

    def report_after_the_end(trial: optuna.Trial) -> float:
        study.tell(trial.number, 1.0)
        trial.report(0.1, 0)
        return 2.0

    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        outcomes.attempt(report_after_the_end, trial)
    assert study.trials[0].value == 1.0


def test_a_deadline_is_pruned_with_what_was_reported() -> None:
    """The trial has had its time; an objective cannot swallow it either."""

    def late(trial: optuna.Trial) -> float:
        trial.report(0.4, 0)
        raise outcomes.DeadlinePassedError

    trial = run(late)
    assert (trial.state, trial.value) == (TrialState.PRUNED, 0.4)
    assert trial.user_attrs["reason"] == "deadline"


@pytest.mark.parametrize(
    ("message", "poisoned"),
    [
        ("CUDA error: an illegal memory access was encountered", True),
        ("CUDA error: device-side assert triggered", True),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", True),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR", True),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED", False),
        ("CUDA driver error: unknown error", True),
        ("CUDA unknown error - this may be due to an incorrectly set up environment", True),
        ("Triton Error [CUDA]: an illegal memory access was encountered", True),
        ("HIP error: an illegal memory access was encountered", True),
        ("Offset increment outside graph capture encountered unexpectedly.", True),
        ("expected 3 channels", False),
    ],
)
def test_a_gpu_fault_is_a_crash_that_ends_the_process(message: str, poisoned: bool) -> None:
    """Whatever that process asks of the GPU fails from then on; the trial itself is blameless."""

    def fault(trial: optuna.Trial) -> float:
        raise RuntimeError(message)

    outcome = outcomes.attempt(fault, optuna.create_study().ask())
    assert outcome.poisoned == poisoned
    assert outcome.reason == ("crashed" if poisoned else "exception")
    assert message in str(outcome.error)


def test_an_exception_without_words_costs_one_trial_all_the_same() -> None:
    """Its own text raises: what there is of it is kept."""

    class WordlessError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def fail(trial: optuna.Trial) -> float:
        raise WordlessError

    trial = run(fail)
    assert trial.user_attrs["reason"] == "exception"
    assert "WordlessError" in trial.user_attrs["error"]
