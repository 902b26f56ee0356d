"""The files of a data set before they are read, and a test set drawn from them where none is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from objectives import split
from objectives.notes import count
from objectives.pictures import is_picture

TEST = 0.15  # share of the images that become the test set where there is none
SEED = 0  # it is drawn once for all: no search may see another part of the images


@dataclass(frozen=True)
class Listing:
    """The files of a data set, in the order in which they are kept."""

    place: str  # what the data set is called, such as folder:/home/me/photos
    root: Path  # files are told by their names below it
    classes: tuple[str, ...]
    train: list[tuple[str, int]]  # file, class
    validation: list[tuple[str, int]]  # empty where it is drawn from train
    test: list[tuple[str, int]]  # empty where it is drawn from train
    key: str  # changes with any file's name, size or time, and with how files are decoded
    notes: tuple[str, ...] = ()  # of what was taken, and what is not read
    contents: Callable[[str], bytes] | None = None  # of a "file" that lies within another one
    groups: Sequence[int] | None = None  # of training files: those of a group stay together
    is_listed: bool = False  # whether a file elsewhere names them: none can be moved away

    @property
    def everything(self) -> list[tuple[str, int]]:
        """All files, in the order of the parts."""
        return self.train + self.validation + self.test


def with_test(files: Listing) -> Listing:
    """The same, with a test set drawn from the training images, stratified and by group, and told.

    Raises ValueError, naming it, for a class of too few images.
    """
    labels = np.array([label for _, label in files.train], np.int64)
    pictures = np.array([is_picture(file) for file, _ in files.train])
    groups = None if files.groups is None else np.asarray(files.groups)
    least = 2 if files.validation else 3
    split.check_sizes(files.place, files.classes, labels, groups, least)
    # apart: files that lie beside the pictures would take their places
    strata = labels if groups is not None else labels * 2 + ~pictures
    test = split.drawn(strata, TEST, SEED, groups)
    kept = np.delete(np.arange(len(labels)), test)
    told = (
        f"no test set is there: {len(test):,} of {count(len(labels), 'image')} are set aside as one"
        f"{' by group' * (groups is not None)}, once for all"
    )
    return dataclasses.replace(
        files,
        train=[files.train[row] for row in kept],
        test=[files.train[row] for row in test],
        notes=(*files.notes, told),
        groups=None if groups is None else groups[kept].tolist(),
    )
