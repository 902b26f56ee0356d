"""A look at a data set without training: what there is of it, and what is odd."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from objectives import columns as names_of_columns
from objectives import datasets, decoding, notes, oddities, own, resizing

SIDE = 64  # pixels to which pictures are scaled to be looked at
UNEVEN = 2.0  # times as many images, from which on classes are uneven
PARTS = oddities.PARTS


@dataclass(frozen=True)
class Look:
    """A data set, looked at. images: uint8 [N, C, H, W], in the order of train, validation, test;
    labels, parts: int64 [N]; sizes: of each picture its own width and height, int64 [N, 2]."""

    dataset: str
    classes: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    parts: np.ndarray
    sizes: np.ndarray
    names: list[str]  # of each image
    broken: dict[str, str]  # files that cannot be read, and why
    notes: list[str]  # a line each
    columns: Mapping[str, str] = field(default_factory=dict)  # of a table, where unusual

    @property
    def counts(self) -> np.ndarray:
        """Images of each class (rows) in train, validation and test (columns)."""
        table = np.zeros((len(self.classes), len(PARTS)), np.int64)
        np.add.at(table, (self.labels, self.parts), 1)
        return table

    @property
    def is_uneven(self) -> bool:
        """Whether a class has far more images than another."""
        whole = self.counts.sum(1)
        return bool(whole.max() >= UNEVEN * whole.min())


def dataset_of(data: str) -> str:
    """The data set that a folder, a file or a name means, as `settings.dataset` says it.

    Raises ValueError where it means none.
    """
    if data in datasets.SOURCES or own.is_own(data):
        return data
    path = Path(data).expanduser()
    if path.is_dir():
        return f"{own.kind_of_folder(str(path))}:{data.rstrip('/') or '/'}"
    if path.is_file() and (word := own.kind_of_file(data)):
        return f"{word}:{data}"
    near = get_close_matches(data, datasets.SOURCES, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(
        f"{data}: no such folder, no file that is read ({', '.join(own.SUFFIXES)}), and no "
        f"data set of that name ({', '.join(datasets.SOURCES)}){hint}"
    )


def look(
    dataset: str,
    side: int = SIDE,
    resize: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Look:
    """Read all of a data set, the test set too, each picture brought to a square of `side`; arrays
    stay as they are, unless `resize` says how they become one.

    columns: of a table, what some are called; what is certain without is recognised, and told. What
    is broken is counted, not refused. Raises ValueError where nothing can be read.
    """
    said = names_of_columns.given(columns or {})
    called = own.columns_of(dataset, said)
    if not own.has_files(dataset):
        return _stored(dataset, None if resize is None else side, resize)
    way = own.resize(dataset, resize)
    files = own.listing(dataset, called)
    names = [file.removeprefix(f"{files.root}/") for file, _ in files.everything]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images, found = decoding.read_all(files, side, way)
    if not len(images):
        raise ValueError(notes.refusal(files.place, None, names, found.broken))
    kept = [row for row in range(len(names)) if row not in found.broken | found.foreign]
    ends = np.cumsum([len(files.train), len(files.validation)])
    parts = np.searchsorted(ends, kept, side="right").astype(np.int64)
    labels = np.array([files.everything[row][1] for row in kept], np.int64)
    sizes = np.array([found.every_size[row] for row in kept], np.int64)
    found.sizes.clear()  # told below: no image_size has been chosen yet
    seen_so = list(filter(None, [names_of_columns.told(called, said)]))
    told = [*seen_so, *files.notes, *notes.lines(names, found, None)]
    shown = [names[row] for row in kept]
    broken = {names[row]: why for row, why in sorted(found.broken.items())}
    cuts = (int((parts < 1).sum()), int((parts < 2).sum()))
    told += notes.duplicates(images, labels, cuts, shown)
    told += oddities.of(files.classes, labels, images, shown, sizes)
    seen = (dataset, files.classes, images, labels, parts, sizes, shown, broken, told)
    return _with_more(Look(*seen, columns=called))


def _stored(dataset: str, side: int | None, resize: str | None) -> Look:
    """A named data set, or arrays."""
    datasets.check(dataset, resize=resize)
    found = datasets.opened(dataset)
    given, test = found.meta.n_validation, found.meta.n_test
    images = np.concatenate([found.images(part) for part in ("train", "test")])
    labels = np.concatenate([found.labels(part) for part in ("train", "test")])
    counts = (found.meta.n_train - given, given, test)
    parts = np.repeat(np.arange(3), counts)
    sizes = np.tile(np.array(images.shape[:1:-1]), (len(images), 1))
    names, classes = oddities.numbered(counts), tuple(found.meta.classes)
    told = [*found.meta.notes, *oddities.of_arrays(classes, labels, images, counts)]
    if side and resize:
        images = resizing.scaled(images, side, resize)
    once = list(dict.fromkeys(told))  # some are told when they are decoded
    return _with_more(Look(dataset, classes, images, labels, parts, sizes, names, {}, [*once]))


def _with_more(seen: Look) -> Look:
    """Add a line about classes of uneven size, and one about pictures that are no squares."""
    if seen.is_uneven:
        counts = seen.counts.sum(1)
        share = counts.max() / counts.sum()
        seen.notes.append(
            f"the classes are uneven: always saying {seen.classes[counts.argmax()]} would be right "
            f"for {share:.0%} of the images; score val_balanced_accuracy counts each class the same"
        )
    far = [row for row, size in enumerate(seen.sizes.tolist()) if notes.loses_much(*size)]
    if far:
        width, height = seen.sizes[far[0]]
        seen.notes.append(
            f"{len(far):,} of {notes.count(len(seen.labels), 'image')} are far from square, such "
            f"as {notes.shown(seen.names[far[0]])} ({width}x{height}): image_size keeps the "
            "middle, unless resize says pad or squash"
        )
    return seen


def size_words(sizes: np.ndarray) -> str:
    """`32x32 pixels`, or `from 20x30 to 400x300 pixels`."""
    low, high = (sizes[row] for row in oddities.extremes(sizes))
    if len(Counter(map(tuple, sizes.tolist()))) == 1:
        return f"{low[0]}x{low[1]} pixels"
    return f"from {low[0]}x{low[1]} to {high[0]}x{high[1]} pixels"
