"""What `run` suggests at its end searches on, and has the time for what it is to do."""

import pytest

from search.cli import again
from search.record import study as studies
from search.service.answer import Answered
from tests.search import made

TIMED = ["run", "--study", "./mine.yaml", "--timeout", "20s", "--log", "plain"]


def ended(**about: object) -> Answered:
    study, spec = made.opened(budget={"trials": 9, "hours": 20 / 3600})
    made.search(study, spec, [({"optimizer": "sgd", "lr": 0.1, "batch_size": 16}, 0.9)])
    usual = {"is_settled": False, "trouble": None, "needs": None} | about
    return Answered(study, spec, None, None, **usual)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("needs", "timeout"), [(5.0, "1m"), (300.0, "10m")], ids=["twice", "what it needs"]
)
def test_a_time_too_short_to_confirm_is_not_suggested_again(
    database: str, needs: float, timeout: str
) -> None:
    """Half of the time at most is kept for confirming, so twice what that takes is suggested."""
    told = again.command(ended(needs=needs), TIMED)
    assert told == f"optsearch run --study ./mine.yaml --log plain --timeout {timeout}"


def test_epochs_that_do_not_pay_to_confirm_are_doubled(database: str) -> None:
    """The same command again would find nothing to train, and nothing to confirm with."""
    study, spec = made.opened(budget={"trials": 9, "epochs": 12}, prepared={"epochs": 4})
    made.search(study, spec, [({"optimizer": "sgd", "lr": 0.1, "batch_size": 16}, 0.9)])
    done = Answered(study, spec, None, None, is_settled=False, trouble=None, needs=5.0)
    words = ["run", "--study", "./mine.yaml"]
    assert again.command(done, words) == "optsearch run --study ./mine.yaml"  # it may go on
    study.set_user_attr(studies.RESERVED, 12)
    told = again.command(done, words)
    assert told == "optsearch run --study ./mine.yaml --set budget.epochs=24"


def test_epochs_that_are_used_up_within_the_time_are_doubled(database: str) -> None:
    """More time alone would find nothing to train."""
    budget = {"trials": 9, "epochs": 8, "hours": 1}
    study, spec = made.opened(budget=budget, prepared={"epochs": 4})
    params = {"optimizer": "sgd", "batch_size": 16}
    made.search(study, spec, [({**params, "lr": 0.1}, 0.9)])
    done = Answered(study, spec, None, None, is_settled=True, trouble=None)
    assert again.command(done, TIMED) == "optsearch " + " ".join(TIMED)
    made.search(study, spec, [({**params, "lr": 0.2}, 0.9)])
    assert again.command(done, TIMED).endswith(" --set budget.epochs=16")


@pytest.mark.soak
def test_a_time_that_was_enough_stays(database: str) -> None:
    """So does that of a run which a person has stopped."""
    assert "--timeout 20s" in again.command(ended(is_settled=True), TIMED)
    stopped_by_hand = ended(needs=None)
    assert "--timeout=20s" in again.command(stopped_by_hand, ["run", "--timeout=20s"])
