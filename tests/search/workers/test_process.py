"""process.py: worker processes are asked, told to stop, and never outlive their command."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.errors import ObjectiveError, OptsearchError
from search.record import study
from search.studyfile import reading
from search.studyfile.spec import StudySpec
from search.workers import process as processes

Write = Callable[[str, str], Path]

PID = """
    import os
    def objective(trial): return 1.0
    def prepare(): return {"pid": os.getpid()}
"""


@pytest.fixture
def process(folder: Path, fork_server: None) -> Iterator[processes.Process]:
    with processes.Process() as one:
        yield one


def question() -> StudySpec:
    return reading.load("./mine.yaml").spec


def test_a_process_answers_one_request_after_the_other(
    process: processes.Process, write: Write
) -> None:
    """The objective's companions run there, and see the settings."""
    write(
        "mine.py",
        """
        def check(settings, space, direction): return [("space.x", f"{direction} {sorted(space)}")]
        def prepare(settings, device): return {"settings": {"on": device}}
        def resolve(settings, params): return {**settings, **params, "filled": 1}
        def objective(trial): return 1.0
        """,
    )
    asked = question()
    assert process.ask("check", study=asked) == [(("space", "x"), "maximize ['x']")]
    assert process.ask("prepare", study=asked, device="cpu") == {"settings": {"on": "cpu"}}
    params = {"x": 1.0}
    resolved = process.ask("resolve", study=asked, params=params, configuration=None)
    assert resolved == {"x": 1.0, "filled": 1}


def test_an_objective_without_companions_finds_nothing_wrong(process: processes.Process) -> None:
    """Every companion is optional."""
    assert process.ask("check", study=question()) == []
    assert process.ask("prepare", study=question(), device="cpu") == {}


def test_this_process_never_imports_the_objective(process: processes.Process, write: Write) -> None:
    """Its memory, threads and crashes are the worker's own."""
    write("mine.py", PID)
    assert process.ask("prepare", study=question(), device="cpu")["pid"] != os.getpid()


@pytest.mark.parametrize("error", ["ValueError", "FileNotFoundError"])
def test_what_a_companion_refuses_is_told_in_its_own_words(
    process: processes.Process, write: Write, error: str
) -> None:
    """ValueError and OSError are for the user: one line, no traceback."""
    write("mine.py", f"def objective(t): return 1\ndef prepare(): raise {error}('no data at /x')\n")
    with pytest.raises(ObjectiveError) as caught:
        process.ask("prepare", study=question(), device="cpu")
    assert str(caught.value) == "no data at /x"
    assert process.ask("check", study=question()) == []  # it goes on answering


def test_any_other_error_brings_its_traceback(process: processes.Process, write: Write) -> None:
    """It is a mistake in the objective's code, and the place is what helps."""
    write("mine.py", "def objective(t): return 1\ndef prepare(): return {}['gone']\n")
    with pytest.raises(ObjectiveError, match=r"(?s)mine.py.*KeyError: 'gone'"):
        process.ask("prepare", study=question(), device="cpu")


@pytest.mark.parametrize(
    ("death", "words"),
    [("os._exit(3)", "exit code 3"), ("os.kill(os.getpid(), 9)", "killed by SIGKILL")],
)
def test_a_process_that_dies_is_told_with_how_it_ended(
    process: processes.Process, write: Write, death: str, words: str
) -> None:
    """And with what to do: nothing of the study is lost."""
    write("mine.py", f"import os\ndef objective(t): return 1\ndef prepare(): {death}\n")
    with pytest.raises(OptsearchError) as caught:
        process.ask("prepare", study=question(), device="cpu")
    assert f"({words})" in str(caught.value)
    assert "the same command resumes the study" in str(caught.value)


def test_a_process_ends_with_its_context(folder: Path, fork_server: None) -> None:
    """After an answer, after an error, and while it is busy."""
    with processes.Process() as idle:
        idle.ask("check", study=question())
    with pytest.raises(KeyboardInterrupt), processes.Process() as left:
        raise KeyboardInterrupt
    (folder / "mine.py").write_text("import time\ntime.sleep(600)\n")
    with processes.Process() as busy:
        busy.send("check", study=question())
    for process in (idle, left, busy):
        assert not process._process.is_alive()


def test_several_processes_are_waited_for_at_once(folder: Path, fork_server: None) -> None:
    """Who has answered is told; who has not is not waited for."""
    (folder / "slow.py").write_text("import time\ntime.sleep(600)\n")
    with processes.Process() as quick, processes.Process() as slow:
        quick.send("check", study=question())
        slow.send("check", study=question().model_copy(update={"objective": "./slow.py:f"}))
        assert processes.wait([quick, slow], timeout_s=60) == [quick]


