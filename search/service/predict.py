"""What a saved model says of pictures: which are meant, the rows of each, their score."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from search.answers import held
from search.errors import UsageError
from search.workers.process import Process

CHUNK = 512  # files between two answers of the worker
FOLDERS = "folders"  # `--truth folders`: the folder that a file lies in is its class
FILE_COLUMNS, CLASS_COLUMNS = ("file", "path", "image", "img"), ("class", "label", "truth")


class Named(NamedTuple):
    """A file to be looked at; of one that a folder holds, that it is no picture is no error."""

    file: Path
    folder: Path | None = None  # that was named


@dataclass
class Tally:
    """How it went: images by what became of them, and what is to be told of how they were read."""

    images: int = 0
    errors: int = 0
    passed_over: int = 0  # files of folders that are no pictures
    notes: dict[str, int] = field(default_factory=dict)
    judged: int = 0
    hits: int = 0
    unjudged: int = 0  # images that no truth is known of
    unknown: dict[str, int] = field(default_factory=dict)  # true classes that the model has not

    def lines(self) -> list[str]:
        """What is told at the end, a line each; the score last."""
        told = [f"{count} of {self.images} images: {note}" for note, count in self.notes.items()]
        if self.passed_over:
            told.append(f"files in folders that are no pictures, passed over: {self.passed_over}")
        if self.errors:
            told.append(f"images that could not be read: {self.errors}; their rows tell why")
        if self.unjudged:
            told.append(f"images that are not in --truth, and are not scored: {self.unjudged}")
        told += [
            f"images of class '{name}', which the model does not know, counted as wrong: {count}"
            for name, count in self.unknown.items()
        ]
        if self.judged:
            told.append(f"accuracy {self.hits / self.judged:.4f} on {self.judged} images")
        return told


def named(paths: Sequence[str], lines: Iterable[str]) -> Iterator[Named]:
    """The files that are meant: of a folder all that it holds, of a CSV its column of files.

    Args:
        lines: standard input, a file each, read where a path is `-`.

    Raises:
        UsageError: a CSV has no column of files.
    """
    for path in map(Path, paths):
        if str(path) == "-":
            yield from (Named(Path(text)) for line in lines if (text := line.rstrip("\n")))
        elif path.is_dir():
            parts = ((file, file.relative_to(path).parts) for file in sorted(path.rglob("*")))
            yield from (
                Named(file, path)
                for file, names in parts
                if file.is_file() and not any(name.startswith(".") for name in names)
            )
        elif path.suffix.lower() == ".csv":
            yield from (Named(file) for file, _ in _rows(path))
        else:
            yield Named(path)


def truth(given: str, asked: Iterable[Named]) -> dict[Path, Sequence[str]]:
    """What may be the class of each file, the likeliest first: the first of them that the model
    knows is. given: `folders`, those that it lies in, up to the one that was named, as a class may
    have sub-folders; or a CSV with a column of files and one of classes.

    Raises:
        UsageError: the CSV cannot be read, or has no such columns.
    """
    if given == FOLDERS:
        return {one.file: _folders(one) for one in asked}
    known = {file.absolute(): [label] for file, label in _rows(Path(given), with_class=True)}
    return {one.file: known[one.file.absolute()] for one in asked if one.file.absolute() in known}


def _folders(one: Named) -> list[str]:
    """The names of the folders that a file lies in, the nearest first."""
    nearest = one.file.absolute().parent
    within = len(one.file.relative_to(one.folder).parts) if one.folder else 1
    return [folder.name for folder in (nearest, *nearest.parents)[:within]]


def _rows(file: Path, *, with_class: bool = False) -> Iterator[tuple[Path, str]]:
    """Each row's file, relative to the CSV, and its class."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            first = opened.readline()
            opened.seek(0)
            table = csv.DictReader(opened, delimiter=max(",;\t", key=first.count))
            files = _column(file, table.fieldnames or (), FILE_COLUMNS)
            label = _column(file, table.fieldnames or (), CLASS_COLUMNS) if with_class else None
            for row in table:
                yield file.parent / row[files], str(row[label]) if label else ""
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{file}: cannot be read as a CSV ({why}); give another one") from error


def _column(file: Path, columns: Sequence[str], wanted: Sequence[str]) -> str:
    found = next((name for name in columns if name.strip().lower() in wanted), None)
    if found is None:
        raise UsageError(
            f"{file}:1 a column named {' or '.join(wanted)} must be there, got "
            f"{', '.join(columns) or 'none'}; add a head line"
        )
    return found


def predict(
    asked: Process,
    model: Path,
    whose: held.Held,
    files: Sequence[Named],
    tally: Tally,
    *,
    top: int,
    device: str,
    true: Mapping[Path, Sequence[str]] | None,
    ensemble: bool = False,
) -> Iterator[dict[str, Any]]:
    """A row for each picture, as its objective's model gives it, with `truth` where it is known."""
    about: dict[str, Any] = {"model": str(model), "reference": whose.objective}
    about |= {"where": whose.folder, "device": device, "ensemble": ensemble}
    classes: list[str] | None = asked.ask("classes", **about)
    for start in range(0, len(files), CHUNK):
        some = files[start : start + CHUNK]
        names = [str(one.file) for one in some]
        rows = asked.ask("predict", **about, files=names, top=top)
        for one, row in zip(some, rows, strict=True):
            if one.folder and row.get("foreign"):
                tally.passed_over += 1
                continue
            if true is not None and one.file in true:
                likely = true[one.file]
                row["truth"] = next((c for c in likely if c in (classes or ())), likely[0])
            _count(tally, row, classes, true is not None)
            yield row


def _count(
    tally: Tally, row: Mapping[str, Any], classes: Sequence[str] | None, scores: bool
) -> None:
    tally.images += 1
    if "error" in row:
        tally.errors += 1
        return
    for note in row.get("notes", ()):
        tally.notes[note] = tally.notes.get(note, 0) + 1
    if not scores:
        return
    label = row.get("truth")
    if label is None:
        tally.unjudged += 1
        return
    tally.judged += 1
    tally.hits += row["class"] == label
    if classes is not None and label not in classes:
        tally.unknown[label] = tally.unknown.get(label, 0) + 1
