"""Rules of the memory that a training run takes, reckoned beforehand."""

import pytest
import torch

from objectives import feed, memory, networks

SHAPE = (3, 32, 32)
WEIGHTS = 4 * 1_250_858  # bytes of keras_cnn
CONVOLUTIONS = 4 * (32 * 32 * 32 + 30 * 30 * 32 + 15 * 15 * 64 + 13 * 13 * 64)  # bytes an image


@pytest.fixture(scope="module")
def network():
    return networks.build("keras_cnn", classes=10, shape=SHAPE)


def test_training_is_told_from_its_parts(network):
    """Weights five times, and the activations of a batch, twice: close to a real count."""
    small, large = (memory.training_bytes(network, SHAPE, batch) for batch in (32, 512))
    fixed = 5 * WEIGHTS
    assert 2 * 32 * CONVOLUTIONS < small - fixed < 2 * 32 * CONVOLUTIONS * 6
    assert large - small == pytest.approx((small - fixed) / 32 * 480, rel=0.01)


def test_evaluation_counts_what_the_widest_layer_reads_and_writes(network):
    """The ReLU after the first convolution: 32 channels in, 32 out."""
    assert memory.evaluation_bytes(network, SHAPE, 100) == 2 * 100 * 4 * 2 * 32 * 32 * 32


def test_a_worker_takes_its_context_the_images_and_its_largest_network(network):
    """Of images that are streamed, a batch for training and one for evaluation."""
    small = networks.build("simple_cnn", classes=10, shape=SHAPE)
    at_once = feed.evaluated(torch.device("cuda"), SHAPE)
    runs = memory.training_bytes(network, SHAPE, 32)
    runs += memory.evaluation_bytes(network, SHAPE, at_once)
    resident = memory.of_worker([small, network], SHAPE, 50_000, 32)
    streamed = memory.of_worker([small, network], SHAPE, 0, 32)
    assert resident == memory.CUDA_CONTEXT + 50_000 * 3072 + runs
    assert streamed == memory.CUDA_CONTEXT + (32 + at_once) * 3072 + runs


def test_a_network_is_left_as_it_was(network):
    """Its mode, its statistics, and no hook in it."""
    before = {name: one.clone() for name, one in network.state_dict().items()}
    network.train()
    memory.training_bytes(network, SHAPE, 8)
    memory.evaluation_bytes(network, SHAPE, 8)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())
