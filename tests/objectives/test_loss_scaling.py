"""Rules of training in float16: the loss is scaled, a step that is not finite is none, and all of
it is resumed. On a CPU, whose fused optimizers skip such steps as a GPU's do."""

import pytest
import torch

from objectives import config as configs
from objectives import datasets, feed, knobs, loss_scaling, optimizers, train
from objectives import device as devices

CPU = torch.device("cpu")
FUSED = [name for name, row in optimizers.OPTIMIZERS.items() if row.fused_on_cpu]
SETTINGS = {
    "dataset": "digits",
    "network": "simple_cnn",
    "batch_size": 128,
    "epochs": 3,
    "lr": 0.01,
    "precision": "float16",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OPTSEARCH_DATA", str(tmp_path_factory.mktemp("cache")))
        return feed.to_device(datasets.load("digits"), CPU)


def run(data, epochs=3, **settings):
    made = train.Training(knobs.configure(SETTINGS | settings, {}), data, CPU, seed=1)
    for _ in range(epochs):
        made.epoch()
    return made


def weights(made):
    return torch.cat([one.detach().flatten() for one in made.model.parameters])


@pytest.mark.soak
@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.3), ("adam", 0.01)])
def test_it_learns_as_float32_does(data, optimizer, lr):
    """Nearly the same losses, from the same seed: a few of the first steps are left out."""
    halved = run(data, optimizer=optimizer, lr=lr)
    whole = run(data, optimizer=optimizer, lr=lr, precision="float32")
    for one, other in zip(halved.history, whole.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.25)
    assert halved.history[-1]["loss"] < 0.9 * halved.history[0]["loss"]


@pytest.mark.parametrize("optimizer", [*FUSED, "rmsprop", "nadam"])
def test_a_step_that_is_not_finite_is_none(optimizer):
    """Neither weights nor state move, the first step included; the factor is halved. The next one
    is the step that a fresh optimizer would have made."""
    grads = torch.tensor([0.5, -2.0])

    def made():
        parameter = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        settings = {**SETTINGS, "optimizer": optimizer}
        if "momentum" in optimizers.OPTIMIZERS[optimizer].reads:
            settings["momentum"] = 0.9
        config = knobs.configure(settings, {})
        return parameter, optimizers.build([parameter], config, 0.1)

    def step(scale, parameter, gradient):
        parameter.grad = gradient * scale.factor
        scale.unscale([parameter])
        scale.step(scale.optimizer.step)

    parameter, optimizer_ = made()
    scale = loss_scaling.LossScale(optimizer_, CPU)
    assert scale.waits == (optimizer not in FUSED)
    step(scale, parameter, torch.tensor([float("inf"), 1.0]))
    assert parameter.tolist() == [1.0, 2.0]
    assert scale.factor.item() == loss_scaling.FIRST / 2
    other, fresh = made()
    unbroken = loss_scaling.LossScale(fresh, CPU)
    for _ in range(3):
        step(scale, parameter, grads)
        step(unbroken, other, grads)
    torch.testing.assert_close(parameter, other, rtol=0, atol=0)
    assert not torch.equal(parameter.detach(), torch.tensor([1.0, 2.0]))


def test_the_factor_grows_after_many_good_steps(monkeypatch):
    """As GradScaler's."""
    monkeypatch.setattr(loss_scaling, "INTERVAL", 3)
    parameter = torch.nn.Parameter(torch.ones(2))
    scale = loss_scaling.LossScale(torch.optim.SGD([parameter], fused=True), CPU)
    for _ in range(3):
        parameter.grad = torch.ones(2)
        scale.unscale([parameter])
    assert scale.factor.item() == 2 * loss_scaling.FIRST


def test_gradients_are_clipped_as_they_are_without_the_factor(data):
    """The norm is that of the true gradients."""
    clipped = run(data, epochs=1, clip_grad_norm=1e-3, optimizer="sgd", lr=1.0)
    start = train.Training(clipped.config, data, CPU, seed=1)
    way = (weights(clipped) - weights(start)).norm().item()
    assert 0 < way <= 1e-3 * 10 * 1.01  # ten steps


@pytest.mark.soak
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_a_resumed_run_equals_the_uninterrupted_one_bitwise(data, optimizer, monkeypatch):
    """The factor and how long it has held are part of its state."""
    monkeypatch.setattr(loss_scaling, "INTERVAL", 7)  # it grows within the epochs
    whole = run(data, optimizer=optimizer)
    begun = run(data, epochs=1, optimizer=optimizer)
    resumed = run(data, epochs=0, optimizer=optimizer)
    resumed.load_state_dict(begun.state_dict())
    for _ in range(2):
        resumed.epoch()
    assert torch.equal(weights(whole), weights(resumed))
    for name, value in whole._scale.state_dict().items():
        assert torch.equal(value, resumed._scale.state_dict()[name])


@pytest.mark.parametrize(
    ("capability", "found"),
    [((6, 1), "float32"), ((7, 0), "float16"), ((7, 5), "float16"), ((8, 0), "bfloat16")],
)
def test_auto_takes_what_the_gpu_multiplies(monkeypatch, capability, found):
    """Pascal, V100, T4, Ampere."""
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert devices.precision("auto", torch.device("cuda")) == found


def test_it_is_for_gpus_and_its_models_are_used_anywhere():
    """Refused for training on a CPU; evaluated there in float32."""
    with pytest.raises(ValueError, match="float16 is for CUDA GPUs, not cpu; use bfloat16"):
        devices.precision("float16", CPU)
    assert devices.elsewhere("float16", CPU) == "float32"
    assert devices.elsewhere("float16", torch.device("cuda")) == "float16"
    assert devices.elsewhere("bfloat16", CPU) == "bfloat16"
    assert "float16" in configs.ABOUT["precision"]["about"]
