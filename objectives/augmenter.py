"""All augmentation of a configuration, in its order, on the device.

First what moves an image (flip, vertical_flip, crop, rotate), then auto_augment and color_jitter,
then what hides a part of it (cutout, erase), last one's own transform.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from objectives import augment, borrowed, pixels
from objectives.policies import Policy

if TYPE_CHECKING:
    from objectives.config import TrainConfig

Shape = tuple[int, int, int]  # channels, height, width
Own = Callable[[Tensor], object]
KNOBS = ("flip", "vertical_flip", "crop", "rotate", "color_jitter", "cutout", "erase")
ERASED = (0.02, 0.33)  # of an image's area, as in 1708.04896 and torchvision
ASPECT = (0.3, 3.3)  # of the rectangle's sides


class Augmenter:
    """Called with a batch, uint8 [B, C, H, W], and the generator of its device; None: its own.

    shape, scale: of the images; a pixel of `scale` is the brightest. Raises ValueError where the
    configuration does not suit them.
    """

    def __init__(
        self, config: TrainConfig, shape: Shape, scale: float, device: torch.device
    ) -> None:
        augment.check(crop=config.crop, cutout=config.cutout, shape=shape)
        self.config, self.stretch = config, 255 / scale
        self.policy: Policy | None = None
        if config.auto_augment != "none":
            values = {"num_ops": config.num_ops, "magnitude": config.magnitude}
            self.policy = Policy(config.auto_augment, shape, device, **values)

    @functools.cached_property
    def own(self) -> Callable[[Tensor], Tensor] | None:
        """The function of `transform`, looked up when it is needed: scoring does without."""
        return own_transform(self.config.transform) if self.config.transform else None

    @property
    def changes(self) -> bool:
        """Whether images look otherwise in each epoch."""
        asked = any(getattr(self.config, name) for name in KNOBS)
        return asked or self.policy is not None or bool(self.config.transform)

    def __call__(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        config = self.config
        images = augment.augment(images, generator, flip=config.flip, crop=config.crop)
        if config.vertical_flip:
            images = _flipped(images, generator)
        images = self._recoloured(images, generator)
        images = augment.augment(images, generator, cutout=config.cutout)
        if config.erase:
            images = _erased(images, generator, config.erase)
        return images if self.own is None else self.own(images)

    def _recoloured(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """rotate, auto_augment and color_jitter, which know pixels of 0..255."""
        config = self.config
        if not (config.rotate or config.color_jitter or self.policy):
            return images
        if self.stretch != 1:
            images = (images * self.stretch).round_().to(torch.uint8)
        if config.rotate:
            degrees = _uniform(images, generator, -config.rotate, config.rotate)
            images = pixels.rotate(images, degrees)
        if self.policy is not None:
            images = self.policy(images, generator)
        if config.color_jitter:
            low, high = max(0.0, 1 - config.color_jitter), 1 + config.color_jitter
            for operation in (pixels.brightness, pixels.contrast, pixels.color):
                images = operation(images, _uniform(images, generator, low, high))
        if self.stretch != 1:
            images = (images / self.stretch).round_().to(torch.uint8)
        return images


def own_transform(reference: str) -> Callable[[Tensor], Tensor]:
    """The function of ./file.py:name, which is given an image after the other, uint8 [C, H, W]; one
    whose first argument is called `images` the batch, [B, C, H, W]. It returns as many of the kind.

    Raises ValueError where there is no such function.
    """
    found = borrowed.user_function(reference, "transform", "train_transform")
    is_for_batches, function = "images" in borrowed.wanted(found), cast(Own, found)

    def transform(images: Tensor) -> Tensor:
        if is_for_batches:
            return _like(images, function(images), reference)
        return torch.stack([_like(image, function(image), reference) for image in images])

    return transform


def _like(given: Tensor, changed: object, reference: str) -> Tensor:
    """What was returned, if it is of the kind that was given."""
    if isinstance(changed, Tensor) and (changed.shape, changed.dtype) == (given.shape, given.dtype):
        return changed
    got = (
        f"{str(changed.dtype).removeprefix('torch.')} {[*changed.shape]}"
        if isinstance(changed, Tensor)
        else type(changed).__name__
    )
    raise ValueError(
        f"transform {reference}: it must return uint8 {[*given.shape]}, as it is given, got {got}; "
        "pixels are scaled afterwards (settings.normalize)"
    )


def _uniform(images: Tensor, generator: torch.Generator | None, low: float, high: float) -> Tensor:
    """A number for each image, float32 [B]."""
    drawn = torch.rand(len(images), generator=generator, device=images.device)
    return low + (high - low) * drawn


def _flipped(images: Tensor, generator: torch.Generator | None) -> Tensor:
    """Half of the images upside down."""
    chosen = _uniform(images, generator, 0, 1) < 0.5
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(2), images)


def _erased(images: Tensor, generator: torch.Generator | None, part: float) -> Tensor:
    """A black rectangle in that part of the images (1708.04896), inside the border.

    Where one of the drawn shape is longer than the image it is cut off; torchvision draws again.
    """
    height, width = images.shape[-2:]
    chosen = _uniform(images, generator, 0, 1) < part
    area = _uniform(images, generator, *ERASED) * (height * width)
    aspect = _uniform(images, generator, math.log(ASPECT[0]), math.log(ASPECT[1])).exp()
    inside = []
    for size, side in ((height, (area * aspect).sqrt()), (width, (area / aspect).sqrt())):
        length = side.round().clamp(1, size)
        start = (_uniform(images, generator, 0, 1) * (size - length + 1)).floor()
        at = torch.arange(size, device=images.device) - start[:, None]
        inside.append((at >= 0) & (at < length[:, None]))
    hole = inside[0][:, :, None] & inside[1][:, None, :] & chosen[:, None, None]
    return images.masked_fill(hole.unsqueeze(1), 0)
