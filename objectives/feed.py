"""A data set on the device: uint8 pixels that several trials share, and batches of them.

On a CPU they stay in the memory map that all processes share, and a batch is what is copied. What
is too large for the device's memory stays there, too, and is read ahead: `streaming.py`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from objectives import augment
from objectives import device as devices
from objectives.streaming import SHARE, Streamed

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

    def plan(self, batches: Sequence[Tensor]) -> None:
        """Of an epoch, the batches. All are at hand: there is nothing to do."""

    def advance(self) -> None:
        """Before each of them. Nothing to do."""

    def planned(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The batch of the plan whose turn it is: that of its index."""
        return self.take(index)

    def slices(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, in batches of a size."""
        for index in torch.split(torch.arange(len(self.labels), device=self.labels.device), size):
            yield self.take(index)


class Data(NamedTuple):
    """A data set on the device; several trials share it."""

    train: Images | Streamed
    validation: Images | Streamed
    classes: int
    scale: float
    mean: tuple[float, ...]  # of each channel of the training split, in units of 0..1
    std: tuple[float, ...]
    names: tuple[str, ...] = ()  # of the classes
    streamed: str = ""  # why it is read from the map while training, where it is

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        height, width, channels = self.train.pixels.shape[1:]
        return channels, height, width


def to_device(dataset: Dataset, device: torch.device) -> Data:
    """Put a data set onto the device, once for all trials of a process; stream what is too large.

    The network sees the same images in the same order either way.
    """
    mean, std = augment.statistics(dataset.train.stored, dataset.scale, dataset.train.rows)
    shape = dataset.train.stored.shape[1:]
    count = len(dataset.train.labels) + len(dataset.validation.labels)
    why = too_large(count, shape, devices.available_bytes(device))
    place = put_streamed if why else put
    train, validation = (place(split, device) for split in (dataset.train, dataset.validation))
    names = dataset.classes
    return Data(train, validation, len(names), dataset.scale, mean, std, names, why)


def too_large(count: int, shape: Sequence[int], free: int) -> str:
    """Why so many uint8 images of a shape are streamed, with the arithmetic; "" where they fit.

    free: bytes that the device has.
    """
    needed = count * math.prod(shape)
    if needed <= free * SHARE:
        return ""
    return (
        f"{count:,} images of {' x '.join(map(str, shape))} bytes are {needed / 1e9:.1f} GB, more "
        f"than {SHARE:.0%} of the {free / 1e9:.1f} GB free: read from disk while training"
    )


def put(split: Split, device: torch.device) -> Images:
    """Put one split onto the device: a CPU reads the stored images in place."""
    images = _mapped(split)
    return images if device.type == "cpu" else _copied(images, device)


def put_streamed(split: Split, device: torch.device) -> Streamed:
    """Leave one split where it is, to be read a batch ahead."""
    return Streamed(_mapped(split), device)


def _mapped(split: Split) -> Images:
    with warnings.catch_warnings():  # torch warns of a read-only array, for fear of writers
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        stored = torch.from_numpy(np.ascontiguousarray(split.stored.transpose(0, 2, 3, 1)))
    labels = torch.from_numpy(split.labels)
    return Images(stored, labels, None if split.rows is None else torch.from_numpy(split.rows))


def _copied(images: Images, device: torch.device) -> Images:
    """The split's own images on another device, without a second copy of all on the host."""
    count = len(images.labels)
    pixels = torch.empty((count, *images.pixels.shape[1:]), dtype=torch.uint8, device=device)
    parts = (torch.split(one, COPIED_AT_ONCE) for one in (pixels, torch.arange(count)))
    for target, index in zip(*parts, strict=True):
        target.copy_(images.take(index)[0].permute(0, 2, 3, 1))
    return Images(pixels, images.labels.to(device))
