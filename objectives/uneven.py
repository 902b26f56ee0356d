"""Classes of uneven size: weights in the loss, and batches in which all are as frequent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

ClassWeight = str | Mapping[str, float]  # none, balanced, or by the name of a class


def check(class_weight: ClassWeight, names: Sequence[str]) -> None:
    """Raise ValueError, naming it and the nearest one, for a class that is not there."""
    if isinstance(class_weight, str):
        return
    for name in map(str, class_weight):
        if name not in names:
            near = difflib.get_close_matches(name, names, 1, cutoff=0.0)
            raise ValueError(
                f"class_weight: no class is called {name!r}; "
                + (f"the nearest of {len(names)} is {near[0]!r}" if near else "there are no names")
            )


def weights(
    class_weight: ClassWeight, labels: Tensor, classes: int, names: Sequence[str]
) -> Tensor | None:
    """The weight of each class in the loss, float32 [classes]; None where all are equal.

    balanced: images / (classes * images of the class), scikit-learn's meaning; their mean over
    the images is 1. A class that is not named weighs 1. labels: int64 [N], of training. Raises
    ValueError as `check`.
    """
    check(class_weight, names)
    if class_weight == "none":
        return None
    if isinstance(class_weight, str):  # balanced
        counts = torch.bincount(labels, minlength=classes).float()
        return len(labels) / (classes * counts.clamp(min=1))
    given = {str(name): weight for name, weight in class_weight.items()}
    return torch.tensor([float(given.get(name, 1.0)) for name in names], device=labels.device)


class Balanced:
    """Draws images so that each class comes as often: a class first, then one of its images."""

    def __init__(self, labels: Tensor) -> None:
        """labels: int64 [N], of training; classes without images are not drawn."""
        labels = labels.cpu()
        counts = torch.bincount(labels)
        self.members = labels.argsort(stable=True)  # class by class
        self.starts = (counts.cumsum(0) - counts)[counts > 0]
        self.counts = counts[counts > 0]

    def draw(self) -> Tensor:
        """As many images as there are, int64 [N] on the CPU, with replacement."""
        classes = torch.randint(len(self.counts), (len(self.members),))
        parts = torch.rand(len(self.members), dtype=torch.float64)
        within = (parts * self.counts[classes]).long()
        return self.members[self.starts[classes] + within]
