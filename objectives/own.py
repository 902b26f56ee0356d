"""A user's own images: each kind by the word before the colon of `folder:PATH`."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from objectives import decoding, folder, store
from objectives.parting import Listing


@dataclass(frozen=True)
class Kind:
    """One way in which images lie on a disk."""

    path: str  # what stands after the colon
    about: str
    listing: Callable[[str], Listing]
    brings_validation: Callable[[str], bool]  # as far as can be told without reading the images


KINDS = {
    "folder": Kind(
        "PATH",
        "your own images: PATH/train/CLASS/* (and val/, test/), or PATH/CLASS/*",
        folder.listing,
        folder.brings_validation,
    ),
}
SUFFIXES: dict[str, str] = {}  # of files: the kind that reads them
NAMES = tuple(f"{name}:{kind.path}" for name, kind in KINDS.items())


def is_own(dataset: str) -> bool:
    """Whether a data set is one of these."""
    word, colon, path = dataset.partition(":")
    return bool(colon and path) and word in KINDS


def kind_of_file(path: str) -> str | None:
    """The kind that reads a file, by its ending; None where none does."""
    return SUFFIXES.get(Path(path).suffix.lower())


def _kind(dataset: str) -> tuple[Kind, str]:
    word, _, path = dataset.partition(":")
    return KINDS[word], path


def listing(dataset: str) -> Listing:
    """The files of a data set, the test set among them. Raises ValueError in one line."""
    kind, path = _kind(dataset)
    return kind.listing(path)


def brings_validation(dataset: str) -> bool:
    """Whether it has validation images of its own."""
    kind, path = _kind(dataset)
    return kind.brings_validation(path)


def stored(
    dataset: str, data_dir: str | None, image_size: int | None, skip_broken: bool
) -> store.Stored:
    """The decoded data set; an unchanged one is decoded once."""
    word, files = dataset.partition(":")[0], listing(dataset)
    place = hashlib.sha256(os.fsencode(files.root)).hexdigest()[:12]
    family = f"{word}-{place}-{'skip-' * skip_broken}{image_size or 'own'}-"
    found = store.stored(
        family + files.key,
        data_dir,
        lambda: decoding.decode(files, image_size, skip_broken=skip_broken),
        replaces=f"{family}*",
    )
    told = [*files.notes, *found.meta.notes]  # what is not read may change without a file that is
    return dataclasses.replace(found, meta=dataclasses.replace(found.meta, notes=told))
