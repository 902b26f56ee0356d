"""What an objective prints: kept beside its trial, and told with its number.

A worker's standard output and error are one pipe to its command. What it prints itself, and what
its loader workers and C libraries do, comes in order, and comes though it dies. Marks in between
tell whose it is.
"""

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

FILE = "output.txt"  # in the folder of a trial
MARK = b"\0optsearch "
MOST = 50  # lines of one look that are told; the file has all
SETTLE_S = 2.0  # for the reader to come to the end of what was written
_is_captured = False


class Line(NamedTuple):
    """A line of what a trial prints; `trial` is None between trials."""

    trial: int | None
    text: str


# In the worker


def capture(pipe: Connection | None) -> None:
    """Send what this process and its children print into a pipe; None: to standard error, as it
    must not stand between the lines of `--log json`."""
    global _is_captured
    _is_captured = pipe is not None
    if pipe is not None:
        os.dup2(pipe.fileno(), 2)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # None, or something of a notebook's
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


@contextlib.contextmanager
def of_trial(number: int, folder: Path) -> Iterator[None]:
    """What is printed in here is this trial's."""
    _mark({"trial": number, "folder": str(folder.absolute())})
    try:
        yield
    finally:
        _mark({})


def replied(count: int) -> None:
    """So many requests have been answered, and all that they have printed is written."""
    _mark({"replied": count})


def _mark(what: dict[str, Any]) -> None:
    if _is_captured:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # an objective may have closed or replaced it
                stream.flush()
        os.write(2, MARK + json.dumps(what).encode() + b"\n")


# In the command


class Output:
    """The lines of some workers, to be told."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[Line] = queue.SimpleQueue()

    def put(self, line: Line) -> None:
        self._lines.put(line)

    def lines(self) -> Iterator[Line]:
        """What has come since the last look; of very many the first, and how many there are."""
        for _ in range(min(MOST, self._lines.qsize())):
            yield self._lines.get()
        if more := self._lines.qsize():
            last = [self._lines.get() for _ in range(more)][-1]
            yield Line(last.trial, f"... {more} more lines, kept in the workdir as {FILE}")


class Reader(threading.Thread):
    """Reads one worker's pipe to its end: a full one would hold the worker up."""

    def __init__(self, pipe: Connection, output: Output) -> None:
        super().__init__(name="output", daemon=True)
        self._pipe, self._output = pipe, output
        self._trial: int | None = None
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._begun = b""  # a line whose end has not come
        self._replied = 0
        self._news = threading.Condition()
        self.start()

    def settle(self, replied: int) -> None:
        """Wait until all is read that was printed up to so many answers, or the end."""
        with self._news:
            self._news.wait_for(lambda: self._replied >= replied, SETTLE_S)

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while got := os.read(self._pipe.fileno(), 65536):
                *lines, begun = (self._begun + got).split(b"\n")
                self._begun = _shown(begun) + b"\r" * begun.endswith(b"\r")
                for line in lines:
                    self._read(line)
        self._tell(self._begun)
        self._move({"replied": sys.maxsize})
        self._pipe.close()

    def _read(self, line: bytes) -> None:
        text, mark, what = line.partition(MARK)
        if not mark:
            self._tell(line, whole=True)
            return
        self._tell(text)
        self._move(json.loads(what))

    def _move(self, to: dict[str, Any]) -> None:
        """To another trial, or to none."""
        if self._file:
            self._file.close()
        self._file, self._trial = None, to.get("trial")
        self._path = Path(to["folder"], FILE) if "folder" in to else None
        with self._news:
            self._replied = max(self._replied, to.get("replied", 0))
            self._news.notify_all()

    def _tell(self, line: bytes, whole: bool = False) -> None:
        shown = _shown(line)
        if not (shown or whole):
            return
        if self._path:
            self._keep(self._path, shown)
        self._output.put(Line(self._trial, shown.decode(errors="replace")))

    def _keep(self, path: Path, line: bytes) -> None:
        try:
            if self._file is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("ab", buffering=0)
            self._file.write(line + b"\n")
        except OSError as error:
            self._path = None
            why = f"what it prints from here on is not kept: {path}: {error.strerror or error}"
            self._output.put(Line(self._trial, why))


def _shown(line: bytes) -> bytes:
    """What a terminal shows of a line in the end: a progress bar writes over itself."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]
