"""advisor.py: what it says follows from the trials; estimates hold on simulated truth."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from search.answers import advisor, brief
from tests.search import made

RATE = FloatDistribution(1e-4, 1e-1, log=True)


def study_of(
    scores: Sequence[float],
    params: Sequence[dict[str, Any]] | None = None,
    kinds: dict[str, BaseDistribution] | None = None,
) -> optuna.Study:
    """Complete trials in memory, in this order."""
    study = optuna.create_study(direction="maximize")
    for i, score in enumerate(scores):
        values = params[i] if params else {}
        study.add_trial(create_trial(value=score, params=values, distributions=kinds or {}))
    return study


# What more search can gain


@pytest.mark.soak
@pytest.mark.parametrize(
    "draw",
    [
        lambda g, n: g.uniform(0, 1, n),
        lambda g, n: g.normal(0, 1, n),
        lambda g, n: np.minimum(g.normal(0, 1, n), 0.5),
    ],
    ids=["uniform", "normal", "capped"],
)
@pytest.mark.parametrize("n", [16, 64])
def test_the_gain_told_is_about_the_most_that_a_doubling_brings(
    draw: Callable[[np.random.Generator, int], Any], n: int
) -> None:
    """On average over many searches it is what the last doubling brought, and at least what the
    next one brings."""
    generator = np.random.default_rng(0)
    told, last, following = [], [], []
    for _ in range(400):
        scores = draw(generator, 2 * n)
        told.append(advisor.next_gain(study_of_scores(scores[:n])) or 0.0)
        best = [scores[:some].max() for some in (n // 2, n, 2 * n)]
        last.append(best[1] - best[0])
        following.append(best[2] - best[1])
    error = 2 * np.std(last) / np.sqrt(len(last))
    assert np.mean(told) == pytest.approx(np.mean(last), abs=error + 1e-4)
    assert np.mean(told) >= np.mean(following) - error


def study_of_scores(scores: Sequence[float]) -> optuna.Study:
    return study_of([float(s) for s in scores])


def test_few_trials_tell_nothing_about_the_next() -> None:
    """Less than eight; none at all is no error."""
    assert advisor.next_gain(study_of_scores([0.1] * 7)) is None
    assert advisor.next_gain(study_of_scores([])) is None
    assert advisor.advise(study_of_scores([])) == []


def test_a_loss_gains_downwards() -> None:
    """Where lower is better the gain is that of the mirrored study."""
    values = np.random.default_rng(0).normal(0, 1, 32).tolist()
    study = optuna.create_study(direction="minimize")
    study.add_trials([create_trial(value=-v) for v in values])
    assert advisor.next_gain(study) == pytest.approx(advisor.next_gain(study_of_scores(values)))


@pytest.mark.soak
def test_the_gain_is_told_beside_the_noise_of_a_seed(database: str) -> None:
    """Unknown before the confirm stage; afterwards in words whether it is worth the time."""
    opened, asked = made.opened()
    params = [{"optimizer": "sgd", "lr": 0.001 * (i + 1), "batch_size": 32} for i in range(16)]
    made.search(opened, asked, [(p, 0.9 + i / 10_000) for i, p in enumerate(params)])
    (before,) = advisor.noise(opened)
    assert "16 more trials" in before
    assert "`optsearch confirm --study mine --storage sqlite:///a.db` measures it" in before
    made.confirm_best(opened, asked, made.noisy({"sgd": 0.9}, noise=0.05))
    (after,) = advisor.noise(opened)
    assert "less than the noise of a seed" in after
    told = brief.of(opened, asked).forecast  # after a run, too
    assert told.startswith("As many trials again may gain about ")
    assert "the noise of a seed is 0." in told
    assert told.endswith(": there is little left to find.")
    assert after.endswith("there is little left to find inside this space.")


@pytest.mark.soak
def test_what_was_held_fixed_is_named_where_little_is_left(database: str) -> None:
    """A search says nothing of what it did not vary; what the data is counts as given."""
    settings = {"dataset": "digits", "network": "digits_cnn", "epochs": 5, "crop": 2}
    opened, asked = made.opened(settings=settings)
    params = [{"optimizer": "sgd", "lr": 0.001 * (i + 1), "batch_size": 32} for i in range(16)]
    made.search(opened, asked, [(p, 0.9 + i / 10_000) for i, p in enumerate(params)])
    made.confirm_best(opened, asked, made.noisy({"sgd": 0.9}, noise=0.05))
    (told,) = advisor.noise(opened)
    assert told.endswith(
        "What was held fixed may matter more: network=digits_cnn, epochs=5, crop=2."
    )


# Edges of the space


def searched_at(kind: BaseDistribution, best: Any, others: Sequence[Any]) -> optuna.Study:
    """Thirty trials over a range, the five best at one place."""
    values = [*[best] * 5, *others]
    values = (values * 30)[:30]
    scores = [0.9 if i < 5 else 0.5 - i / 100 for i in range(30)]
    return study_of(scores, [{"p": v} for v in values], {"p": kind})


@pytest.mark.parametrize(
    ("kind", "best", "told"),
    [
        (RATE, 1e-1, "upper end of what was searched: try [0.00316, 3.16]"),
        (RATE, 1e-4, "lower end of what was searched: try [3.16e-06, 0.00316]"),
        (FloatDistribution(2, 4), 4.0, "upper end of what was searched: try [3, 5]"),
        (FloatDistribution(0, 0.99), 0.99, "try [0.495, 0.999]"),
        (IntDistribution(2, 8), 8, "try [5, 11]"),
        (CategoricalDistribution([16, 32, 64]), 64, "upper end of what was searched: try 128"),
        (CategoricalDistribution([16, 32, 64]), 16, "lower end of what was searched: try 8"),
    ],
)
def test_an_optimum_at_an_edge_is_told_with_what_to_try_next(
    kind: BaseDistribution, best: Any, told: str
) -> None:
    """As wide a range around the end, on the parameter's own scale."""
    (line,) = advisor.edges(searched_at(kind, best, [best]))
    assert told in line


