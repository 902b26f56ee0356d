"""Optimizers: parity with Keras 3 itself, and every knob of the table has an effect."""

import os
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")

import pytest
import torch

from objectives import optimizers, stepping
from objectives.config import DEFAULTS
from objectives.knobs import configure
from objectives.schedules import learning_rates

STEPS = 20
DECAY = 1e-6  # the notebook's


def config_of(**values):
    return configure({"dataset": "digits", "network": "digits_cnn"}, values)


def problem():
    """A least-squares problem with gradients of ordinary size; weights float64 [5, 3] near 1."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(64, 5, generator=generator, dtype=torch.float64)
    targets = torch.randn(64, 3, generator=generator, dtype=torch.float64)
    weights = 1 + torch.rand(5, 3, generator=generator, dtype=torch.float64)
    return weights, lambda w: 2 * inputs.T @ (inputs @ w - targets) / 64


def ours(*, flat=False, **values):
    """Weights after twenty steps of our optimizer under its schedule. flat: as one vector."""
    config = config_of(**values)
    weights, gradient = problem()
    shape = (-1,) if flat else weights.shape
    parameter = torch.nn.Parameter(weights.clone().view(shape))
    optimizer = optimizers.build([parameter], config, config.lr)
    step = stepping.stepper(optimizer)
    for rate in learning_rates(config, config.lr, 0, STEPS, []):
        parameter.grad = gradient(parameter.detach().view(weights.shape)).view(shape)
        stepping.set_rate(optimizer, float(rate))
        step()
    return parameter.detach()


def of_keras(name, lr, decay=DECAY, **options):
    """Weights after twenty steps of Keras 3 with InverseTimeDecay, which its `decay` became."""
    import keras

    rate = keras.optimizers.schedules.InverseTimeDecay(lr, decay_steps=1, decay_rate=decay)
    optimizer = getattr(keras.optimizers, name)(learning_rate=rate, **options)
    weights, gradient = problem()
    variable = keras.Variable(weights.numpy(), dtype="float64")
    for _ in range(STEPS):
        optimizer.apply([gradient(variable.value.detach())], [variable])
    return variable.value.detach()


PARITY = {
    "sgd": ({"lr": 0.01}, ("SGD", {})),
    "momentum": ({"lr": 1e-3, "momentum": 0.9}, ("SGD", {"momentum": 0.9})),
    "nesterov": (
        {"lr": 1e-3, "momentum": 0.9, "nesterov": True},
        ("SGD", {"momentum": 0.9, "nesterov": True}),
    ),
    "nesterov without momentum": (
        {"lr": 0.01, "momentum": 0.0, "nesterov": True},
        ("SGD", {"momentum": 0.0, "nesterov": True}),
    ),
    "rmsprop": ({"optimizer": "rmsprop", "lr": 1e-3}, ("RMSprop", {"rho": 0.9, "epsilon": 1e-7})),
    "rmsprop with momentum": (
        {"optimizer": "rmsprop", "lr": 1e-3, "momentum": 0.5},
        ("RMSprop", {"momentum": 0.5}),
    ),
    "rmsprop centered": (
        {"optimizer": "rmsprop", "lr": 1e-3, "centered": True, "rho": 0.8},
        ("RMSprop", {"centered": True, "rho": 0.8}),
    ),
    "adam": ({"optimizer": "adam", "lr": 1e-3}, ("Adam", {"epsilon": 1e-7})),
    "amsgrad": ({"optimizer": "adam", "amsgrad": True}, ("Adam", {"amsgrad": True})),
    "adamw": (
        {"optimizer": "adamw", "weight_decay": 0.01},
        ("AdamW", {"weight_decay": 0.01}),
    ),
    "nadam": ({"optimizer": "nadam", "lr": 1e-3}, ("Nadam", {})),
    "adagrad": ({"optimizer": "adagrad", "lr": 0.01}, ("Adagrad", {})),
    "adadelta": ({"optimizer": "adadelta", "lr": 1.0}, ("Adadelta", {})),
    "lion": ({"optimizer": "lion", "lr": 1e-3}, ("Lion", {"beta_2": 0.99})),
    "lamb": ({"optimizer": "lamb", "epsilon": 1e-9}, ("Lamb", {"epsilon": 1e-9})),
}


@pytest.mark.soak
@pytest.mark.parametrize("case", PARITY)
def test_twenty_steps_agree_with_keras(case):
    """Within 1e-5 relative, with Keras' decay and Keras' default epsilon on both sides."""
    mine, (name, options) = PARITY[case]
    theirs = of_keras(name, config_of(**mine).lr, **options)
    result = ours(schedule="inverse_time", lr_decay=DECAY, **mine)
    torch.testing.assert_close(result, theirs, rtol=1e-5, atol=0)


@pytest.mark.parametrize("case", ["sgd", "rmsprop", "adam", "adagrad", "adadelta"])
def test_large_decay_agrees_with_keras_without_momentum(case):
    """The notebook's 1e-2 as well: the rate itself is the same at every step."""
    mine, (name, options) = PARITY[case]
    theirs = of_keras(name, config_of(**mine).lr, decay=1e-2, **options)
    result = ours(schedule="inverse_time", lr_decay=1e-2, **mine)
    torch.testing.assert_close(result, theirs, rtol=1e-5, atol=0)


