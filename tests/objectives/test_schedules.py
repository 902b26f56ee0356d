"""Schedules: each equals its closed formula and torch's own class where there is one."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from objectives.knobs import configure
from objectives.schedules import SCHEDULES, learning_rates, reductions

LR = 0.5
EPOCHS = st.integers(2, 12)
STEPS = st.integers(1, 9)


def numbers(low, high):
    """Without subnormals: a test before may have set the processor to flush them."""
    return st.floats(low, high, allow_subnormal=False)


often = settings(deadline=None, max_examples=40)


def config_of(**values):
    required = {"dataset": "digits", "network": "digits_cnn", "lr": LR}
    if values.get("schedule") == "phases":
        del required["lr"]
    return configure(required, values)


def rates_of(config, per_epoch, monitored=()):
    parts = [
        learning_rates(config, LR, epoch, per_epoch, list(monitored[:epoch]))
        for epoch in range(config.epochs)
    ]
    return np.concatenate(parts)


def torch_rates(make, steps):
    """What a torch scheduler gives when stepped once a step."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=LR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler, rates = make(optimizer), []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            scheduler.step()
    return rates


@often
@given(STEPS, EPOCHS, numbers(0, 0.1))
def test_inverse_time_is_keras_decay(per_epoch, epochs, decay):
    """lr / (1 + decay * t), t counting optimizer steps from 0."""
    config = config_of(schedule="inverse_time", lr_decay=decay, epochs=epochs)
    t = np.arange(epochs * per_epoch)
    np.testing.assert_allclose(rates_of(config, per_epoch), LR / (1 + decay * t), rtol=1e-12)


@often
@given(STEPS, EPOCHS, numbers(0.01, 1), st.integers(1, 5))
def test_step_is_torchs_step_lr_by_epoch(per_epoch, epochs, gamma, size):
    """The rate falls by gamma every step_size epochs."""
    epochs = max(epochs, size + 1)
    config = config_of(schedule="step", gamma=gamma, step_size=size, epochs=epochs)
    wanted = torch_rates(lambda o: lr_scheduler.StepLR(o, size, gamma), epochs)
    np.testing.assert_allclose(rates_of(config, per_epoch), np.repeat(wanted, per_epoch), rtol=1e-9)


@often
@given(STEPS, EPOCHS, numbers(0.1, 1))
def test_exponential_is_torchs_exponential_lr_by_epoch(per_epoch, epochs, gamma):
    """The rate falls by gamma every epoch."""
    config = config_of(schedule="exponential", gamma=gamma, epochs=epochs)
    wanted = torch_rates(lambda o: lr_scheduler.ExponentialLR(o, gamma), epochs)
    np.testing.assert_allclose(rates_of(config, per_epoch), np.repeat(wanted, per_epoch), rtol=1e-9)


@often
@given(STEPS, EPOCHS, numbers(0, 0.4))
def test_cosine_is_torchs_cosine_annealing_by_step(per_epoch, epochs, low):
    """Half a cosine from lr to min_lr over all steps."""
    config = config_of(schedule="cosine", min_lr=low, epochs=epochs)
    total = epochs * per_epoch
    wanted = torch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, total, low), total)
    np.testing.assert_allclose(rates_of(config, per_epoch), wanted, rtol=1e-6, atol=1e-9)


@often
@given(STEPS, EPOCHS, st.integers(1, 4), st.integers(1, 3))
def test_cosine_warm_restarts_is_torchs_by_fractional_epoch(per_epoch, epochs, t_0, t_mult):
    """Each period is t_mult times the one before; torch is stepped with epoch + i / steps."""
    epochs = max(epochs, t_0)
    config = config_of(
        schedule="cosine_warm_restarts", t_0=t_0, t_mult=t_mult, min_lr=0.01, epochs=epochs
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, t_0, t_mult, eta_min=0.01)
    wanted = []
    for step in range(epochs * per_epoch):
        scheduler.step(step / per_epoch)
        wanted.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(rates_of(config, per_epoch), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["triangular", "triangular2"])
@often
@given(STEPS, EPOCHS, st.integers(1, 3), numbers(1.5, 100))
def test_cyclical_is_torchs_cyclic_lr(mode, per_epoch, epochs, half, div):
    """From lr / div_factor to lr in step_size_up epochs, and back."""
    epochs = max(epochs, half + 1)
    values = {"step_size_up": half, "div_factor": div, "cycle_mode": mode}
    config = config_of(schedule="cyclical", epochs=epochs, **values)
    wanted = torch_rates(
        lambda o: lr_scheduler.CyclicLR(
            o, LR / div, LR, half * per_epoch, mode=mode, cycle_momentum=False
        ),
        epochs * per_epoch,
    )
    np.testing.assert_allclose(rates_of(config, per_epoch), wanted, rtol=1e-6, atol=1e-9)


