"""`optsearch data`: a data set looked at without training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.cli import data

Cli = Callable[..., Any]


def test_a_data_set_is_shown_with_its_sheet(cli: Cli) -> None:
    """Counts by class, and where the picture is; as JSON for programs."""
    done = cli("data", "digits")
    assert done.code == 0
    first, *rest, last = done.out.splitlines()
    assert first == "digits: 1,797 images of 10 classes, 8x8 pixels"
    assert rest[0].split() == ["class", "train", "test", "all"]
    assert rest[1].split() == ["0", "151", "27", "178"]
    assert last == "digits-sheet.png: a row of images for each class"
    assert Path("digits-sheet.png").read_bytes().startswith(b"\x89PNG")
    found = cli("data", "digits", "--json", "--out", "a.png").json
    assert found["classes"]["0"] == {"train": 151, "test": 27}
    assert found["sheet"] == "a.png"


def test_what_cannot_be_looked_at_is_one_line(cli: Cli) -> None:
    """No such data, with the nearest; no place for the sheet; columns that are in doubt."""
    Path("doubt.csv").write_text("image,kind,age\na.png,cat,7\n")
    for words, code, told in (
        (("mnits",), 4, "did you mean mnist"),
        (("digits", "--out", "mine.py/a.png"), 8, "--out mine.py/a.png: cannot be written"),
        (("doubt.csv",), 4, "no column label; it has image, kind, age: say --columns label=NAME"),
    ):
        done = cli("data", *words)
        assert (done.code, done.err.count("\n")) == (code, 1)
        assert told in done.err


def test_of_very_many_classes_the_ends_are_shown() -> None:
    """The largest and the smallest, and how many are between."""
    rows = {f"c{i}": {"train": 500 - i} for i in range(100)}
    table = data._table({"parts": ["train"], "classes": rows})
    assert table.row_count == data.MOST + 1
    names = [str(cell) for cell in table.columns[0].cells]
    assert (names[0], names[20], names[-1]) == ("c0", "... 60 between ...", "c99")
