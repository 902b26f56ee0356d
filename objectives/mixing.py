"""Mixup and cutmix: each image of a batch together with another one, in shares drawn per batch.

No host synchronisation, so a CUDA graph can hold it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Targets(NamedTuple):
    """What a batch shows: labels int64 [B]; where it is mixed the other image's labels as well,
    int64 [B], and the share of the first, float32 []."""

    labels: Tensor
    others: Tensor | None = None
    share: Tensor | None = None

    @property
    def main(self) -> Tensor:
        """The label with the larger share, int64 [B]: what counts as the right answer."""
        if self.others is None or self.share is None:
            return self.labels
        return torch.where(self.share >= 0.5, self.labels, self.others)


def mix(
    inputs: Tensor,
    labels: Tensor,
    generator: torch.Generator | None,
    *,
    mixup: float,
    cutmix: float,
) -> tuple[Tensor, Targets]:
    """Each image with the one before it: blended (mixup, 1710.09412), or with a rectangle of it
    (cutmix, 1905.04899). With both, each batch is one or the other, by the toss of a coin, as in
    timm.

    inputs: floating point [B, C, H, W]. mixup, cutmix: alpha of Beta(alpha, alpha), from which the
    share is drawn; 0 is off. The rectangle is clipped by the border, and its share counted.
    """
    if mixup and cutmix:
        is_cut = torch.rand((), generator=generator, device=inputs.device) < 0.5
        cut, blend = _rectangle(inputs, cutmix, generator), _beta(mixup, inputs.device)
        kept = torch.where(is_cut, cut, blend)
    elif cutmix:
        kept = _rectangle(inputs, cutmix, generator)
    else:
        kept = _beta(mixup, inputs.device).view(1, 1)
    mixed = torch.lerp(inputs.roll(1, 0), inputs, kept.to(inputs.dtype))
    return mixed, Targets(labels, labels.roll(1, 0), kept.mean())


def _beta(alpha: float, device: torch.device) -> Tensor:
    """A draw of Beta(alpha, alpha), from the device's own generator."""
    parameter = torch.full((), alpha, device=device)
    draw: Tensor = torch.distributions.Beta(parameter, parameter, validate_args=False).sample()
    return draw


def _rectangle(inputs: Tensor, alpha: float, generator: torch.Generator | None) -> Tensor:
    """Float32 [H, W]: 1 where the image stays, 0 in a rectangle of its own shape.

    Its middle lies anywhere in the image; its area is what was drawn before the border clips it.
    """
    half = 0.5 * (1 - _beta(alpha, inputs.device)).sqrt()
    inside = []
    for size in inputs.shape[-2:]:
        middle = torch.randint(0, size, (), generator=generator, device=inputs.device)
        distance, reach = torch.arange(size, device=inputs.device) - middle, (half * size).floor()
        inside.append((distance >= -reach) & (distance < reach))
    return 1.0 - (inside[0][:, None] & inside[1][None, :]).float()
