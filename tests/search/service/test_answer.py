"""search/service/answer.py: how a run ends that has no answer."""

import signal

import optuna
import pytest

from search.errors import RunFailedError
from search.record.listener import Listener
from search.service import answer
from search.service.prepare import Order
from search.studyfile.spec import Confirm
from search.workers.seats import Wish
from tests.search import made

ORDER = Order("./mine.yaml", wish=Wish.parse("auto", "auto", "auto"))
STATES = optuna.trial.TrialState


@pytest.mark.parametrize("waits", [False, True])
def test_a_run_without_a_complete_trial_has_failed(database: str, waits: bool) -> None:
    """Out of time before any trial had completed, too; but not where somebody has stopped it."""
    study, spec = made.opened()
    trial = study.ask()
    study.tell(trial, state=STATES.PRUNED)
    if waits:
        study.ask()
    ended = answer.answer(study, spec, ORDER, Listener(), stopped=None, plan=Confirm(seeds=0))
    assert isinstance(ended.trouble, RunFailedError)
    assert ("before a trial had completed" in str(ended.trouble)) is waits
    by_hand = answer.answer(
        study, spec, ORDER, Listener(), stopped=None, plan=Confirm(seeds=0), halted=True
    )
    assert (by_hand.trouble is None) is waits
    by_signal = answer.answer(
        study, spec, ORDER, Listener(), stopped=signal.SIGINT, plan=Confirm(seeds=0)
    )
    assert (by_signal.trouble is None) is waits
