"""family.py: what an objective starts begins as under plain Python, and ends with its worker."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.errors import WorkerDiedError
from search.studyfile import reading
from search.workers import process as processes

Write = Callable[[str, str], Path]
WaitFor = Callable[[Callable[[], bool]], None]

TELLS = """
    import multiprocessing, os, signal, time
    def objective(trial): return 1.0
    def prepare():
        ours = signal.signal(signal.SIGTERM, lambda *_: None)  # as a worker at work has one
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        context = multiprocessing.get_context("fork")
        child = context.Process(target=lambda: (open("begun", "w").close(), time.sleep(600)))
        child.start()
        while not os.path.exists("begun"): time.sleep(0.01)
        child.terminate()
        child.join()
        signal.set_wakeup_fd(-1)
        os.set_blocking(read, False)
        try: heard = os.read(read, 9)
        except BlockingIOError: heard = b""
        return {
            "method": multiprocessing.get_start_method(),
            "group": os.getpgid(0),
            "child": child.exitcode,
            "heard": signal.SIGTERM in heard,
        }
"""
ORPHANS = """
    import os, signal, time
    def objective(trial): return 1.0
    def prepare():
        if os.fork() == 0:
            open("orphan", "w").write(str(os.getpid()))
            time.sleep(600)
        while not os.path.exists("orphan") or not open("orphan").read(): time.sleep(0.01)
        {death}
"""


@pytest.fixture
def process(folder: Path, fork_server: None) -> Iterator[processes.Process]:
    with processes.Process() as one:
        yield one


@pytest.mark.soak
def test_what_an_objective_starts_begins_as_under_plain_python(
    process: processes.Process, write: Write
) -> None:
    """By Python's own start method, out of reach of the terminal's Ctrl-C, with signals that mean
    what they do elsewhere: the end of a loader worker is not taken for the worker's."""
    write("mine.py", TELLS)
    told = process.ask("prepare", study=reading.load("./mine.yaml").spec, device="cpu")
    code = "import multiprocessing; print(multiprocessing.get_start_method())"
    plain = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told["method"] == plain.stdout.strip()
    assert told["group"] != os.getpgid(0)
    assert told["child"] == -signal.SIGTERM
    assert not told["heard"]


@pytest.mark.soak
@pytest.mark.parametrize("death", ["os.kill(os.getpid(), 9)", "os._exit(3)", "return {}"])
def test_nothing_that_an_objective_has_started_outlives_its_worker(
    write: Write, folder: Path, fork_server: None, wait_for: WaitFor, death: str
) -> None:
    """Also where that had no time to end it; and its death is seen at once, though an orphan holds
    its pipe open."""
    write("mine.py", ORPHANS.format(death=death))
    asked = reading.load("./mine.yaml").spec
    with processes.Process() as process:
        if death == "return {}":
            process.ask("prepare", study=asked, device="cpu")
        else:
            with pytest.raises(WorkerDiedError):
                process.ask("prepare", study=asked, device="cpu")
    orphan = int(Path("orphan").read_text())
    wait_for(lambda: not is_alive(orphan))


def is_alive(pid: int) -> bool:
    """A zombie that nobody has reaped yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.soak
def test_ctrl_z_stops_the_workers_with_the_command(
    folder: Path, write: Write, fork_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And `fg` lets them go on."""
    write("mine.py", "import os\ndef objective(t): return 1\ndef prepare(): return {'a': 1}\n")
    asked = reading.load("./mine.yaml").spec
    states: list[str] = []

    def stopped(pid: int, number: int) -> None:
        """In place of this process being stopped itself, which nobody would let go on."""
        assert (pid, number) == (os.getpid(), signal.SIGSTOP)
        stat = Path(f"/proc/{process._pid}/stat")
        while (state := stat.read_text().rpartition(")")[2].split()[0]) != "T":
            pass
        states.append(state)

    with processes.Process() as process:
        process.ask("prepare", study=asked, device="cpu")
        monkeypatch.setattr(os, "kill", stopped)
        processes.suspend()
        monkeypatch.undo()
        assert states == ["T"]
        assert process.ask("prepare", study=asked, device="cpu") == {"a": 1}
