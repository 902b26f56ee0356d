"""search/studyfile/space.py: parameters, `when`, and what is wrong with either."""

from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from search.studyfile import space
from search.studyfile.space import Space

READ = TypeAdapter(Space, config=None)


def read(raw: dict[str, Any]) -> Space:
    return READ.validate_python(raw)


WHOLE = {
    "optimizer": {"choice": ["sgd", "adam"]},
    "lr": {"float": [1e-4, 1.0], "log": True},
    "momentum": {"float": [0.0, 0.9], "step": 0.3, "when": {"optimizer": ["sgd"]}},
    "nesterov": {"choice": [True, False], "when": {"optimizer": ["sgd"]}},
    "layers": {"int": [1, 9], "step": 2},
    "width": {"int": [8, 512], "log": True},
}


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Spaces that `problems` finds nothing wrong with; later parameters may hang on a choice."""
    raw: dict[str, Any] = {"root": {"choice": draw(st.sampled_from([["a", "b"], [1, 2], [True]]))}}
    for i in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["float", "int", "choice"]))
        low = draw(st.integers(1, 50))
        high = low + draw(st.integers(1, 50))
        extra = draw(st.sampled_from([{}, {"log": True}, {"step": 1}, {"step": 3}]))
        if kind == "choice":
            raw[f"p{i}"] = {"choice": draw(st.permutations([None, "x", 1.5, 3]))}
        elif kind == "int":
            raw[f"p{i}"] = {"int": [low, high], **extra}
        else:
            step = {k: v / 8 if k == "step" else v for k, v in extra.items()}
            raw[f"p{i}"] = {"float": [low / 8, high / 8], **step}
        if draw(st.booleans()):
            raw[f"p{i}"]["when"] = {
                "root": draw(st.sampled_from([[v] for v in raw["root"]["choice"]]))
            }
    return read(dict(draw(st.permutations(list(raw.items())))))


@pytest.mark.filterwarnings("ignore:The distribution is specified")
@given(spaces(), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_what_is_suggested_is_a_point_of_the_space(drawn: Space, seed: int) -> None:
    """Every active parameter, no other, and every value inside its range or among its choices."""
    assert list(space.problems(drawn)) == []
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    params = space.suggest(trial, drawn)
    assert params == trial.params
    assert list(space.params_problems(drawn, params)) == []


def test_a_dependent_parameter_is_drawn_only_while_its_when_holds() -> None:
    """And its parent is drawn first, wherever it stands in the file."""
    drawn = read(dict(reversed(WHOLE.items())))
    assert space.ordered(drawn).index("optimizer") < space.ordered(drawn).index("momentum")
    sgd = space.suggest(optuna.trial.FixedTrial(_point(optimizer="sgd")), drawn)
    adam = space.suggest(optuna.trial.FixedTrial(_point(optimizer="adam")), drawn)
    assert {"momentum", "nesterov"} == sgd.keys() - adam.keys()


def _point(**changes: Any) -> dict[str, Any]:
    point = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.3, "nesterov": True}
    return {**point, "layers": 3, "width": 64} | changes


def test_a_grandchild_hangs_on_a_parent_that_is_active() -> None:
    """A parameter whose parent was not drawn is not drawn either."""
    drawn = read(
        {
            "a": {"choice": [1, 2]},
            "b": {"choice": [1, 2], "when": {"a": [1]}},
            "c": {"float": [0.0, 1.0], "when": {"b": [1]}},
        }
    )
    assert space.suggest(optuna.trial.FixedTrial({"a": 2, "b": 1, "c": 0.5}), drawn) == {"a": 2}
    assert list(space.params_problems(drawn, {"a": 2})) == []


@pytest.mark.parametrize(
    ("parameter", "path", "message"),
    [
        ({"float": [1.0, 0.1]}, ("lr", "float"), "low < high must hold, got [1.0, 0.1]; swap them"),
        ({"int": [3, 3]}, ("lr", "int"), "low < high must hold, got [3, 3]"),
        ({"float": [0.0, 1.0], "log": True}, ("lr", "float"), "log needs low > 0, got [0.0, 1.0]"),
        ({"int": [-1, 4], "log": True}, ("lr", "int"), "log needs low > 0"),
        ({"float": [1, 2], "log": True, "step": 0.1}, ("lr", "step"), "exclude each other"),
        ({"float": [1, 2], "step": 0.0}, ("lr", "step"), "step must be > 0, got 0.0"),
        ({"choice": ["a", "a"]}, ("lr", "choice"), "choices must differ"),
        (
            {"float": [1, 2], "when": {"x": [1]}},
            ("lr", "when", "x"),
            "not in the space; one of: lr",
        ),
        (
            {"float": [1, 2], "when": {"k": ["z"]}},
            ("lr", "when", "k"),
            "'k' is never 'z'; one of: p",
        ),
        ({"float": [1, 2], "when": {"r": [1]}}, ("lr", "when", "r"), "needs a choice parameter"),
        ({"float": [1, 2], "when": {"k": []}}, ("lr", "when", "k"), "at least one value"),
        ({"choice": [1], "when": {"lr": [1]}}, (), "must not go in a circle, got lr"),
    ],
)
def test_a_wrong_parameter_is_told_with_its_path(
    parameter: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    """The rule, the value, and what to do."""
    others = {"k": {"choice": ["p", "q"]}, "r": {"float": [0.0, 1.0]}}
    found = list(space.problems(read({"lr": parameter, **others})))
    assert [p for p, _ in found] == [path]
    assert message in found[0][1]


def test_all_problems_of_a_space_are_told_at_once() -> None:
    """Three wrong parameters are three problems."""
    wrong = {name: {"float": [1.0, 0.0]} for name in "abc"}
    assert len(list(space.problems(read(wrong)))) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 2.0}, "'lr' must lie in [0.0001, 1.0], got 2.0; widen the range or move the value"),
        ({"lr": float("inf")}, "'lr' must lie in"),
        ({"lr": "fast"}, "'lr' must be a number in [0.0001, 1.0], got 'fast'"),
        ({"lr": True}, "'lr' must be a number"),
        ({"momentum": 0.4}, "'momentum' must be 0.0 plus a multiple of step 0.3, got 0.4"),
        ({"layers": 2}, "'layers' must be 1 plus a multiple of step 2, got 2"),
        ({"layers": 2.5}, "'layers' must be a whole number"),
        ({"layers": float("inf")}, "'layers' must lie in [1, 9], got inf"),
        ({"optimizer": "sgdd"}, "'optimizer' must be one of ['sgd', 'adam'], got 'sgdd'"),
        ({"nesterov": 1}, "'nesterov' must be one of [True, False], got 1"),
        ({"speed": 1}, "'speed' is not in the space; one of: optimizer, lr"),
        ({"optimizer": "adam"}, "'momentum' is not active here"),
    ],
)
def test_a_point_outside_of_the_space_is_told(changes: dict[str, Any], message: str) -> None:
    """Of the wrong type, out of range, between two steps, unknown, inactive."""
    found = [text for _, text in space.params_problems(read(WHOLE), _point(**changes))]
    assert any(text.startswith(message) for text in found), found


def test_a_point_that_lacks_an_active_parameter_is_told() -> None:
    """A baseline must name every active parameter: Optuna would draw the rest at random."""
    params = _point()
    del params["momentum"]
    assert list(space.params_problems(read(WHOLE), params)) == [
        ((), "the active parameter 'momentum' is missing; add it")
    ]


@given(spaces())
@settings(max_examples=50, deadline=None)
def test_the_plain_form_of_a_space_reads_back_as_the_same_space(drawn: Space) -> None:
    """What an objective's `check` is given is what the study file says."""
    assert read(space.as_plain(drawn)) == drawn


