"""Configurations as points: nothing is lost on the way there and back."""

from typing import Any

import numpy as np
import pytest

from search.strategy.points import Points

SPACE: dict[str, Any] = {
    "momentum": {"float": [0.0, 0.9], "when": {"optimizer": ["sgd"]}},
    "optimizer": {"choice": ["sgd", "adam"]},
    "lr": {"float": [1e-4, 1.0], "log": True},
    "batch_size": {"int": [16, 512], "log": True},
    "layers": {"int": [1, 9], "step": 2},
    "flip": {"choice": [True, 1, None, [1, 2]]},
}


def test_a_configuration_comes_back_as_it_went() -> None:
    points = Points(SPACE)
    for place in points.draw(np.random.default_rng(0), 50):
        params = points.params(place)
        again = points.params(points.place(params))
        assert again.keys() == params.keys()
        for name, value in params.items():
            number = isinstance(value, float)
            assert again[name] == (pytest.approx(value) if number else value)


def test_an_inactive_parameter_is_missing_and_a_value_of_its_own() -> None:
    points = Points(SPACE)
    adam = points.place({"optimizer": "adam", "lr": 0.1})
    sgd = [points.place({"optimizer": "sgd", "lr": 0.1, "momentum": m}) for m in (0.0, 0.45, 0.9)]
    assert "momentum" not in points.params(adam)
    codes = points.codes(np.array([adam, *sgd]))
    column = points.groups == points.names.index("momentum")
    assert len({tuple(code[column]) for code in codes}) == 4


def test_what_is_drawn_or_moved_lies_inside_and_on_the_grid() -> None:
    points, rng = Points(SPACE), np.random.default_rng(1)
    drawn = points.draw(rng, 64)
    for place in [*drawn, *points.near(rng, drawn, 0.3)]:
        params = points.params(place)
        assert ("momentum" in params) == (params["optimizer"] == "sgd")
        assert params["layers"] in (1, 3, 5, 7, 9)
        assert 16 <= params["batch_size"] <= 512
        assert 1e-4 * (1 - 1e-9) <= params["lr"] <= 1


def test_a_grid_is_the_same_for_many_places_as_for_one() -> None:
    """And what lies on it stays there to the last bit: places are told apart by their bytes."""
    space = {
        **{name: SPACE[name] for name in ("optimizer", "batch_size", "layers", "flip")},
        "width": {"float": [0.1, 0.75], "step": 0.2},
        "rate": {"float": [0.001, 0.9], "step": 0.05},
        "one": {"int": [3, 3]},
    }
    points = Points(space)
    drawn = points.draw(np.random.default_rng(2), 200)
    assert points.settled(drawn).tobytes() == drawn.tobytes()
    for place in drawn:
        again = points.place(points.params(place))
        assert again == pytest.approx(place, nan_ok=True)
        assert points.settled(again[None])[0].tobytes() == place.tobytes()


def test_when_in_a_circle_is_refused() -> None:
    circle = {"a": {"choice": [1], "when": {"b": [1]}}, "b": {"choice": [1], "when": {"a": [1]}}}
    with pytest.raises(ValueError, match="circle"):
        Points(circle)
