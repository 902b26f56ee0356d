"""The steps of a CUDA graph, run eagerly here: the bookkeeping on the device is the same."""

import contextlib
import warnings
from types import SimpleNamespace

import pytest
import torch

from objectives import graph, optimizers, stepping
from objectives.graph import GraphedSteps
from objectives.knobs import configure
from tests.objectives.counted import Counted

CONFIG = configure({"dataset": "d", "network": "n", "momentum": 0.9}, {})


def problem():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(12, 4, generator=generator)
    weight = torch.nn.Parameter(torch.randn(4, generator=generator))

    def step_with(optimize):
        def step(index):
            weight.grad = None
            outputs = inputs[index] @ weight
            loss = outputs.square().mean()
            loss.backward()
            optimize()
            return loss.detach(), (outputs.detach() > 0).sum(dtype=torch.float32)

        return step

    return weight, step_with


ORDER = torch.arange(12).view(4, 3).flip(0)
RATES = torch.tensor([0.1, 0.05, 0.02, 0.01])


def test_steps_read_order_and_rates_from_the_device():
    """Loss, hits and weights equal those of a plain loop, twice over."""
    weight, step_with = problem()
    optimizer = optimizers.build([weight], CONFIG, 0.1)
    step, wanted = step_with(stepping.stepper(optimizer)), []
    for index, rate in [*zip(ORDER, RATES.tolist(), strict=True)] * 2:
        stepping.set_rate(optimizer, rate)
        wanted.append(step(index))
    other, step_with = problem()
    optimizer = optimizers.build([other], CONFIG, 0.1, graphed=True)
    steps = GraphedSteps(optimizer, (4, 3))
    step = step_with(stepping.stepper(optimizer))
    got = torch.cat([steps.run(step, ORDER, RATES).clone() for _ in range(2)], dim=1)
    torch.testing.assert_close(got, torch.tensor([[float(v) for v in row] for row in wanted]).T)
    torch.testing.assert_close(other, weight)


def test_five_kernels_keep_the_books_of_a_step():
    """Its rate, its images' numbers, what was measured, and on to the next."""
    weight, _ = problem()
    optimizer = optimizers.build([weight], CONFIG, 0.1, graphed=True)
    steps, measured = GraphedSteps(optimizer, (4, 3)), torch.ones(())
    with Counted() as counted:
        steps._body(lambda index: (measured, measured))
    kernels = counted.calls.keys() - {"view", "detach"}
    assert {name: counted.calls[name] for name in kernels} == {
        "index_select": 2,
        "stack": 1,
        "index_copy_": 1,
        "add_": 1,
    }


def test_each_group_of_weights_reads_the_rate():
    """Groups may share one tensor, or have one each."""
    ones = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    shared = torch.tensor(0.1)
    rates = shared, shared, shared.clone()
    groups = [{"params": [one], "lr": lr} for one, lr in zip(ones, rates, strict=True)]
    optimizer = torch.optim.SGD(groups, fused=True)
    stepping.read_rate(optimizer, RATES, torch.tensor([2]))
    assert [float(group["lr"]) for group in optimizer.param_groups] == [float(RATES[2])] * 3
    assert optimizer.param_groups[0]["lr"] is shared


def test_the_rate_is_one_tensor_that_is_written_in_place():
    """A graph would bake a float in."""
    weight, _ = problem()
    optimizer = optimizers.build([weight], CONFIG, 0.1, graphed=True)
    rate = optimizer.param_groups[0]["lr"]
    stepping.set_rate(optimizer, torch.tensor(0.25))
    stepping.set_rate(optimizer, 0.125)
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == 0.125


def test_running_eagerly_is_told():
    """Not silent."""
    weight, _ = problem()
    optimizer = optimizers.build([weight], CONFIG, 0.1, graphed=True)
    assert GraphedSteps(optimizer, (4, 3)).eager_because == "the device is cpu"


@pytest.fixture
def made(monkeypatch):
    """A fake of torch.cuda; the devices of the streams that were made on it."""
    made = []

    class Stream:
        def __init__(self, device):
            made.append(device)

        def wait_stream(self, other):
            pass

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream.__new__(Stream))
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: None)
    graph._aside.cache_clear()
    yield made
    graph._aside.cache_clear()


def on_a_gpu():
    """Steps whose body is the step itself."""
    steps = object.__new__(GraphedSteps)
    steps.at, steps.eager_because = SimpleNamespace(device=torch.device("cuda:0")), ""
    steps._body = lambda step: step()
    return steps


def test_a_step_that_waits_for_the_gpu_is_not_captured(made, recwarn):
    """Up to torch 2.12 a failed capture breaks random numbers for good. What warns else is heard,
    but not that an optimizer made for a graph warms up outside of it."""

    def step():
        warnings.warn(f"{graph.WAITS} (Triggered internally)", stacklevel=1)
        warnings.warn("This instance was constructed with capturable=True", stacklevel=1)
        warnings.warn("the network's own", stacklevel=1)

    steps = on_a_gpu()
    steps._run_aside(step, graph.WARM_UP, lambda: None)
    assert steps.eager_because == graph.EAGER
    assert "capturable" not in " ".join(str(one.message) for one in recwarn)
    assert "the network's own" in {str(one.message) for one in recwarn}


def test_what_the_first_steps_set_up_keeps_no_graph_away(made, recwarn):
    """A library may wait for the GPU once, in the first step."""
    ran = []

    def step():
        if not ran:
            warnings.warn(graph.WAITS, stacklevel=1)
        ran.append(1)

    steps = on_a_gpu()
    steps._run_aside(step, graph.WARM_UP, lambda: None)
    assert steps.eager_because == ""
    assert len(ran) == graph.WARM_UP


def test_eager_steps_share_one_stream(made):
    """Ten epochs, each too short for a graph: with a stream each, memory would grow tenfold."""
    for _ in range(5):
        steps = on_a_gpu()
        ran = []
        for _ in range(2):
            steps._run_aside(lambda ran=ran: ran.append(1), 3, lambda: None)
        assert len(ran) == 6
    assert made == [torch.device("cuda:0")]
