"""Training in float16: small gradients would be lost in it, so the loss is multiplied first.

The factor, its growth and the skipped steps are those of torch.amp.GradScaler (its constants are
NVIDIA's, 1710.03740), but all of it stays on the device, so that a CUDA graph can hold a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn, optim

FIRST = 2.0**16  # the factor to begin with
GROWTH, BACKOFF = 2.0, 0.5  # after INTERVAL good steps, after one that was not finite
INTERVAL = 2000


class LossScale:
    """The factor of one optimizer's losses, on its device.

    A step whose gradients are not all finite is no step: weights and optimizer stay as they are.
    Fused optimizers of torch see to that by themselves on the device; for any other the host asks,
    and waits for the answer (`waits`).
    """

    def __init__(self, optimizer: optim.Optimizer, device: torch.device) -> None:
        self.optimizer = optimizer
        self.factor = torch.tensor(FIRST, device=device)
        self.good = torch.zeros((), dtype=torch.int32, device=device)  # steps since it changed
        self.found = torch.zeros((), device=device)  # 1.0: some gradient is not finite
        self.waits = not skips(optimizer)
        if not self.waits:
            optimizer.found_inf = self.found  # type: ignore[attr-defined]
            _begin_momentum(optimizer)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss whose gradients are multiplied by the factor."""
        return loss * self.factor

    def unscale(self, parameters: Sequence[nn.Parameter]) -> None:
        """Divide the gradients by the factor, see whether all are finite, and choose the next."""
        gradients = [one.grad for one in parameters if one.grad is not None]
        self.found.zero_()
        inverse = self.factor.double().reciprocal().float()
        torch._amp_foreach_non_finite_check_and_unscale_(gradients, self.found, inverse)
        torch._amp_update_scale_(self.factor, self.good, self.found, GROWTH, BACKOFF, INTERVAL)

    def step(self, optimize: Callable[[], object]) -> None:
        """Call `optimize`, if the gradients are finite."""
        if not self.waits or not self.found.item():
            optimize()

    def state_dict(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        return {"factor": self.factor, "good": self.good}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from `state_dict()`, in place: a graph reads these tensors."""
        self.factor.copy_(state["factor"])
        self.good.copy_(state["good"])


def skips(optimizer: optim.Optimizer) -> bool:
    """Whether it leaves out a step by itself where `found_inf` says so."""
    return all(group.get("fused") for group in optimizer.param_groups)


def _begin_momentum(optimizer: optim.Optimizer) -> None:
    """Make SGD's buffers of zeros, as its first step would take them for.

    Its fused kernel makes them without values, and where that first step is left out, they stay
    so.
    """
    if not isinstance(optimizer, optim.SGD):
        return
    for group in optimizer.param_groups:
        if group["momentum"]:
            for one in group["params"]:
                optimizer.state[one]["momentum_buffer"] = torch.zeros_like(one)