@often
@given(st.integers(2, 9), EPOCHS, numbers(0.05, 0.9), numbers(2, 50), numbers(1, 1e4))
def test_one_cycle_is_torchs_one_cycle_lr(per_epoch, epochs, start, div, final):
    """Up to lr in pct_start of all steps, down to lr / div_factor / final_div_factor."""
    total = epochs * per_epoch
    start = max(start, 2 / total)
    values = {"pct_start": start, "div_factor": div, "final_div_factor": final}
    config = config_of(schedule="one_cycle", epochs=epochs, **values)
    wanted = torch_rates(
        lambda o: lr_scheduler.OneCycleLR(o, LR, total, cycle_momentum=False, **values),
        total,
    )
    np.testing.assert_allclose(rates_of(config, per_epoch), wanted, rtol=1e-6, atol=1e-9)


@often
@given(
    st.lists(numbers(0, 1), min_size=2, max_size=25),
    st.integers(0, 3),
    st.sampled_from(["val_loss", "val_accuracy"]),
)
def test_reduce_on_plateau_is_torchs(monitored, patience, monitor):
    """The rate falls after more than plateau_patience epochs without improvement."""
    config = config_of(
        schedule="reduce_on_plateau", epochs=len(monitored), plateau_patience=patience,
        factor=0.5, min_lr=0.01, min_delta=1e-3, monitor=monitor,
    )  # fmt: skip
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, "min" if monitor == "val_loss" else "max", 0.5, patience,
        threshold=1e-3, threshold_mode="abs", min_lr=0.01,
    )  # fmt: skip
    for epoch, value in enumerate(monitored):
        ours = learning_rates(config, LR, epoch, 2, monitored[:epoch])
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        scheduler.step(value)


def test_reductions_starts_anew_after_each():
    """With patience 1: two bad epochs reduce, and the count begins again."""
    config = config_of(schedule="reduce_on_plateau", plateau_patience=1, monitor="val_loss")
    assert [reductions([1.0] * n, config) for n in range(1, 7)] == [0, 0, 1, 1, 2, 2]


@often
@given(STEPS, st.integers(1, 4), st.sampled_from(["constant", "cosine", "exponential"]))
def test_warm_up_rises_linearly_then_the_schedule_starts(per_epoch, warm, schedule):
    """Over warmup_epochs to lr; what follows is the schedule over the epochs left."""
    config = config_of(schedule=schedule, warmup_epochs=warm, epochs=warm + 3)
    rates, steps = rates_of(config, per_epoch), warm * per_epoch
    np.testing.assert_allclose(rates[:steps], LR * np.arange(1, steps + 1) / steps, rtol=1e-12)
    rest = rates_of(config_of(schedule=schedule, epochs=3), per_epoch)
    np.testing.assert_allclose(rates[steps:], rest, rtol=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_gives_a_positive_finite_rate_for_each_step(name):
    """The table tests itself: a new row is covered."""
    values = {"phases": [0.1, 0.01]} if name == "phases" else {}
    rates = rates_of(config_of(schedule=name, epochs=20, **values), 7, [0.5] * 20)
    assert rates.shape == (140,)
    assert all(math.isfinite(rate) and 0 < rate <= LR for rate in rates)


def test_rates_of_an_epoch_need_no_earlier_epoch():
    """No state: any epoch's rates come out the same on their own, so a resumed run is equal."""
    config = config_of(schedule="cosine_warm_restarts", t_0=2, t_mult=2, epochs=10)
    whole = rates_of(config, 5)
    np.testing.assert_array_equal(learning_rates(config, LR, 7, 5, []), whole[35:40])


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_bound_to_the_horizon_where_its_shape_follows_from_the_epochs(name):
    """Same epochs, longer run: the rates of a bound schedule differ, those of others do not. Of
    `phases` each is a run of so many epochs."""
    given = {"schedule": name, **({"phases": [0.5, 0.05]} if name == "phases" else {})}
    short, long = (config_of(**given, epochs=epochs) for epochs in (12, 24))
    monitored = [0.5] * 12
    rates = [
        np.concatenate([learning_rates(c, LR, e, 4, monitored[:e]) for e in range(12)])
        for c in (short, long)
    ]
    follows = not np.array_equal(*rates) or short.epochs_planned != short.epochs
    assert SCHEDULES[name].is_horizon_bound == follows
