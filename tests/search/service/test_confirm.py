"""What the confirm stage says that it is going to train."""

import pytest

from search.answers import confirm, plans
from search.service import confirm as stages
from search.studyfile.spec import Confirm
from tests.search import made

BASE = {"optimizer": "adam", "lr": 0.01, "batch_size": 32}
SGD = {**BASE, "optimizer": "sgd"}


@pytest.mark.soak
def test_a_baseline_is_no_value_of_what_is_asked(database: str) -> None:
    """Nor is what is confirmed besides."""
    baselines = [{"name": "usual", "params": BASE}]
    study, asked = made.opened(by="optimizer", baselines=baselines)
    made.end(study, made.ask(study, asked, None), 0.5)
    made.search(study, asked, [(SGD, 0.9), ({**SGD, "lr": 0.1}, 0.8), ({**BASE, "lr": 0.1}, 0.7)])
    values = "the best of each of 2 values of optimizer"
    for top, more in ((2, " and 1 baseline"), (3, ", 1 more and 1 baseline")):
        runs = confirm.begin(study, asked, Confirm(top=top, seeds=2))
        assert runs is not None
        assert stages._who(study, plans.require_plan(runs)) == values + more
