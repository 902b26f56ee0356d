"""Images that a table lists: a CSV file beside them, or Parquet files that hold them."""

from __future__ import annotations

import csv
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from objectives import columns as names
from objectives import parting, paths, shape
from objectives.decoding import VERSION
from objectives.notes import count, named, shown
from objectives.parting import Listing


class Row(NamedTuple):
    """A picture: its file or name, and what the table says of it."""

    file: str
    label: str
    part: str
    group: str | None


def from_csv(path: str, columns: Mapping[str, str]) -> Listing:
    """List the images that a CSV file names, by paths relative to it.

    columns: what its columns image, label, split and group are called. Raises ValueError, in one
    line, for what is missing or contradicts itself.
    """
    place = f"csv:{shown(path)}"
    file = paths.expanded(path, "csv:").resolve()
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            first = opened.readline()
            opened.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.DictReader(opened, delimiter=delimiter)
            where = names.found(place, reader.fieldnames or (), columns)
            table = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{place}: cannot be read ({why}); give a CSV file in UTF-8") from error
    rows = [
        _row(place, f"line {line}", {key: one.get(name) for key, name in where.items()})
        for line, one in enumerate(table, 2)
    ]
    rows = [row._replace(file=str(file.parent / row.file)) for row in rows]
    stats, missing = [], []
    for row in rows:
        try:
            stat = Path(row.file).stat()
            stats.append(f"{stat.st_size} {stat.st_mtime_ns}")
        except OSError:
            missing.append(row.file.removeprefix(f"{file.parent}/"))
    if missing:
        raise ValueError(
            f"{place}: {count(len(missing), 'file')} of {len(rows):,} are not there"
            f"{named(missing)}; mend the paths, which are relative to {shown(file.parent)}/"
        )
    spare = names.spare(reader.fieldnames or (), where)
    return _listing(place, file.parent, rows, stats, spare=spare)


def from_parquet(path: str, columns: Mapping[str, str]) -> Listing:
    """List the images within a Parquet file, or within those of a folder, as the Hugging Face hub
    keeps them: an image is bytes, or a struct with `bytes`; files are called by their split.

    Raises ValueError, in one line, for what is missing or contradicts itself.
    """
    place = f"parquet:{shown(path)}"
    root = paths.expanded(path, "parquet:").resolve()
    files = sorted(root.rglob("*.parquet")) if root.is_dir() else [root]
    if not files or not files[0].is_file():
        raise ValueError(f"{place}: there is no Parquet file; give one, or a folder of them")
    parquet = _pyarrow(place)
    rows, stats, images, spare = [], [], {}, list[str]()
    for file in files:
        schema = parquet.read_schema(file)
        where = names.found(place, schema.names, columns)
        spare = names.spare(schema.names, where)
        images[str(file)] = where.pop("image")
        classes = _class_names(schema, where["label"])
        table = parquet.read_table(file, columns=[*where.values()]).to_pydict()
        by_name = shape.part_of(file.stem.split("-")[0]) or shape.part_of(file.parent.name)
        stat = file.stat()
        for number in range(len(table[where["label"]])):
            told: dict[str, Any] = {key: table[name][number] for key, name in where.items()}
            if classes and isinstance(told["label"], int):
                told["label"] = classes[told["label"]]
            told = {"split": by_name, **told, "image": f"{file}:{number}"}
            rows.append(_row(place, f"{file.name}, row {number}", told))
            stats.append(f"{stat.st_size} {stat.st_mtime_ns}")
    folder = root if root.is_dir() else root.parent
    return _listing(place, folder, rows, stats, _reader(parquet, images), spare)


