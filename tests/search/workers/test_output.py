"""output.py: what an objective prints is told with its trial's number, and kept beside it."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from search.record import study
from search.studyfile import reading
from search.workers import output
from search.workers.output import Line, Output, Reader
from search.workers.pool import Pool
from search.workers.seats import Seat

Write = Callable[[str, str], Path]
Read = Callable[..., list[Line]]


@pytest.fixture
def read() -> Read:
    """What a reader makes of the pieces that a worker writes."""

    def told(*pieces: bytes) -> list[Line]:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        lines = Output()
        reader = Reader(ours, lines)
        for piece in pieces:
            os.write(theirs.fileno(), piece)
        theirs.close()
        reader.join()
        return list(lines.lines())

    return told


def mark(text: str) -> bytes:
    return output.MARK + text.encode() + b"\n"


def test_lines_are_those_of_the_trial_that_the_marks_name(read: Read, tmp_path: Path) -> None:
    """A line that has not ended ends with its trial; what comes between trials is nobody's."""
    folder = tmp_path / "work" / "7"
    told = read(
        b"imported\n",
        mark(f'{{"trial": 9, "folder": "{folder}"}}'),
        b"one\nha",
        b"lf",
        mark("{}"),
        b"after\n",
    )
    assert told == [(None, "imported"), (9, "one"), (9, "half"), (None, "after")]
    assert (folder / output.FILE).read_text() == "one\nhalf\n"


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([b"bar 1\rbar 2\rbar 3\n"], "bar 3"),
        ([b"bar 1\r", b"bar 2\r", b"\n"], "bar 2"),
        ([b"\rbar 1", b"\rbar", b" 2"], "bar 2"),
        ([b"of Windows\r\n"], "of Windows"),
        ([b"\xff\xfe\n"], "\ufffd\ufffd"),
        ([b"\n"], ""),
    ],
)
def test_a_line_is_told_as_a_terminal_shows_it_in_the_end(
    read: Read, pieces: list[bytes], shown: str
) -> None:
    """A progress bar writes over itself, hundreds of times."""
    assert read(*pieces) == [(None, shown)]


def test_of_very_many_lines_the_first_are_told_and_their_number() -> None:
    """A loop that prints must not drown what else is told; its file has everything."""
    lines = Output()
    for i in range(output.MOST + 30):
        lines.put(Line(3, str(i)))
    told = list(lines.lines())
    assert told[: output.MOST] == [(3, str(i)) for i in range(output.MOST)]
    assert told[output.MOST :] == [(3, "... 30 more lines, kept in the workdir as output.txt")]
    assert list(lines.lines()) == []


PRINTS = """
    import os, sys
    def objective(trial):
        print("printed by", trial.number)
        print("a warning", file=sys.stderr)
        if os.fork() == 0:
            os.write(1, b"by a loader worker\\n")
            os._exit(0)
        os.wait()
        if trial.number == 1 and {dies}:
            print("last words", end="")
            sys.stdout.flush()
            os._exit(3)
        return 1.0
"""


@pytest.mark.soak
@pytest.mark.parametrize("dies", [False, True])
def test_what_a_trial_prints_comes_from_its_worker_and_stays(
    database: str, write: Write, fork_server: None, capfd: pytest.CaptureFixture[str], dies: bool
) -> None:
    """From Python, from below it and from its children, up to the last word of one that dies;
    nothing goes to the terminal by itself, where a panel stands."""
    write("mine.py", PRINTS.format(dies=dies))
    question = reading.load("./mine.yaml", ["budget={trials: 2, retries: 0}"]).spec
    made, asked = study.open_study(question, database, {})
    told: list[Line] = []
    with Pool(made, asked, database, "work", [Seat("cpu", 1)]) as crew:
        while not crew.done:
            list(crew.poll(0.05))
            told += crew.printed()
    said = {n: [f"printed by {n}", "a warning", "by a loader worker"] for n in (0, 1)}
    said[1] += ["last words"] * dies
    assert [(t, line) for t, line in told if t is not None] == [
        (n, s) for n in said for s in said[n]
    ]
    folder = study.folder(made, "work")
    assert (folder / "0" / "output.txt").read_text().splitlines() == said[0]
    assert capfd.readouterr().out == ""


def test_a_folder_that_cannot_be_written_costs_no_line(read: Read, tmp_path: Path) -> None:
    """It is said once that nothing is kept."""
    (tmp_path / "file").touch()
    first, *lines = read(mark(f'{{"trial": 2, "folder": "{tmp_path}/file/2"}}'), b"a\nb\n")
    assert "what it prints from here on is not kept" in first.text
    assert lines == [(2, "a"), (2, "b")]
