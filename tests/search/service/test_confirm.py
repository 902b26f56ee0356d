"""What the confirm stage says that it is going to train."""

import pytest

from search.answers import confirm, evidence, plans
from search.record import study as studies
from search.record.listener import Listener
from search.service import confirm as stages
from search.studyfile.spec import Confirm
from tests.search import made

BASE = {"optimizer": "adam", "lr": 0.01, "batch_size": 32}
SGD = {**BASE, "optimizer": "sgd"}


class Heard(Listener):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines = list[str]()

    def say(self, study: str, message: str) -> None:
        self.lines.append(message)


def test_a_worker_tells_what_it_waits_for_and_goes_where_all_is_confirmed(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that is to confirm may begin a moment later; once it is over nobody waits."""
    monkeypatch.setattr(stages, "JOIN_S", 0.1)
    heard = Heard()
    workers = stages.Workers(lambda *_, **__: pytest.fail("nothing is to be trained"), 1, heard)
    study, asked = made.opened()
    study.set_user_attr(confirm.WILL, 2)
    made.search(study, asked, [(SGD, 0.9), (BASE, 0.7)])
    assert stages.join(workers, study, asked) is None
    assert heard.lines == [
        "waiting 0.1 s at most for a run that confirms, to help it",
        "no run has begun to confirm: nothing to help",
    ]
    heard.lines.clear()
    made.confirm_best(study, asked, made.noisy({"sgd": 0.9, "adam": 0.7}), top=2, seeds=2)
    monkeypatch.setattr(stages, "JOIN_S", 600.0)
    assert stages.join(workers, study, asked) is None
    assert heard.lines == []


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


def test_epochs_that_nobody_tells_are_those_that_were_seen(database: str) -> None:
    """Of an objective of one's own, which says nothing of them before it runs."""
    study, asked = made.opened(settings={})
    assert evidence.longest(study) == 1
    made.end(study, made.ask(study, asked, SGD), 0.9, epochs=4)
    made.end(study, made.ask(study, asked, BASE), 0.8, epochs=3)
    runs = confirm.begin(study, asked, Confirm(top=2, seeds=3))
    assert runs is not None
    assert stages._cost(study, plans.require_plan(runs)).endswith("24 epochs")


def test_what_few_epochs_pay_is_told_in_runs(database: str) -> None:
    """Not five seeds of each, where two of each are paid."""
    study, asked = made.opened(settings={"epochs": 4})
    made.search(study, asked, [(SGD, 0.9), (BASE, 0.8)])
    runs = confirm.begin(study, asked, Confirm(top=2, seeds=5), epochs=17)
    assert runs is not None
    told = stages._cost(study, plans.require_plan(runs))
    assert told.startswith("confirming the best 2 on fresh seeds: 17 epochs are left for it")
    assert "which pay 4 runs of up to 4, about" in told
    assert told.endswith("each, 5 a candidate at most")


@pytest.mark.parametrize(("spared", "epochs"), [(40.0, 40 - 20), (4000.0, 3208 - 60)])
def test_what_the_time_is_likely_to_pay_the_search_is_noted(
    database: str, monkeypatch: pytest.MonkeyPatch, spared: float, epochs: int
) -> None:
    """By the pace of the last trials, 2.5 s an epoch and two workers: 32 epochs beside the eight;
    what is kept to confirm is not the search's. Without an end nothing is noted."""
    study, asked = made.opened(settings={"epochs": 4}, by="optimizer")
    made.search(study, asked, [(SGD, 0.9), (BASE, 0.8)])
    monkeypatch.setattr(stages.results, "seconds", lambda trial: 4 * 2.5 / 1.1)
    monkeypatch.setattr(stages.time, "monotonic", lambda: 1000.0)
    for ends in (None, 1000.0 + stages.WARM_S + spared):
        workers = stages.Workers(lambda *_, **__: None, 2, Listener(), ends)
        stages.Timely(study, Confirm(top=3, seeds=5), workers)()
        noted = study.user_attrs.get(studies.TIMELY)
        assert noted == (None if ends is None else epochs)


@pytest.mark.parametrize(
    ("seconds", "number", "epochs"),
    [(2.0, 2, 0), (47.0, 2, 16), (47.0, 1, 8), (100.0, 2, None), (None, 2, None)],
)
def test_what_the_time_pays_is_reckoned_in_whole_runs(
    database: str, monkeypatch: pytest.MonkeyPatch, seconds: float | None, number: int, epochs: int
) -> None:
    """By the pace of the last trials, here 5 s an epoch: a run of four epochs takes 22 s with what
    is spared. Nothing is said where all is paid, or no end is set."""
    study, asked = made.opened(settings={"epochs": 4})
    made.search(study, asked, [(SGD, 0.9), (BASE, 0.8)])
    monkeypatch.setattr(stages.results, "seconds", lambda trial: 20.0)
    monkeypatch.setattr(stages.time, "monotonic", lambda: 1000.0)
    ends = None if seconds is None else 1000.0 + seconds
    workers = stages.Workers(lambda *_, **__: None, number, Listener(), ends)
    plan = Confirm(top=2, seeds=4)
    assert stages._epochs_timed(study, plan, workers) == epochs


def test_what_the_time_does_not_pay_is_not_begun(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer are confirmed, or none; then a line says why."""
    study, asked = made.opened(settings={"epochs": 4})
    made.search(study, asked, [(SGD, 0.9), (BASE, 0.8), ({**SGD, "lr": 0.1}, 0.7)])
    heard = Heard()
    for timed, told in (
        (7, "the time that is left does not pay two fresh seeds"),
        (16, "the best 2 on fresh seeds: 16 epochs"),
    ):
        monkeypatch.setattr(stages, "_epochs_timed", lambda *_, timed=timed: timed)
        workers = stages.Workers(lambda *_, **__: None, 2, heard)
        stages.stage(workers, study, asked, Confirm(top=3))
        assert told in heard.lines[-1]
