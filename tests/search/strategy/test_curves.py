"""The model of curves: its evidence by a plain formula, its gradient by differences."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
import threadpoolctl
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

from search.strategy import beliefs, curves
from search.strategy.curves import Hyper, Rows
from search.strategy.seen import Seen
from search.strategy.steps import Question, Run

GROUPS = np.array([0, 0, 1, 2, 2])
SPACE = {
    "optimizer": {"choice": ["sgd", "adam"]},
    "lr": {"float": [1e-4, 1.0], "log": True},
    "momentum": {"float": [0.0, 0.9], "when": {"optimizer": ["sgd"]}},
}


def points(count: int) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Some points on curves, two or three of a run, and their scores."""
    rng = np.random.default_rng(count)
    rows = Rows(rng.random((count, 5)), rng.random(count), rng.integers(0, count // 2, count))
    return rows, rng.standard_normal(count)


@pytest.mark.parametrize("count", [4, 30])
def test_the_evidence_is_that_of_the_kernel(count: int) -> None:
    """Of a normal distribution with the covariances of `kernel`, and of the prior, but for what
    does not depend on the hyperparameters."""
    rows, values = points(count)
    evidence = curves._Evidence(rows, values, GROUPS, 3)

    def plain(logs: npt.NDArray[np.float64]) -> float:
        hyper = Hyper.of(logs)
        covariance = curves.kernel(hyper, GROUPS, rows, rows)
        covariance += (hyper.noise + curves.JITTER) * np.eye(count)
        off = (logs - evidence.mean) / evidence.sd
        normal = multivariate_normal(np.zeros(count), covariance)
        return float(-normal.logpdf(values) + 0.5 * off @ off)

    other = evidence.mean + 0.3
    wanted = plain(other) - plain(evidence.mean)
    assert evidence(other)[0] - evidence(evidence.mean)[0] == pytest.approx(wanted, rel=1e-6)


def test_the_gradient_is_that_of_the_evidence() -> None:
    """By differences."""
    evidence = curves._Evidence(*points(20), GROUPS, 3)
    at = evidence.mean + 0.2
    wanted = approx_fprime(at, lambda logs: evidence(logs)[0], 1e-6)
    np.testing.assert_allclose(evidence(at)[1], wanted, rtol=1e-3, atol=1e-3)


def test_a_decision_takes_one_thread() -> None:
    """And gives the others back."""

    def counts() -> list[int]:
        told = threadpoolctl.threadpool_info()
        return [one["num_threads"] for one in told if one["user_api"] == "blas"]

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = counts()
        with beliefs.one_thread():
            assert set(counts()) == {1}
        assert counts() == before


def test_runs_are_seen_alike_at_once_and_one_by_one() -> None:
    """Also where one is told anew, with other parameters and another horizon."""
    drawn = [
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.5},
        {"optimizer": "adam", "lr": 0.01},
        {"optimizer": "adam", "lr": 1e-3},
    ]
    runs = [Run(i, params, [0.1 * i, 0.5], 9) for i, params in enumerate(drawn)]
    runs[1] = dataclasses.replace(runs[1], horizon=3)
    question = Question(SPACE, 9, by="optimizer")
    whole, stepwise = Seen(question), Seen(question)
    whole.update(runs)
    stepwise.update([dataclasses.replace(runs[0], params=drawn[1], horizon=4)])
    for count in (1, 2, 3):
        stepwise.update(runs[:count])
    for name in (*whole._floats, *whole._ints):
        np.testing.assert_array_equal(getattr(whole, name), getattr(stepwise, name))
    assert whole.taken == stepwise.taken
