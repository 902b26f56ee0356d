"""search/record/enough.py: a search ends with the score that was asked for, or without a gain."""

import math
import threading
from typing import Any

import optuna
import pytest

from search.database import storage
from search.errors import SpecError
from search.record import budget, enough, spent, study
from search.record.budget import Limits
from search.record.enough import Enough
from search.studyfile import reading
from search.studyfile.parts import Stalled


def rule(**told: Any) -> Enough:
    """As a study file with `budget.stalled` or `budget.until` makes it."""
    score, by = told.pop("score", None), told.pop("by", 0.01)
    about = {key: told.pop(key) for key in ("noise", "images") if key in told}
    high = told.pop("high", True)
    return Enough(high, "val_accuracy", score, Stalled(by=by, **told) if told else None, **about)


@pytest.fixture
def made(database: str) -> optuna.Study:
    return optuna.create_study(storage=storage.open_storage(database), direction="maximize")


def end(made: optuna.Study, score: float, epochs: int = 10) -> None:
    """A trial of so many epochs that ends with this score."""
    trial = made.ask()
    for epoch in range(epochs):
        trial.report(score, epoch)
    trial.set_user_attr(enough.SPENT, enough.spent(made.trials))
    made.tell(trial, score)


def test_a_score_that_was_asked_for_is_enough(made: optuna.Study) -> None:
    """Of a complete trial: one that runs has none yet; the words name it."""
    end(made, 0.93)
    running = made.ask()
    running.report(0.99, 0)
    assert enough.why(made.trials, rule(score=0.94)) == ""
    made.tell(running, 0.94)
    told = enough.why(made.trials, rule(score=0.94))
    assert told == "enough: trial 1 has val_accuracy 0.94, budget.until is 0.94"
    assert enough.off(told) == "budget.until=null"


def test_a_loss_is_enough_where_it_is_low(database: str) -> None:
    low = optuna.create_study(storage=storage.open_storage(database), direction="minimize")
    end(low, 0.5)
    assert enough.why(low.trials, rule(score=0.4, high=False)) == ""
    end(low, 0.3)
    assert "trial 1" in enough.why(low.trials, rule(score=0.4, high=False))


def test_small_gains_add_up_to_one(made: optuna.Study) -> None:
    """What matters is the distance to where the last gain was."""
    for score in (0.5, 0.504, 0.508, 0.512, 0.512, 0.513):
        end(made, score)
    gain = enough.last_gain(made.trials, rule(epochs=20))
    assert gain is not None
    assert (gain.trial.number, gain.since) == (3, 20)
    told = enough.why(made.trials, rule(epochs=20))
    assert told.startswith("stalled: 20 epochs without a gain of more than 0.01")
    assert enough.off(told) == "budget.stalled=null"
    assert enough.why(made.trials, rule(epochs=21)) == ""
    assert enough.why(made.trials, rule(trials=2)) != ""
    assert enough.why(made.trials, rule(trials=3)) == ""


def test_epochs_of_trials_that_run_count_and_known_ones_do_not(made: optuna.Study) -> None:
    """They were trained without a gain; what another study has paid for is none of ours."""
    end(made, 0.5)
    running = made.ask()
    for epoch in range(7):
        running.report(0.1, epoch)
    gain = enough.last_gain(made.trials, rule(epochs=20))
    assert gain is not None
    assert gain.since == 7


@pytest.mark.parametrize(
    ("told", "by", "whence"),
    [
        ({"by": 0.02}, 0.02, "budget.stalled.by"),
        ({"by": "noise", "noise": 0.003}, 0.003, "fresh seeds"),
        ({"by": "noise", "images": 1000}, math.sqrt(0.8 * 0.2 / 1000), "1000 images"),
        ({"by": "noise"}, 0.0, "from epoch to epoch"),
    ],
)
def test_how_noise_is_known_is_told(
    made: optuna.Study, told: dict[str, Any], by: float, whence: str
) -> None:
    """As measured, as the number of images says, as curves scatter: in this order."""
    end(made, 0.8)
    gain = enough.last_gain(made.trials, rule(epochs=20, **told))
    assert gain is not None
    assert gain.by == pytest.approx(by)
    assert whence in gain.whence


