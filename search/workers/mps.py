"""NVIDIA's Multi-Process Service: with it the workers of one GPU use it at the same moment.

Without it they take turns. A daemon that somebody runs already is used and left alone; else one of
our own is started, in folders of its own, and ended with the run, whatever becomes of the run.
https://docs.nvidia.com/deploy/mps
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from search.workers.seats import MASK

PROGRAM = "nvidia-cuda-mps-control"
PIPES, LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
USUAL = Path("/tmp/nvidia-mps")  # of the pipes, where the variable is not set
LIMIT_S = 30  # for the program to do what it is told
# Waits until its standard input ends, which it does with the run, even one that is killed.
KEEPER = 'cat; echo quit | "$1"; rm -rf "$2"'


class UnusableError(Exception):
    """MPS could not be started, in words."""


def is_there() -> bool:
    """Whether its program is installed."""
    return shutil.which(PROGRAM) is not None


def runs() -> bool:
    """Whether a daemon answers where this process, and so its workers, look for one."""
    folder = Path(os.environ.get(PIPES) or USUAL)
    if not (folder / "control").exists() or not is_there():
        return False
    return _told("get_server_list", dict(os.environ)) == 0


@contextlib.contextmanager
def started() -> Iterator[dict[str, str]]:
    """A daemon of our own; the variables by which workers find it.

    Raises:
        UnusableError: there is no such program, or it fails.
    """
    if (program := shutil.which(PROGRAM)) is None:
        raise UnusableError(f"{PROGRAM} is not installed")
    folder = tempfile.mkdtemp(prefix="optsearch-mps-")
    where = {name: str(Path(folder, name[9:13].lower())) for name in (PIPES, LOGS)}
    for path in where.values():
        Path(path).mkdir()
    # It serves all GPUs: who is its client names one, as without it.
    environment = {k: v for k, v in os.environ.items() if k != MASK} | where
    keeper = subprocess.Popen(
        ["/bin/sh", "-c", KEEPER, "sh", program, folder],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )
    try:
        _start(program, environment)
        yield where
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it goes on by itself
            keeper.wait(LIMIT_S)


def _start(program: str, environment: dict[str, str]) -> None:
    # A daemon keeps what it is given: a pipe would never end.
    with tempfile.TemporaryFile("w+") as said:
        try:
            done = subprocess.run(
                [program, "-d"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                timeout=LIMIT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnusableError(f"{PROGRAM} -d: {error}") from error
        said.seek(0)
        words = said.read().strip().splitlines()
    if done.returncode:
        why = words[-1] if words else f"exit code {done.returncode}"
        raise UnusableError(f"{PROGRAM} -d: {why}")


def _told(command: str, environment: dict[str, str]) -> int:
    """The exit code of the program that passes a command on to its daemon."""
    try:
        return subprocess.run(
            [PROGRAM],
            env=environment,
            input=command + "\n",
            text=True,
            capture_output=True,
            timeout=LIMIT_S,
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return 1
