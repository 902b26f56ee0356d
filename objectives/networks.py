"""Networks by name: one row and one function each, torchvision's and the user's own besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from objectives import borrowed

Shape = tuple[int, int, int]  # channels, height, width of one image
INITS = ("keras", "torch")
FREEZES = ("none", "backbone")


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out


class Dropout(nn.Dropout):
    """torch's dropout, with a faster draw on the CPU: a random byte an element, not a random float.

    p is rounded to 1/256 there (0.25 and 0.5 are exact). A tenth off keras_cnn's training step.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        dropped = round(self.p * 256)
        words = torch.empty((input.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.uint8)[: input.numel()].as_strided(input.size(), input.stride())
        return input * (draws >= dropped).to(input.dtype).mul_(256 / (256 - dropped))


class Scale(nn.Module):
    """Multiply by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def _conv(inputs: int, outputs: int, padding: int = 1, pool: int = 1) -> list[nn.Module]:
    """Convolution 3x3, ReLU and max-pooling; padding 1 is Keras' "same", 0 its "valid"."""
    # the pool before the ReLU: the same values and gradients for a quarter of the ReLU's work
    pools = [nn.MaxPool2d(pool)] if pool > 1 else []
    return [nn.Conv2d(inputs, outputs, 3, padding=padding), *pools, nn.ReLU(inplace=True)]


def _keras_norm(channels: int, flat: bool = False) -> nn.Module:
    """Keras' batch norm: its momentum 0.99 is torch's 0.01."""
    kind = nn.BatchNorm1d if flat else nn.BatchNorm2d
    return kind(channels, eps=1e-3, momentum=0.01)


def keras_cnn(channels: int) -> list[nn.Module]:
    """The network of Keras' CIFAR-10 example: 1,250,858 parameters at 3x32x32 and 10 classes."""
    return [
        *_conv(channels, 32), *_conv(32, 32, 0, pool=2), Dropout(0.25),
        *_conv(32, 64), *_conv(64, 64, 0, pool=2), Dropout(0.25),
    ]  # fmt: skip


def deep_cnn(channels: int) -> list[nn.Module]:
    """Six wide convolutions. ReLU, dropout and the dense widths 1024 and 512 are chosen here.

    Its source shows none of them; dropout is that of its sibling keras_cnn.
    """
    return [
        *_conv(channels, 128), *_conv(128, 128, 0),
        *_conv(128, 256), *_conv(256, 256, 0, pool=2), Dropout(0.25),
        *_conv(256, 512), *_conv(512, 512, 0, pool=2), Dropout(0.25),
    ]  # fmt: skip


def mnist_cnn(channels: int) -> list[nn.Module]:
    """Two "valid" convolutions with batch norm before and after every pool."""
    return [
        *_conv(channels, 32, 0), _keras_norm(32), nn.MaxPool2d(2), _keras_norm(32),
        *_conv(32, 64, 0), _keras_norm(64), nn.MaxPool2d(2), _keras_norm(64),
    ]  # fmt: skip


def simple_cnn(channels: int) -> list[nn.Module]:
    """Two convolutions, each with a pool, and two dense layers; the widths 32, 64, 128 are ours."""
    return [*_conv(channels, 32, pool=2), *_conv(32, 64, pool=2)]


def digits_cnn(channels: int) -> list[nn.Module]:
    """Two convolutions and one pool, for images as small as 8x8."""
    return [*_conv(channels, 32), *_conv(32, 64, pool=2), Dropout(0.25)]


def resnet9(channels: int) -> list[nn.Module]:
    """David Page's ResNet-9 (DAWNBench, cifar10-fast), 6.6 million parameters.

    Pooling down to one pixel makes it fit any input of 8x8 and more.
    """

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    return [
        *block(channels, 64),
        *block(64, 128), nn.MaxPool2d(2), Residual(*block(128, 128), *block(128, 128)),
        *block(128, 256), nn.MaxPool2d(2),
        *block(256, 512), nn.MaxPool2d(2), Residual(*block(512, 512), *block(512, 512)),
        nn.AdaptiveMaxPool2d(1),
    ]  # fmt: skip


def _dense(*widths: int, dropout: float = 0.0) -> Callable[[int, int], list[nn.Module]]:
    """A head of dense layers with ReLU; dropout follows the last hidden one."""

    def head(inputs: int, classes: int) -> list[nn.Module]:
        hidden = [
            layer
            for one, other in pairwise((inputs, *widths))
            for layer in (nn.Linear(one, other), nn.ReLU(inplace=True))
        ]
        last = [Dropout(dropout)] if dropout else []
        return [*hidden, *last, nn.Linear(widths[-1], classes)]

    return head


def _mnist_head(inputs: int, classes: int) -> list[nn.Module]:
    hidden = [nn.Linear(inputs, 256), nn.ReLU(inplace=True), _keras_norm(256, flat=True)]
    return [*hidden, nn.Linear(256, classes)]


def _resnet9_head(inputs: int, classes: int) -> list[nn.Module]:
    return [nn.Linear(inputs, classes, bias=False), Scale(0.125)]


@dataclass(frozen=True)
class Network:
    """One network of our own: convolutions by input channels, a head by flat width and classes."""

    features: Callable[[int], list[nn.Module]]
    head: Callable[[int, int], list[nn.Module]]


NETWORKS = {
    "keras_cnn": Network(keras_cnn, _dense(512, dropout=0.5)),
    "deep_cnn": Network(deep_cnn, _dense(1024, 512, dropout=0.5)),
    "mnist_cnn": Network(mnist_cnn, _mnist_head),
    "simple_cnn": Network(simple_cnn, _dense(128)),
    "digits_cnn": Network(digits_cnn, _dense(128, dropout=0.5)),
    "resnet9": Network(resnet9, _resnet9_head),
}


def build(
    network: str,
    *,
    classes: int,
    shape: Shape,
    init: str = "keras",
    weights: str = "none",
    freeze: str = "none",
) -> nn.Module:
    """Build a network for images of `shape` with `classes` outputs (logits), on the CPU.

    network: a row of NETWORKS, torchvision:NAME or ./file.py:function.
    init: keras (Glorot uniform, zero bias) or torch; of torchvision's networks only the new head is
    theirs to set. weights: none, FILE (a state dict; no pickled code), default (torchvision's own).
    freeze: backbone trains a torchvision network's new head only.
    Draws from torch's global generator: seed it before. Raises ValueError (OSError for a download).
    """
    check(network, init=init, weights=weights, freeze=freeze)
    if network.startswith("torchvision:"):
        transfer = borrowed.torchvision_network(network, classes, shape, weights, freeze)
        _initialise(transfer.head, init)
        return transfer
    if network in NETWORKS:
        model: nn.Module = _own(network, classes, shape, init)
    else:
        model = borrowed.user_network(network, classes=classes, shape=shape, init=init)
    if weights != "none":
        borrowed.load_weights(model, network, weights)
    return model


def check(
    network: str,
    *,
    shape: Shape | None = None,
    init: str = "keras",
    weights: str = "none",
    freeze: str = "none",
) -> None:
    """Raise ValueError for a name, choice or input size that cannot work; downloads nothing.

    Imports torchvision for a torchvision:NAME, and the user's file for ./file.py:function.
    """
    if network.startswith("torchvision:"):
        borrowed.check_torchvision(network)
    elif ":" in network:
        borrowed.user_function(network)
    elif network not in NETWORKS:
        raise ValueError(
            f"unknown network {network!r}; one of: {', '.join(NETWORKS)}, torchvision:NAME or "
            f"./file.py:build{borrowed.hint(network, NETWORKS)}"
        )
    _check_choices(network, init, weights, freeze)
    if shape is not None and network in NETWORKS:
        _sides(network, NETWORKS[network].features(shape[0]), shape)


def _check_choices(network: str, init: str, weights: str, freeze: str) -> None:
    for name, value, known in (("init", init, INITS), ("freeze", freeze, FREEZES)):
        if value not in known:
            raise ValueError(f"unknown {name} {value!r}; one of: {', '.join(known)}")
    if network.startswith("torchvision:"):
        return
    if freeze != "none":
        raise ValueError(f"freeze: {freeze} needs a torchvision network, got network: {network}")
    if weights == "default":
        raise ValueError(f"weights: default needs a torchvision network, got network: {network}")


def reads(network: str) -> frozenset[str]:
    """Which of init, weights and freeze a network reads."""
    if network.startswith("torchvision:"):
        return frozenset({"init", "weights", "freeze"})
    if ":" in network and "init" not in borrowed.wanted(borrowed.user_function(network)):
        return frozenset({"weights"})
    return frozenset({"init", "weights"})


def _own(network: str, classes: int, shape: Shape, init: str) -> nn.Sequential:
    row = NETWORKS[network]
    features = row.features(shape[0])
    channels, height, width = _sides(network, features, shape)
    head = row.head(channels * height * width, classes)
    model = nn.Sequential(*features, nn.Flatten(), *head)
    _initialise(model, init)
    return model


def _initialise(model: nn.Module, init: str) -> None:
    """Keras' Glorot uniform weights and zero biases; torch's are there already."""
    if init == "torch":
        return
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _sides(network: str, features: list[nn.Module], shape: Shape) -> Shape:
    """The shape that the convolutions leave. Raises ValueError, with the arithmetic, at nothing."""
    channels, *sides = shape
    (height, down), (width, across) = (_side(features, side) for side in sides)
    if min(height, width) < 1:
        least = next(side for side in range(1, 512) if _side(features, side)[0] >= 1)
        raise ValueError(
            f"{network}: images of {sides[0]}x{sides[1]} are too small "
            f"({down if height < 1 else across}); set settings.image_size to {least} or more"
        )
    for layer in features:
        channels = getattr(layer, "out_channels", channels)
    return channels, height, width


def _side(features: list[nn.Module], side: int) -> tuple[int, str]:
    """Follow one side of the image through the layers; also in words, "8 > 8 conv > 4 pool"."""
    steps = [str(side)]
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            side = side + 2 * int(layer.padding[0]) - 2
            steps.append(f"{side} conv")
        elif isinstance(layer, nn.MaxPool2d):
            side //= 2
            steps.append(f"{side} pool")
        elif isinstance(layer, nn.AdaptiveMaxPool2d):
            return min(side, 1), " > ".join(steps)
        if side < 1:
            break
    return side, " > ".join(steps)
