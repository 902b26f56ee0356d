"""What torch and Keras lack, or have otherwise: twenty steps against the papers' formulas."""

import math

import pytest
import torch

from objectives import optimizers, stepping
from objectives.knobs import configure

STEPS = 20


def config_of(name, **values):
    return configure({"dataset": "digits", "network": "digits_cnn", "optimizer": name}, values)


def gradient(weights, step):
    """Of a quadratic, with noise of its own at each step; float64, as the weights."""
    generator = torch.Generator().manual_seed(step)
    noise = torch.randn(weights.shape, generator=generator, dtype=weights.dtype)
    return weights - 0.5 + 0.3 * noise


def begin(*shape):
    """Weights float64 between 1 and 2."""
    generator = torch.Generator().manual_seed(0)
    return 1 + torch.rand(*shape, generator=generator, dtype=torch.float64)


def ours(name, *weights, scored=False, **values):
    """The weights after twenty steps; scored: those that are scored."""
    config = config_of(name, **values)
    trained = [torch.nn.Parameter(one.clone()) for one in weights]
    optimizer = optimizers.build(trained, config, config.lr)
    step = stepping.stepper(optimizer)
    for count in range(1, STEPS + 1):
        for one in trained:
            one.grad = gradient(one.detach(), count)
        step()
    if scored:
        assert stepping.to_scoring(optimizer)
    return [one.detach() for one in trained]


def nadamw(w, lr=1e-3, b1=0.9, b2=0.999, eps=1e-8, decay=0.1, psi=1.0):
    """Dozat's Nadam as torch writes it, the weights shrunk beforehand (1711.05101)."""
    m, v, product = torch.zeros_like(w), torch.zeros_like(w), 1.0
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        mu, ahead = (b1 * (1 - 0.5 * 0.96 ** (psi * s)) for s in (t, t + 1))
        product *= mu
        w = w * (1 - lr * decay)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        hat = ahead * m / (1 - product * ahead) + (1 - mu) * g / (1 - product)
        w = w - lr * hat / ((v / (1 - b2**t)).sqrt() + eps)
    return w


def radam(w, lr=1e-3, b1=0.9, b2=0.999, eps=1e-8, decay=0.1):
    """Algorithm 2 of 1908.03265, with torch's L2 term: no second moment before the sixth step."""
    m, v, most = torch.zeros_like(w), torch.zeros_like(w), 2 / (1 - b2) - 1
    for t in range(1, STEPS + 1):
        g = gradient(w, t) + decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        length, hat = most - 2 * t * b2**t / (1 - b2**t), m / (1 - b1**t)
        if length > 5:
            r = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
            hat = hat * math.sqrt(r * (1 - b2**t)) / (v.sqrt() + eps)
        w = w - lr * hat
    return w


def lion(w, lr=1e-4, b1=0.9, b2=0.99, decay=0.1):
    """Program 1 of 2302.06675."""
    m = torch.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        w = w - lr * ((b1 * m + (1 - b1) * g).sign() + decay * w)
        m = b2 * m + (1 - b2) * g
    return w


def adan(w, lr=1e-3, b1=0.98, b2=0.92, b3=0.99, eps=1e-8, decay=0.1):
    """Algorithm 1 of 2208.06677, its betas from 1, with bias correction as in its code."""
    m, v, n, before = torch.zeros_like(w), torch.zeros_like(w), torch.zeros_like(w), None
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        difference = g - before if before is not None else torch.zeros_like(g)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * difference
        n = b3 * n + (1 - b3) * (g + b2 * difference) ** 2
        size = (n / (1 - b3**t)).sqrt() + eps
        w = (w - lr * (m / (1 - b1**t) + b2 * v / (1 - b2**t)) / size) / (1 + lr * decay)
        before = g
    return w


def lamb(w, lr=1e-3, b1=0.9, b2=0.999, eps=1e-6, decay=0.1):
    """Algorithm 2 of 1904.00962, version 3, the weights' norm at most 10 as in its code."""
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        step = m / (v.sqrt() + eps) + decay * w
        w = w - lr * min(float(w.norm()), 10.0) / float(step.norm()) * step
    return w


