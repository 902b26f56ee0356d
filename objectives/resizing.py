"""Decoded images brought to another size."""

from __future__ import annotations

import numpy as np

from objectives import store


def scaled(images: np.ndarray, size: int) -> np.ndarray:
    """Square images, uint8 [N, C, H, H], scaled to size x size, bilinear with antialiasing, as PIL
    does."""
    import torch
    from torch.nn import functional as F

    out = np.empty((*images.shape[:2], size, size), np.uint8)
    for i in range(0, len(images), 1024):
        batch = torch.from_numpy(images[i : i + 1024].astype(np.float32, order="C"))
        smaller = F.interpolate(batch, (size, size), mode="bilinear", antialias=True)
        out[i : i + 1024] = smaller.round().clamp(0, 255).numpy()
    return out


def resized(dataset: str, plain: store.Stored, size: int) -> store.Arrays:
    """The decoded square images of a data set, scaled to size x size."""
    shape = (plain.meta.shape[0], size, size)
    store.check_fits(dataset, plain.meta.n_train + plain.meta.n_test, shape)
    images = [scaled(plain.images(part), size) for part in ("train", "test")]
    labels = [plain.labels(part) for part in ("train", "test")]
    classes = tuple(plain.meta.classes)
    given = plain.meta.n_validation
    return store.Arrays(images[0], labels[0], images[1], labels[1], classes, n_validation=given)