def test_keras_puts_the_rate_into_the_momentum_buffer_and_torch_does_not():
    """By design: equal at a constant rate, apart under a fast decay; torch's formula is ours."""
    mine = {"lr": 0.01, "momentum": 0.9}
    theirs = of_keras("SGD", 0.01, decay=0.1, momentum=0.9)
    result = ours(schedule="inverse_time", lr_decay=0.1, **mine)
    assert float((result - theirs).abs().max()) > 1e-3
    weights, gradient = problem()
    buffer = torch.zeros_like(weights)
    for t in range(STEPS):
        buffer = 0.9 * buffer + gradient(weights)
        weights = weights - 0.01 / (1 + 0.1 * t) * buffer
    torch.testing.assert_close(result, weights, rtol=1e-6, atol=0)


EPSILONS = {
    "rmsprop": ("RMSprop", 1e-3),
    "adam": ("Adam", 1e-3),
    "adagrad": ("Adagrad", 0.01),
}


@pytest.mark.parametrize("name", EPSILONS)
def test_epsilon_stands_elsewhere_than_in_keras(name):
    """By design: a large epsilon tells them apart; a first step pins where torch adds it."""
    keras_name, lr = EPSILONS[name]
    theirs = of_keras(keras_name, lr, epsilon=0.1)
    result = ours(optimizer=name, lr=lr, epsilon=0.1)
    assert float((result - theirs).abs().max()) > 1e-4
    one = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    one.grad = torch.full_like(one, 0.5)
    config = config_of(optimizer=name, lr=lr, epsilon=0.1)
    stepping.stepper(optimizers.build([one], config, lr))()
    root = {"rmsprop": (0.1 * 0.25) ** 0.5, "adam": 0.5, "adagrad": (0.1 + 0.25) ** 0.5}[name]
    assert 1 - one.item() == pytest.approx(lr * 0.5 / (root + 0.1), rel=1e-6)


def test_nadam_is_keras_only_with_momentum_decay_one():
    """torch's default, 0.004, is another momentum schedule; ours is Keras 3's."""
    assert DEFAULTS["momentum_decay"] == 1.0
    theirs = of_keras("Nadam", 1e-3)
    result = ours(optimizer="nadam", lr=1e-3, momentum_decay=0.004)
    assert float((result - theirs).abs().max()) > 1e-4


def test_adabound_is_bounded_by_its_final_rate():
    """Its first step lies between the bounds of Luo et al. (1902.09843), gamma 1e-3."""
    one = torch.nn.Parameter(torch.ones(1))
    one.grad = torch.full_like(one, 1e-6)  # Adam would step by lr, whatever the gradient
    config = config_of(optimizer="adabound", lr=1e-3, final_lr=0.1)
    stepping.stepper(optimizers.build([one], config, 1e-3))()
    assert 0 <= 1 - one.item() <= 0.1 * (1 + 1 / 1e-3) * 1e-6


