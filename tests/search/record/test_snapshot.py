"""A study as one reading found it."""

from collections.abc import Container

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search import plots
from search.dashboard import sections, seen
from search.record import snapshot
from search.record import study as studies
from tests.search import made


class Busy(optuna.Study):
    """One whose workers end a trial, and note it, before each look at the database."""

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trial = self.ask()
        trial.suggest_float("lr", 0.001, 0.1, log=True)
        trial.suggest_categorical("optimizer", ["sgd", "adam"])
        trial.report(0.5, 0)
        self.tell(trial, 0.5 + trial.number / 100)
        self.set_user_attr("last", trial.number)
        return super().get_trials(deepcopy, states)


@pytest.fixture
def busy(database: str) -> Busy:
    made.opened(by="optimizer", budget={"trials": 20})
    return Busy("mine", studies.load_study("mine", database)._storage)


def test_what_ends_after_the_first_look_is_not_there(busy: Busy) -> None:
    """Trials, those of a state, and attributes; whoever asks anew sees more."""
    held = snapshot.of(busy)
    assert snapshot.of(held) is held
    assert len(busy.trials) == 2
    assert [t.number for t in held.trials] == [0]
    assert len(held.get_trials(states=(TrialState.COMPLETE,))) == 1
    assert held.get_trials(states=(TrialState.RUNNING,)) == []
    assert held.user_attrs["last"] == 0
    assert len(snapshot.of(busy).trials) == 3


def test_what_was_read_cannot_be_changed_by_a_reader(busy: Busy) -> None:
    """Who asks for a copy gets one."""
    held = snapshot.of(busy)
    held.trials[0].user_attrs["mine"] = held.user_attrs["last"] = 7
    assert "mine" not in held.trials[0].user_attrs
    assert held.user_attrs["last"] == 0


def test_figures_and_pages_are_drawn_while_trials_end(busy: Busy) -> None:
    """Each figure, and each section of the live page."""
    for _ in range(3):
        assert busy.trials
    drawn = plots.drawn(busy)
    assert "history" in drawn
    assert plots.left_out(drawn) == []
    shown = sections.sections(seen.see(busy))
    assert "Best score" in shown["history"]
