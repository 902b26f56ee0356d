"""`optsearch stop`: every command at work on a study, wherever it runs, ends as at its deadline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.record import halt, study
from search.studyfile import reading

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
WaitFor = Callable[..., None]
URL = "sqlite:///a.db"
STOPPED = "stopped by another command (`stop`): finishing the running epochs"
AT = ("--storage", URL)


@pytest.fixture
def made(database: str, write: Write) -> optuna.Study:
    """A study of many trials, each of which needs a minute and many epochs."""
    write(
        "mine.py",
        """
        import time
        def objective(trial):
            for epoch in range(600):
                time.sleep(0.1)
                trial.report(epoch, epoch)
            return trial.suggest_float("x", 0, 1)
        """,
    )
    write("mine.yaml", "objective: ./mine.py:objective\npruner: none\nbudget: {trials: 50}\n")
    return study.open_study(reading.load("./mine.yaml").spec, URL, {})[0]


def running(made: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [t for t in made.trials if t.state.name == "RUNNING" and t.intermediate_values]


@pytest.mark.soak
def test_a_run_and_a_worker_finish_their_epoch_and_end(
    made: optuna.Study, command: Callable[..., Any], cli: Cli, wait_for: WaitFor
) -> None:
    """Both hear it; they end with code 0 and say why; every trial is queued again, with what it
    has; `stop` waits for them, and tells for what."""
    run = command("run", "--study", "./mine.yaml", "--workers", 1, *AT)
    other = command("worker", "--study", "mine", "--workers", 1, "--workdir", "other", *AT)
    wait_for(lambda: len(running(made)) == 2)
    asked = cli("stop", "--study", "mine", *AT)
    assert asked.code == 0
    assert "still running: trial 0 on " in asked.err
    assert "study 'mine': no trial is running now" in asked.out
    for ended in (run.end(), other.end()):
        assert ended.code == 0, ended.err
        assert STOPPED in ended.out
    reasons = [t.user_attrs.get("reason") for t in made.trials]
    assert reasons == ["preempted", "preempted", None, None]
    assert [t.state.name for t in made.trials] == ["FAIL", "FAIL", "WAITING", "WAITING"]


def test_what_starts_after_a_stop_goes_on_normally(made: optuna.Study) -> None:
    """It is an event, not a state; and a second stop is another event."""
    halt.ask(made)
    after = halt.Halt(made)
    after._looked -= 60
    assert not after.asked()
    halt.ask(made)
    after._looked -= 60
    assert after.asked()
    assert after.asked()


def test_the_stop_of_a_study_leaves_others_alone(made: optuna.Study) -> None:
    """In the same database."""
    other = study.open_study(reading.load("./mine.yaml", [], "other").spec, URL, {})[0]
    hears = halt.Halt(other)
    halt.ask(made)
    hears._looked -= 60
    assert not hears.asked()


def test_stop_may_ask_without_waiting(made: optuna.Study, cli: Cli) -> None:
    """--wait 0: the request stands, and nobody waits."""
    hears = halt.Halt(made)
    asked = cli("stop", "--study", "mine", "--wait", "0", *AT)
    assert (asked.code, asked.err) == (0, "")
    assert "asked to stop" in asked.out
    hears._looked -= 60
    assert hears.asked()


def test_stop_tells_what_still_runs_when_its_time_is_up(made: optuna.Study, cli: Cli) -> None:
    """Exit code 1, with the trial, its host and what to do."""
    made.ask().set_user_attr("optsearch:lease", {"host": "far-away", "pid": 1, "started": "x"})
    asked = cli("stop", "--study", "mine", "--wait", "1s", *AT)
    assert asked.code == 1
    assert "still running: trial 0 on far-away, after 1s; they end after their epoch" in asked.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--study", "mnie"), 6, "studies there: mine"),
        (("--study", "mine", "--wait", "soon"), 2, "--wait soon: must be a time above zero"),
    ],
)
def test_stop_refuses_what_it_cannot_do(
    made: optuna.Study, cli: Cli, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """One line, and no request."""
    hears = halt.Halt(made)
    answer = cli("stop", *arguments, *AT)
    assert answer.code == code
    assert words in answer.err
    hears._looked -= 60
    assert not hears.asked()


@pytest.mark.soak
def test_a_run_on_ray_hears_it_too(
    made: optuna.Study,
    command: Callable[..., Any],
    cli: Cli,
    wait_for: WaitFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command hears it, and passes it on to its actors."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    local = ("--cluster", "local", "--workers", 1, "--log", "json")
    run = command("run", "--study", "./mine.yaml", *local, *AT)
    wait_for(lambda: bool(running(made)))
    assert cli("stop", "--study", "mine", *AT).code == 0
    ended = run.end()
    assert ended.code == 0, ended.err
    events = [json.loads(line) for line in ended.out.splitlines()]  # not a word of Ray's
    assert [e for e in events if STOPPED in e.get("message", "")]
    assert [t.state.name for t in made.trials] == ["FAIL", "WAITING"]
    assert made.trials[0].user_attrs["reason"] == "preempted"
    steps = made.trials[0].intermediate_values
    assert len(steps) == max(steps) + 1
