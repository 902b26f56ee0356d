"""Which training images are held out to validate: of each class its share, and one at least."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def stratified(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Choose `count` indices, ascending, with every class in its proportion."""
    return _drawn(labels, _shares(np.bincount(labels), count), seed)


def _shares(sizes: np.ndarray, count: int) -> np.ndarray:
    """How many of each class make up `count`, int64 [classes].

    Each class gives its share rounded down; what is missing comes from the largest remainders, as
    in scikit-learn's train_test_split (which costs seconds to import).
    """
    shares = sizes * count / sizes.sum()
    counts: np.ndarray = np.floor(shares).astype(np.int64)
    order = np.argsort(counts - shares, kind="stable")
    counts[order[: count - counts.sum()]] += 1
    return counts


def _drawn(labels: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    chosen = [
        generator.permutation(np.flatnonzero(labels == label))[:wanted]
        for label, wanted in enumerate(counts)
    ]
    return np.sort(np.concatenate(chosen))


def held_out(
    dataset: str, classes: Sequence[str], labels: np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """Draw the validation images: the fraction of each class, but one at least, and not all.

    Raises ValueError, naming it, for a class of one image.
    """
    sizes = np.bincount(labels, minlength=len(classes))
    if small := [name for name, size in zip(classes, sizes, strict=True) if size < 2]:
        more = f" (and {len(small) - 1} more classes)" if len(small) > 1 else ""
        raise ValueError(
            f"{dataset}: class {small[0]!r} has one training image{more}; two are the least, one "
            "to train on and one to validate: add images, or remove the class from train/ and test/"
        )
    counts = _shares(sizes, round(fraction * len(labels)))
    return _drawn(labels, np.clip(counts, 1, sizes - 1), seed)
