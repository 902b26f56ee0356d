"""Augmentation of a whole batch on its device, each image with a draw of its own.

No host synchronisation and no shape that depends on data, so a CUDA graph can hold all of it
(register the generator with the graph). Drawing and applying are apart, so a test can replay draws.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Draws(NamedTuple):
    """What was drawn for a batch: tensors [B] on its device; None where an augmentation is off."""

    flip: Tensor | None  # bool: mirror left to right
    shift: tuple[Tensor, Tensor] | None  # int64 rows, columns, each -crop..crop
    centre: tuple[Tensor, Tensor] | None  # int64 row, column of the cut-out square


def augment(
    images: Tensor,
    generator: torch.Generator | None,
    *,
    flip: bool = False,
    crop: int = 0,
    cutout: int = 0,
    fill: Tensor | None = None,
) -> Tensor:
    """Mirror (p 0.5), shift by up to `crop` pixels, cut out a square of `cutout` pixels.

    images: uint8 [B, C, H, W], returned likewise, contiguous where anything is augmented.
    fill: uint8 [C, 1, 1] put into the square; None is black. (The paper's is the training mean.)
    """
    draws = draw(images, generator, flip=flip, crop=crop, cutout=cutout)
    return apply(images, draws, cutout=cutout, fill=fill)


def draw(
    images: Tensor, generator: torch.Generator | None, *, flip: bool, crop: int, cutout: int
) -> Draws:
    """Draw for every image of a batch. The generator lives on the images' device; None: its own."""
    batch, _, height, width = images.shape

    def integers(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (batch,), generator=generator, device=images.device)

    return Draws(
        flip=integers(0, 2).bool() if flip else None,
        shift=(integers(-crop, crop + 1), integers(-crop, crop + 1)) if crop else None,
        centre=(integers(0, height), integers(0, width)) if cutout else None,
    )


def apply(images: Tensor, draws: Draws, *, cutout: int = 0, fill: Tensor | None = None) -> Tensor:
    """Apply draws: the image is mirrored, then shifted with its border reflected, then cut.

    The square is centred on its draw and clipped by the border (arXiv 1708.04552);
    of an even square the larger half lies above and left. Reflection follows cifar10-fast.
    """
    if draws.flip is not None or draws.shift is not None:
        images = _move(images, draws)
    if draws.centre is not None:
        images = _cut(images, draws.centre, cutout, fill)
    return images


def _move(images: Tensor, draws: Draws) -> Tensor:
    """Flip and shift in one gather: where in the old image each new pixel comes from."""
    batch, channels, height, width = images.shape
    rows = torch.arange(height, device=images.device).expand(batch, height)
    columns = torch.arange(width, device=images.device).expand(batch, width)
    if draws.shift is not None:
        rows = _reflect(rows + draws.shift[0][:, None], height)
        columns = _reflect(columns + draws.shift[1][:, None], width)
    if draws.flip is not None:
        columns = torch.where(draws.flip[:, None], width - 1 - columns, columns)
    source = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, height * width)
    pixels = images.reshape(batch, channels, height * width)
    moved = pixels.gather(2, source.expand(batch, channels, height * width))
    return moved.view(batch, channels, height, width)


def _reflect(index: Tensor, size: int) -> Tensor:
    """Mirror indices that left 0..size-1 at the outermost pixel (its own value is not repeated)."""
    return (size - 1) - ((size - 1) - index.abs()).abs()


def _cut(images: Tensor, centre: tuple[Tensor, Tensor], cutout: int, fill: Tensor | None) -> Tensor:
    height, width = images.shape[-2:]
    inside = [
        _inside(size, middle, cutout) for size, middle in zip((height, width), centre, strict=True)
    ]
    square = (inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1)
    if fill is None:
        return images.masked_fill(square, 0)
    return torch.where(square, fill, images)


def _inside(size: int, middle: Tensor, cutout: int) -> Tensor:
    """Bool [B, size]: which lines of one axis the square covers."""
    offset = torch.arange(size, device=middle.device) - middle[:, None] + cutout // 2
    return (offset >= 0) & (offset < cutout)


def check(*, crop: int, cutout: int, shape: tuple[int, int, int]) -> None:
    """Raise ValueError where an augmentation does not suit images of shape (C, H, W)."""
    _, height, width = shape
    side = min(height, width)
    if not 0 <= crop < side:
        raise ValueError(f"0 <= crop < {side} must hold for {height}x{width} images, got {crop}")
    if not 0 <= cutout <= side:
        raise ValueError(
            f"0 <= cutout <= {side} must hold for {height}x{width} images, got {cutout}"
        )


def statistics(
    images: np.ndarray, scale: float, rows: np.ndarray | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of uint8 [N, C, H, W], in units of 0..1.

    rows: int64, which images count; None is all. Exact: taken from the histogram of the 256 values.
    """
    rows = np.arange(len(images)) if rows is None else rows
    counts = np.zeros((images.shape[1], 256), np.int64)
    size = max(2**18 // math.prod(images.shape[2:]), 1)  # a chunk that fits in the cache
    for start in range(0, len(rows), size):
        chunk = images[rows[start : start + size]]
        for channel in range(len(counts)):
            counts[channel] += np.bincount(chunk[:, channel].reshape(-1), minlength=256)
    values = np.arange(256) / scale
    means, deviations = [], []
    for one in counts:
        mean = float(np.average(values, weights=one))
        means.append(mean)
        deviations.append(float(np.sqrt(np.average((values - mean) ** 2, weights=one))))
    return tuple(means), tuple(deviations)


class Scaling(NamedTuple):
    """A pixel becomes pixel * factor + offset; float32 [C, 1, 1] each, offset None for nothing."""

    factor: Tensor
    offset: Tensor | None


def scaling(
    scale: float,
    device: torch.device,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> Scaling:
    """Division by `scale` and, where mean and std are given, normalisation, as one affine map."""
    if mean is None or std is None:
        return Scaling(torch.full((1, 1, 1), 1.0 / scale, device=device), None)
    # A constant channel (say a blank alpha) has no deviation: centre it and leave its size.
    spread = torch.tensor([one if one > 0 else 1.0 for one in std], dtype=torch.float64)
    offset = -torch.tensor(mean, dtype=torch.float64) / spread
    maps = (1.0 / (spread * scale), offset)
    factor, shift = (one.view(-1, 1, 1).to(device, torch.float32) for one in maps)
    return Scaling(factor, shift)


def scale(
    images: Tensor,
    scaling: Scaling,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """uint8 [B, C, H, W] to floating point, scaled in float32, then rounded to dtype once."""
    if images.is_cuda:
        return _scaled_at_once(images, scaling, dtype, memory_format)
    pixels = images.to(torch.float32, memory_format=memory_format)
    if scaling.offset is None:
        return pixels.mul_(scaling.factor).to(dtype)
    return torch.addcmul(scaling.offset, pixels, scaling.factor).to(dtype)


def _scaled_at_once(
    images: Tensor, scaling: Scaling, dtype: torch.dtype, memory_format: torch.memory_format
) -> Tensor:
    """The same in one operator: one kernel of a GPU converts, scales and rounds each pixel. A CPU
    would take up to thirty times as long as for three."""
    scaled = torch.empty_like(images, dtype=dtype, memory_format=memory_format)
    if scaling.offset is None:
        return torch.mul(images, scaling.factor, out=scaled)
    return torch.addcmul(scaling.offset, images, scaling.factor, out=scaled)
