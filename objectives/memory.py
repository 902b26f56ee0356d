"""How many bytes a training run takes, by arithmetic, before it takes them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from objectives.feed import evaluated

PEAK = 1.5  # memory at the peak of backward, in units of what forward saves
CUDA_CONTEXT = 600 * 2**20  # bytes that a process takes on a GPU before it holds any tensor
GRAPHED = 2  # a graph has a pool of its own, beside what the steps that warmed up have left
# Of each weight: itself, its gradient, the best epoch's, a copy in half precision and its gradient,
# and what an optimizer without a kernel of its own has at hand while it steps.
COPIES = 5

Shape = tuple[int, int, int]  # channels, height, width


def of_worker(built: Sequence[nn.Module], shape: Shape, images: int, batch: int, kept: int) -> int:
    """About what one worker takes on a GPU at most: its context, the images that lie there, and the
    largest of its networks in training and in evaluation.

    images: 0 where they are streamed, a batch at a time. batch: the largest. kept: numbers that the
    optimizer, and an average, keep for each weight.
    """
    channels, height, width = shape
    at_once = evaluated(torch.device("cuda"), shape)
    each = channels * height * width
    lying = images * each if images else (batch + at_once) * each
    runs = [
        training_bytes(network, shape, batch, kept) + evaluation_bytes(network, shape, at_once)
        for network in built
    ]
    return int(CUDA_CONTEXT + lying + max(runs, default=0))


def training_bytes(network: nn.Module, shape: Shape, batch: int, kept: int) -> int:
    """COPIES of the weights and as many more as are `kept`; what a batch saves for backward, in
    float32, twice as the step is recorded in a graph."""
    network = copy.deepcopy(network).train()
    weights = 4 * sum(one.numel() for one in network.parameters())
    each = bytes_per_image(lambda count: network(torch.zeros(count, *shape)))
    return int((COPIES + kept) * weights + GRAPHED * batch * each * PEAK)


def evaluation_bytes(network: nn.Module, shape: Shape, batch: int) -> int:
    """What a batch takes at the widest layer, in float32: what goes in, what comes out, and as much
    again for what a branch keeps waiting."""
    network, widest = copy.deepcopy(network).eval(), 0

    def note(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        nonlocal widest
        tensors = [one for one in (*inputs, output) if isinstance(one, Tensor)]
        widest = max(widest, sum(one.numel() * 4 for one in tensors))

    for module in network.modules():
        if not [*module.children()]:
            module.register_forward_hook(note)
    with torch.inference_mode():
        network(torch.zeros(1, *shape))
    return 2 * batch * widest


def bytes_per_image(forward: Callable[[int], Tensor]) -> float:
    """What a training forward pass saves for backward, from two batches whose difference cancels
    the rest. forward: number of images -> logits."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    saved = []
    for count in (2, 4):
        sizes.clear()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            kept = forward(count)
            saved.append(sum(sizes.values()))
        del kept
    return (saved[1] - saved[0]) / 2
