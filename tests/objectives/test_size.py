"""objectives/size.py: how large a network is, and how long it takes for an image."""

import pytest
import torch
from optuna.trial import FixedTrial
from torch.utils.flop_counter import FlopCounterMode

from objectives import cnn, feed, knobs, model, size


def built(network, shape=(3, 32, 32), **values):
    """A model of that network on blank images."""
    channels, height, width = shape
    pixels = torch.zeros(4, height, width, channels, dtype=torch.uint8)
    images = feed.Images(pixels, torch.tensor([0, 1, 0, 1]))
    data = feed.Data(images, images, 2, 255.0, (0.5,) * channels, (0.2,) * channels, ("a", "b"))
    settings = {"dataset": "digits", "network": network, "precision": "float32", "batch_size": 2}
    config = knobs.configure({**settings, **values}, {})
    return model.Model(config, data, torch.device("cpu"))


@pytest.mark.soak
@pytest.mark.parametrize(
    "network", ["keras_cnn", "resnet9", "torchvision:mobilenet_v3_small", "torchvision:vit_b_32"]
)
def test_multiply_adds_are_those_of_torchs_own_counter(network):
    """Half of its operations: a multiplication and an addition are two there."""
    trained = built(network)
    trained.network.eval()
    pixels = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        trained.logits(pixels)
    torch.backends.mha.set_fastpath_enabled(fast)
    assert size.multiply_adds(trained, (3, 32, 32)) == counted.get_total_flops() // 2


def test_a_network_is_measured_and_left_as_it_was():
    """By hand: 8x8 pixels, two convolutions and two dense layers."""
    trained = built("digits_cnn", (1, 8, 8))
    trained.network.train()
    before = {name: one.clone() for name, one in trained.network.state_dict().items()}
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    found = size.of(trained)
    assert torch.equal(torch.rand(2), expected)
    assert trained.network.training
    assert all(torch.equal(one, before[n]) for n, one in trained.network.state_dict().items())
    assert found["parameters"] == sum(p.numel() for p in trained.network.parameters())
    convolved = 64 * 9 * 32 + 64 * 9 * 32 * 64
    assert found["multiply_adds"] == convolved + 1024 * 128 + 128 * 2
    assert 0 < found["ms_256"] < 1000
    assert 0 < found["ms_1"] < 1000
    assert size.of(trained) == found


def test_a_trial_keeps_the_size_of_its_network():
    """At its end, beside its score."""
    trial = FixedTrial({})
    settings = {"dataset": "digits", "network": "digits_cnn", "epochs": 1, "batch_size": 64}
    cnn.objective(trial, device="cpu", threads=1, **settings)
    kept = trial.user_attrs["size"]
    assert kept.keys() == {"parameters", "multiply_adds", "ms_1", "ms_256"}