def csv_columns(path: str, columns: Mapping[str, str]) -> dict[str, str]:
    """What its columns are called where that is not usual: as given, or as its rows tell. Raises
    ValueError where it cannot be read."""
    file = paths.expanded(path, "csv:").resolve()
    try:
        there, rows, parts = names.of_csv(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        place = f"csv:{shown(path)}"
        raise ValueError(f"{place}: cannot be read ({why}); give a CSV file in UTF-8") from error
    return names.recognised(there, names.of_files(rows, file.parent), parts, columns)


def parquet_columns(path: str, columns: Mapping[str, str]) -> dict[str, str]:
    """The same of Parquet files: a picture is bytes, or a struct of them."""
    place, root = f"parquet:{shown(path)}", paths.expanded(path, "parquet:").resolve()
    files = sorted(root.rglob("*.parquet")) if root.is_dir() else [root]
    if not files or not files[0].is_file():
        raise ValueError(f"{place}: there is no Parquet file; give one, or a folder of them")
    parquet = _pyarrow(place)
    schema, *others = map(parquet.read_schema, files)
    held = [one.name for one in schema if "binary" in str(one.type)]
    words = [one.name for one in schema if str(one.type) in ("string", "large_string")]
    words = [name for name in words if all(name in other.names for other in others)]
    tables = [parquet.read_table(file, columns=words) for file in files]
    values = {
        name: {str(one) for table in tables for one in table[name].unique().to_pylist()}
        for name in words
    }
    return names.recognised(schema.names, held, names.of_parts(values), columns)


def csv_brings_validation(path: str, columns: Mapping[str, str]) -> bool:
    """Whether a CSV file has rows of a validation split."""
    return bool(from_csv(path, columns).validation) if Path(path).expanduser().is_file() else False


def parquet_brings_validation(path: str, columns: Mapping[str, str]) -> bool:
    """Whether Parquet files have rows of a validation split."""
    return (
        bool(from_parquet(path, columns).validation) if Path(path).expanduser().exists() else False
    )


def _pyarrow(place: str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError(
            f"{place}: reading Parquet needs pyarrow; pip install 'optsearch[parquet]'"
        ) from error
    return pyarrow.parquet


def _class_names(schema: Any, label: str) -> list[str]:
    """The names that the hub's own metadata gives to the numbers of classes; [] without."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        names: list[str] = about["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    return names


def _reader(parquet: Any, images: Mapping[str, str]) -> Callable[[str], bytes]:
    """The bytes of an image by its name; a file's column is read when the first is asked for."""
    kept: dict[str, Any] = {}
    lock = threading.Lock()

    def read(name: str) -> bytes:
        file, _, number = name.rpartition(":")
        with lock:
            if file not in kept:
                kept[file] = parquet.read_table(file, columns=[images[file]]).column(0)
        value = kept[file][int(number)].as_py()
        found = value.get("bytes") if isinstance(value, dict) else value
        return found or b""

    return read


def _row(place: str, where: str, told: Mapping[str, Any]) -> Row:
    label, split = told.get("label"), told.get("split")
    if label is None or str(label).strip() == "" or not told.get("image"):
        raise ValueError(f"{place}: {where} names no {'image' if label else 'label'}; add it")
    part = shape.part_of(str(split).strip()) if split not in (None, "") else "train"
    if part is None:
        raise ValueError(f"{place}: {where}: split {split!r} is none of train, validation and test")
    group = told.get("group")
    return Row(str(told["image"]), str(label).strip(), part, None if group is None else str(group))


def _listing(
    place: str,
    root: Path,
    rows: Sequence[Row],
    stats: Sequence[str],
    contents: Callable[[str], bytes] | None = None,
    spare: Sequence[str] = (),
) -> Listing:
    """What the rows say, checked; the test set drawn where they name none. spare: columns that are
    not read, where none names groups."""
    digest = hashlib.sha256(VERSION)
    for row, stat in zip(rows, stats, strict=True):
        digest.update(f"{row} {stat}\n".encode("utf-8", "surrogateescape"))
    _check(place, rows)
    classes = _sorted({row.label for row in rows})
    number = {name: i for i, name in enumerate(classes)}
    parts = {
        part: [(row.file, number[row.label]) for row in rows if row.part == part]
        for part in shape.PARTS
    }
    groups = None
    if any(row.group is not None for row in rows):
        grouped = [row.group or row.file for row in rows if row.part == "train"]
        groups = np.unique(grouped, return_inverse=True)[1].tolist()
    counts = " and ".join(f"{len(some):,} {part}" for part, some in parts.items() if some)
    told = [f"{counts} images by its rows", *_lacking(classes, parts)]
    if groups:
        told.append(f"{count(max(groups) + 1, 'group')} of training images, each kept together")
    if spare:
        told.append(
            f"{count(len(spare), 'column')} not read{named(spare)}: where one says what must not "
            "be parted, such as a patient or a scene, it is the group"
        )
    whole = Listing(
        place,
        root,
        tuple(map(shown, classes)),
        *(parts["train"], parts["validation"], parts["test"]),
        key=digest.hexdigest()[:16],
        notes=tuple(told),
        contents=contents,
        groups=groups,
        is_listed=True,
    )
    return whole if whole.test else parting.with_test(whole)


def _sorted(labels: Iterable[str]) -> list[str]:
    """In order: of numbers if all are, else of the alphabet."""
    return sorted(labels, key=lambda one: (int(one) if one.isdecimal() else 10**9, one))


def _check(place: str, rows: Sequence[Row]) -> None:
    """Raise ValueError for classes that cannot be learned, and groups on two sides."""
    train = {row.label for row in rows if row.part == "train"}
    if unlearned := _sorted({row.label for row in rows} - train):
        raise ValueError(
            f"{place}: {count(len(unlearned), 'label')}{named(unlearned)} in no training row; "
            "give each some, or take its rows out"
        )
    if len(train) < 2:
        raise ValueError(f"{place}: {count(len(train), 'label')}; at least two are needed")
    sides: dict[str, set[str]] = {}
    for row in rows:
        if row.group is not None:
            sides.setdefault(row.group, set()).add(row.part)
    if torn := [group for group, parts in sides.items() if len(parts) > 1]:
        raise ValueError(
            f"{place}: {count(len(torn), 'group')} on two sides of the split{named(torn)}: what "
            "was trained on would be tested; give all rows of a group one split"
        )


def _lacking(classes: Sequence[str], parts: Mapping[str, list[tuple[str, int]]]) -> Iterable[str]:
    for part, some in parts.items():
        lacking = [classes[one] for one in sorted({*range(len(classes))} - {n for _, n in some})]
        if some and lacking:
            yield f"{count(len(lacking), 'label')} without {part} images{named(lacking)}"
