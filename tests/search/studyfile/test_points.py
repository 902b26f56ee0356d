"""points.py: how many points a space has, and which."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.studyfile import points
from search.studyfile.spec import StudySpec

RANGE = st.integers(-9, 9)
SPACES = st.fixed_dictionaries(
    {"o": st.lists(st.sampled_from(["a", 1, None, True, "b"]), min_size=1, unique_by=repr)},
    optional={
        "k": RANGE.map(lambda low: {"int": [low, low + 7], "step": 3}),
        "x": RANGE.map(lambda low: {"float": [low, low + 0.7], "step": 0.1}),
        "l": st.just({"int": [1, 20], "log": True}),
    },
)


def space(raw: dict[str, Any]) -> Any:
    return StudySpec(name="x", objective="./mine.py:f", space=raw).space


@given(SPACES, st.booleans())
def test_as_many_points_as_are_listed_each_once(raw: dict[str, Any], is_conditional: bool) -> None:
    """Also where a parameter is active under some choices only, and one of those under others."""
    choice = [c for c in raw.pop("o") if c is not True or 1 not in raw]
    choice = list({str(c): c for c in choice if c is not True}.values())
    whole = {"o": {"choice": choice or ["a"]}, **raw}
    if is_conditional:
        first = whole["o"]["choice"][0]
        whole["p"] = {"choice": ["u", "v"], "when": {"o": [first]}}
        whole["q"] = {"int": [1, 3], "when": {"p": ["u"]}}
    found = points.of(space(whole))
    assert found is not None
    listed = [found.key(params) for params in found.all()]
    assert len(listed) == len(set(listed)) == found.number


@pytest.mark.parametrize(
    "raw", [{}, {"x": {"float": [0, 1]}}, {"x": {"float": [1, 2], "log": True}}]
)
def test_a_range_without_steps_has_no_number(raw: dict[str, Any]) -> None:
    """An objective that draws its parameters itself has none either."""
    assert points.of(space(raw)) is None


def test_a_step_is_one_point_whatever_its_last_bit() -> None:
    """Optuna and addition round otherwise."""
    found = points.of(space({"x": {"float": [0, 1], "step": 0.1}}))
    assert found is not None
    assert found.number == 11
    assert found.key({"x": 0.1 + 0.2}) == found.key({"x": 0.3}) != found.key({"x": 0.4})


def test_a_space_with_too_many_ways_to_choose_is_not_gone_through() -> None:
    """Counting must not take longer than searching."""
    many = {f"c{i}": {"choice": list(range(20))} for i in range(8)}
    hanging = {f"k{i}": {"int": [1, 2], "when": {f"c{i}": [0]}} for i in range(8)}
    assert points.of(space({**many, **hanging})) is None
    free = points.of(space(many))
    assert free is not None
    assert free.number == 20**8
