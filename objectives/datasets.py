"""Data sets by name: decoded once, mapped ever after; a search never sees the test set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from objectives import archives, own, resizing, store
from objectives.split import held_out, stratified


@dataclass(frozen=True)
class Split:
    """Some of the stored images, which stay where they are: in a read-only memory map.

    stored: uint8 [M, C, H, W]; labels: int64 [N]; rows: int64 [N], which of the stored images they
    belong to, or None for all in order.
    """

    stored: np.ndarray
    labels: np.ndarray
    rows: np.ndarray | None = None

    @property
    def images(self) -> np.ndarray:
        """uint8 [N, C, H, W]; a copy, unless the split is all that is stored."""
        return self.stored if self.rows is None else self.stored[self.rows]


@dataclass(frozen=True)
class Dataset:
    """What a search sees of a data set: training images without the validation ones, and those."""

    name: str
    train: Split
    validation: Split
    classes: tuple[str, ...]
    scale: float  # what a pixel is divided by to lie in 0..1
    fingerprint: str  # sha256:<16 hex> over all decoded pixels and labels, test set included
    bits: int = 0  # in use of 16-bit pictures; 0: there are none


@dataclass(frozen=True)
class Source:
    """One data set that has a name."""

    decode: Callable[[list[Path], Path], store.Arrays]  # (places to look, place for a download)
    scale: float = 255.0
    validation: float = 0.1  # default fraction of the training images


def _digits(places: list[Path], home: Path) -> store.Arrays:
    """scikit-learn's 1,797 digits, 8x8 pixels of 0..16; 15 % are the test set, drawn once for all.

    Reads its table itself: importing scikit-learn costs seconds, half of a first start.
    """
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    table = np.loadtxt(
        Path(package.origin).parent / "datasets/data/digits.csv.gz", np.int64, delimiter=","
    )
    images, labels = table[:, :-1].astype(np.uint8).reshape(-1, 1, 8, 8), table[:, -1].copy()
    test = stratified(labels, round(0.15 * len(labels)), seed=0)
    train = np.delete(np.arange(len(labels)), test)
    names = tuple(map(str, range(10)))
    return store.Arrays(images[train], labels[train], images[test], labels[test], names)


SOURCES = {
    "cifar10": Source(archives.cifar10),
    "cifar100": Source(archives.cifar100),
    "mnist": Source(archives.mnist),
    "fashion_mnist": Source(archives.fashion_mnist),
    "digits": Source(_digits, scale=16.0, validation=270 / 1527),
}


def load(
    dataset: str,
    *,
    data_dir: str | None = None,
    validation: float | None = None,
    split_seed: int = 0,
    together: bool = False,
    **how: Unpack[own.Reading],
) -> Dataset:
    """Load training and validation images; the first call finds or downloads and decodes them.

    validation: fraction of the training images, stratified by class; None is the data set's own,
    or the validation images that it brings. together: those are training images as well, and none
    are left to validate with.
    Raises ValueError (names, values, bad files) or OSError (download, folders), in one line.
    """
    check(dataset, validation=validation)
    found = _stored(dataset, data_dir, how)
    images, labels = found.images("train"), found.labels("train")
    validated = _validated(dataset, found, validation, split_seed)
    validated = validated[:0] if together else validated
    kept = np.delete(np.arange(len(labels)), validated)
    return Dataset(
        name=dataset,
        train=Split(images, labels[kept], kept),
        validation=Split(images, labels[validated], validated),
        classes=tuple(found.meta.classes),
        scale=scale(dataset),
        fingerprint=found.meta.fingerprint,
        bits=found.meta.bits,
    )


def load_test(
    dataset: str,
    *,
    data_dir: str | None = None,
    **how: Unpack[own.Reading],
) -> Split:
    """Load the test images; the only way to them. For confirmed configurations, not in a search."""
    check(dataset)
    found = _stored(dataset, data_dir, how)
    return Split(found.images("test"), found.labels("test"))


def opened(dataset: str) -> store.Stored:
    """All of a data set as it is kept, its test images too: for a look, never to choose by."""
    check(dataset)
    return _stored(dataset, None, {})


def class_names(
    dataset: str,
    *,
    data_dir: str | None = None,
    **how: Unpack[own.Reading],
) -> list[str]:
    """What the classes are called, in the order of their numbers."""
    return [*_stored(dataset, data_dir, how).meta.classes]


def describe(
    dataset: str,
    *,
    data_dir: str | None = None,
    validation: float | None = None,
    **how: Unpack[own.Reading],
) -> dict[str, Any]:
    """Say in JSON-able words what the data is; opens no pixels once they are decoded.

    `majority` is the class that most validation images are of, and their share: what a network
    scores that always says so. `notes` (lines to be told) and `n_skipped` (broken files left out)
    are there where there are any.
    """
    check(dataset, validation=validation)
    found = _stored(dataset, data_dir, how)
    meta, labels = found.meta, found.labels("train")
    counts = np.bincount(labels[_validated(dataset, found, validation, seed=0)])
    n_validation, most = int(counts.sum()), int(counts.argmax())
    notes = [*meta.notes, *_held_out_notes(dataset, found, validation, n_validation)]
    about = {
        "name": dataset,
        "fingerprint": meta.fingerprint,
        "n_train": meta.n_train - n_validation,
        "n_validation": n_validation,
        "n_test": meta.n_test,
        "classes": len(meta.classes),
        "shape": meta.shape,
        "majority": {
            "class": meta.classes[most],
            "share": round(float(counts[most] / n_validation), 4),
        },
    }
    told = {"n_skipped": meta.n_skipped, "notes": notes}
    return about | {name: value for name, value in told.items() if value}


def _validated(
    dataset: str, found: store.Stored, validation: float | None, seed: int
) -> np.ndarray:
    """The rows of the validation images: those that are given, else those that are drawn."""
    meta = found.meta
    if given := meta.n_validation:
        for name, value in (("validation", validation), ("split_seed", seed)):
            if value:
                raise ValueError(
                    f"settings.{name} {value:g}: {dataset} brings {given:,} validation images, "
                    "which are used as they are; remove the setting"
                )
        return np.arange(meta.n_train - given, meta.n_train)
    fraction = validation_fraction(dataset, validation)
    return held_out(dataset, meta.classes, found.labels("train"), fraction, seed, found.groups)


FEW = 200  # validation images, below which one of them is more than half a point
MUCH = 0.3  # held out: with more, too few are left to train with


def _held_out_notes(
    dataset: str, found: store.Stored, validation: float | None, n_validation: int
) -> Iterator[str]:
    """Lines where the validation split is another than was asked for, because classes are small or
    groups stay together, and where it is too small to tell close configurations apart."""
    meta = found.meta
    if not meta.n_validation:
        fraction = validation_fraction(dataset, validation)
        asked = round(fraction * meta.n_train)
        reason = "so that each class has one in training and one in validation"
        if meta.is_grouped:
            reason = "as groups stay together"
        if asked != n_validation:
            yield (
                f"validation {fraction:g} of {meta.n_train:,} training images is {asked}; "
                f"{n_validation} are held out, {reason}"
            )
    if n_validation < FEW:
        may_more = not meta.n_validation and validation_fraction(dataset, validation) < MUCH
        more = "hold out more (settings.validation), or " if may_more else ""
        yield (
            f"{n_validation} validation images: one of them is {100 / n_validation:.1f} points, so "
            f"scores that are close say little; {more}add images"
        )


def check(
    dataset: str,
    *,
    validation: float | None = None,
    image_size: int | None = None,
    resize: str | None = None,
) -> None:
    """Raise ValueError for an unknown data set or an impossible value; touches no data."""
    if dataset not in SOURCES and not own.is_own(dataset):
        near = get_close_matches(dataset, SOURCES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"unknown dataset {dataset!r}; one of: {', '.join((*SOURCES, *own.NAMES))}{hint}"
        )
    if validation is not None and not 0 < validation < 1:
        raise ValueError(f"0 < validation < 1 must hold, got {validation}; try 0.1")
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size >= 1 must hold, got {image_size}")
    if resize is not None and dataset in SOURCES:
        raise ValueError(f"resize {resize}: the images of {dataset} are square; remove it")


def resolved_validation(
    dataset: str, validation: float | None, columns: own.Columns = None
) -> float | None:
    """The fraction that is held out, written out; None where the data brings its validation images,
    as far as can be told without reading them."""
    if validation is None and own.is_own(dataset) and own.brings_validation(dataset, columns):
        return None
    return validation_fraction(dataset, validation)


def validation_fraction(dataset: str, validation: float | None) -> float:
    """The fraction of the training images that is held out; None asks for the data set's own."""
    check(dataset, validation=validation)
    if validation is not None:
        return validation
    return SOURCES[dataset].validation if dataset in SOURCES else 0.1


def scale(dataset: str) -> float:
    """What a pixel is divided by to lie in 0..1."""
    return SOURCES[dataset].scale if dataset in SOURCES else 255.0


def _stored(dataset: str, data_dir: str | None, how: own.Reading) -> store.Stored:
    image_size = how.get("image_size")
    check(dataset, image_size=image_size, resize=how.get("resize"))
    if own.is_own(dataset):
        return own.stored(dataset, data_dir, **how)

    def decode() -> store.Arrays:
        return SOURCES[dataset].decode(store.folders(data_dir), store.writable(data_dir))

    plain = store.stored(dataset, data_dir, decode)
    if image_size in (None, plain.meta.shape[1]):
        return plain
    assert image_size is not None
    key = f"{dataset}-{image_size}"
    return store.stored(
        key, data_dir, lambda: resizing.resized(dataset, plain, image_size, "crop", data_dir)
    )