@pytest.mark.parametrize(
    ("kind", "best"),
    [
        (RATE, 3e-3),
        (FloatDistribution(0, 1), 0.0),
        (FloatDistribution(0, 1), 1.0),
        (IntDistribution(1, 8), 1),
        (CategoricalDistribution([1, 2, 4]), 1),
        (CategoricalDistribution(["sgd", "adam"]), "adam"),
        (CategoricalDistribution([True, False]), True),
    ],
)
def test_an_optimum_within_or_at_an_end_of_nature_is_not_told(
    kind: BaseDistribution, best: Any
) -> None:
    """A momentum cannot be below 0 nor above 1, and names have no order."""
    assert list(advisor.edges(searched_at(kind, best, [best]))) == []


def test_one_lucky_trial_at_an_edge_is_no_trend() -> None:
    """The next best lie elsewhere."""
    values = [1e-1, *[1e-3] * 29]
    study = study_of([0.9 - i / 100 for i in range(30)], [{"p": v} for v in values], {"p": RATE})
    assert list(advisor.edges(study)) == []


# What matters, what failed


def test_a_parameter_that_does_not_matter_is_named() -> None:
    """And the one that does is not."""
    generator = np.random.default_rng(0)
    kinds: dict[str, BaseDistribution] = {n: FloatDistribution(0, 1) for n in ("matters", "idle")}
    params = [{n: float(generator.uniform()) for n in kinds} for _ in range(200)]
    study = study_of([p["matters"] for p in params], params, kinds)
    (line,) = advisor.unimportant(study)
    assert line.startswith("idle hardly matters")


@pytest.mark.soak
def test_memory_and_divergence_are_told_with_the_values_behind_them(database: str) -> None:
    """From which batch size on memory did not suffice; above which rate training diverged."""
    opened, asked = made.opened()
    sgd = {"optimizer": "sgd", "lr": 0.01, "batch_size": 16}
    made.search(opened, asked, [({**sgd, "lr": 0.001 * (i + 1)}, 0.5) for i in range(6)])
    bad = [({**sgd, "batch_size": 64}, "out_of_memory")]
    bad += [({**sgd, "lr": lr}, "diverged") for lr in (0.5, 0.7, 0.9)]
    for params, reason in bad:
        trial = made.ask(opened, asked, params)
        trial.set_user_attr("reason", reason)
        opened.tell(trial, state=TrialState.PRUNED)
    made.fail(opened, made.ask(opened, asked, sgd))
    lines = list(advisor.failures(opened))
    assert "1 trial, from batch_size 64 on; up to 16 it did suffice" in lines[0]
    assert "3 trials of 11 diverged; with lr above 0.5, 3 of 3" in lines[1]
    assert "1 trial of 11 failed (exception)" in lines[2]


def test_a_best_trial_that_was_still_improving_is_told(database: str) -> None:
    """Its best epoch was its last, and it ended because it had to."""
    opened, asked = made.opened()
    made.search(opened, asked, [({"optimizer": "sgd", "lr": 0.01, "batch_size": 16}, 0.5)])
    (line,) = advisor.epochs(opened)
    assert "4 of 4" in line
    assert "settings.epochs=8" in line


@pytest.mark.soak
def test_ties_are_answered_with_more_seeds(database: str) -> None:
    """More trials would not tell them apart."""
    opened, asked = made.opened()
    tried = [{"optimizer": n, "lr": 0.01, "batch_size": 16} for n in ("sgd", "adam")]
    made.search(opened, asked, [(p, 0.9) for p in tried])
    made.confirm_best(opened, asked, made.noisy({"sgd": 0.9, "adam": 0.9}, noise=0.05))
    (line,) = advisor.ties(opened)
    assert "cannot be told apart by 4 seeds" in line
