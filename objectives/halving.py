"""Half-precision copies of a network's weights, made once a step by one kernel.

Autocast casts each weight by itself, and each gradient back: two small kernels a weight, whose
latency is what a step of a small batch consists of on a GPU. The numbers are the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

CAST = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # what autocast computes in half precision


class Halved:
    """Copies of what learns in layers of CAST, on its device; the network keeps its own weights."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        self._places: list[tuple[nn.Module, str, nn.Parameter]] = []
        self._copies: dict[nn.Parameter, Tensor] = {}  # one for a weight that two layers share
        for module in network.modules():
            if type(module) not in CAST:  # a class of one's own may do otherwise with its weight
                continue
            for name, weight in module.named_parameters(recurse=False):
                if weight.requires_grad and weight.dtype == torch.float32:
                    self._places.append((module, name, weight))
                    if weight not in self._copies:
                        copy = torch.empty_like(weight, dtype=dtype)
                        self._copies[weight] = copy.requires_grad_()

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the network computes with copies of the weights as they are now."""
        if self._copies:
            with torch.no_grad():
                torch._foreach_copy_([*self._copies.values()], [*self._copies])
        try:
            for module, name, weight in self._places:
                module._parameters[name] = self._copies[weight]  # type: ignore[assignment]
            yield
        finally:
            for module, name, weight in self._places:
                module._parameters[name] = weight

    def collect(self) -> None:
        """After the backward pass: the gradients of the copies become those of the weights."""
        weights, gradients = [], []
        for weight, copy in self._copies.items():
            if copy.grad is not None:
                weight.grad = torch.empty_like(weight)
                weights.append(weight.grad)
                gradients.append(copy.grad)
                copy.grad = None
        if weights:
            torch._foreach_copy_(weights, gradients)
