"""The companion `describe`: what it says of the knobs is what holds for them."""

import json
import re

import jsonschema
import pytest

from objectives import cnn
from objectives.config import DEFAULTS, GROUPS, KNOBS
from objectives.describe import describe
from objectives.knobs import RULES, configure, wrong_value
from objectives.optimizers import OPTIMIZERS
from objectives.schedules import SCHEDULES

BASE = {"dataset": "digits", "network": "digits_cnn"}
SAID = describe()
BY_NAME = {row["name"]: row for row in SAID["knobs"]}
VALUES = (
    *(-1, -0.5, 0, 0.0, 1e-9, 0.5, 1, 1.5, 2, 3, 64, 1e4, True, False, None, "", "none", "full"),
    *("keras", "adam", "cosine", "mse", "digits", "folder:photos", "resnet9", "torchvision:vgg16"),
    *("val_accuracy", "auto", "triangular2", [], [0.1, 0.01], [0.1, 0], ["a"], {"a": 1}),
)


def test_it_is_a_companion_and_holds_plain_values():
    """They travel through a pipe and into JSON as they are."""
    assert cnn.describe is describe
    assert json.loads(json.dumps(SAID)) == SAID


def test_every_knob_is_told_in_one_line():
    """In the order of the fields and of the groups, each with words that fit a line of a table."""
    assert [row["name"] for row in SAID["knobs"]] == list(KNOBS)
    groups = [row["group"] for row in SAID["knobs"]]
    assert list(dict.fromkeys(groups)) == list(GROUPS) == SAID["groups"]
    assert sorted(groups, key=GROUPS.index) == groups
    for row in SAID["knobs"]:
        assert 10 < len(row["about"]) < 80, row
        assert not re.search(r"\.$|\n|^ ", row["about"]), row


@pytest.mark.parametrize("name", KNOBS)
def test_the_json_schema_of_a_knob_and_its_rule_agree(name):
    """What one refuses the other refuses; a name that is open is left to who reads it."""
    schema = jsonschema.Draft7Validator(BY_NAME[name]["json_schema"])
    for value in VALUES:
        fits = schema.is_valid(value)
        if name in ("dataset", "network") and isinstance(value, str):
            assert not fits or wrong_value(name, value) is None
        elif not (isinstance(value, float) and value.is_integer()):  # JSON knows 1.0 as whole
            assert fits == (wrong_value(name, value) is None), value


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_default_that_is_told_is_the_one_that_is_filled_in(optimizer):
    """Also where it depends on the optimizer; a dash stands for what is found out later."""
    config = configure(BASE, {"optimizer": optimizer})
    for name, row in BY_NAME.items():
        if row["default"] is not None and name != "optimizer":
            own = row["own_defaults"].get("optimizer", {})
            assert getattr(config, name) == own.get(optimizer, row["default"]), name


def test_what_must_be_given_is_told():
    """And nothing else is missing without it."""
    assert [row["name"] for row in SAID["knobs"] if row["required"]] == list(BASE)
    configure(BASE, {})


def test_choices_are_the_rows_of_the_tables():
    """With the knobs they read, and a line on what each is."""
    choices = SAID["choices"]
    assert list(choices["schedule"]) == list(SCHEDULES)
    for name, row in OPTIMIZERS.items():
        assert choices["optimizer"][name]["reads"] == ["lr", *row.reads]
        assert choices["optimizer"][name]["defaults"] == row.defaults
    for gate, rows in choices.items():
        assert set(rows) >= set(RULES[gate].schema.get("enum", ()))
        assert all(10 < len(row["about"]) < 200 for row in rows.values()), gate
    assert choices["network"]["torchvision:NAME"]["reads"] == ["init", "weights", "freeze"]


def test_who_reads_a_knob_and_what_a_choice_reads_are_one():
    """A knob is read by the choices that read it; one without a reader is always read."""
    for name, row in BY_NAME.items():
        assert row["always"] or row["read_by"], name
        for gate, chosen in row["read_by"].items():
            for choice, other in SAID["choices"].get(gate, {}).items():
                assert (choice in chosen) == (name in other["reads"]), (name, choice)
    assert BY_NAME["centered"]["read_by"] == {"optimizer": ["rmsprop"]}
    assert "./file.py:function" in BY_NAME["init"]["read_by"]["network"]


def test_a_name_means_one_thing():
    """`optsearch knobs NAME` need not ask which: a choice that is called as a knob reads it."""
    rows = [item for choices in SAID["choices"].values() for item in choices.items()]
    assert len(dict(rows)) == len(rows)
    for choice, row in rows:
        assert choice not in GROUPS
        assert choice not in DEFAULTS or choice in row["reads"]
