"""Rules of the memory that a training run takes, reckoned beforehand."""

import pytest
import torch

from objectives import feed, memory, networks, optimizers, prepare
from objectives.knobs import configure

SHAPE = (3, 32, 32)
WEIGHTS = 4 * 1_250_858  # bytes of keras_cnn
CONVOLUTIONS = 4 * (32 * 32 * 32 + 30 * 30 * 32 + 15 * 15 * 64 + 13 * 13 * 64)  # bytes an image


@pytest.fixture(scope="module")
def network():
    return networks.build("keras_cnn", classes=10, shape=SHAPE)


def test_training_is_told_from_its_parts(network):
    """Copies of the weights, and the activations of a batch, twice: close to a real count."""
    small, large = (memory.training_bytes(network, SHAPE, batch, 3) for batch in (32, 512))
    fixed = (memory.COPIES + 3) * WEIGHTS
    assert 2 * 32 * CONVOLUTIONS < small - fixed < 2 * 32 * CONVOLUTIONS * 6
    assert large - small == pytest.approx((small - fixed) / 32 * 480, rel=0.01)


def test_evaluation_counts_what_the_widest_layer_reads_and_writes(network):
    """The ReLU after the first convolution: 32 channels in, 32 out."""
    assert memory.evaluation_bytes(network, SHAPE, 100) == 2 * 100 * 4 * 2 * 32 * 32 * 32


def test_a_worker_takes_its_context_the_images_and_its_largest_network(network):
    """Of images that are streamed, a batch for training and one for evaluation."""
    small = networks.build("simple_cnn", classes=10, shape=SHAPE)
    at_once = feed.evaluated(torch.device("cuda"), SHAPE)
    runs = memory.training_bytes(network, SHAPE, 32, 2)
    runs += memory.evaluation_bytes(network, SHAPE, at_once)
    resident = memory.of_worker([small, network], SHAPE, 50_000, 32, 2)
    streamed = memory.of_worker([small, network], SHAPE, 0, 32, 2)
    assert resident == memory.CUDA_CONTEXT + 50_000 * 3072 + runs
    assert streamed == memory.CUDA_CONTEXT + (32 + at_once) * 3072 + runs


def test_a_network_is_left_as_it_was(network):
    """Its mode, its statistics, and no hook in it."""
    before = {name: one.clone() for name, one in network.state_dict().items()}
    network.train()
    memory.training_bytes(network, SHAPE, 8, 2)
    memory.evaluation_bytes(network, SHAPE, 8)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())


MOST = {"amsgrad": True, "centered": True, "momentum": 0.9}  # the knobs that keep more


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_an_optimizer_keeps_as_much_as_its_row_says(name):
    """Counted after two steps with all knobs on that keep more."""
    read = optimizers.OPTIMIZERS[name].reads
    values = {knob: value for knob, value in MOST.items() if knob in read}
    config = configure({"dataset": "d", "network": "n", "optimizer": name, **values}, {})
    weights = [torch.nn.Parameter(torch.ones(shape)) for shape in ((8, 4, 3, 3), (8,))]
    optimizer = optimizers.build(weights, config, 0.1)
    for _ in range(2):
        for one in weights:
            one.grad = torch.randn_like(one)
        optimizer.step()
    kept = [one for one in optimizer.state[weights[1]].values() if torch.is_tensor(one)]
    count = sum(one.numel() for one in kept if one.ndim) / weights[1].numel()
    assert count == optimizers.OPTIMIZERS[name].moments


def test_what_is_kept_follows_from_the_study():
    """The greediest optimizer that a trial can have, and an average of the weights; a class of
    another library is tried."""
    space = {"optimizer": {"choice": ["sgd", "prodigy", "lion"]}}
    assert prepare._kept({}, space) == 4
    assert prepare._kept({}, space | {"ema_decay": {"float": [0.9, 0.99]}}) == 5
    assert prepare._kept({"optimizer": "lion", "ema_decay": 0.99}, {}) == 2
    assert prepare._kept({}, {}) == optimizers.OPTIMIZERS["sgd"].moments
    named = {"optimizer": "torch.optim:Adam", "optimizer_args": {}}
    assert prepare._kept(named, {}) == 2
    assert prepare._kept(named | {"optimizer": "torch.optim:SGD"}, {}) == 0
