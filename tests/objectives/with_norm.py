"""A network with batch norm that trains in no time, `network: .../with_norm.py:build`, and a
transform that draws by all three generators."""

import random

import numpy as np
import torch
from torch import Tensor, nn


def transform(image: Tensor) -> Tensor:
    """Of one image, uint8 [C, H, W]."""
    if random.random() < 0.5:
        image = image.flip(-1)
    if np.random.random() < 0.5:
        image = image.flip(-2)
    return image.roll(int(torch.randint(0, 3, ())), -1)


def build(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """One convolution with batch norm, one dense layer."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128, classes),
    )
