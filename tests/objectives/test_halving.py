"""Weights cast together: the numbers of autocast, in fewer kernels. On a CPU, in bfloat16."""

import contextlib

import pytest
import torch
from torch import nn

from objectives import networks
from objectives.halving import Halved
from tests.objectives.counted import Counted

SHAPE, BATCH = (3, 32, 32), 4


def gradients(network, halved, inputs):
    """Of one step under autocast, and the loss; halved: a Halved of the network, or None."""
    torch.manual_seed(0)
    for one in network.parameters():
        one.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        if halved:
            with halved.in_place():
                logits = network(inputs)
        else:
            logits = network(inputs)
    loss = logits.float().square().mean()
    loss.backward()
    if halved:
        halved.collect()
    return loss.detach(), [one.grad for one in network.parameters()]


def alike(network, inputs):
    """The same bits, twice over, with weights that change between the steps."""
    halved = Halved(network, torch.bfloat16)
    before = {name: one.clone() for name, one in network.state_dict().items()}
    for _ in range(2):
        wanted = gradients(network, None, inputs)
        network.load_state_dict(before)  # its statistics
        got = gradients(network, halved, inputs)
        assert torch.equal(got[0], wanted[0])
        for mine, theirs in zip(got[1], wanted[1], strict=True):
            assert (mine is None) == (theirs is None)
            assert mine is None or (mine.dtype == torch.float32 and torch.equal(mine, theirs))
        with torch.no_grad():
            for one in network.parameters():
                one.mul_(1.01)
        before = {name: one.clone() for name, one in network.state_dict().items()}
    return halved


def images(count=BATCH, shape=SHAPE):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))


LARGE = ("deep_cnn", "resnet9", "keras_cnn")  # half a minute each, on few cores


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.soak] if name in LARGE else [])
        for name in networks.NETWORKS
    ],
)
def test_a_step_of_each_network_is_that_of_autocast_bitwise(name):
    """Losses and gradients; batch norm stays in float32."""
    shape = (1, 28, 28) if name == "mnist_cnn" else SHAPE
    torch.manual_seed(0)
    alike(networks.build(name, classes=10, shape=shape).train(), images(shape=shape))


def test_weights_that_are_shared_frozen_or_unused_are_as_under_autocast():
    """And those of a layer of one's own, which may look at its weight."""

    class Own(nn.Linear):
        def forward(self, x):
            return super().forward(x) * self.weight.norm()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.own = nn.Linear(8, 8), nn.Linear(8, 8), Own(8, 8)
            self.frozen, self.unused = nn.Linear(8, 8).requires_grad_(False), nn.Linear(8, 8)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.own(self.frozen(self.second(self.first(x).relu()).relu()))

    torch.manual_seed(0)
    halved = alike(Net(), torch.rand(4, 8))
    assert len(halved._places) == 6  # first, second, unused
    assert len(halved._copies) == 5


def test_the_network_keeps_its_own_weights():
    """Also where a step fails: what is saved, averaged and optimized is in float32."""
    network = networks.build("simple_cnn", classes=10, shape=SHAPE)
    mine = dict(network.named_parameters())
    halved = Halved(network, torch.bfloat16)
    with contextlib.suppress(ValueError), halved.in_place():
        assert {one.dtype for one in network.parameters()} == {torch.bfloat16}
        raise ValueError
    assert all(one is mine[name] for name, one in network.named_parameters())


def test_casts_are_two_a_step():
    """All weights by one operator, all gradients by another: what is left are the activations'."""
    network = networks.build("keras_cnn", classes=10, shape=SHAPE)
    halved, inputs = Halved(network, torch.bfloat16), images().bfloat16()
    calls = []
    for copies in (None, halved):
        with Counted() as counted:
            gradients(network, copies, inputs)
        calls.append(counted.calls)
    many, few = (one["_to_copy"] for one in calls)
    weights = len([*network.parameters()])
    assert many - few == 2 * weights
    assert calls[1]["_foreach_copy_"] == 2
