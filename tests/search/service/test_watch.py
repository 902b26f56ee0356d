"""watch.py: what a signal becomes while workers are watched, and what is told as they end."""

import os
import signal
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from signal import Signals

import pytest
from optuna.trial import FrozenTrial

from search.record import changed, halt, study
from search.record.listener import Listener
from search.service import watch
from search.studyfile import reading, spec
from search.workers.pool import Pool
from search.workers.seats import Seat


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in watch.TERMINATING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", watch.TERMINATING)
def test_a_dropped_connection_is_answered_as_a_scheduler_is(number: Signals) -> None:
    """At once, and the command ends with the code of the signal that it got."""
    asked = watch.Interrupts()
    try:
        with watch.terminable():
            os.kill(os.getpid(), number)
            signal.pause()
    except watch.Terminated as error:
        asked.heard(error)
    assert (asked.count, asked.signal) == (2, number)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


class Referred:
    """What a weak reference may point to."""


def test_ctrl_c_that_python_swallows_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    """In the callback of a weak reference, as those of a database's rows have; without a word."""
    with watch.terminable() as raised:
        gone = Referred()
        kept = weakref.ref(gone, lambda _: os.kill(os.getpid(), signal.SIGINT))
        del gone
        assert kept() is None
        (asked,) = raised
    assert type(asked) is KeyboardInterrupt
    assert capfd.readouterr().err == ""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_under_nohup_it_means_nothing() -> None:
    """Whoever typed that wants the command to go on."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with watch.terminable():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_nothing_is_written_to_a_terminal_that_is_gone() -> None:
    """To write there is an error, and the answer is still to be written to its file."""
    ours, terminal = os.openpty()
    kept = os.dup(2)
    os.dup2(terminal, 2)
    try:
        with pytest.raises(watch.Terminated):
            hang_up(ours)
        assert os.write(2, b"the answer\n") == 11
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(terminal)


def hang_up(side: int) -> None:
    """Close the other side of a terminal while a command is at work."""
    with watch.terminable():
        os.close(side)
        os.kill(os.getpid(), signal.SIGHUP)
        signal.pause()


class Patient(Listener):
    """Lets the trial end once it is told what is waited for, twice."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, study: str, message: str) -> None:
        self.said.append(message)
        if len(self.said) == 3:
            Path("go").touch()


@pytest.mark.soak
def test_a_trial_that_never_reports_is_told_and_how_to_end_it(
    folder: Path, database: str, fork_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a deadline, and now and then again."""
    monkeypatch.setattr(watch, "WAITS_S", 0.3)
    (folder / "mine.py").write_text(
        "import os, time\n"
        "def objective(trial):\n"
        "    open('begun', 'w').close()\n"
        "    while not os.path.exists('go'): time.sleep(0.02)\n"
        "    return 1.0\n"
    )
    made, asked = study.open_study(
        reading.load("./mine.yaml", ["budget.trials=1"]).spec, database, {}
    )
    listener, limits = Patient(), study.limits(made, asked)
    with Pool(made, asked, database, "work", [Seat("cpu", 1)]) as crew:
        while not Path("begun").exists():
            list(crew.poll(0.05))
        now = time.monotonic()
        at_work = watch.AtWork(crew, made, limits, now, halt.Halt(made), listener)
        assert watch.until_done(at_work, lambda: 0.0, lambda: None) is None
    first, told, again = listener.said[:3]
    assert first == "the time is used up: finishing the running epochs; Ctrl-C stops at once"
    assert "still waiting for trial 0 (none reported): a trial ends at its next report" in told
    assert "Ctrl-C stops at once, and what it stops is tried again by the next run" in told
    assert again != told
    assert made.trials[0].value == 1.0


class Changing(Listener):
    """Gives the study another budget once a trial has ended, as another command does."""

    def __init__(self, url: str) -> None:
        self.url, self.said, self.is_done = url, list[str](), False

    def say(self, study: str, message: str) -> None:
        self.said.append(message)

    def saw(self, name: str, trials: Sequence[FrozenTrial]) -> None:
        ended = [t for t in trials if t.state.is_finished()]
        if ended and not self.is_done:
            self.is_done = True
            study.open_study(asked_for("budget.trials=4", "audit=0.5"), self.url, {})
            Path("go").touch()


def asked_for(*overrides: str) -> spec.StudySpec:
    return reading.load("./mine.yaml", list(overrides)).spec


@pytest.mark.soak
@pytest.mark.parametrize("before", [2, 60], ids=["more", "less"])
def test_a_budget_that_another_command_changes_reaches_those_at_work(
    folder: Path, database: str, fork_server: None, before: int
) -> None:
    """Workers and who watches them, told once; of less, what runs comes to its end."""
    (folder / "mine.py").write_text(
        "import os, time\n"
        "def objective(trial):\n"
        "    while trial.number == 1 and not os.path.exists('go'): time.sleep(0.02)\n"
        "    return 1.0\n"
    )
    made, asked = study.open_study(asked_for(f"budget.trials={before}"), database, {})
    listener, following = Changing(database), changed.Follower(made, asked)
    with Pool(made, asked, database, "work", [Seat("cpu", 1)]) as crew:
        about = (made, following.limits, None, halt.Halt(made), listener, following)
        at_work = watch.AtWork(crew, *about)
        assert watch.until_done(at_work, lambda: 0.0, lambda: None) is None
    told = f"changed meanwhile: budget.trials was {before}, is 4, audit was 0.0, is 0.5"
    assert [line for line in listener.said if "changed" in line] == [told]
    states = [t.state.name for t in made.get_trials()]
    assert states[:2] == ["COMPLETE"] * 2
    assert len(states) == 4
    assert following.spec.audit == 0.5
