"""All full-size steps of an epoch from one CUDA graph: one launch a step, no host in between.

The order of the images, the learning rates, the losses and the number of the step live in tensors
on the device; the graph reads and writes them, so replaying it needs no arguments.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, optim

from objectives import device as devices
from objectives import optimizers, stepping
from objectives.config import TrainConfig

WARM_UP = 3  # steps run eagerly first, as torch asks: they are training steps like any other

WAITS = "called a synchronizing CUDA operation"  # torch's own words
UNCAPTURED = "This instance was constructed with capturable"  # and runs outside of a graph
EAGER = "the step waits for the GPU (an `.item()`, or a mask that selects)"

HALVED = "lets the host ask whether gradients in float16 are finite"

Step = Callable[[Tensor], tuple[Tensor, Tensor]]
Ahead = Callable[[], object]


class GraphedSteps:
    """The steps of one phase, of one shape: [steps of an epoch, images of a batch].

    `eager_because` says why steps run one by one instead, where they do (always off CUDA).
    """

    def __init__(self, optimizer: optim.Optimizer, shape: tuple[int, int]) -> None:
        self.optimizer = optimizer
        device = optimizer.param_groups[0]["params"][0].device
        self.order = torch.zeros(shape, dtype=torch.int64, device=device)
        self.rates = torch.zeros(shape[0], device=device)
        self.measured = torch.zeros(2, shape[0], device=device)  # losses, hits
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.eager_because = "" if device.type == "cuda" else f"the device is {device.type}"

    def run(self, step: Step, order: Tensor, rates: Tensor, ahead: Ahead = lambda: None) -> Tensor:
        """Call step(index) for each row of order at its rate; losses and hits, float32 [2, steps].

        order: int64 [steps, batch]. rates: float32 [steps]. ahead: called before each step, outside
        of the graph. The next call overwrites the result.
        """
        self.order.copy_(order)
        self.rates.copy_(rates)
        self.at.zero_()
        steps = len(rates)
        eager = 0 if self.graph else steps if self.eager_because else min(WARM_UP, steps)
        self._run_aside(step, eager, ahead)
        if eager < steps and self.graph is None and not self.eager_because:
            self._capture(step)
        for _ in range(eager, steps):
            ahead()
            if self.graph is None:
                self._body(step)
            else:
                self.graph.replay()
        return self.measured

    def _body(self, step: Step) -> None:
        """One step, all of it on the device, in as few kernels as can be: each is latency."""
        stepping.read_rate(self.optimizer, self.rates, self.at)
        loss, hits = step(self.order.index_select(0, self.at).view(-1))
        self.measured.index_copy_(1, self.at, torch.stack([loss, hits]).view(2, 1))
        self.at += 1

    def _run_aside(self, step: Step, steps: int, ahead: Ahead) -> None:
        """Run eagerly; on CUDA in a stream of its own, since autograd remembers its streams."""
        device = self.at.device
        if device.type != "cuda" or not steps:
            for _ in range(steps):
                ahead()
                self._body(step)
            return
        aside, here = _aside(device), torch.cuda.current_stream(device)
        aside.wait_stream(here)
        with torch.cuda.stream(aside), warnings.catch_warnings():
            warnings.filterwarnings("ignore", UNCAPTURED)  # these steps warm up
            for _ in range(steps - 1):
                ahead()
                self._body(step)
            ahead()
            with _watched() as waits:  # the last: the first ones set things up
                self._body(step)
        if waits and steps == WARM_UP:
            self.eager_because = self.eager_because or EAGER
        here.wait_stream(aside)

    def _capture(self, step: Step) -> None:
        """Record one step; it is not run by that."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=_aside(self.at.device)):
                self._body(step)
        except RuntimeError as error:
            if devices.is_out_of_memory(error):
                raise
            torch.cuda.synchronize(self.at.device)
            self.eager_because = f"the step cannot be captured: {str(error).splitlines()[0]}"
        else:
            self.graph = graph


def hindrance(config: TrainConfig) -> str:
    """Why no graph can hold the steps of a configuration; "" where one can."""
    name, graphed = config.optimizer, optimizers.GRAPHED
    if config.transform:  # a graph would repeat what it drew
        return "transform draws on the host"
    if name not in graphed:
        return f"{name} computes its rate on the host"
    if config.precision == "float16" and "fused" not in graphed[name]:
        return f"{name} {HALVED}"
    return ""


@contextlib.contextmanager
def _watched() -> Iterator[list[str]]:
    """Collects what in here makes the host wait for the device, on CUDA.

    Such a step cannot be captured, and up to torch 2.12 a failed capture leaves the generator of
    random numbers unusable (pytorch #180395): it must not be tried.
    """
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", WAITS)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for one in caught:
        if WAITS in str(one.message):
            found.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


@functools.cache
def _aside(device: torch.device) -> torch.cuda.Stream:
    """The one stream of this process for steps outside its own.

    The allocator gives a block back to the stream it came from only: each further stream would
    hold the activations of a step once more.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
