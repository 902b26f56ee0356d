"""Muon for matrices and AdamW for the rest, as one optimizer at one rate.

torch's own takes matrices only, not the filters of a convolution, and iterates in bfloat16 on any
device, which a CPU that does not multiply it does 25 times more slowly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, optim

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Keller Jordan's, as in torch
ITERATIONS = 5
AS_LARGE_AS_ADAMW = 0.2  # times the root of the longer side: its usual size (2502.16982)


class Muon(optim.Optimizer):
    """Groups with `use_muon` step along their orthogonal momentum, each filter a row; the others by
    AdamW. Both shrink their weights by lr * weight_decay beforehand.

    params: groups with `use_muon`, and `momentum` and `nesterov`, or `betas` and `eps`.
    """

    def __init__(self, params: list[dict[str, Any]], lr: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0, "step": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients at hand; a parameter without one stays."""
        assert closure is None
        for group in self.param_groups:
            group["step"] += 1
            weights = [one for one in group["params"] if one.grad is not None]
            if weights:
                torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
                (self._along_momentum if group["use_muon"] else self._by_adamw)(group, weights)

    def _along_momentum(self, group: dict[str, Any], weights: list[Tensor]) -> None:
        (momenta,) = self._kept(weights, "momentum_buffer")
        grads = _grads(weights)
        torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
        ahead = torch._foreach_lerp(grads, momenta, group["momentum"])
        for weight, update in zip(weights, ahead if group["nesterov"] else momenta, strict=True):
            matrix = update.flatten(1)
            size = AS_LARGE_AS_ADAMW * math.sqrt(max(matrix.shape))
            step = orthogonal(matrix).to(weight.dtype).view(weight.shape)
            weight.add_(step, alpha=-group["lr"] * size)

    def _by_adamw(self, group: dict[str, Any], weights: list[Tensor]) -> None:
        means, squares = self._kept(weights, "exp_avg", "exp_avg_sq")
        grads, (beta1, beta2) = _grads(weights), group["betas"]
        torch._foreach_lerp_(means, grads, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, 1 - beta2)
        sizes = torch._foreach_sqrt(squares)
        torch._foreach_div_(sizes, math.sqrt(1 - beta2 ** group["step"]))
        torch._foreach_add_(sizes, group["eps"])
        torch._foreach_addcdiv_(weights, means, sizes, -group["lr"] / (1 - beta1 ** group["step"]))

    def _kept(self, weights: list[Tensor], *names: str) -> list[list[Tensor]]:
        """The state of these names, zero at first: a list each."""
        for weight in weights:
            for name in names:
                self.state[weight].setdefault(name, torch.zeros_like(weight))
        return [[self.state[weight][name] for weight in weights] for name in names]


def _grads(weights: list[Tensor]) -> list[Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]


def orthogonal(matrix: Tensor) -> Tensor:
    """About U V' of the matrix U S V', by Newton and Schulz: its singular values become 0.7 to 1.2.

    In float32 on a CPU, elsewhere in bfloat16, as torch does it.
    """
    first, second, third = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x.to(torch.float32 if x.device.type == "cpu" else torch.bfloat16)
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=second, alpha=third), x, beta=first)
    return x.T if is_tall else x
