"""How large a network is, and how long it takes for an image: what choosing between equals asks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from objectives import device as devices
from objectives.model import Model

BATCHES = (1, 256)  # images at a time that are timed
ENOUGH_S, MOST = 0.1, 10  # of repeating a batch; the shortest counts, as others disturb
_known: dict[tuple[Any, ...], dict[str, float]] = {}  # of this process: trials differ in little


def of(trained: Model) -> dict[str, float]:
    """`parameters`; `multiply_adds` of an image; `ms_1` and `ms_256`, milliseconds an image in
    batches of 1 and 256, pixels on the device; without what memory does not suffice for.

    Measured once a process for each network, image size and precision.
    """
    config, shape = trained.config, trained.data.shape
    about = (config.network, config.weights, config.freeze, config.precision, shape)
    key = (*about, trained.data.classes, str(trained.device), torch.get_num_threads())
    if key not in _known:
        _known[key] = _measured(trained, shape)
    return dict(_known[key])


def _measured(trained: Model, shape: tuple[int, int, int]) -> dict[str, float]:
    with _evaluating(trained.network):
        found: dict[str, float] = {
            "parameters": sum(one.numel() for one in trained.network.parameters()),
            "multiply_adds": multiply_adds(trained, shape),
        }
        for batch in BATCHES:
            try:
                found[f"ms_{batch}"] = float(f"{_milliseconds(trained, shape, batch):.3g}")
            except (RuntimeError, MemoryError) as error:
                if not devices.is_out_of_memory(error):
                    raise
    return found


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _blank(trained: Model, shape: tuple[int, int, int], batch: int) -> Tensor:
    pixels = torch.zeros((batch, *shape), dtype=torch.uint8, device=trained.device)
    return pixels.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def _milliseconds(trained: Model, shape: tuple[int, int, int], batch: int) -> float:
    """An image, as part of a batch; the first batch, which sets things up, is not timed."""
    pixels, took, began = _blank(trained, shape, batch), [], time.perf_counter()
    for _ in range(1 + MOST):
        start = time.perf_counter()
        trained.logits(pixels)
        if trained.device.type == "cuda":
            torch.cuda.synchronize(trained.device)
        took.append(time.perf_counter() - start)
        if len(took) > 1 and time.perf_counter() - began > ENOUGH_S:
            break
    return min(took[1:]) * 1e3 / batch


# Multiply-adds ----------------------------------------------------------------------------------


@torch.no_grad()
def multiply_adds(trained: Model, shape: tuple[int, int, int]) -> int:
    """Of one image: those of convolutions, matrix products and attention, as torch's own counter
    has them (torch.utils.flop_counter, half of its FLOPs), which takes seconds to import."""
    pixels, is_fast = _blank(trained, shape, 1), torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operation, whose inside cannot be seen
    try:
        with _Counting() as counting:
            trained.logits(pixels)
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fast)
    total: int = counting.total
    return total


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the multiply-adds of what runs within."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        for known, count in COUNTED.items():
            if name == known or (known.endswith("_") and name.startswith(known)):
                self.total += count(args, out)
        return out


def _product(first: int, second: int) -> Any:
    return lambda args, out: args[first].numel() * args[second].shape[-1]


COUNTED: Mapping[str, Any] = {
    "convolution": lambda args, out: out.numel() * args[1][0].numel(),
    "mm": _product(0, 1),
    "bmm": _product(0, 1),
    "addmm": _product(1, 2),
    "baddbmm": _product(1, 2),
    "_scaled_dot_product_": lambda args, out: 2 * args[0].numel() * args[1].shape[-2],
}
