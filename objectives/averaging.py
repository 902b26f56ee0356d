"""The moving average of a network's weights, which is scored and kept in place of the weights.

All of it stays on the device and has one shape, so a CUDA graph can hold the update.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Averages:
    """Exponential moving averages of what learns, and of batch norm's statistics.

    While training the network holds its own weights and this object the averages; for scoring the
    two change places. Early on, the memory is short, as in TensorFlow: at most (1 + n) / (10 + n)
    after n steps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        learning = {
            name: one.detach() for name, one in network.named_parameters() if one.requires_grad
        }
        statistics = {name: one for name, one in network.named_buffers() if one.is_floating_point()}
        self.live = {**learning, **statistics}
        self.kept = {name: one.clone() for name, one in self.live.items()}
        self.decay = decay
        self.steps = torch.zeros((), device=next(iter(self.live.values())).device)
        self.is_scoring = False

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        memory = ((1 + self.steps) / (10 + self.steps)).clamp(max=self.decay)
        kept = [*self.kept.values()]
        changes = torch._foreach_sub([*self.live.values()], kept)
        torch._foreach_mul_(changes, 1 - memory)
        torch._foreach_add_(kept, changes)

    def to_scoring(self) -> None:
        """Put the averages into the network."""
        if not self.is_scoring:
            self._swap()

    def to_training(self) -> None:
        """Put the weights that are trained into the network."""
        if self.is_scoring:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, live in self.live.items():
            aside = live.clone()
            live.copy_(self.kept[name])
            self.kept[name].copy_(aside)
        self.is_scoring = not self.is_scoring

    def state_dict(self) -> dict[str, Any]:
        """All that going on needs besides the network's own state."""
        return {"kept": self.kept, "steps": self.steps, "is_scoring": self.is_scoring}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`, the network from its state of the same moment."""
        for name, one in self.kept.items():
            one.copy_(state["kept"][name])
        self.steps.copy_(state["steps"])
        self.is_scoring = state["is_scoring"]
