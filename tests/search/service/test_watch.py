"""watch.py: what a person is told while workers come to their end."""

import time
from pathlib import Path

import pytest

from search.record import halt, study
from search.record.listener import Listener
from search.service import watch
from search.studyfile import reading
from search.workers.pool import Pool
from search.workers.seats import Seat


class Patient(Listener):
    """Lets the trial end once it is told what is waited for, twice."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, study: str, message: str) -> None:
        self.said.append(message)
        if len(self.said) == 3:
            Path("go").touch()


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
