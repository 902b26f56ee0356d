"""A row of the history: what an epoch was worth, as means over images."""

from __future__ import annotations

import math
from collections.abc import Sequence

COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")  # and further scores
Row = dict[str, float]


class DivergenceError(ArithmeticError):
    """The loss was not finite; says in which epoch and step, both from 0."""


def means(measured: Sequence[float], sizes: Sequence[int], validated: int, epoch: int) -> Row:
    """The first columns, as Keras shows them. Raises DivergenceError at the first loss that is not
    finite.

    measured: the loss of each step, the correct answers of each, and both of all validation images,
    where there are any. sizes: images of each step. validated: validation images.
    """
    steps, images = len(sizes), sum(sizes)
    losses, hits = measured[:steps], measured[steps : 2 * steps]
    judged = measured[2 * steps :]  # sums over the validation images: loss, correct answers
    for step, loss in enumerate([*losses, *judged[:1]]):
        if not math.isfinite(loss):
            raise DivergenceError(f"epoch {epoch} step {min(step, steps - 1)}")
    return {
        "loss": sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / images,
        "accuracy": sum(hits) / images,
        **dict(zip(COLUMNS[2:4], (value / validated for value in judged), strict=False)),
    }