def test_the_scatter_of_a_curve_is_that_about_its_rise(made: optuna.Study) -> None:
    """A slow rise is none; without reports any gain is one, and that is said."""
    trial = made.ask()
    for epoch in range(30):
        trial.report(0.7 + 0.001 * epoch + 0.01 * (-1) ** epoch, epoch)
    made.tell(trial, 0.75)
    gain = enough.last_gain(made.trials, rule(epochs=20, by="noise"))
    assert gain is not None
    assert gain.by == pytest.approx(0.01 * math.sqrt(2), rel=0.1)
    made.tell(made.ask(), 0.9)
    made.tell(made.ask(), 0.95)
    bare = [t for t in made.trials if not t.intermediate_values]
    last = enough.last_gain(bare, rule(trials=20, by="noise"))
    assert last is not None
    assert (last.by, last.whence) == (0.0, "noise is not known")


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["database", "postgresql"])
def test_no_trial_begins_once_it_is_enough_whoever_claims(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Looking and taking are one transaction: of six claimants none gets a trial after the first
    score that is good enough was told."""
    url = request.getfixturevalue(kind)
    name = optuna.create_study(storage=storage.open_storage(url), direction="maximize").study_name
    limits = Limits(200, enough=rule(score=0.5))
    late: list[int] = []
    told = threading.Event()

    def work() -> None:
        mine = optuna.load_study(study_name=name, storage=storage.open_storage(url))
        while True:
            is_late = told.is_set()  # before it claims
            trial_id = budget.claim(mine, limits)
            if trial_id is None:
                return
            late.extend([trial_id] * is_late)
            trial = optuna.Trial(mine, trial_id)
            mine.tell(trial, 0.9 if trial.number == 12 else 0.1)
            if trial.number == 12:
                told.set()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.is_set()
    assert late == []


def opened(database: str, *overrides: str) -> tuple[optuna.Study, Any]:
    return study.open_study(reading.load("./mine.yaml", list(overrides)).spec, database, {})


def test_what_is_enough_is_asked_anew_by_another_budget(database: str) -> None:
    """The limits of the study say so to whoever comes later, and what to type."""
    made, asked = opened(database, "budget.until={score: -50}")
    end(made, -3.0)
    limits = study.limits(made, asked)
    told = spent.used_up(made, limits)
    assert told.startswith("enough: trial 0 has value -3, budget.until is -50: nothing to train")
    assert told.endswith("--set budget.until=null goes on")
    assert budget.is_over(made.trials, limits, budget.settled(made, limits))
    again, wider = opened(database, "budget.until={score: -1}")
    assert spent.used_up(again, study.limits(again, wider)) == ""
    made.enqueue_trial({"x": 1.0})
    assert "`optsearch run" in spent.beyond(made, limits)


def test_a_study_that_asks_for_neither_is_stored_as_ever(database: str) -> None:
    """An earlier optsearch reads it; one that asks is refused there in its own words."""
    plain, _ = opened(database)
    assert plain.user_attrs["spec_version"] == 3
    assert not {"until", "stalled"} & plain.user_attrs["spec"]["budget"].keys()
    assert "notify" not in plain.user_attrs["spec"]
    asking, _ = opened(database, "budget.stalled={epochs: 5}", "name=other")
    assert asking.user_attrs["spec_version"] == 4


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("budget.stalled={by: noise}", "exactly one of epochs and trials must be given"),
        ("budget.stalled={epochs: 5, trials: 5}", "exactly one of epochs and trials"),
        ("budget.stalled={epochs: 5, by: nois}", "budget.stalled.by"),
        ("budget.until={scores: 5}", "did you mean 'score'?"),
        ("budget.until=0.9", "budget.until"),
        ("notify=[{on: [stalled], command: x}]", "never happens without budget.stalled"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(folder: Any, override: str, told: str) -> None:
    with pytest.raises(SpecError) as refused:
        reading.load("./mine.yaml", [override])
    assert told in str(refused.value)
