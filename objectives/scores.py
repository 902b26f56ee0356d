"""Scores by name, beside loss and accuracy: what a batch adds up to, and what the sums are worth.

All of it stays on the device until the epoch's one host sync, and a step's part of it can be in a
CUDA graph. The values are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BASIC = ("loss", "accuracy")  # measured always


@dataclass(frozen=True)
class Score:
    """One row. part: logits float32 [B, classes], labels int64 [B] -> float32, of the same shape
    whatever the batch. value: the sum of all parts -> float32 []. shape: of a part, by the number
    of classes; without one a part is a row for each image, and `value` gets all rows.
    """

    part: Callable[[Tensor, Tensor], Tensor]
    value: Callable[[Tensor], Tensor]
    shape: Callable[[int], tuple[int, ...]] | None


def _confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """Images of each class (rows) by what they are taken for; bincount would sync with the host."""
    classes = torch.arange(logits.shape[1], device=logits.device)
    given = logits.argmax(1, keepdim=True) == classes
    return (labels.unsqueeze(1) == classes).float().T @ given.float()


def _balanced_accuracy(confusion: Tensor) -> Tensor:
    """The mean over classes of the share of their images that is right."""
    return (confusion.diagonal() / confusion.sum(1)).nanmean()  # nan: a class without images


def _f1_macro(confusion: Tensor) -> Tensor:
    """The mean over classes of the harmonic mean of precision and recall."""
    twice = 2 * confusion.diagonal()
    return (twice / (confusion.sum(0) + confusion.sum(1))).nanmean()  # nan: nowhere to be seen


def _among_five(logits: Tensor, labels: Tensor) -> Tensor:
    """How many images have their class among the five likeliest, and how many there are."""
    hits = (logits.topk(5).indices == labels.unsqueeze(1)).sum()
    return torch.stack([hits, torch.ones_like(labels).sum()]).float()


def _share(counts: Tensor) -> Tensor:
    return counts[0] / counts[1]


def _rows(logits: Tensor, labels: Tensor) -> Tensor:
    """Probabilities, and the label as the last column."""
    return torch.cat([logits.softmax(1), labels.unsqueeze(1).float()], dim=1)


def _auroc(rows: Tensor) -> Tensor:
    """The mean over classes of the area under the ROC curve, that class against the rest; of two
    classes there is one curve. nan where a class has no image, or all.
    """
    probabilities, labels = rows[:, :-1].T.contiguous(), rows[:, -1]
    classes = range(1 if len(probabilities) == 2 else 0, len(probabilities))
    return torch.stack([_area(probabilities[i], labels == i) for i in classes]).mean()


def _area(values: Tensor, is_own: Tensor) -> Tensor:
    """How often an own image has the higher value than another one; a tie is half (Mann-Whitney).

    By mean ranks, doubled: whole numbers, that float32 could not hold.
    """
    ordered = values.sort().values
    below, upto = (torch.searchsorted(ordered, values, right=right) for right in (False, True))
    own = is_own.sum()
    twice = ((below + upto + 1) * is_own).sum() - own * (own + 1)
    return twice / (2 * own * (len(values) - own))


def _square(classes: int) -> tuple[int, ...]:
    return classes, classes


SCORES: dict[str, Score] = {
    "balanced_accuracy": Score(_confusion, _balanced_accuracy, _square),
    "f1_macro": Score(_confusion, _f1_macro, _square),
    "auroc": Score(_rows, _auroc, None),
    "top5_accuracy": Score(_among_five, _share, lambda classes: (2,)),
}
IN_TRAINING = tuple(name for name, row in SCORES.items() if row.shape is not None)


class Tally:
    """Some scores of one pass over images: `add` each batch, then ask for the `values`."""

    def __init__(self, names: Iterable[str], classes: int, device: torch.device) -> None:
        self.names = tuple(names)
        self.rows: dict[str, list[Tensor]] = {
            name: [] for name in self.names if SCORES[name].shape is None
        }
        self.sums = {
            name: torch.zeros(shape(classes), device=device)
            for name in self.names
            if (shape := SCORES[name].shape) is not None
        }

    def clear(self) -> None:
        """Begin a new pass, with the same tensors: a graph adds to them."""
        for total in self.sums.values():
            total.zero_()
        for rows in self.rows.values():
            rows.clear()

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """One batch: logits [B, classes] without gradients, labels int64 [B]."""
        for name, total in self.sums.items():
            total += SCORES[name].part(logits.float(), labels)
        for name, rows in self.rows.items():
            rows.append(SCORES[name].part(logits.float(), labels))

    def values(self) -> list[Tensor]:
        """A float32 [] for each name, still on the device."""
        return [
            SCORES[name].value(self.sums[name] if name in self.sums else torch.cat(self.rows[name]))
            for name in self.names
        ]


def of(*columns: str) -> tuple[str, ...]:
    """The scores of the table behind such columns as `val_f1_macro`, each once."""
    names = (column.removeprefix("val_") for column in columns)
    return tuple(dict.fromkeys(name for name in names if name in SCORES))


def rises(column: str) -> bool:
    """Whether more of it is better."""
    return not column.endswith("loss")


def absent(labels: Tensor, names: Sequence[object]) -> list[str]:
    """The classes, by their names, that none of the labels int64 [N] is."""
    there = {*labels.tolist()}
    return [str(name) for label, name in enumerate(names) if label not in there]


def check(columns: Collection[str], classes: int, absent: Sequence[str]) -> None:
    """Raise ValueError where one of these columns cannot be had. absent: classes that no
    validation image is of."""
    for column in columns:
        if column.endswith("top5_accuracy") and classes < 6:
            raise ValueError(
                f"{column} needs 6 classes or more, got {classes}: any answer would be right; "
                "use val_accuracy or val_balanced_accuracy"
            )
        if column.endswith("auroc") and absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise ValueError(
                f"{column} needs validation images of each class, got none of "
                f"'{absent[0]}'{more}; hold out more (settings.validation), or use "
                "val_balanced_accuracy"
            )
