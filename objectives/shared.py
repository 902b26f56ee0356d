"""What the trials of a process share: the data of a configuration, once on the device."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import torch

from objectives import datasets, feed, knobs
from objectives import device as devices
from objectives.config import DATA_KNOBS, TrainConfig
from objectives.streaming import Streamed

DataKey = tuple[Any, ...]


def configured(
    settings: dict[str, Any], params: dict[str, Any], place: torch.device
) -> TrainConfig:
    """The configuration, with the precision that the device computes in."""
    config = knobs.configure(settings, params)
    return dataclasses.replace(config, precision=devices.precision(config.precision, place))


def data(config: TrainConfig, place: torch.device, *, together: bool = False) -> feed.Data:
    """Training and validation images on the device; all of them to train with, if `together`."""
    values = (getattr(config, name) for name in DATA_KNOBS)
    key = tuple(tuple(v.items()) if isinstance(v, dict) else v for v in values)
    return _data(key, place, together)


@lru_cache(maxsize=1)
def _data(key: DataKey, place: torch.device, together: bool) -> feed.Data:
    knobs = dict(zip(DATA_KNOBS, key, strict=True))
    return feed.to_device(datasets.load(**knobs, together=together), place)


def test_images(config: TrainConfig, place: torch.device) -> feed.Images | Streamed:
    """The test images on the device: of confirmed models alone."""
    split = datasets.load_test(
        config.dataset,
        data_dir=config.data_dir,
        image_size=config.image_size,
        resize=config.resize,
        skip_broken=config.skip_broken,
        columns=config.columns,
    )
    shape, free = split.stored.shape, devices.available_bytes(place)
    is_large = feed.too_large(shape[0], shape[1:], free)
    return (feed.put_streamed if is_large else feed.put)(split, place)
