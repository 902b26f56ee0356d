"""What a CUDA graph cannot hold is in no step, for each row of the tables: found without a GPU.

The step runs on tensors of torch's FakeTensorMode that say they lie on a GPU. Whatever would make
the host wait (`.item()`, a mask that selects) has no answer there and raises; whatever lies on the
host within a step would be the same at every replay, and is refused here. Left out, as they cannot
be had: the backward pass, made of torch's own kernels, and kernels without a fake: fused ones and a
Beta distribution's, which torch captures.
"""

import functools
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from objectives import feed, losses, networks, optimizers, scores, stepping, train
from objectives import model as models
from objectives.knobs import configure
from objectives.streaming import Streamed

GPU = torch.device("cuda:0")
BATCH, IMAGES, CLASSES = 8, 16, 10
SETTINGS = {"dataset": "d", "network": "simple_cnn", "batch_size": BATCH, "precision": "bfloat16"}
WAITS = (DataDependentOutputException, DynamicOutputShapeException)


class HostError(Exception):
    """A tensor on the host, within a step."""


class Captured(TorchDispatchMode):
    """Refuses what lies on the host; leaves out what has no fake."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__
        if name.startswith(("_fused_", "_amp_")):
            return None
        if name.startswith("_sample_dirichlet"):
            return torch.empty_like(args[0])
        found = func(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if isinstance(one, torch.Tensor) and one.device != GPU:
                raise HostError(f"{name} makes a tensor on {one.device}")
        return found


def images(count):
    pixels = torch.zeros(count, 32, 32, 3, dtype=torch.uint8, device=GPU)
    return feed.Images(pixels, torch.zeros(count, dtype=torch.int64, device=GPU))


def streamed(count):
    """A split whose batches a thread brings: on the device one buffer, always the same."""
    split = object.__new__(Streamed)
    whole = images(count)
    split.pixels, split.labels, split.device = whole.pixels, whole.labels, GPU
    split._trained = SimpleNamespace(brought=whole.pixels[:BATCH])
    return split


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that is not there, within FakeTensorMode."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(models.Model, "_generator", lambda self: None)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_, **__: self)  # made there already
    monkeypatch.setattr(train.Training, "_choose_scores", all_scores)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode


def all_scores(self):
    self._validated, self._more = (), ()
    self._tally = scores.Tally([*scores.IN_TRAINING], CLASSES, GPU)


def built(monkeypatch, build, *args, **how):
    """An optimizer looks at its first rate, which has a value; by later ones it multiplies."""
    real = torch.tensor
    with monkeypatch.context() as patch:
        patch.setattr(torch, "tensor", lambda value, device: real(value, device="cpu"))
        return build(*args, **how)


def training(monkeypatch, is_streamed=False, **values):
    """A run whose steps would be captured, and nothing but they."""
    split = streamed if is_streamed else images
    names = tuple(map(str, range(CLASSES)))
    data = feed.Data(split(IMAGES), images(IMAGES), CLASSES, 255.0, (0.5,) * 3, (0.2,) * 3, names)
    config = configure({**SETTINGS, **values}, {})
    monkeypatch.setattr(
        optimizers, "build", functools.partial(built, monkeypatch, optimizers.build)
    )
    with torch.device(GPU):
        run = train.Training(config, data, GPU, 0)
    for group in run.optimizer.param_groups:
        group["lr"] = torch.zeros((), device=GPU)
    assert run._wants_graph
    return run


def capture(run, monkeypatch):
    """Two steps: the first may set things up, on the device as well."""

    def backward(loss):
        assert loss.device == GPU
        for one in run.model.parameters:
            one.grad = torch.zeros_like(one)

    monkeypatch.setattr(torch.autograd, "backward", backward)
    run.model.train_mode()
    run._to_training()
    index, rate = torch.zeros(BATCH, dtype=torch.int64, device=GPU), torch.zeros((), device=GPU)
    before = random.getstate(), np.random.get_state()[1].tolist()
    with Captured():
        for _ in range(2):
            stepping.set_rate(run.optimizer, rate)
            run._step(index)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@pytest.mark.soak
@pytest.mark.parametrize("name", optimizers.GRAPHED)
def test_no_optimizer_of_the_table_waits(gpu, monkeypatch, name):
    """Nor keeps its count of steps on the host."""
    knobs = {"amsgrad": True, "centered": True, "momentum": 0.9, "weight_decay": 0.1}
    read = optimizers.OPTIMIZERS[name].reads
    values = {knob: value for knob, value in knobs.items() if knob in read}
    capture(training(monkeypatch, optimizer=name, **values), monkeypatch)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_no_loss_of_the_table_waits(gpu, monkeypatch, name):
    """Of two labels as well."""
    capture(training(monkeypatch, loss=name, mixup=0.2, cutmix=1.0), monkeypatch)


@pytest.mark.parametrize("mixed", [{}, {"mixup": 0.2}, {"cutmix": 1.0}], ids=str)
def test_no_mixing_waits(gpu, monkeypatch, mixed):
    """Shares, coins and rectangles are drawn on the device."""
    capture(training(monkeypatch, **mixed), monkeypatch)


AUGMENTED = (
    *({"auto_augment": name} for name in ("trivial", "rand", "augmix")),
    {"flip": True, "vertical_flip": True, "crop": 4, "rotate": 15.0},
    {"color_jitter": 0.2, "cutout": 8, "erase": 0.5, "normalize": True},
)


@pytest.mark.soak
@pytest.mark.parametrize("values", AUGMENTED, ids=str)
def test_no_augmentation_waits(gpu, monkeypatch, values):
    """Which operation, how strong, and for which image: drawn on the device."""
    capture(training(monkeypatch, **values), monkeypatch)


def test_images_that_are_brought_lie_where_the_step_reads_them(gpu, monkeypatch):
    """In one buffer, always the same."""
    capture(training(monkeypatch, is_streamed=True, flip=True), monkeypatch)


@pytest.mark.parametrize(
    "values",
    [
        {"ema_decay": 0.99},
        {"clip_grad_norm": 1.0},
        {"precision": "float16"},
        {"precision": "float16", "ema_decay": 0.99, "clip_grad_norm": 1.0, "mixup": 0.2},
        {"precision": "float32", "label_smoothing": 0.1},
    ],
    ids=str,
)
def test_nothing_beside_the_step_waits(gpu, monkeypatch, values):
    """Averages, the loss scale, the longest gradient."""
    capture(training(monkeypatch, **values), monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_no_network_of_the_table_waits(gpu, monkeypatch, name):
    """With dropout and batch norm."""
    capture(training(monkeypatch, network=name), monkeypatch)


def test_class_weights_do_not_wait(gpu, monkeypatch):
    """They lie on the device."""
    run = training(monkeypatch)
    run.model.class_weights = torch.ones(CLASSES, device=GPU)
    capture(run, monkeypatch)


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda loss: loss.item(), WAITS),
        (lambda loss: loss[loss > 0], WAITS),
        (lambda loss: loss.view(1).nonzero(), WAITS),
        (lambda loss: bool(loss > 0), WAITS),
        (lambda loss: loss * torch.tensor(random.choice([1.0])), HostError),
        (lambda loss: torch.rand(()), HostError),
        (lambda loss: loss.cpu(), HostError),
        (lambda loss: random.random(), AssertionError),
        (lambda loss: np.random.rand(), AssertionError),
    ],
)
def test_what_a_graph_cannot_hold_is_found(gpu, monkeypatch, harm, error):
    """Each such thing, put into a step, fails these tests."""
    run = training(monkeypatch)
    whole = losses.of_targets

    def harmed(*args):
        loss = whole(*args)
        harm(loss)
        return loss

    monkeypatch.setattr(losses, "of_targets", harmed)
    with pytest.raises(error):
        capture(run, monkeypatch)