def test_configurations_are_a_space_of_the_values_they_take() -> None:
    """Equal values once, 1 and true apart, lists left out: they travel as settings."""
    made = space.of_configurations(
        [{"lr": 0.1, "sizes": [1, 2], "on": True}, {"lr": 0.1, "on": 1}, {"lr": 0.2}]
    )
    assert space.as_plain(made) == {"lr": {"choice": [0.1, 0.2]}, "on": {"choice": [True, 1]}}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ({"int": [1, 8], "step": 3}, 7),
        ({"float": [0, 1], "step": 0.3}, 0.9),
        ({"float": [0.1, 0.7], "step": 0.1}, 0.7),
        ({"int": [1, 9], "step": 4}, 9),
    ],
)
def test_a_range_ends_where_its_steps_do(
    raw: dict[str, Any], value: float, recwarn: pytest.WarningsRecorder
) -> None:
    """Optuna shortens it too; the last value is told, and nothing else is printed."""
    parameter = read({"x": raw})["x"]
    assert not isinstance(parameter, space.ChoiceParameter)
    assert space.last(parameter) == value
    assert type(space.last(parameter)) is (int if "int" in raw else float)
    kind = space.distribution(parameter)
    assert (kind.low, kind.high) == (parameter.range[0], value)  # type: ignore[attr-defined]
    told = [message for _, message in space.notes({"x": parameter})]
    high = parameter.range[1]
    assert [f"the last value is {value}" in line for line in told] == [True] * (value != high)
    space.suggest(optuna.create_study().ask(), {"x": parameter})
    assert not recwarn.list
