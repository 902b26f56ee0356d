"""Images brought to a square of another size: cut, framed or distorted where they are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from objectives import store

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Way:
    """How a picture of another shape becomes a square, and the same of arrays."""

    about: str  # as a step of model.json
    by: str  # what of PIL does the same to a picture
    picture: Callable[[Image, tuple[int, int]], Image]
    source: Callable[[int, int], tuple[int, int]]  # height and width -> of the middle that is kept
    target: Callable[[int, int, int], tuple[int, int]]  # and side -> of the middle that is filled


def _crop(image: Image, size: tuple[int, int]) -> Image:
    """The shorter side becomes the square's; what is beyond it on the longer one is cut off."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image, size, Image.Resampling.BILINEAR)


def _pad(image: Image, size: tuple[int, int]) -> Image:
    """The longer side becomes the square's; what the shorter one lacks is black."""
    from PIL import Image

    width, height = size
    high, wide = _longest(image.height, image.width, width)
    square = Image.new(image.mode, size)
    inner = image.resize((wide, high), Image.Resampling.BILINEAR)
    square.paste(inner, (round((width - wide) / 2), round((height - high) / 2)))
    return square


def _squash(image: Image, size: tuple[int, int]) -> Image:
    """Both sides become the square's."""
    from PIL import Image

    return image.resize(size, Image.Resampling.BILINEAR)


def _longest(height: int, width: int, side: int) -> tuple[int, int]:
    longer = max(height, width)
    return max(round(side * height / longer), 1), max(round(side * width / longer), 1)


WAYS = {
    "crop": Way(
        "keep the middle square and scale it to",
        "PIL.ImageOps.fit",
        _crop,
        lambda height, width: (min(height, width),) * 2,
        lambda height, width, side: (side, side),
    ),
    "pad": Way(
        "put it in the middle of black, scaled to fit into",
        "PIL.ImageOps.pad",
        _pad,
        lambda height, width: (height, width),
        _longest,
    ),
    "squash": Way(
        "scale both sides to",
        "PIL.Image.resize",
        _squash,
        lambda height, width: (height, width),
        lambda height, width, side: (side, side),
    ),
}


def scaled(images: np.ndarray, size: int, way: str) -> np.ndarray:
    """Images, uint8 [N, C, H, W], brought to size x size, bilinear with antialiasing, as PIL
    does."""
    out = np.empty((*images.shape[:2], size, size), np.uint8)
    scale_into(out, images, way)
    return out


def scale_into(out: np.ndarray, images: np.ndarray, way: str) -> None:
    """Fill uint8 [N, C, size, size] with images brought to it."""
    import torch
    from torch.nn import functional as F

    height, width = images.shape[2:]
    images = _middle(images, *WAYS[way].source(height, width))
    inner = _middle(out, *WAYS[way].target(height, width, out.shape[2]))
    if inner.shape != out.shape:
        out[:] = 0
    for i in range(0, len(images), 1024):
        batch = torch.from_numpy(images[i : i + 1024].astype(np.float32, order="C"))
        smaller = F.interpolate(batch, inner.shape[2:], mode="bilinear", antialias=True)
        inner[i : i + 1024] = smaller.round().clamp(0, 255).numpy()


def _middle(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """A view of the middle of [N, C, H, W]."""
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]


def resized(
    dataset: str, plain: store.Stored, size: int, way: str, data_dir: str | None
) -> store.Arrays:
    """The decoded images of a data set, brought to size x size."""
    meta, shape = plain.meta, (size, size, plain.meta.shape[0])
    whole = store.blank(dataset, meta.n_train + meta.n_test, shape, data_dir).transpose(0, 3, 1, 2)
    images = {"train": whole[: meta.n_train], "test": whole[meta.n_train :]}
    for part, out in images.items():
        scale_into(out, plain.images(part), way)
    return store.Arrays(
        images["train"],
        plain.labels("train"),
        images["test"],
        plain.labels("test"),
        tuple(meta.classes),
        n_validation=meta.n_validation,
        groups=plain.groups,
    )
