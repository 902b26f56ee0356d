"""Losses by name: each a mean over the images of a batch, from logits and class numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from objectives.config import TrainConfig

LossFunction = Callable[[Tensor, Tensor, "TrainConfig"], Tensor]


@dataclass(frozen=True)
class Loss:
    """One row: logits float32 [B, classes], labels int64 [B] -> scalar; the knobs it reads."""

    function: LossFunction
    reads: tuple[str, ...] = ()


def _cross_entropy(logits: Tensor, labels: Tensor, config: TrainConfig) -> Tensor:
    """torch's cross_entropy, with label smoothing if wanted."""
    return F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)


def _mse(logits: Tensor, labels: Tensor, config: TrainConfig) -> Tensor:
    """Keras' `mse` on softmax outputs: the mean over classes and images."""
    target = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return F.mse_loss(logits.softmax(dim=1), target)


def _multi_margin(logits: Tensor, labels: Tensor, config: TrainConfig) -> Tensor:
    """The multi-class hinge: mean over classes of max(0, margin - own logit + other logit)."""
    return F.multi_margin_loss(logits, labels, margin=config.margin)


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(_cross_entropy, ("label_smoothing",)),
    "mse": Loss(_mse),
    "multi_margin": Loss(_multi_margin, ("margin",)),
}


def loss(logits: Tensor, labels: Tensor, config: TrainConfig) -> Tensor:
    """The loss of `config`, computed in float32 whatever the network ran in."""
    return LOSSES[config.loss].function(logits.float(), labels, config)
