"""The portfolio: every row trains, names its source, and is a point of the space it is given."""

import re
from collections.abc import Mapping
from importlib import resources
from itertools import groupby
from typing import Any

import hypothesis
import pytest
import torch
import yaml
from hypothesis import strategies as st
from pydantic import TypeAdapter

from objectives import cnn, datasets, feed, knobs, train
from objectives.optimizers import OPTIMIZERS
from objectives.portfolio import portfolio
from objectives.recipes import RECIPES
from objectives.schedules import SCHEDULES
from search.studyfile.space import Space, as_plain, params_problems, problems

CPU = torch.device("cpu")
SETTINGS = {"dataset": "digits", "network": "simple_cnn", "epochs": 11}  # one is trained
LR = {"float": [1e-6, 10.0], "log": True}
ALL = {
    "optimizer": {"choice": list(OPTIMIZERS)},
    "lr": LR,
    "schedule": {"choice": [name for name in SCHEDULES if name != "phases"]},
    "batch_size": {"choice": [16, 64, 128]},
    "momentum": {"float": [0.0, 0.99], "when": {"optimizer": ["sgd", "rmsprop"]}},
}
ROWS = [pytest.param(row, id=row.name) for row in RECIPES]


def found(space: Mapping[str, Any], **settings: Any) -> dict[str, dict[str, Any]]:
    """The rows that fit, by name."""
    return {row["name"]: row["params"] for row in portfolio(settings, dict(space))}


def read(raw: Mapping[str, Any]) -> Space:
    return TypeAdapter(Space).validate_python(raw)


def shipped() -> list[Any]:
    """The studies of the package that search a space."""
    folder = resources.files("studies").iterdir()
    files = sorted(file.name for file in folder if file.name.endswith(".yaml"))
    studies = {
        name: yaml.safe_load((resources.files("studies") / name).read_text()) for name in files
    }
    return [pytest.param(study, id=name) for name, study in studies.items() if "space" in study]


@pytest.fixture(scope="module")
def digits() -> feed.Data:
    return feed.to_device(datasets.load("digits", validation=0.8), CPU)


# The table -------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS)
def test_a_row_trains_an_epoch_on_digits(row: Any, digits: feed.Data) -> None:
    """With every value that it names, its rate scaled to 128 images."""
    named = {**row.also, **row.params}
    space = {name: {"choice": [value]} for name, value in named.items() if name != "lr"}
    params = found({**space, "lr": LR, "batch_size": {"choice": [128]}})[row.name]
    assert params.keys() == {*named, "batch_size"}
    config = knobs.configure({**SETTINGS, "precision": "float32"}, params)
    assert train.Training(config, digits, CPU, seed=0).epoch()["loss"] > 0


def test_every_optimizer_has_one_to_three_rows_under_a_schedule() -> None:
    """A new optimizer without a row fails here, and so does a row that nothing reads."""
    assert {row.params["optimizer"] for row in RECIPES} == OPTIMIZERS.keys()
    kinds = sorted(
        (row.params["optimizer"], {**row.also, **row.params}["schedule"]) for row in RECIPES
    )
    assert max(len(list(same)) for _, same in groupby(kinds)) <= 3


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_its_source_and_its_rate(row: Any) -> None:
    """Names are unique and begin with the optimizer; a source is a paper or a documentation."""
    assert row.name.startswith(row.params["optimizer"] + "-")
    assert [other.name for other in RECIPES].count(row.name) == 1
    assert re.search(r"\b\d{4}\.\d{4,5}\b|\bKeras'|\btorch's|\(cifar10-fast\)", row.source)
    assert row.params["lr"] > 0
    assert row.batch_size > 0
    assert not row.params.keys() & row.also.keys()


def test_the_companion_stands_beside_the_objective() -> None:
    """As `check` and `save` do."""
    assert cnn.portfolio is portfolio
    assert "portfolio" in cnn.__all__


