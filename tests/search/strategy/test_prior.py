"""prior.py: an arm's new configurations are looked for near what is known to be good."""

import math

import numpy as np
import pytest

from search.strategy import prior
from search.strategy.freeze_thaw import FreezeThaw
from search.strategy.seen import Seen
from search.strategy.steps import Question, Run

SPACE = {
    "optimizer": {"choice": ["sgd", "adam"]},
    "lr": {"float": [1e-4, 1.0], "log": True},
}
QUESTION = Question(SPACE, longest=4, by="optimizer")
ROW = {"optimizer": "sgd", "lr": 0.01}


def seen(count: int = 1) -> Seen:
    """One row of sgd, and other runs of it."""
    rest = [Run(n, {"optimizer": "sgd", "lr": 0.1}, [0.5], 4) for n in range(1, count)]
    known = Seen(QUESTION)
    known.update([Run(0, ROW, [0.5], 4, name="sgd-row"), *rest])
    return known


def far(known: Seen, lr: float, arm: int = 0) -> float:
    place = known.points.place({"optimizer": "sgd", "lr": lr})
    return float(prior.logarithms(known, place[None], arm)[0])


def test_the_nearer_to_a_row_the_likelier() -> None:
    """A rate ten times off lies a quarter of the range away, which is one deviation."""
    known = seen()
    assert far(known, 0.01) == 0
    assert far(known, 0.1) == pytest.approx(-0.5)
    assert far(known, 0.001) == pytest.approx(-0.5)
    assert far(known, 1.0) == pytest.approx(-2.0)


def test_an_arm_without_a_row_has_none() -> None:
    known = seen()
    assert (prior.has_rows(known, 0), prior.has_rows(known, 1)) == (True, False)
    assert far(known, 1.0, arm=1) == 0


def test_it_fades_as_the_arm_is_known_better() -> None:
    """As piBO's: else the best of a space far from every row would never be found."""
    whole, faded = far(seen(prior.IN_FULL), 1.0), far(seen(10 * prior.IN_FULL), 1.0)
    assert whole == pytest.approx(-2.0)
    assert faded == pytest.approx(-0.2)


def test_an_arm_is_not_begun_in_the_corners_of_its_space() -> None:
    """Whatever the seed: after one run of its row the next configurations of sgd lie about it."""
    runs = [
        Run(0, ROW, [0.3, 0.4], 4, name="sgd-row"),
        Run(1, {"optimizer": "adam", "lr": 0.001}, [0.5, 0.6, 0.7, 0.8], 4, state="complete"),
    ]
    steps = [
        FreezeThaw(Question(SPACE, longest=4, by="optimizer", seed=seed)).next(runs)
        for seed in range(20)
    ]
    new = [
        s.params["lr"] for s in steps if s and s.number is None and s.params["optimizer"] == "sgd"
    ]
    assert len(new) > 5
    assert np.abs([math.log10(lr / ROW["lr"]) for lr in new]).max() < 1.5