def test_a_ctrl_c_before_the_work_is_kept_until_then(
    process: processes.Process, write: Write, database: str
) -> None:
    """It interrupts no companion, and no trial begins after it: a time limit may strike early."""
    write("mine.py", PID)
    os.kill(process.ask("prepare", study=question(), device="cpu")["pid"], signal.SIGINT)
    assert process.ask("check", study=question()) == []
    made, pinned = study.open_study(question(), database, {})
    process.ask("work", spec=pinned, url=database, device="cpu", workdir="work", threads=1)
    assert made.trials == []


def test_no_variable_of_ours_reaches_an_objective(process: processes.Process, write: Write) -> None:
    """A Python that it starts imports from its own folder, as ever."""
    write(
        "mine.py",
        """
        import os
        def objective(trial): return 1.0
        def prepare(): return {"safe": os.environ.get("PYTHONSAFEPATH")}
        """,
    )
    assert process.ask("prepare", study=question(), device="cpu") == {
        "safe": os.environ.get("PYTHONSAFEPATH")
    }


@pytest.mark.soak
def test_the_users_files_do_not_stand_in_for_ours(folder: Path, write: Write) -> None:
    """A `search.py`, `random.py` or `objectives.py` in the current folder is theirs alone."""
    script = Path(sys.executable).with_name("optsearch")
    if not script.exists():
        pytest.skip("optsearch is not installed as a command here")
    for name in ("search", "random", "objectives", "optuna"):
        write(f"{name}.py", f"raise RuntimeError('{name} was imported')\n")
    write("own/mine.py", "def objective(trial): return 1.0\n")
    write("own/mine.yaml", "objective: ./mine.py:objective\nbudget: {trials: 1}\n")
    command = [script, "run", "--study", "own/mine.yaml", "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.soak
def test_a_worker_ends_when_its_command_is_gone(
    folder: Path, command: Callable[..., Any], wait_for: Callable[[Callable[[], bool]], None]
) -> None:
    """Even where that was killed and could not say so: no orphan trains on for hours."""
    (folder / "mine.py").write_text(
        "import os, time\n"
        "def objective(trial):\n"
        "    open('pid', 'w').write(str(os.getpid()))\n"
        "    os.rename('pid', 'worker')\n"
        "    time.sleep(600)\n"
    )
    started = command("run", "--study", "./mine.yaml", "--workers", "1")
    wait_for(Path("worker").exists)
    worker = int(Path("worker").read_text())
    os.kill(started.process.pid, signal.SIGKILL)
    wait_for(lambda: not _is_alive(worker))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.soak
def test_a_long_name_of_the_temporary_folder_is_no_obstacle(folder: Path) -> None:
    """The path of a socket has room for a hundred bytes; that of a cluster's TMPDIR may not."""
    long = folder / ("x" * 120)
    long.mkdir()
    code = (
        "import tempfile\nfrom search.workers import process\n"
        "process.warm_up('./mine.py:objective')\n"
        "with process.Process() as one: pass\n"
        f"assert tempfile.gettempdir() == {str(long)!r}\n"
    )
    done = run_python(code, TMPDIR=str(long))
    assert (done.returncode, done.stderr) == (0, "")
    assert list(long.iterdir()) == []


def test_no_folder_for_temporary_files_is_told_in_one_line(folder: Path) -> None:
    """As in a container whose whole file system is read-only."""
    code = (
        "import os, tempfile\nfrom search.errors import UsageError\n"
        "from search.workers import process\n"
        "tempfile._candidate_tempdir_list = lambda: ['/nowhere']\n"
        "try: process.warm_up('./mine.py:objective')\n"
        "except UsageError as error: print(error)\n"
    )
    done = run_python(code)
    assert done.stdout.startswith("TMPDIR : no folder for temporary files can be written")
    assert done.stdout.count("\n") == 1


@pytest.mark.soak
def test_a_users_module_is_not_run_by_the_fork_server(folder: Path) -> None:
    """Nobody would see what it does there: a search without a guard is refused by whoever loads."""
    (folder / "modular.py").write_text(
        "import optuna\nopen('log', 'a').write('imported ')\n"
        "def f(trial):\n    open('log', 'a').write('trained ')\n    return 1.0\n"
        "optuna.create_study().optimize(f, n_trials=1)\n"
    )
    code = (
        "from search.errors import ObjectiveError\nfrom search.workers import process\n"
        "process.warm_up('modular:f')\n"
        "with process.Process() as one:\n"
        "    try: one.ask('describe', reference='modular:f', folder='.')\n"
        "    except ObjectiveError as error: print(error)\n"
    )
    root = str(Path(__file__).resolve().parents[3])
    done = run_python(code, PYTHONPATH=f"{root}:{folder}")
    assert done.stdout.startswith("modular.py:6 a search"), done.stderr
    assert (folder / "log").read_text() == "imported "


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).resolve().parents[3])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
