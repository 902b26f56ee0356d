"""Losses by name, from logits and class numbers: the mean over a batch, or one an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

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


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(_cross_entropy, ("label_smoothing",)),
    "mse": Loss(_mse),
    "multi_margin": Loss(_multi_margin, ("margin",)),
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
