"""Real parts that the tests of search/ share: the command line, and small studies."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Eight lines that stand for a network: minus a parabola, epoch by epoch.
OBJECTIVE = """
    import optuna

    def objective(trial, epochs=3):
        x = trial.params["x"]
        for epoch in range(epochs):
            trial.report(-((x - 2) ** 2) / (epoch + 1), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return -((x - 2) ** 2)
"""
STUDY = """\
# Where is the top of the parabola?
objective: ./mine.py:objective
space:
  x: {float: [-10.0, 10.0]}
budget: {trials: 4}
"""
MAIN = "from search.cli import main; main()"


@dataclass
class Answer:
    """What a command printed, and its exit code."""

    code: int | None
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with `mine.py` and `mine.yaml` in it, and no settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTSEARCH_STORAGE", raising=False)
    monkeypatch.delenv("OPTSEARCH_DATA", raising=False)
    (tmp_path / "mine.py").write_text(textwrap.dedent(OBJECTIVE))
    (tmp_path / "mine.yaml").write_text(STUDY)
    return tmp_path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with Optuna's tables and no study: copying it is faster than making it."""
    from search.database import storage

    file = tmp_path_factory.mktemp("empty") / "a.db"
    storage.open_storage(f"sqlite:///{file}").engine.dispose()
    return file


@pytest.fixture
def database(folder: Path, empty_database: Path) -> str:
    """The URL of an empty SQLite database of the test's own."""
    shutil.copy(empty_database, folder / "a.db")
    return f"sqlite:///{folder}/a.db"


@pytest.fixture
def write(folder: Path) -> Callable[[str, str], Path]:
    """Write a file below the current folder."""

    def write_file(name: str, text: str) -> Path:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    return write_file


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine of one core: a worker that is alone trains on one thread. On all cores its
    threads would wait for each other, and for the other tests."""
    from search.workers import seats

    monkeypatch.setattr(seats, "cores", lambda: 1)


@pytest.fixture
def cli(
    folder: Path,
    fork_server: None,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Answer]:
    """Run a command of optsearch in this process (its workers are processes all the same)."""
    from search.cli import main

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["optsearch", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capfd.readouterr()
        code: int | str | None = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        printed = capfd.readouterr()
        assert isinstance(code, int)
        return Answer(code, printed.out, printed.err)

    return run


@dataclass
class Command:
    """A command in a process group of its own, as a shell would start it."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, *arguments: object, **options: Any) -> "Command":
        command = [sys.executable, "-c", MAIN, *map(str, arguments)]
        return cls(
            subprocess.Popen(
                command,
                stdin=options.pop("stdin", subprocess.DEVNULL),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env={**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
                **options,
            )
        )

    def interrupt(self) -> None:
        """Ctrl-C: the terminal signals the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, input: str | None = None, timeout_s: float = 120) -> Answer:
        try:
            out, err = self.process.communicate(input, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        return Answer(self.process.returncode, out, err)


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds; fail loudly where it never does."""

    def wait(condition: Callable[[], bool], timeout_s: float = 120) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "the awaited condition never came true"
            time.sleep(0.02)

    return wait


@pytest.fixture
def command(folder: Path) -> Iterator[Callable[..., Command]]:
    """Start a command of optsearch as a process; none of them outlives its test."""
    started: list[Command] = []

    def start(*arguments: object, **options: Any) -> Command:
        started.append(Command.start(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()


@pytest.fixture
def lose_answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, bool], Callable[[], None]]:
    """Make a function after whose call the next commit of a database is not answered.

    No real network can be made to lose exactly that, so the failure is put in right behind (or,
    where it is not committed, before) the real commit.
    """

    def prepare(database: Any, is_committed: bool) -> Callable[[], None]:
        dialect = database.engine.dialect
        commit, left = dialect.do_commit, [0]

        def lossy(connection: Any) -> None:
            if is_committed or not left[0]:
                commit(connection)
            if left[0]:
                left[0] -= 1
                number = [2013] if dialect.name == "mysql" else []
                lost = "server closed the connection unexpectedly"
                raise dialect.dbapi.OperationalError(*number, lost)

        monkeypatch.setattr(dialect, "do_commit", lossy)
        return lambda: left.__setitem__(0, 1)

    return prepare


@pytest.fixture
def own_signals() -> Iterator[None]:
    """A worker in this process installs handlers; the process gets its own back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    signal.set_wakeup_fd(-1)
    sys.unraisablehook = sys.__unraisablehook__
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