# What fits -------------------------------------------------------------------------------------


def test_optimizers_take_turns_and_first_rows_stand_first() -> None:
    """So that each has had its best known try before one gets its second."""
    names = [row["name"] for row in portfolio({}, ALL)]
    firsts = {row.params["optimizer"]: row.name for row in reversed(RECIPES)}
    assert names[: len(OPTIMIZERS)] == list(firsts.values())[::-1]
    assert names[len(OPTIMIZERS)] == "sgd-cosine"
    assert len(set(names)) == len(names)


def test_a_rate_follows_the_batch_size() -> None:
    """Linearly under sgd, by the square root elsewhere; the nearest batch size is taken."""
    searched = {"optimizer": ALL["optimizer"], "lr": LR, "batch_size": {"choice": [8, 512]}}
    assert found(searched)["sgd-keras"] == {"optimizer": "sgd", "lr": 0.0025, "batch_size": 8}
    assert found(searched)["adam-keras"] == {"optimizer": "adam", "lr": 5e-4, "batch_size": 8}
    fixed = {"optimizer": ALL["optimizer"], "lr": LR}
    assert found(fixed, batch_size=128)["sgd-keras"] == {"optimizer": "sgd", "lr": 0.04}
    assert found(fixed, batch_size=128)["adam-keras"] == {"optimizer": "adam", "lr": 2e-3}
    assert found(fixed, batch_size="full") == {}


def test_a_rate_that_scaling_takes_out_of_the_range_is_its_end() -> None:
    """Where the published one lies inside; where neither does, the row does not fit."""
    space = {"lr": {"float": [1e-4, 1.0], "log": True}, "batch_size": {"choice": [512]}}
    assert found(space, optimizer="adadelta")["adadelta-zeiler"] == {"lr": 1.0, "batch_size": 512}
    space["lr"] = {"float": [1e-4, 0.5]}
    assert found(space, optimizer="adadelta") == {}
    space["lr"] = {"choice": [1e-4, 1e-3, 1e-2]}  # of choices the published one
    assert found(space, optimizer="adam")["adam-keras"] == {"lr": 1e-3, "batch_size": 512}


def test_fixed_settings_choose_the_rows() -> None:
    """Only rows of the optimizer that is fixed, and none whose momentum or rate is another."""
    assert set(found({"lr": LR}, optimizer="sgd", momentum=0.9)) == {"sgd-nesterov"}
    assert set(found({"lr": LR}, optimizer="sgd")) == {"sgd-keras"}
    assert set(found({"lr": LR}, optimizer="adadelta", schedule="step")) == {"adadelta-zeiler"}
    assert "sgd-cosine" in found({"lr": LR}, optimizer="sgd", momentum=0.9, schedule="cosine")
    flips = {"flip": {"choice": [True, False]}}
    assert found(flips, optimizer="adam", lr=1e-3) == {"adam-keras": {"flip": False}}
    assert found(flips, optimizer="adam", lr=0.1) == {}
    assert found({}, optimizer="adam") == {}


def test_what_is_not_searched_falls_away_unless_the_row_would_be_another() -> None:
    """TaskSet's AdamW without its beta1 is not TaskSet's; sgd without its decay is still sgd."""
    space = {name: ALL[name] for name in ("optimizer", "lr", "schedule")}
    assert "adamw-taskset" not in found(space)
    with_beta = {**space, "beta1": {"float": [0.8, 0.99], "when": {"optimizer": ["adamw"]}}}
    assert found(with_beta)["adamw-taskset"]["beta1"] == 0.936
    assert "sgd-cosine" not in found(space)  # its momentum
    with_momentum = {**space, "momentum": {"choice": [0.0, 0.9], "when": {"optimizer": ["sgd"]}}}
    assert found(with_momentum)["sgd-cosine"]["momentum"] == 0.9
    assert "weight_decay" not in found(with_momentum)["sgd-cosine"]


