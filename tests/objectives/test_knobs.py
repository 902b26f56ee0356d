"""Knobs: what they may be, who reads them, and one configuration out of settings and parameters."""

import dataclasses
import re

import pytest

from objectives.config import DEFAULTS, KNOBS, TrainConfig
from objectives.gates import ALWAYS, GATES, readers
from objectives.knobs import RULES, as_dict, configure, wrong_length, wrong_value
from objectives.optimizers import OPTIMIZERS

BASE = {"dataset": "digits", "network": "digits_cnn"}


def test_every_knob_has_a_rule_and_a_reader():
    """The tables and TrainConfig name the same knobs, and no knob is dead everywhere."""
    assert set(RULES) == set(KNOBS)
    assert all(knob in ALWAYS or readers(knob) for knob in KNOBS)


def test_every_default_obeys_its_rule():
    """Except those without a value: the required ones, the monitor (it follows the score)."""
    for name, value in DEFAULTS.items():
        if value is not dataclasses.MISSING and name not in ("network", "monitor", "phases"):
            assert wrong_value(name, value) is None, name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_depend_on_the_optimizer(name):
    """Keras' learning rates; rho 0.95 in adadelta; torch's weight decay in adamw and muon."""
    config = configure(BASE, {"optimizer": name})
    rates = {"sgd": 0.01, "lion": 1e-4, "prodigy": 1.0, "schedule_free_sgd": 1.0}
    rates["schedule_free_adamw"] = 2.5e-3
    decays = {"adamw": 0.01, "nadamw": 0.01, "muon": 0.1, "adan": 0.02}
    assert config.lr == rates.get(name, 1e-3)
    assert config.rho == (0.95 if name == "adadelta" else 0.9)
    assert config.weight_decay == decays.get(name, 0.0)


def test_monitor_follows_the_score():
    """Early stopping watches what is scored unless told otherwise."""
    assert configure({**BASE, "score": "val_loss"}, {}).monitor == "val_loss"
    assert configure({**BASE, "score": "val_loss", "monitor": "loss"}, {}).monitor == "loss"


def test_epochs_planned_counts_every_phase():
    """`epochs` is the maximum of each phase; the pruner's resource is their sum."""
    config = configure(
        {**BASE, "schedule": "phases", "phases": [1e-3, 1e-4, 1e-5], "epochs": 7}, {}
    )
    assert config.epochs_planned == 21
    assert configure({**BASE, "epochs": 7}, {}).epochs_planned == 7


@pytest.mark.parametrize(
    ("settings", "params", "message"),
    [
        ({"optimizer": "sdg"}, {}, "unknown optimizer 'sdg'; one of: sgd, rmsprop"),
        ({"optimizer": "sdg"}, {}, "did you mean sgd?"),
        ({"momentun": 0.5}, {}, "settings.momentun: unknown name; did you mean momentum?"),
        ({}, {"lr": 0}, "params.lr: must be 0 < value, got 0"),
        ({}, {"momentum": 1.0}, "params.momentum: must be 0 <= value < 1, got 1.0"),
        ({"batch_size": "all"}, {}, "a whole number of images, or full, got 'all'"),
        ({"nesterov": 1}, {}, "must be true or false, got 1"),
        ({"epochs": 2.5}, {}, "must be a whole number, 1 <= value, got 2.5"),
        ({"lr": 0.1}, {"lr": 0.2}, "params.lr: is a setting too"),
        ({}, {"rho": 0.5}, "params.rho: optimizer sgd does not read it; it is read by optimizer"),
        ({"schedule": "phases"}, {}, "settings.phases: is missing"),
        ({"schedule": "phases", "phases": [0.1, -1]}, {}, "a list of learning rates above 0"),
        ({"schedule": "step", "step_size": 9, "epochs": 9}, {}, "step_size 9 is too long for 9"),
        ({"warmup_epochs": 5, "epochs": 5}, {}, "warmup_epochs < epochs must hold, got 5 and 5"),
    ],
)
def test_bad_configurations_name_place_rule_and_value(settings, params, message):
    """One line; what is known is listed, with the nearest name."""
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        configure({**BASE, **settings}, params)
    assert "\n" not in str(error.value)


def test_dataset_and_network_are_required():
    """Both are told at once."""
    with pytest.raises(ValueError, match=r"settings\.dataset: is missing; settings\.network"):
        configure({}, {})


def test_a_setting_that_another_choice_reads_is_fine_in_a_trial():
    """momentum is fixed for the trials with sgd; a trial with adam ignores it."""
    assert configure({**BASE, "momentum": 0.9}, {"optimizer": "adam"}).momentum == 0.9


@pytest.mark.parametrize("epochs", [1, 4, 20])
def test_lengths_count_what_the_warm_up_leaves(epochs):
    """A period as long as the epochs fits; one more does not."""
    values = {"schedule": "cosine_warm_restarts", "epochs": epochs}
    assert wrong_length({**values, "t_0": epochs}) is None
    assert wrong_length({**values, "t_0": epochs + 1}) is not None
    assert wrong_length({**values, "t_0": epochs, "warmup_epochs": 0.5}) is not None


def test_a_resolved_configuration_holds_what_is_read_and_runs_again():
    """Plain values; as settings they give the same configuration."""
    params = {"optimizer": "rmsprop", "schedule": "inverse_time", "lr_decay": 1e-6}
    config = configure({**BASE, "patience": 5}, params)
    resolved = as_dict(config)
    assert {"rho", "lr_decay", "min_delta", "init"} < set(resolved)
    assert not {"beta1", "nesterov", "gamma", "margin", "freeze"} & set(resolved)
    assert configure(resolved, {}) == config


def test_a_resolved_phase_schedule_runs_again():
    """The list of rates survives, and lr is gone: nobody reads it."""
    config = configure({**BASE, "schedule": "phases", "phases": (0.1, 0.01)}, {})
    assert as_dict(config)["phases"] == [0.1, 0.01]
    assert "lr" not in as_dict(config)
    assert configure(as_dict(config), {}) == config


def test_gates_are_read_always():
    """A choice that decides what is read cannot itself be dead."""
    assert set(GATES) <= ALWAYS
    assert isinstance(configure(BASE, {}), TrainConfig)


def test_skip_broken_is_read_by_folders_alone():
    """A named data set has no files of the user's to skip."""
    with pytest.raises(ValueError, match="dataset digits does not read it; it is read by dataset"):
        configure(BASE, {"skip_broken": True})
    assert configure({**BASE, "dataset": "folder:photos", "skip_broken": True}, {}).skip_broken


def test_later_knobs_are_told_where_they_are_used():
    """What the first version wrote of a configuration is equal to what is written now."""
    settings = {**BASE, "dataset": "folder:photos"}
    assert "skip_broken" not in as_dict(configure(settings, {}))
    assert as_dict(configure({**settings, "skip_broken": True}, {}))["skip_broken"] is True
