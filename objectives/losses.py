"""Losses by name, from logits and class numbers: the mean over a batch, or one an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from objectives.mixing import Targets

if TYPE_CHECKING:
    from objectives.config import TrainConfig

LossFunction = Callable[[Tensor, Tensor, "TrainConfig", str], Tensor]


@dataclass(frozen=True)
class Loss:
    """One row: logits float32 [B, classes], labels int64 [B], and "mean" or "none" -> float32 [],
    or [B]; the knobs it reads."""

    function: LossFunction
    reads: tuple[str, ...] = ()


def _cross_entropy(logits: Tensor, labels: Tensor, config: TrainConfig, over: str) -> Tensor:
    """torch's cross_entropy, with label smoothing if wanted."""
    return F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing, reduction=over)


def _mse(logits: Tensor, labels: Tensor, config: TrainConfig, over: str) -> Tensor:
    """Keras' `mse` on softmax outputs: the mean over classes and images."""
    target = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    each = F.mse_loss(logits.softmax(dim=1), target, reduction=over)
    return each if over == "mean" else each.mean(1)


def _multi_margin(logits: Tensor, labels: Tensor, config: TrainConfig, over: str) -> Tensor:
    """The multi-class hinge: mean over classes of max(0, margin - own logit + other logit)."""
    return F.multi_margin_loss(logits, labels, margin=config.margin, reduction=over)


def _focal(logits: Tensor, labels: Tensor, config: TrainConfig, over: str) -> Tensor:
    """Cross entropy times (1 - p) ** focal_gamma, p of the right class (1708.02002): easy images
    count less."""
    log_p = logits.log_softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)
    missing = (-log_p.expm1()).clamp(min=1e-7)  # at 0 a power below 1 has no finite gradient
    each = -(missing**config.focal_gamma) * log_p
    return each.mean() if over == "mean" else each


def _bce(logits: Tensor, labels: Tensor, config: TrainConfig, over: str) -> Tensor:
    """Binary cross entropy of each class against the rest (2110.00476, timm's): the mean over
    classes and images."""
    classes, smoothing = logits.shape[1], config.label_smoothing
    target = F.one_hot(labels, classes).to(logits.dtype) * (1 - smoothing) + smoothing / classes
    each = F.binary_cross_entropy_with_logits(logits, target, reduction=over)
    return each if over == "mean" else each.mean(1)


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(_cross_entropy, ("label_smoothing",)),
    "mse": Loss(_mse),
    "multi_margin": Loss(_multi_margin, ("margin",)),
    "focal": Loss(_focal, ("focal_gamma",)),
    "bce": Loss(_bce, ("label_smoothing",)),
}


def loss(
    logits: Tensor, labels: Tensor, config: TrainConfig, weights: Tensor | None = None
) -> Tensor:
    """The loss of `config`, computed in float32 whatever the network ran in.

    weights: float32 [classes], with which each image's loss is multiplied before the mean over the
    images (Keras' class_weight; torch's divides by the weights of the batch instead).
    """
    function = LOSSES[config.loss].function
    if weights is None:
        return function(logits.float(), labels, config, "mean")
    each = function(logits.float(), labels, config, "none")
    return (each * weights.index_select(0, labels)).mean()


def of_targets(
    logits: Tensor, targets: Targets, config: TrainConfig, weights: Tensor | None = None
) -> Tensor:
    """The loss of a batch that may be mixed: that of either label by its share, as in the code of
    1710.09412.

    Under cross_entropy and bce this is the loss of the soft target, under mse that and a constant;
    multi_margin and focal have no other for two labels.
    """
    own = loss(logits, targets.labels, config, weights)
    if targets.others is None or targets.share is None:
        return own
    return torch.lerp(loss(logits, targets.others, config, weights), own, targets.share)
