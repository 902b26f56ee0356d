"""spent.py: what is asked for, and what is left of it, in words."""

import time
from typing import Any

import pytest

from search.record import spent, study
from tests.search import made

PARAMS = {"optimizer": "sgd", "lr": 0.1, "batch_size": 16}


@pytest.mark.parametrize(
    ("budget", "seconds", "told", "left"),
    [
        ({"trials": 8}, None, "8 trials (1 begun)", "7 of 8 trials left"),
        (
            {"trials": 1, "epochs": 72},
            240.0,
            "1 trial (1 begun), 72 epochs (4 run), 4 min",
            "0 of 1 trials and 68 of 72 epochs left",
        ),
        ({"hours": 2}, 7200.0, "2 h", ""),
        ({"hours": 1.5}, 5400.0, "1 h 30 min", ""),
    ],
)
def test_a_budget_is_told_with_what_is_spent(
    database: str, budget: dict[str, Any], seconds: float | None, told: str, left: str
) -> None:
    """Of trials, epochs and time those that there are."""
    opened, asked = made.opened(budget=budget, settings={"epochs": 4})
    before = spent.outline(opened, asked, seconds)
    assert before == told.replace(" (1 begun)", "").replace(" (4 run)", "")
    made.search(opened, asked, [(PARAMS, 0.5)])
    assert spent.outline(opened, asked, seconds) == told
    assert spent.left(opened, study.limits(opened, asked)) == left


def test_epochs_that_are_kept_to_confirm_are_told(database: str) -> None:
    """Else `36 of 36 epochs` of the search reads as an error beside a budget of 72."""
    opened, asked = made.opened(budget={"epochs": 72}, settings={"epochs": 4})
    opened.set_user_attr(study.RESERVED, 36)
    assert spent.outline(opened, asked, None) == "72 epochs (36 kept to confirm)"
    made.search(opened, asked, [(PARAMS, 0.5)])
    assert spent.outline(opened, asked, None) == "72 epochs (4 run, 36 kept to confirm)"


def test_the_time_that_is_left() -> None:
    assert spent.time_left(None) == ""
    assert spent.time_left(time.monotonic() + 3600.4) == "1 h"
    assert spent.time_left(time.monotonic() - 1) == "0 s"
