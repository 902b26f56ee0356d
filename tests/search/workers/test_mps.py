"""search/workers/mps.py: a daemon of our own ends with the run, and nobody else's is touched."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from search.workers import mps
from tests.search import mps_program


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the program has been told, a line each."""
    return mps_program.install(tmp_path, monkeypatch)


def test_a_daemon_of_our_own_lives_in_folders_of_its_own_and_ends_with_the_run(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves all GPUs: who is its client names one."""
    monkeypatch.setenv(mps.MASK, "3")
    with mps.started() as shared:
        assert set(shared) == {mps.PIPES, mps.LOGS}
        assert Path(shared[mps.PIPES], "control").exists()
        assert Path(shared[mps.PIPES]).parent.stat().st_mode & 0o077 == 0  # nobody else's
        assert log.read_text() == "start mask=\n"
    assert log.read_text().splitlines() == ["start mask=", "quit"]
    assert not Path(shared[mps.PIPES]).parent.exists()


def test_a_run_that_is_killed_takes_its_daemon_along(log: Path) -> None:
    """Whoever is left ends it, and removes its folders."""
    code = """if True:
        import time
        from search.workers import mps
        with mps.started() as shared:
            print(shared[mps.PIPES], flush=True)
            time.sleep(600)
    """
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    folder = Path(run.stdout.readline().strip())
    assert folder.exists()
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    until(lambda: "quit" in log.read_text() and not folder.parent.exists())


def test_somebody_elses_daemon_is_seen_and_left_alone(log: Path) -> None:
    """By its pipes, where this process's own workers would look for them; stale ones are none."""
    assert not mps.runs()
    (mps.USUAL / "control").touch()
    assert mps.runs()
    assert log.read_text() == "get_server_list\n"
    (log.parent / "bin" / mps.PROGRAM).write_text("#!/bin/sh\nexit 1\n")
    assert not mps.runs()


def test_a_daemon_that_does_not_start_says_why(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own words."""
    monkeypatch.setenv("FAILS", "1")
    with (
        pytest.raises(mps.UnusableError, match="control -d: An instance of this daemon is already"),
        mps.started(),
    ):
        pass
    assert log.read_text() == ""


def test_without_the_program_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is left behind."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not mps.is_there()
    assert not mps.runs()
    with pytest.raises(mps.UnusableError, match="nvidia-cuda-mps-control is not installed"):
        mps.started().__enter__()
