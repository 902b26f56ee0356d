"""What the long tests share: a command that is killed and started again, on real databases."""

import os
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

MAIN = "from search.cli import main; main()"
MARK = "OPTSEARCH_SOAK"


@dataclass
class Run:
    """One `optsearch run` and every process that came of it, found by a mark in its environment."""

    arguments: tuple[str, ...]
    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "run", "--no-confirm", *self.arguments],
            cwd=self.folder,
            env={**os.environ, MARK: self.mark, "OMP_NUM_THREADS": "1"},
            stdout=(self.folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def workers(self) -> list[int]:
        """Processes that serve requests: forked from the fork server."""
        everyone = self.everyone()
        return [pid for pid in everyone if _parent(pid) in everyone and _is_forked(pid)]

    def everyone(self) -> list[int]:
        numbers = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        return [pid for pid in map(int, numbers) if self._is(pid)]

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        for pid in self.everyone():
            kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()

    def _is(self, pid: int) -> bool:
        try:
            return f"{MARK}={self.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False


def _is_forked(pid: int) -> bool:
    """Whether a process runs its parent's command line: a worker, not the fork server itself."""
    try:
        here, there = (Path(f"/proc/{p}/cmdline").read_bytes() for p in (pid, _parent(pid)))
    except OSError:
        return False
    return here == there


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def kill(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
