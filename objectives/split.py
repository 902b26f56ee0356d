"""Which images are held out to validate, or to test: of each class its share, and one at least."""

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


def drawn(
    labels: np.ndarray, fraction: float, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Draw the fraction of each class, but one at least, and not all; indices, ascending.

    labels: int64 [N]. groups: int64 [N]; images of one group go all or none, which makes the
    numbers of the classes as near as may be.
    """
    sizes = np.bincount(labels)
    counts = _shares(sizes, round(fraction * len(labels)))
    counts = np.clip(counts, np.minimum(1, sizes), np.maximum(sizes - 1, 0))
    return (
        _drawn(labels, counts, seed) if groups is None else _by_group(labels, groups, counts, seed)
    )


def _by_group(labels: np.ndarray, groups: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    """Take groups in a drawn order, each that brings the numbers nearer to `counts`; then give or
    take the smallest group where a class would be on one side only."""
    table = np.zeros((int(groups.max()) + 1, len(counts)), np.int64)
    np.add.at(table, (groups, labels), 1)
    taken = np.zeros(len(table), bool)
    have = np.zeros(len(counts), np.int64)
    for group in np.random.default_rng(seed).permutation(len(table)):
        more = have + table[group]
        if np.abs(counts - more).sum() < np.abs(counts - have).sum():
            taken[group], have = True, more
    for label in np.flatnonzero(table.sum(0)):
        holds = np.flatnonzero(table[:, label])
        if taken[holds].all() or not taken[holds].any():
            smallest = holds[table[holds].sum(1).argmin()]
            taken[smallest] = not taken[smallest]
    return np.flatnonzero(taken[groups])


def check_sizes(
    dataset: str,
    classes: Sequence[str],
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    least: int = 2,
) -> None:
    """Raise ValueError, naming it, for a class that has too few images, or groups, to be parted."""
    sizes = np.bincount(labels, minlength=len(classes))
    if groups is not None:
        pairs = np.unique(np.stack([labels, groups]), axis=1)
        sizes = np.bincount(pairs[0], minlength=len(classes))
    if small := [name for name, size in zip(classes, sizes, strict=True) if size < least]:
        more = f" (and {len(small) - 1} more classes)" if len(small) > 1 else ""
        has = int(sizes[list(classes).index(small[0])])
        one, words = ("group", "groups") if groups is not None else ("image", "images")
        number = f"one training {one}" if has == 1 else f"{has} training {words}"
        parts = "one to train on and one to validate" + ", and one to test" * (least > 2)
        raise ValueError(
            f"{dataset}: class {small[0]!r} has {number}{more}; {['two', 'three'][least - 2]} are "
            f"the least, {parts}: add images, or remove the class from train/ and test/"
        )


def held_out(
    dataset: str,
    classes: Sequence[str],
    labels: np.ndarray,
    fraction: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the validation images, as `drawn` does. Raises ValueError as `check_sizes` does."""
    check_sizes(dataset, classes, labels, groups)
    return drawn(labels, fraction, seed, groups)
