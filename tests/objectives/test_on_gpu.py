"""What only a GPU can show; `make gpu` runs this file by itself, where pytest is at hand."""

import pytest
import torch

from objectives import augment, graph, optimizers, stepping
from objectives.graph import GraphedSteps
from objectives.knobs import configure

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
CONFIG = configure({"dataset": "d", "network": "n", "momentum": 0.9}, {})
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", optimizers.GRAPHED)
def test_a_graph_trains_as_eager_steps_do(name):
    """On a GPU: the same losses within 1e-4, and nothing fell back."""
    device = torch.device("cuda")
    config = configure({"dataset": "d", "network": "n", "optimizer": name}, {})
    losses = []
    for eager in (True, False):
        weight, inputs = (
            torch.nn.Parameter(torch.ones(4, device=device)),
            torch.eye(4, device=device),
        )
        optimizer = optimizers.build([weight], config, 0.1, graphed=True)
        optimize = stepping.stepper(optimizer)

        def step(index, weight=weight, inputs=inputs, optimize=optimize):
            weight.grad = None
            loss = (inputs.index_select(0, index) @ weight).square().mean()
            loss.backward()
            optimize()
            return loss.detach(), (weight.detach() > 0).sum(dtype=torch.float32)

        steps = GraphedSteps(optimizer, (20, 2))
        steps.eager_because = "a test" if eager else ""
        order = torch.arange(40).remainder(4).view(20, 2)
        losses.append(steps.run(step, order, torch.full((20,), 0.1)).clone())
        assert bool(steps.graph) is not eager
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-6)


def test_a_step_that_waits_trains_and_leaves_random_numbers_alone():
    """On a GPU: told, trained step by step, and dropout goes on afterwards."""
    weight = torch.nn.Parameter(torch.ones(4, device="cuda"))
    optimizer = optimizers.build([weight], CONFIG, 0.1, graphed=True)
    optimize = stepping.stepper(optimizer)

    def step(index):
        weight.grad = None
        loss = weight.square().mean()
        loss.item()
        loss.backward()
        optimize()
        return loss.detach(), (weight.detach() > 0).sum(dtype=torch.float32)

    steps = GraphedSteps(optimizer, (20, 2))
    losses = steps.run(step, torch.zeros(20, 2, dtype=torch.int64), torch.full((20,), 0.1))[0]
    assert steps.eager_because == graph.EAGER
    assert losses[-1] < losses[0]
    assert torch.rand(3, device="cuda").isfinite().all()


@pytest.mark.parametrize("mean", [None, (0.4, 0.5, 0.6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_gpu_scales_as_a_cpu_does(mean: tuple[float, ...] | None, dtype: torch.dtype) -> None:
    """But for the rounding of a product that is added to: a GPU does both at once."""
    device = torch.device("cuda")
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    there, here = (augment.scaling(255.0, place, mean, mean) for place in (device, CPU))
    got = augment.scale(pixels.to(device), there, dtype, torch.channels_last).cpu()
    wanted = augment.scale(pixels, here, dtype)
    torch.testing.assert_close(got, wanted, rtol=torch.finfo(dtype).eps, atol=1e-6)
