"""The check that a graph trains as eager steps do must be able to fail; tried here on a CPU."""

import pytest
import torch

from objectives import feed
from tests.benchmarks import gpu

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data():
    return feed.to_device(gpu.dataset(640), CPU)


def run(data):
    return gpu.training("simple_cnn", 32, CPU, data, "float32")


@pytest.mark.soak
def test_equal_runs_agree(data, monkeypatch):
    monkeypatch.setattr(gpu, "STEPS", 20)
    assert " agree over 20 steps: " in gpu.compared(run(data), run(data))


@pytest.mark.soak
@pytest.mark.parametrize("frozen", [1, 2])
def test_an_optimizer_that_stands_still_is_caught(data, monkeypatch, frozen):
    """In the graph alone, as where it is captured on another device; or in both."""
    monkeypatch.setattr(gpu, "STEPS", 20)
    runs = [run(data), run(data)]
    for one in runs[:frozen]:
        one._optimize = lambda: None
    assert " DISAGREE " in gpu.compared(*runs)
