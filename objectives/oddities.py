"""What is odd about a set of pictures as a whole: a line each, with a count and an example."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from objectives import notes

FEW = 10  # images, below which a class can hardly be learned
PARTS = ("train", "validation", "test")
FAR = 2.0  # times as large, from which on sizes are said to differ much
AT_ONCE = 1024  # images


def of(
    classes: Sequence[str],
    labels: np.ndarray,
    images: np.ndarray,
    names: Sequence[str],
    sizes: np.ndarray,
) -> list[str]:
    """Classes of few images, pictures of one colour, sizes that are far apart.

    images: uint8 [N, C, H, W]. labels: int64 [N]. sizes: width and height of each as it was,
    int64 [N, 2].
    """
    return [*_small(classes, labels), *_flat(images, names), *_apart(sizes)]


def of_arrays(
    classes: Sequence[str], labels: np.ndarray, images: np.ndarray, counts: Sequence[int]
) -> list[str]:
    """The same of images that are no files and all of one size, and which of them are equal.

    counts: how many are of train, validation and test, in whose order they are.
    """
    names = numbered(counts)
    width_and_height = np.tile(np.array(images.shape[:1:-1]), (len(images), 1))
    cuts = (counts[0], counts[0] + counts[1])
    told = notes.duplicates(images, labels, cuts, names)
    return [*told, *of(classes, labels, images, names, width_and_height)]


def numbered(counts: Sequence[int]) -> list[str]:
    """`train 0`, `train 1` and so on: what an image is called that is no file."""
    return [f"{part} {row}" for part, n in zip(PARTS, counts, strict=True) for row in range(n)]


def _small(classes: Sequence[str], labels: np.ndarray) -> list[str]:
    counts = np.bincount(labels, minlength=len(classes))
    small = [f"{classes[row]} {counts[row]}" for row in map(int, np.flatnonzero(counts < FEW))]
    if not small:
        return []
    several = f"{len(small)} class{'' if len(small) == 1 else 'es'}"
    return [f"{several} of fewer than {FEW} images{notes.named(small)}: add some"]


def _flat(images: np.ndarray, names: Sequence[str]) -> list[str]:
    flat = [
        start + int(row)
        for start in range(0, len(images), AT_ONCE)
        for row in np.flatnonzero(_range(images[start : start + AT_ONCE]) == 0)
    ]
    if not flat:
        return []
    return [
        f"{len(flat):,} of {notes.count(len(images), 'image')} are of one colour all over, "
        f"such as {notes.shown(names[flat[0]])}: look whether they are empty"
    ]


def _range(images: np.ndarray) -> np.ndarray:
    """The widest range of an image's channels, [N]; 0 where it is of one colour."""
    widest: np.ndarray = (images.max(axis=(2, 3)) - images.min(axis=(2, 3))).max(1)
    return widest


def _apart(sizes: np.ndarray) -> list[str]:
    if sizes.prod(1).max() < FAR**2 * sizes.prod(1).min():
        return []
    low, high = (sizes[row] for row in extremes(sizes))
    return [
        f"sizes differ much, from {low[0]}x{low[1]} to {high[0]}x{high[1]}: what is small is "
        "blurred where image_size is larger"
    ]


def extremes(sizes: np.ndarray) -> tuple[int, int]:
    """The rows of the smallest and the largest picture, by area."""
    areas = sizes.prod(1)
    return int(areas.argmin()), int(areas.argmax())
