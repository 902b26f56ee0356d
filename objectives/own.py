"""A user's own images: each kind by the word before the colon of `folder:PATH`."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from objectives import decoding, folder, npz, pictures, resizing, store, tables
from objectives.parting import Listing

Columns = Mapping[str, str] | Iterable[tuple[str, str]] | None  # what those of a table are called


class Reading(TypedDict, total=False):
    """How images are read: the knobs that change what is decoded."""

    image_size: int | None
    resize: str | None  # of `resizing.WAYS`; None: that of the kind
    skip_broken: bool
    columns: Columns


@dataclass(frozen=True)
class Kind:
    """One way in which images lie on a disk."""

    path: str  # what stands after the colon
    about: str
    brings_validation: Callable[[str, Mapping[str, str]], bool]  # without reading the images
    listing: Callable[[str, Mapping[str, str]], Listing] | None  # None: it holds arrays
    suffix: str = ""  # of such a file
    columns: Callable[[str, Mapping[str, str]], dict[str, str]] | None = None  # as a look tells
    reads: tuple[str, ...] = ("skip_broken",)  # knobs of its own
    resize: str = "crop"  # how its pictures become square where nobody says


KINDS = {
    "folder": Kind(
        "PATH",
        "your own images: PATH/train/CLASS/* (and val/, test/), or PATH/CLASS/*",
        lambda path, columns: folder.brings_validation(path),
        lambda path, columns: folder.listing(path),
    ),
    "csv": Kind(
        "FILE",
        "your own images by a table: columns image, label, and perhaps split and group",
        tables.csv_brings_validation,
        tables.from_csv,
        ".csv",
        tables.csv_columns,
        ("skip_broken", "columns"),
    ),
    "parquet": Kind(
        "PATH",
        "images within Parquet files, as the Hugging Face hub keeps them",
        tables.parquet_brings_validation,
        tables.from_parquet,
        ".parquet",
        tables.parquet_columns,
        ("skip_broken", "columns"),
    ),
    "npz": Kind(
        "FILE",
        "arrays in the layout of MedMNIST: train_images, train_labels, test_images and so on",
        lambda path, columns: npz.brings_validation(path),
        None,
        ".npz",
        None,
        (),
        "squash",
    ),
}
NAMES = tuple(f"{name}:{kind.path}" for name, kind in KINDS.items())
SUFFIXES = {kind.suffix: name for name, kind in KINDS.items() if kind.suffix}


def is_own(dataset: str) -> bool:
    """Whether a data set is one of these."""
    word, colon, path = dataset.partition(":")
    return bool(colon and path) and word in KINDS


def kind_of_file(path: str) -> str | None:
    """The kind that reads a file, by its ending; None where none does."""
    return SUFFIXES.get(Path(path).suffix.lower())


def kind_of_folder(path: str) -> str:
    """`parquet` where a folder holds such files and no pictures beside them, else `folder`."""
    holds = False
    for _, _, files in os.walk(path):
        if any(map(pictures.is_picture, files)):
            return "folder"
        holds = holds or any(file.endswith(KINDS["parquet"].suffix) for file in files)
    return "parquet" if holds else "folder"


def _kind(dataset: str) -> tuple[Kind, str]:
    word, _, path = dataset.partition(":")
    return KINDS[word], path


def reads(dataset: str) -> tuple[str, ...]:
    """The knobs that this kind reads, and others do not."""
    return _kind(dataset)[0].reads if is_own(dataset) else ()


def has_files(dataset: str) -> bool:
    """Whether it is made of picture files, and not of arrays."""
    return is_own(dataset) and _kind(dataset)[0].listing is not None


def listing(dataset: str, columns: Columns = None) -> Listing:
    """The files of a data set, the test set among them. Raises ValueError in one line."""
    kind, path = _kind(dataset)
    assert kind.listing is not None
    return kind.listing(path, dict(columns or {}))


def columns_of(dataset: str, said: Mapping[str, str]) -> dict[str, str]:
    """What the columns of a table are called, where that is not usual: as somebody says, and as a
    look tells. Raises ValueError where it is no table, or has no such column."""
    kind, path = _kind(dataset) if is_own(dataset) else (None, "")
    if kind is None or kind.columns is None:
        if said:
            raise ValueError(f"columns: {dataset} is no table that has some; leave them out")
        return {}
    return kind.columns(path, said)


def brings_validation(dataset: str, columns: Columns = None) -> bool:
    """Whether it has validation images of its own."""
    kind, path = _kind(dataset)
    return kind.brings_validation(path, dict(columns or {}))


def resize(dataset: str, asked: str | None = None) -> str:
    """How its pictures become square: as asked, else as is usual of its kind. One with a name of
    its own has square images, and this is for others that its model is given."""
    return asked or (_kind(dataset)[0].resize if is_own(dataset) else "crop")


def stored(dataset: str, data_dir: str | None, **how: Unpack[Reading]) -> store.Stored:
    """The decoded data set; an unchanged one is decoded once."""
    way, size = resize(dataset, how.get("resize")), how.get("image_size")
    asked = "" if way == resize(dataset) or not size else f"{way}-"
    if not has_files(dataset):
        return _arrays(dataset, data_dir, size, way, asked)
    word, files = dataset.partition(":")[0], listing(dataset, how.get("columns"))
    whose = files.root if word == "folder" else Path(files.place.partition(":")[2]).resolve()
    skip_broken = how.get("skip_broken", False)
    family = f"{word}-{_place(whose)}-{'skip-' * skip_broken}{asked}{size or 'own'}-"
    found = store.stored(
        family + files.key,
        data_dir,
        lambda: decoding.decode(files, size, way, skip_broken=skip_broken, data_dir=data_dir),
        replaces=f"{family}*",
    )
    told = [*files.notes, *found.meta.notes]  # what is not read may change without a file that is
    return dataclasses.replace(found, meta=dataclasses.replace(found.meta, notes=told))


def _arrays(
    dataset: str, data_dir: str | None, image_size: int | None, way: str, asked: str
) -> store.Stored:
    path = dataset.partition(":")[2]
    family = f"npz-{_place(npz.file_of(path))}-"
    whole = family + f"own-{npz.key(path)}"
    plain = store.stored(
        whole, data_dir, lambda: npz.arrays(path, data_dir), replaces=f"{family}own-*"
    )
    if image_size is None or plain.meta.shape[1:] == [image_size, image_size]:
        return plain
    family += f"{asked}{image_size}-"
    decode = functools.partial(resizing.resized, dataset, plain, image_size, way, data_dir)
    return store.stored(family + npz.key(path), data_dir, decode, replaces=f"{family}*")


def _place(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
