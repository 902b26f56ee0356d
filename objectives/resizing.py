"""Decoded images brought to another size, as a whole set."""

from __future__ import annotations

import numpy as np

from objectives import store


def resized(dataset: str, plain: store.Stored, size: int) -> store.Arrays:
    """Scale decoded square images to size x size, bilinear with antialiasing, as PIL does."""
    import torch
    from torch.nn import functional as F

    shape = (plain.meta.shape[0], size, size)
    store.check_fits(dataset, plain.meta.n_train + plain.meta.n_test, shape)

    def resize(images: np.ndarray) -> np.ndarray:
        out = np.empty((len(images), *shape), np.uint8)
        for i in range(0, len(images), 1024):
            batch = torch.from_numpy(images[i : i + 1024].astype(np.float32, order="C"))
            scaled = F.interpolate(batch, (size, size), mode="bilinear", antialias=True)
            out[i : i + 1024] = scaled.round().clamp(0, 255).numpy()
        return out

    images = [resize(plain.images(part)) for part in ("train", "test")]
    labels = [plain.labels(part) for part in ("train", "test")]
    classes = tuple(plain.meta.classes)
    given = plain.meta.n_validation
    return store.Arrays(images[0], labels[0], images[1], labels[1], classes, n_validation=given)