def test_what_a_row_does_not_name_has_its_default_or_the_middle() -> None:
    """The optimizer's own default where it lies inside, else the middle on the range's scale."""
    space = {
        "lr": LR,
        "weight_decay": {"float": [1e-4, 1e-2], "log": True},
        "crop": {"int": [0, 6]},
        "cutout": {"int": [2, 12], "step": 4},
        "label_smoothing": {"float": [0.1, 0.3]},
    }
    assert found(space, optimizer="adagrad")["adagrad-torch"] == {
        "lr": 5e-3,
        "weight_decay": pytest.approx(1e-3),
        "crop": 0,
        "cutout": 6,
        "label_smoothing": 0.2,
    }


def test_equal_points_are_tried_once() -> None:
    """Where a schedule and a rate are given two rows may be one; the first has the name."""
    space = {"lr": {"choice": [1e-3]}}
    settings = {"optimizer": "adam", "schedule": "cosine", "batch_size": 64}
    assert found(space, **settings) == {"adam-keras": {"lr": 1e-3}}


# Every space -----------------------------------------------------------------------------------


@pytest.mark.parametrize("study", shipped())
def test_rows_are_points_of_every_shipped_study(study: dict[str, Any]) -> None:
    """The study's own checks accept them, and so does the objective; each study gets at least one,
    and each optimizer that it asks about."""
    space = read(study["space"])
    rows = portfolio(study["settings"], as_plain(space))
    for row in rows:
        assert list(params_problems(space, row["params"])) == []
        knobs.configure(study["settings"], row["params"])
    asked = study["space"].get("optimizer", {}).get("choice", [study["settings"].get("optimizer")])
    got = {row["params"].get("optimizer", study["settings"].get("optimizer")) for row in rows}
    assert got == set(asked)


@st.composite
def parameters(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A parameter under a knob's name, whatever that knob would allow."""
    kind = draw(st.sampled_from(["float", "int", "choice"]))
    if kind == "choice":
        usual = [named(row, name) for row in RECIPES]
        return {
            "choice": draw(st.lists(st.sampled_from([*usual, 1, "a"]), min_size=1, unique=True))
        }
    low, width = draw(st.integers(1, 40)), draw(st.integers(1, 400))
    scale = 1 if kind == "int" else draw(st.sampled_from([1e-5, 1e-3, 1e-1]))
    step = scale * draw(st.integers(1, 7))
    extra = draw(st.sampled_from([{}, {"log": True}, {"step": step}]))
    return {kind: [low * scale, (low + width) * scale], **extra}


def named(row: Any, name: str) -> Any:
    """What a row has under a name."""
    return {"batch_size": row.batch_size, **row.also, **row.params}.get(name, False)


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    """A few knobs, some of them active under a value of the one before."""
    names = [
        "lr",
        "batch_size",
        "momentum",
        "nesterov",
        "schedule",
        "beta1",
        "weight_decay",
        "crop",
    ]
    space = {"optimizer": {"choice": draw(st.permutations(list(OPTIMIZERS)))}}
    for name in draw(st.lists(st.sampled_from(names), min_size=1, unique=True)):
        parent = list(space)[-1]
        space[name] = draw(parameters(name))
        if "choice" in space[parent] and draw(st.booleans()):
            values = draw(st.lists(st.sampled_from(space[parent]["choice"]), min_size=1))
            space[name]["when"] = {parent: values}
    return space


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:The distribution is specified by")
@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(spaces(), st.sampled_from([{}, {"batch_size": 64}, {"momentum": 0.9}]))
def test_rows_are_points_of_any_space(raw: dict[str, Any], fixed: dict[str, Any]) -> None:
    """Every active parameter has a value inside, no other is named."""
    space = read(raw)
    hypothesis.assume(not list(problems(space)))
    rest = {name: value for name, value in fixed.items() if name not in raw}
    for row in portfolio(rest, as_plain(space)):
        assert list(params_problems(space, row["params"])) == []
