"""A data set on the device: uint8 pixels that several trials share, and batches of them.

On a CPU they stay in the memory map that all processes share, and a batch is what is copied.
"""

from __future__ import annotations

import warnings
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
COPIED_AT_ONCE = 4096  # images on their way to a device


def evaluated(device: torch.device, shape: tuple[int, int, int]) -> int:
    """Images of a batch in evaluation. shape: channels, height, width."""
    budget = EVALUATED_PIXELS.get(device.type, EVALUATED_PIXELS_ELSEWHERE)
    channels, height, width = shape
    return max(budget // (height * width * max(channels // 3, 1)), 1)


class Images(NamedTuple):
    """One split on the device. Nobody writes into its pixels: they may be mapped read-only.

    An image is one run of memory, a batch is channels_last. Features are images of one pixel.
    """

    pixels: Tensor  # uint8 [M, H, W, C]; of features float32
    labels: Tensor  # int64 [N]
    rows: Tensor | None = None  # int64 [N]: whose pixels the labels belong to; None: all in order

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 [B, C, H, W] in channels_last, and labels, by int64 [B] on the device."""
        rows = index if self.rows is None else self.rows.index_select(0, index)
        pixels = self.pixels.index_select(0, rows).permute(0, 3, 1, 2)
        return pixels, self.labels.index_select(0, index)

    def slices(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, in batches for evaluation."""
        height, width, channels = self.pixels.shape[1:]
        size = evaluated(self.pixels.device, (channels, height, width))
        for index in torch.split(torch.arange(len(self.labels), device=self.labels.device), size):
            yield self.take(index)


class Data(NamedTuple):
    """A data set on the device; several trials share it."""

    train: Images
    validation: Images
    classes: int
    scale: float
    mean: tuple[float, ...]  # of each channel of the training split, in units of 0..1
    std: tuple[float, ...]
    names: tuple[str, ...] = ()  # of the classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        height, width, channels = self.train.pixels.shape[1:]
        return channels, height, width


def to_device(dataset: Dataset, device: torch.device) -> Data:
    """Put a data set onto the device, once for all trials of a process."""
    mean, std = augment.statistics(dataset.train.stored, dataset.scale, dataset.train.rows)
    train, validation = (put(split, device) for split in (dataset.train, dataset.validation))
    return Data(train, validation, len(dataset.classes), dataset.scale, mean, std, dataset.classes)


def put(split: Split, device: torch.device) -> Images:
    """Put one split onto the device: a CPU reads the stored images in place."""
    with warnings.catch_warnings():  # torch warns of a read-only array, for fear of writers
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        stored = torch.from_numpy(np.ascontiguousarray(split.stored.transpose(0, 2, 3, 1)))
    labels = torch.from_numpy(split.labels)
    images = Images(stored, labels, None if split.rows is None else torch.from_numpy(split.rows))
    return images if device.type == "cpu" else _copied(images, device)


def _copied(images: Images, device: torch.device) -> Images:
    """The split's own images on another device, without a second copy of all on the host."""
    count = len(images.labels)
    pixels = torch.empty((count, *images.pixels.shape[1:]), dtype=torch.uint8, device=device)
    parts = (torch.split(one, COPIED_AT_ONCE) for one in (pixels, torch.arange(count)))
    for target, index in zip(*parts, strict=True):
        target.copy_(images.take(index)[0].permute(0, 2, 3, 1))
    return Images(pixels, images.labels.to(device))
