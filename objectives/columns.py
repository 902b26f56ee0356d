"""What the columns of a table are called: as somebody says, as is usual, or as a look tells."""

from __future__ import annotations

import csv
import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from objectives import shape
from objectives.notes import shown

COLUMNS = {"image": ("image", "img"), "label": ("label",), "split": ("split",), "group": ("group",)}
NEEDED = ("image", "label")
LABELS = ("class", "category", "target", "diagnosis", "species")  # what else labels are called
LOOKED_AT = 50  # rows


def found(place: str, there: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """What each column is called. Raises ValueError for one that is not there."""
    known = {}
    for key, usual in COLUMNS.items():
        names = [columns[key]] if key in columns else usual
        here = [name for name in names if name in there]
        if here:
            known[key] = here[0]
        elif key in NEEDED or key in columns:
            near = difflib.get_close_matches(names[0], there, 1)
            hint = f"; did you mean {shown(near[0])}?" if near else ""
            raise ValueError(
                f"{place}: there is no column {names[0]}; it has {', '.join(map(shown, there))}: "
                f"set settings.columns: {{{key}: NAME}}{hint}"
            )
    return known


def spare(there: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """The columns that are not read, where none of those that are says what belongs together."""
    return [] if "group" in known else [name for name in there if name not in known.values()]


def given(words: Mapping[str, str]) -> dict[str, str]:
    """The names that somebody gives. Raises ValueError for a column that no table has here."""
    for key in words:
        if key not in COLUMNS:
            near = difflib.get_close_matches(key, COLUMNS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"columns: unknown {key}; one of: {', '.join(COLUMNS)}{hint}")
    return dict(words)


def of_csv(
    file: Path, delimiters: str = ",;\t"
) -> tuple[list[str], list[dict[str, str]], list[str]]:
    """Its head line, the first rows, and those of its columns that name parts in every row. Raises
    OSError, UnicodeDecodeError or csv.Error."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        first = opened.readline()
        opened.seek(0)
        reader = csv.DictReader(opened, delimiter=max(delimiters, key=first.count))
        rows = list(itertools.islice(reader, LOOKED_AT))
        there = [*(reader.fieldnames or ())]
        values: dict[str, set[str]] = {name: {str(row[name]) for row in rows} for name in there}
        left = of_parts(values)
        for row in reader if left else ():
            for name in left:
                values[name].add(str(row[name]))
        return there, rows, of_parts({name: values[name] for name in left})


def of_parts(values: Mapping[str, Iterable[str]]) -> list[str]:
    """The columns whose values are all names of parts, such as train and test."""
    return [
        name
        for name, some in values.items()
        if (told := [*some]) and all(shape.part_of(one.strip()) for one in told)
    ]


def recognised(
    there: Sequence[str],
    images: Sequence[str],
    parts: Sequence[str],
    columns: Mapping[str, str],
) -> dict[str, str]:
    """What is not called as is usual, but can be nothing else, with what somebody has said of it.

    there: all columns. images: those that hold pictures, as a look at the first rows tells; parts:
    those that name parts in all rows. Image and split are the only one of these; the label is
    called as one of LABELS, or is all that is left.
    """
    known = {
        key: next(name for name in usual if name in there)
        for key, usual in COLUMNS.items()
        if any(name in there for name in usual)
    } | dict(columns)
    if "image" not in known and len(images) == 1:
        known["image"] = images[0]
    free = [name for name in parts if name not in known.values()]
    if "split" not in known and len(free) == 1:
        known["split"] = free[0]
    left = [name for name in there if name not in known.values()]
    called = [name for name in left if name.strip().lower() in LABELS]
    if "label" not in known and "image" in known:
        one = called if len(called) == 1 else left
        known |= {"label": one[0]} if len(one) == 1 else {}
    return {key: name for key, name in known.items() if key in columns or name not in COLUMNS[key]}


def told(columns: Mapping[str, str], said: Mapping[str, str]) -> str:
    """In words, what was recognised and not said; "" where nothing was."""
    unsaid = {key: name for key, name in columns.items() if key not in said}
    return ", ".join(f"column {shown(name)} is the {key}" for key, name in unsaid.items())


def of_files(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """The columns whose values are all files below a folder."""
    names = list(rows[0]) if rows else []
    return [
        name
        for name in names
        if all(isinstance(row[name], str) and (folder / row[name]).is_file() for row in rows)
    ]
