"""`optsearch convert`: what the command hands on, and what it tells."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
OWN = """
    def objective(trial): return 1.0
    def convert(folder, to, out, files):
        target = out or folder.with_suffix("." + to)
        target.write_text("\\n".join(files))
        return {"file": str(target), "told": ["one line", "another"]}
"""


def folder_of(write: Write) -> Path:
    """A model's folder of an objective of one's own."""
    about = '{"format": "optsearch-folder-1", "study": "own", "trial": 0, "files": {}, '
    about += f'"objective": "./own.py:objective", "folder": "{Path.cwd()}"}}'
    return write("best/manifest.json", about).parent


def test_the_file_and_what_is_told_of_it_are_printed(write: Write, cli: Cli) -> None:
    """Folders of pictures are handed on file by file."""
    write("own.py", OWN)
    best = folder_of(write)
    write("pictures/a.png", "")
    write("pictures/b.png", "")
    done = cli("convert", best, "--out", "there.bin", "--images", "pictures", "--images", "c.png")
    assert (done.code, done.out) == (0, "there.bin\none line\nanother\n")
    assert Path("there.bin").read_text().split() == ["pictures/a.png", "pictures/b.png", "c.png"]
    assert cli("convert", best, "--to", "core").out.splitlines()[0] == f"{best}.core"


def test_a_format_that_there_is_not_is_a_mistake_of_the_command(write: Write, cli: Cli) -> None:
    """Refused with its nearest, as any option is, before anything is read."""
    write("own.py", OWN + "    def formats(): return ['core', 'lite']\n")
    done = cli("convert", folder_of(write), "--to", "kore")
    assert (done.code, done.err) == (
        2,
        "--to kore: one of: core, lite; did you mean core?\n",
    )


def test_what_cannot_be_converted_is_one_line(write: Write, cli: Cli) -> None:
    """No `convert`, no model, no place for the file: each with its own code."""
    write("own.py", "def objective(trial): return 1.0\n")
    best = folder_of(write)
    for words, code, told in (
        ((best,), 4, "./own.py:objective offers no `convert`"),
        (("nowhere",), 2, "nowhere: no such folder"),
        ((best, "--out", "own.py/a"), 8, "--out own.py/a: cannot be written"),
    ):
        done = cli("convert", *words)
        assert (done.code, done.err.count("\n")) == (code, 1)
        assert told in done.err
