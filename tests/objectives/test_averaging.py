"""Averaged weights: the formula, their place in the network, and what is scored and kept."""

import copy

import pytest
import torch
from torch import nn

from objectives.averaging import Averages


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def stepped(net):
    """Other weights and other statistics."""
    with torch.no_grad():
        for one in net.parameters():
            one.add_(torch.randn_like(one))
    net(torch.randn(5, 3))


def test_averages_follow_the_formula():
    """kept = m kept + (1 - m) weight, m the decay or (1 + n) / (10 + n) if that is less; of the
    statistics of batch norm, too, but not of a count."""
    net = network()
    wanted = {name: one.clone() for name, one in net.state_dict().items()}
    averages = Averages(net, 0.5)
    for n in range(1, 16):
        stepped(net)
        averages.update()
        memory = min(0.5, (1 + n) / (10 + n))
        for name, one in net.state_dict().items():
            if one.is_floating_point():
                wanted[name] = memory * wanted[name] + (1 - memory) * one
    averages.to_scoring()
    held = net.state_dict()
    assert int(held["1.num_batches_tracked"]) == 15
    for name in held.keys() - {"1.num_batches_tracked"}:
        torch.testing.assert_close(held[name], wanted[name])


def test_weights_change_places_and_come_back_bitwise():
    """Each way once, however often it is asked for."""
    net = network()
    averages = Averages(net, 0.9)
    stepped(net)
    averages.update()
    trained = copy.deepcopy(net.state_dict())
    for _ in range(2):
        averages.to_scoring()
    assert not torch.equal(net[0].weight, trained["0.weight"])
    for _ in range(2):
        averages.to_training()
    assert all(torch.equal(one, trained[name]) for name, one in net.state_dict().items())


@pytest.mark.parametrize("is_scoring", [True, False])
def test_a_state_goes_on_bitwise(is_scoring):
    """Whichever weights the network held when it was saved."""
    net = network()
    averages = Averages(net, 0.9)
    stepped(net)
    averages.update()
    if is_scoring:
        averages.to_scoring()
    other = network()
    again = Averages(other, 0.9)
    other.load_state_dict(net.state_dict())
    again.load_state_dict(copy.deepcopy(averages.state_dict()))
    for one, kept in ((net, averages), (other, again)):
        kept.to_training()
        torch.manual_seed(1)
        stepped(one)
        kept.update()
        kept.to_scoring()
    for name, one in net.state_dict().items():
        assert torch.equal(one, other.state_dict()[name])


def test_what_does_not_learn_is_not_averaged():
    """A frozen backbone would only cost memory."""
    net = network()
    net[0].requires_grad_(False)
    assert not any(name.startswith("0.") for name in Averages(net, 0.9).kept)
