"""Ctrl-C, and commands and workers that are killed: nothing is lost."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.search.cli.places import DATABASE, RUN, stored, studies_in

Write = Callable[[str, str], Path]
Cli = Callable[..., Any]
WaitFor = Callable[[Callable[[], bool]], None]


SLOW = """
    import os, time
    def objective(trial):
        trial.suggest_float("x", 0, 1)
        start = int(os.path.exists("interrupted"))
        for epoch in range(start, 3):
            trial.report(epoch / 10, epoch)
            while os.path.exists("hold"):
                open("waits", "w").close()
                time.sleep(0.01)
        return 0.5
"""


@pytest.fixture
def held(folder: Path, write: Write) -> Path:
    """An objective whose trials wait in their first epoch while the file `hold` is there."""
    write("mine.py", SLOW)
    write("mine.yaml", "objective: ./mine.py:objective\nbudget: {trials: 3}\n")
    (folder / "hold").touch()
    return folder / "hold"


def waits() -> bool:
    """Whether a trial is between two reports: asked to end within one, it would end there."""
    return Path("waits").exists()


def press(run: Any, wait_for: WaitFor) -> None:
    """Ctrl-C in the middle of an epoch; the command has heard it."""
    wait_for(waits)
    run.interrupt()
    line = ""
    while "Ctrl-C again stops at once" not in line:
        line = run.process.stdout.readline()
        assert line, "the command ended without a word"


def test_ctrl_c_finishes_the_epoch_and_the_same_command_resumes(
    held: Path,
    command: Callable[..., Any],
    cli: Cli,
    wait_for: Callable[[Callable[[], bool]], None],
) -> None:
    """Exit code 130, the trial is retried, and the budget is exact in the end."""
    run = command(*RUN)
    press(run, wait_for)
    held.unlink()
    answer = run.end()
    assert answer.code == 130
    assert "Traceback" not in answer.err
    first, retry = stored().trials
    assert first.user_attrs["reason"] == "preempted"
    assert sorted(first.intermediate_values) == [0, 1]  # the epoch was finished
    assert retry.state.name == "WAITING"

    again = cli(*RUN)
    assert again.code == 0
    counts = cli("show", "--study", "mine", "--json").json["trials"]
    assert (counts["complete"], counts["retried"], counts["failed"]) == (3, 1, 0)
    assert stored().trials[1].params == first.params


@pytest.mark.soak
def test_ctrl_c_before_the_first_trial_ends_without_a_word(
    command: Callable[..., Any], wait_for: Callable[[Callable[[], bool]], None]
) -> None:
    """While everything is still being imported: no traceback of any process, exit code 130."""
    run = command(*RUN)
    wait_for(DATABASE.parent.exists)
    run.interrupt()
    answer = run.end()
    assert answer.code == 130
    assert answer.err.strip() == ""


@pytest.mark.soak
def test_ctrl_c_twice_stops_at_once(
    held: Path,
    command: Callable[..., Any],
    cli: Cli,
    wait_for: Callable[[Callable[[], bool]], None],
) -> None:
    """In the middle of an epoch; the trial is retried all the same."""
    run = command(*RUN)
    press(run, wait_for)
    run.interrupt()  # the epoch is still held, and must not be waited for
    answer = run.end()
    assert answer.code == 130
    first, retry = stored().trials
    assert (first.user_attrs["reason"], retry.state.name) == ("preempted", "WAITING")
    held.unlink()
    assert cli(*RUN).code == 0
    counts = cli("show", "--study", "mine", "--json").json["trials"]
    assert (counts["complete"], counts["retried"]) == (3, 1)


@pytest.mark.soak
def test_a_killed_command_loses_no_trial(
    held: Path,
    command: Callable[..., Any],
    cli: Cli,
    wait_for: Callable[[Callable[[], bool]], None],
) -> None:
    """Its worker notices, ends the trial and queues it again."""
    run = command(*RUN)
    wait_for(waits)
    os.kill(run.process.pid, 9)
    wait_for(lambda: len(stored().trials) == 2)
    held.unlink()
    assert cli(*RUN).code == 0
    counts = cli("show", "--study", "mine", "--json").json["trials"]
    assert (counts["complete"], counts["retried"], counts["running"]) == (3, 1, 0)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_command_that_is_killed_loses_nothing(
    command: Callable[..., Any], cli: Cli, write: Write, wait_for: WaitFor, name: str
) -> None:
    """The same command again goes on; SIGTERM is answered in good order, with code 143."""
    write(
        "mine.py",
        """
        import time
        def objective(trial):
            for epoch in range(20):
                time.sleep(0.01 if "optsearch:chain" in trial.user_attrs else 0.5)
                trial.report(epoch, epoch)
            return trial.number
        """,
    )
    two = ("run", "--study", "./mine.yaml", "--workers", 2, "--trials", 2, "--set", "pruner=none")
    started = command(*two)
    wait_for(lambda: studies_in(DATABASE) == ["mine"] and len(reporting()) == 2)
    started.process.send_signal(getattr(signal, name))
    assert started.end().code == {"SIGTERM": 143, "SIGKILL": -9}[name]
    wait_for(lambda: not [t for t in stored().trials if t.state.name == "RUNNING"])
    again = cli(*two)
    assert again.code == 0
    assert "2 trials: 2 complete, 2 retried" in again.out
    assert [len(t.intermediate_values) for t in stored().trials[2:]] == [20, 20]


def reporting() -> list[Any]:
    return [t for t in stored().trials if t.intermediate_values]