OTHER = {
    "momentum": 0.5, "nesterov": True, "weight_decay": 0.3, "rho": 0.5, "centered": True,
    "beta1": 0.5, "beta2": 0.9, "epsilon": 0.1, "amsgrad": True, "momentum_decay": 0.004,
    "initial_accumulator": 1.0, "final_lr": 1e-4, "beta3": 0.5, "d_coef": 3.0,
}  # fmt: skip
KNOBS = [
    (name, knob)
    for name, row in optimizers.OPTIMIZERS.items()
    for knob in row.reads
    if knob not in ("decay_norm_and_bias", "ema_decay")  # need more: tests of their own
]


@pytest.mark.parametrize(("name", "knob"), KNOBS)
def test_every_knob_that_a_row_names_has_an_effect(name, knob):
    """No dead knobs: changing it changes the weights."""
    base = {"optimizer": name}
    if knob == "nesterov":
        base["momentum"] = 0.5
    if knob == "amsgrad":
        base |= {"beta2": 0.5, "lr": 0.3}  # so that the second moment falls at some step
    if knob == "final_lr":
        base["lr"] = 0.1
    if name == "lion":
        base["lr"] = 0.3  # so that signs change
    if name == "muon":
        base["nesterov"] = False  # which is not its default, but that of others
    flat = name == "muon" and knob in ("beta1", "beta2", "epsilon")  # matters to its AdamW alone
    assert not torch.equal(ours(flat=flat, **base), ours(flat=flat, **base | {knob: OTHER[knob]}))


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(name):
    """The table tests itself, with each row's default rate and without frozen parameters."""
    weights, gradient = problem()
    lr = {"adadelta": 1.0, "schedule_free_sgd": 0.1}.get(name)
    lr = {} if lr is None else {"lr": lr}
    assert gradient(ours(optimizer=name, **lr)).norm() < gradient(weights).norm()


def test_frozen_parameters_are_left_out():
    """Only what requires a gradient is trained."""
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    trained = torch.nn.Parameter(torch.ones(2))
    optimizer = optimizers.build([frozen, trained], config_of(), 0.1)
    assert [one is trained for one in optimizer.param_groups[0]["params"]] == [True]


@pytest.mark.soak
def test_first_step_does_not_import_the_compiler():
    """torch's compiler costs seconds in every worker, and nothing here is compiled."""
    code = (
        "import sys, torch; from objectives import optimizers, stepping\n"
        "from objectives.knobs import configure\n"
        "for name in optimizers.OPTIMIZERS:\n"
        "    one = torch.nn.Parameter(torch.ones(2)); one.grad = torch.ones(2)\n"
        "    config = configure({'dataset': 'd', 'network': 'n', 'optimizer': name}, {})\n"
        "    made = optimizers.build([one], config, 0.1); stepping.stepper(made)()\n"
        "    made.load_state_dict(made.state_dict())\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", [one for one in optimizers.OPTIMIZERS if one != "prodigy"])
def test_decay_can_leave_norms_and_biases_alone(name):
    """Without any gradient only what decays moves: the matrix, not the vector. (Prodigy does
    nothing at all without one.)"""
    moved = {}
    for everywhere in (True, False):
        decay = {"weight_decay": 0.5, "decay_norm_and_bias": everywhere}
        weights = [torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))]
        config = config_of(optimizer=name, lr=0.1, **decay)
        optimizer = optimizers.build(weights, config, 0.1)
        stepping.set_rate(optimizer, 0.2)
        for weight in weights:
            weight.grad = torch.zeros_like(weight)
        stepping.stepper(optimizer)()
        moved[everywhere] = [bool((weight != 1).all()) for weight in weights]
    assert moved == {True: [True, True], False: [True, False]}
