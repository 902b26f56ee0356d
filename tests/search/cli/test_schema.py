"""`optsearch schema`: what editors are told of a study file is what holds for it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from search.cli import completion
from search.errors import SpecError
from search.strategy import check
from search.studyfile import catalog, reading, yaml_lines
from search.workers import requests

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
SCHEMA = json.loads(catalog.schema_file().read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
OURS = """\
objective: objectives.cnn:objective
settings: {dataset: digits, network: digits_cnn, epochs: 5}
space:
  optimizer: {choice: [sgd, adam]}
  lr: {float: [1.0e-4, 1.0], log: true}
  momentum: {float: [0.0, 0.9], when: {optimizer: [sgd]}}
  batch_size: {choice: [32, full]}
baselines:
  - {name: a, params: {optimizer: adam, lr: 0.1, batch_size: 32}, published: {test_accuracy: 0.9}}
sampler: {name: tpe, n_startup_trials: 5}
pruner: median
budget: {trials: 3, trial_timeout: 30m}
confirm: false
"""
LISTED = """\
objective: objectives.cnn:objective
settings: {dataset: digits, network: digits_cnn}
configurations:
  - {name: a, params: {optimizer: adam, schedule: phases, phases: [1.0e-3, 1.0e-4]}}
"""


def wrong(text: str) -> list[str]:
    """What the schema finds wrong with a study file."""
    raw, _ = yaml_lines.load(text, "a.yaml")
    return [error.message for error in VALIDATOR.iter_errors(raw)]


def test_the_schema_beside_the_studies_is_what_the_command_prints(cli: Cli) -> None:
    """`optsearch schema > studies/schema.json` after every change of a key or a knob."""
    answer = cli("schema")
    assert answer.code == 0
    assert answer.out == catalog.schema_file().read_text(encoding="utf-8")
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_a_strategy_is_known_by_its_name_and_its_options() -> None:
    """As a sampler is: short, or with options."""
    plain = OURS.replace("sampler: {name: tpe, n_startup_trials: 5}\npruner: median\n", "")
    assert wrong(plain + "strategy: freeze_thaw\n") == []
    assert wrong(plain + "strategy: {name: freeze_thaw, max_paused: 8}\n") == []
    assert wrong(plain + "strategy: freeze\n")
    assert wrong(plain + "strategy: {name: freeze_thaw, most: 8}\n")


@pytest.mark.parametrize("name", sorted(catalog.available()))
def test_every_study_that_comes_along_fits_and_points_to_it(name: str) -> None:
    """By a path from the file itself, and below the line that is the question."""
    file = catalog.available()[name]
    text = file.read_text(encoding="utf-8")
    assert wrong(text) == []
    found = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
    assert found is not None
    assert (file.parent / found[1]).resolve() == catalog.schema_file().resolve()
    assert not text.startswith(found[0])
    assert reading.load(name).spec.question.endswith("?")


@pytest.mark.parametrize(
    "text",
    [
        OURS,
        LISTED,
        OURS.replace("pruner: median", "pruner: {name: threshold, lower: 0.1}"),
        OURS.replace("confirm: false", "confirm: {top: 2}"),
        OURS.replace("trial_timeout: 30m", "trial_timeout: 90"),
        OURS.replace("dataset: digits", "dataset: 'folder:photos'"),
        OURS.replace("choice: [sgd, adam]", "choice: [sgd, 'torch.optim:ASGD']").replace(
            "  batch_size: {choice",
            "  optimizer_args.lambd: {float: [0.1, 0.2], when: {optimizer: ['torch.optim:ASGD']}}\n"
            "  batch_size: {choice",
        ),
        OURS.replace("network: digits_cnn", "network: './mine.py:build'"),
        OURS.replace("network: digits_cnn, ", "").replace(
            "space:", "space:\n  network: {choice: [digits_cnn, simple_cnn]}"
        ),
        "objective: ./mine.py:f\n",
        "objective: ./mine.py:f\nsettings: {anything: {goes: [1, a]}}\nspace: {x: {int: [1, 9]}}\n",
        "objective: mine:f\nname: a b\nquestion: Why?\nsampler: gp\n",
    ],
)
def test_what_is_right_fits(text: str) -> None:
    """Short forms, and the free settings of an objective of one's own."""
    assert wrong(text) == []


