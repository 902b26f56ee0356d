"""Decoded images brought to another size."""

from __future__ import annotations

import numpy as np

from objectives import store


def scaled(images: np.ndarray, size: int) -> np.ndarray:
    """Square images, uint8 [N, C, H, H], scaled to size x size, bilinear with antialiasing, as PIL
    does."""
    out = np.empty((*images.shape[:2], size, size), np.uint8)
    scale_into(out, images)
    return out


def scale_into(out: np.ndarray, images: np.ndarray) -> None:
    """Fill uint8 [N, C, size, size] with square images scaled to it."""
    import torch
    from torch.nn import functional as F

    for i in range(0, len(images), 1024):
        batch = torch.from_numpy(images[i : i + 1024].astype(np.float32, order="C"))
        smaller = F.interpolate(batch, out.shape[2:], mode="bilinear", antialias=True)
        out[i : i + 1024] = smaller.round().clamp(0, 255).numpy()


def resized(dataset: str, plain: store.Stored, size: int, data_dir: str | None) -> store.Arrays:
    """The decoded square images of a data set, scaled to size x size."""
    meta, shape = plain.meta, (size, size, plain.meta.shape[0])
    whole = store.blank(dataset, meta.n_train + meta.n_test, shape, data_dir).transpose(0, 3, 1, 2)
    images = {"train": whole[: meta.n_train], "test": whole[meta.n_train :]}
    for part, out in images.items():
        scale_into(out, plain.images(part))
    return store.Arrays(
        images["train"],
        plain.labels("train"),
        images["test"],
        plain.labels("test"),
        tuple(meta.classes),
        n_validation=meta.n_validation,
        groups=plain.groups,
    )
