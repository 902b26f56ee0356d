"""A person's hand in a study that is at work: `optsearch end`, `enqueue --from`, another budget."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.database import storage
from search.errors import UsageError
from search.record import budget, by_hand, chains, changed, pauses, queueing, study
from search.studyfile import reading
from search.workers.pool import Pool
from search.workers.seats import Seat

Cli = Callable[..., Any]
SLOW = """
import os, time
def objective(trial):
    for epoch in range(1000):
        trial.report(0.25, epoch)
        open("begun", "w").close()
        while trial.number == 0 and not os.path.exists("go"):
            time.sleep(0.02)
        if trial.number > 0:
            return 0.5
    return 1.0
"""


@pytest.fixture
def made(database: str) -> optuna.Study:
    return optuna.create_study(storage=storage.open_storage(database), direction="maximize")


def test_a_trial_that_runs_ends_with_its_last_report(made: optuna.Study) -> None:
    """At once, for all who look; it is no retry's beginning."""
    trial = made.ask()
    trial.report(0.5, 0)
    trial.report(0.25, 1)
    assert by_hand.end(made, 0)
    ended = made.trials[0]
    assert (ended.state, ended.value) == (TrialState.PRUNED, 0.25)
    assert chains.reason_of(ended) == "by_hand"
    assert chains.mend(made, 3) == []
    assert len(made.trials) == 1
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        optuna.trial.Trial(made, ended._trial_id).report(0.9, 2)


def test_a_trial_that_is_paused_ends_as_well(database: str) -> None:
    opened, asked = study.open_study(reading.load("./mine.yaml").spec, database, {})
    trial_id = claim(opened, asked)
    opened._storage.set_trial_intermediate_value(trial_id, 0, 0.5)
    pauses.pause(opened, trial_id, 1, "a rung", 1.0)
    assert not by_hand.end(opened, 0)
    assert opened.trials[0].state == TrialState.PRUNED
    assert chains.reason_of(opened.trials[0]) == "by_hand"


def claim(opened: optuna.Study, asked: Any) -> int:
    """Begin a trial in this process."""
    claimed = budget.claim(opened, study.limits(opened, asked))
    assert claimed is not None
    return claimed


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "it has ended already (complete); nothing was changed"),
        (1, "it has not begun; only what runs or is paused can be ended"),
        (7, "has no such trial; numbers go from 0 to 1"),
    ],
)
def test_what_cannot_be_ended_is_told(made: optuna.Study, number: int, told: str) -> None:
    made.tell(made.ask(), 1.0)
    made.enqueue_trial({"x": 1.0})
    with pytest.raises(UsageError) as refused:
        by_hand.end(made, number)
    assert str(refused.value).startswith(f"--trial {number}: ")
    assert told in str(refused.value)
    assert [t.state for t in made.trials] == [TrialState.COMPLETE, TrialState.WAITING]


def test_its_worker_goes_on_with_the_next_trial(
    folder: Path, database: str, fork_server: None
) -> None:
    """It finds at its next report that the trial is not its own any more."""
    (folder / "mine.py").write_text(SLOW)
    spec = reading.load("./mine.yaml", ["budget.trials=2"]).spec
    opened, asked = study.open_study(spec, database, {})
    with Pool(opened, asked, database, "work", [Seat("cpu", 1)]) as crew:
        while not Path("begun").exists():
            list(crew.poll(0.05))
        assert by_hand.end(opened, 0)
        Path("go").touch()
        while not crew.done:
            assert list(crew.poll(0.05)) == []
    assert [t.state.name for t in opened.trials] == ["PRUNED", "COMPLETE"]
    assert chains.reason_of(opened.trials[0]) == "by_hand"


# What another command may change


def opened(database: str, *overrides: str) -> tuple[Any, optuna.Study]:
    """What was there before, and the study."""
    before = changed.spec_of("mine", database)
    return before, study.open_study(reading.load("./mine.yaml", overrides).spec, database, {})[0]


def test_what_was_changed_is_told(database: str) -> None:
    """Each value with what it was; nothing of a new study, nor where all is as it was."""
    assert changed.words(*opened(database)) == ""
    assert changed.words(*opened(database)) == ""
    more = opened(database, "budget.trials=80", "audit=0.05", "confirm={top: 2, seeds: 3}")
    told = changed.words(*more)
    assert told.startswith("changed since the last run: budget.trials was 4, is 80, ")
    assert "audit was 0.0, is 0.05" in told
    assert "confirm was nothing, is {'top': 2, 'seeds': 3" in told
    assert "at work" not in told


def test_who_is_at_work_follows_what_it_can(database: str) -> None:
    """Which is said: not another sampler, which would draw what is running already."""
    _, made_ = opened(database)
    claim(made_, reading.load("./mine.yaml").spec)
    told = changed.words(*opened(database, "budget.trials=9"))
    assert told.endswith("; commands that are at work follow")
    both = changed.words(*opened(database, "budget.trials=7", "sampler=random"))
    assert both.endswith("; commands that are at work follow budget, confirm, audit alone")
    last = changed.words(*opened(database, "budget.trials=7", "sampler=tpe"))
    assert last.endswith("; commands that are at work keep what they began with")


@pytest.mark.soak
def test_a_run_tells_it(cli: Cli) -> None:
    """Before it trains anything."""
    run = ("run", "--study", "./mine.yaml", "--workers", 1, "--no-confirm", "--trials")
    assert "changed" not in cli(*run, 1).out
    assert "changed since the last run: budget.trials was 1, is 2\n" in cli(*run, 2).out


# enqueue --from


@pytest.mark.soak
def test_the_parameters_of_a_file_are_tried_next(
    cli: Cli, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `run` and `export` write it; a file that is none, and both options, are refused."""
    monkeypatch.setenv("OPTSEARCH_STORAGE", database)
    _, made_ = opened(database)
    Path("best.yaml").write_text("study: other\nparams: {x: 1.5}\n")
    assert cli("enqueue", "--from", "best.yaml", "--name", "theirs").code == 0
    (queued,) = made_.get_trials(states=(TrialState.WAITING,))
    assert queued.system_attrs["fixed_params"] == {"x": 1.5}
    assert queued.user_attrs["configuration"] == "theirs"
    Path("other.yaml").write_text("params: {x: 1.0, y: 1.5}\n")
    for arguments, told in (
        (("--from", "other.yaml"), "--from other.yaml 'y' is not in the space; one of: x"),
        (("--from", "mine.yaml"), "holds no `params`"),
        (("--from", "none.yaml"), "--from none.yaml: cannot be read: No such file"),
        (("--from", "best.yaml", "--params", "x=1"), "exactly one of them"),
        ((), "exactly one of them"),
    ):
        answer = cli("enqueue", *arguments)
        assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
        assert told in answer.err
    assert queueing.SOURCE not in queued.user_attrs


@pytest.mark.soak
def test_the_command_says_what_it_has_done(cli: Cli, database: str) -> None:
    _, made_ = opened(database)
    claim(made_, reading.load("./mine.yaml").spec)
    answer = cli("end", "mine", "--trial", 0, "--storage", database)
    assert (answer.code, answer.err) == (0, "")
    assert "trial 0 is ended (pruned, reason by_hand)" in answer.out
    again = cli("end", "mine", "--trial", 0, "--storage", database)
    assert (again.code, again.err) == (
        2,
        "--trial 0: it has ended already (pruned); nothing was changed\n",
    )