MISTAKES = [
    (OURS, "objective: objectives.cnn:objective\n", ""),
    (OURS, "settings:", "setings:"),
    (OURS, "epochs: 5", "epoch: 5"),
    (OURS, "epochs: 5", "epochs: 0"),
    (OURS, "epochs: 5", "epochs: five"),
    (OURS, "epochs: 5", "epochs: 5, flip: 1"),
    (OURS, "dataset: digits, ", ""),
    (OURS, "dataset: digits", "dataset: digist"),
    (OURS, "digits_cnn", "digit_cnn"),
    (OURS, "[sgd, adam]", "[sgd, adm]"),
    (OURS, "[sgd, adam]", "sgd"),
    (OURS, "[sgd, adam]", "[]"),
    (OURS, "{choice: [sgd, adam]}", "[sgd, adam]"),
    (OURS, "{choice: [32, full]}", "{choice: [32, half]}"),
    (OURS, "{choice: [32, full]}", "{float: [1.5, 2.5]}"),
    (OURS, "{float: [1.0e-4, 1.0], log: true}", "{float: [0.0, 1.0]}"),
    (OURS, "{float: [1.0e-4, 1.0], log: true}", "{float: [0.1]}"),
    (OURS, "{float: [1.0e-4, 1.0], log: true}", "{float: [0.1, 1.0], choice: [1]}"),
    (OURS, "log: true", "log: 1"),
    (OURS, "log: true", "logg: true"),
    (OURS, "  momentum:", "  momentun:"),
    (OURS, "[0.0, 0.9]", "[0.0, 1.0]"),
    (OURS, "when: {optimizer: [sgd]}", "when: {optimiser: [sgd]}"),
    (OURS, "when: {optimizer: [sgd]}", "when: {optimizer: [sdg]}"),
    (OURS, "when: {optimizer: [sgd]}", "when: {optimizer: sgd}"),
    (OURS, "optimizer: adam, lr: 0.1", "optimizer: adam, lr: -0.1"),
    (OURS, "name: a, ", ""),
    (OURS, "published:", "publisht:"),
    (OURS, "name: tpe", "name: tpee"),
    (OURS, "n_startup_trials: 5", "n_startup: 5"),
    (OURS, "n_startup_trials: 5", "n_startup_trials: a"),
    (OURS, "pruner: median", "pruner: mean"),
    (OURS, "pruner: median", "pruner: {n_warmup_steps: 3}"),
    (OURS, "trials: 3", "trials: 0"),
    (OURS, "trials: 3", "trails: 3"),
    (OURS, "30m", "soon"),
    (OURS, "confirm: false", "confirm: true"),
    (OURS, "confirm: false", "confirm: {top: 0}"),
    (OURS, "confirm: false", "audit: 2"),
    (OURS, "confirm: false", "direction: up"),
    (LISTED, "phases: [1.0e-3, 1.0e-4]", "phases: []"),
    (LISTED, "optimizer: adam", "optimizer: adamm"),
    (LISTED, "configurations:", "space: {lr: {float: [0.1, 1.0]}}\nconfigurations:"),
]


@pytest.mark.parametrize(("text", "old", "new"), MISTAKES)
def test_what_is_wrong_does_not_fit_and_is_refused(
    write: Write, text: str, old: str, new: str
) -> None:
    """The editor and `optsearch validate` both see each of these mistakes."""
    assert old in text
    mistaken = text.replace(old, new)
    assert wrong(mistaken)
    write("a.yaml", mistaken)
    try:
        file = reading.load("./a.yaml", checks=[check.problems])
    except SpecError:
        return
    assert requests.check(file.spec)


@pytest.mark.soak
def test_the_knobs_of_an_objective_of_ones_own_come_along(cli: Cli, write: Write) -> None:
    """Where its module describes them; else its settings are free."""
    text = "objective: ./mine.py:objective\nsettings: {width: a}\n"
    raw, _ = yaml_lines.load(text, "a.yaml")
    free = cli("schema", "--objective", "./mine.py:objective").json
    assert jsonschema.Draft7Validator(free).is_valid(raw)
    knob = '{"name": "width", "json_schema": {"type": "integer"}}'
    write("its.py", f"def describe():\n    return {{'knobs': [{knob}]}}\ndef f(trial): return 0\n")
    known = jsonschema.Draft7Validator(cli("schema", "--objective", "./its.py:f").json)
    raw["objective"] = "./its.py:f"
    assert [error.message for error in known.iter_errors(raw)] == ["'a' is not of type 'integer'"]


def test_the_shell_offers_knobs_and_choices_out_of_it() -> None:
    """Without asking an objective, which takes seconds."""
    assert completion.knobs("mom") == ["momentum", "momentum_decay"]
    assert {"adam", "adamw"} <= set(completion.knobs("ad"))
    assert completion.knobs("resnet") == ["resnet9"]