def prodigy(w, lr=1.0, b1=0.9, b2=0.999, eps=1e-8, decay=0.1, d0=1e-6, factor=2.0):
    """Algorithm 4 of 2306.06101 with decoupled decay; its beta3 is the root of beta2."""
    m, v, s = torch.zeros_like(w), torch.zeros_like(w), torch.zeros_like(w)
    start, r, d, b3 = w, 0.0, d0, math.sqrt(b2)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        m = b1 * m + (1 - b1) * d * g
        v = b2 * v + (1 - b2) * d * d * g * g
        r = b3 * r + d / d0 * d * lr * float((g * (start - w)).sum())
        s = b3 * s + d / d0 * d * lr * g
        found, rate = max(d, factor * r / float(s.abs().sum())), d * lr
        w = w * (1 - rate * decay) - rate * m / (v.sqrt() + found * eps)
        d = found
    return w


def schedule_free_sgd(w, lr=0.1, beta=0.9, decay=0.1):
    """The three sequences of 2405.15682; what is scored is x. L2 at y."""
    x = y = z = w
    for t in range(1, STEPS + 1):
        z = z - lr * (gradient(y, t) + decay * y)
        x = (1 - 1 / t) * x + z / t
        y = (1 - beta) * z + beta * x
    return x


def schedule_free_adamw(w, lr=2.5e-3, b1=0.9, b2=0.999, eps=1e-8, decay=0.1):
    """As above with Adam's second moment, decoupled decay at y."""
    x = y = z = w
    v = torch.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(y, t)
        v = b2 * v + (1 - b2) * g * g
        z = z - lr * (g / ((v / (1 - b2**t)).sqrt() + eps) + decay * y)
        x = (1 - 1 / t) * x + z / t
        y = (1 - b1) * z + b1 * x
    return x


CASES = {
    "nadamw": (nadamw, {}),
    "radam": (radam, {}),
    "lion": (lion, {}),
    "adan": (adan, {}),
    "lamb": (lamb, {}),
    "prodigy": (prodigy, {"d_coef": 2.0}),
    "schedule_free_sgd": (schedule_free_sgd, {"lr": 0.1, "scored": True}),
    "schedule_free_adamw": (schedule_free_adamw, {"scored": True}),
}


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_agree_with_the_paper(name):
    """With weight decay, each at its own default rate. (Prodigy sums in float32.)"""
    formula, values = CASES[name]
    (result,) = ours(name, begin(5, 3), weight_decay=0.1, **values)
    atol = 1e-5 if name == "prodigy" else 0
    torch.testing.assert_close(result, formula(begin(5, 3)), rtol=1e-5, atol=atol)


def test_schedule_free_weights_come_back_for_training():
    """Scored and trained weights differ, and one leads to the other."""
    weight = torch.nn.Parameter(begin(4))
    config = config_of("schedule_free_sgd", lr=0.1)
    optimizer = optimizers.build([weight], config, 0.1)
    for count in range(1, 4):
        weight.grad = gradient(weight.detach(), count)
        optimizer.step()
    trained = weight.detach().clone()
    assert stepping.to_scoring(optimizer)
    assert float((weight.detach() - trained).abs().max()) > 1e-3
    stepping.to_training(optimizer)
    torch.testing.assert_close(weight.detach(), trained)
    assert not stepping.to_scoring(torch.optim.SGD([weight], 0.1))


@pytest.mark.parametrize(
    ("name", "knob"), [("schedule_free_sgd", "momentum"), ("schedule_free_adamw", "beta1")]
)
def test_averaging_needs_its_momentum(name, knob):
    """At 0 the average could not be found again; told with the value, before anything runs."""
    with pytest.raises(ValueError, match=f"params.{knob}: {knob} > 0 must hold under {name}, got"):
        config_of(name, **{knob: 0.0})
