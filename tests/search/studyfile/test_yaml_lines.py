"""search/studyfile/yaml_lines.py: YAML 1.2 scalars, and the line of every key."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import SpecError
from search.studyfile import yaml_lines


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        ("-5E+3", -5000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("010", 10),
        ("+7", 7),
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("~", None),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ("1.2.3", "1.2.3"),
        ("2026-10-25", "2026-10-25"),
        ("1:30", "1:30"),
        ("=", "="),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("inf", "inf"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    """`1e-4` is a number and `no` is a word, unlike in PyYAML's YAML 1.1."""
    read, _ = yaml_lines.load(text, "f.yaml")
    assert read == value
    assert type(read) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_writes_is_read_back(value: float) -> None:
    """repr(float) is a float of the same value, whatever its exponent."""
    assert yaml_lines.load(f"x: {value!r}", "f.yaml")[0] == {"x": value}


def test_every_path_has_its_line() -> None:
    """Keys, list items and nested keys, in block and flow style."""
    _, lines = yaml_lines.load("a: 1\nb:\n  c: {d: 2}\n  e:\n    - 3\n    - 4\n", "f.yaml")
    assert lines["a",] == 1
    assert lines["b",] == 2
    assert lines["b", "c", "d"] == 3
    assert lines["b", "e", 1] == 6


def test_the_line_of_an_absent_path_is_that_of_its_nearest_ancestor() -> None:
    """A missing key is told at the mapping that lacks it; nothing at all gives None."""
    _, lines = yaml_lines.load("a:\n  b: 1\n", "f.yaml")
    assert yaml_lines.line_of(lines, ("a", "b", "c", 0)) == 2
    assert yaml_lines.line_of(lines, ("a", "x")) == 1
    assert yaml_lines.line_of({}, ("a",)) is None


@pytest.mark.soak
@pytest.mark.parametrize(
    ("text", "place", "rule"),
    [
        ("a: [1, 2\nb: 3\n", "f.yaml:2:2", "expected ',' or ']'"),
        ("a:\n\t- b\n", "f.yaml:2:1", "cannot start any token"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1", "another document"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4", "tag"),
        ("a: \x00", "f.yaml", "special characters"),
        ("a: &x [*x]", "f.yaml", "recursion"),
        ("a: " + "9" * 5000, "f.yaml", "limit"),
    ],
)
def test_what_is_not_yaml_is_told_in_one_line_with_its_place(
    text: str, place: str, rule: str
) -> None:
    """Line and column where the parser knows them, the file otherwise; never a traceback."""
    with pytest.raises(SpecError) as caught:
        yaml_lines.load(text, "f.yaml")
    message = str(caught.value)
    assert message.startswith(place + " not valid YAML: ")
    assert rule in message
    assert "mend" in message
    assert "\n" not in message


def test_a_key_that_stands_twice_is_refused() -> None:
    """PyYAML would take the last one silently."""
    with pytest.raises(SpecError, match=r"f.yaml:3 the key 'lr' stands twice; remove one"):
        yaml_lines.load("lr: 1\nb: 2\nlr: 3\n", "f.yaml")


def test_a_merged_key_may_be_replaced_but_not_written_twice() -> None:
    """`<<: *base` gives defaults; that is what merge keys are for."""
    text = "base: &base {lr: 1, momentum: 2}\none: &one\n  <<: *base\n  lr: 3\ntwo: *one\n"
    value, _ = yaml_lines.load(text, "f.yaml")
    assert value["one"] == value["two"] == {"lr": 3, "momentum": 2}
    with pytest.raises(SpecError, match="twice"):
        yaml_lines.load("base: &base {lr: 1}\none: {<<: *base, lr: 3, lr: 4}\n", "f.yaml")


@pytest.mark.soak
@given(st.text(max_size=60))
def test_any_text_is_a_value_or_a_spec_error(text: str) -> None:
    """No input reaches the user as a traceback."""
    with contextlib.suppress(SpecError):
        yaml_lines.load(text, "f.yaml")
