"""A data set on the device: uint8 pixels that several trials share, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from objectives import augment

if TYPE_CHECKING:
    from objectives.datasets import Dataset, Split

# Pixels of a batch in evaluation: as many as keep the device busy and its caches useful.
EVALUATED_PIXELS = {"cpu": 2**18}
EVALUATED_PIXELS_ELSEWHERE = 2**23


class Images(NamedTuple):
    """One split on the device."""

    pixels: Tensor  # uint8 [N, H, W, C]: an image is one run of memory, a batch is channels_last
    labels: Tensor  # int64 [N]

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 [B, C, H, W] in channels_last, and labels, by int64 [B] on the device."""
        pixels = self.pixels.index_select(0, index).permute(0, 3, 1, 2)
        return pixels, self.labels.index_select(0, index)

    def slices(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, in batches for evaluation."""
        budget = EVALUATED_PIXELS.get(self.pixels.device.type, EVALUATED_PIXELS_ELSEWHERE)
        size = max(budget // (self.pixels.shape[1] * self.pixels.shape[2]), 1)
        for start in range(0, len(self.labels), size):
            pixels = self.pixels[start : start + size].permute(0, 3, 1, 2)
            yield pixels, self.labels[start : start + size]


class Data(NamedTuple):
    """A data set on the device; several trials share it."""

    train: Images
    validation: Images
    classes: int
    scale: float
    mean: tuple[float, ...]  # of each channel of the training split, in units of 0..1
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        height, width, channels = self.train.pixels.shape[1:]
        return channels, height, width


def to_device(dataset: Dataset, device: torch.device) -> Data:
    """Put a data set onto the device, once for all trials of a process."""
    mean, std = augment.statistics(dataset.train.images, dataset.scale)
    train, validation = (put(split, device) for split in (dataset.train, dataset.validation))
    return Data(train, validation, len(dataset.classes), dataset.scale, mean, std)


def put(split: Split, device: torch.device) -> Images:
    """Put one split onto the device."""
    pixels = np.ascontiguousarray(split.images.transpose(0, 2, 3, 1))
    return Images(torch.tensor(pixels, device=device), torch.tensor(split.labels, device=device))
