"""attributes.py: what an objective says of its trial never costs the score."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from search.workers import attributes


class Trial(attributes.PlainAttributes, optuna.trial.FixedTrial):
    pass


def kept(name: str, value: Any) -> dict[str, Any]:
    trial = Trial({})
    trial.set_user_attr(name, value)
    return trial.user_attrs


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.arange(2.0), [0.0, 1.0]),
        (torch.ones(2, requires_grad=True), [1.0, 1.0]),
        ({"a": np.int64(3), ("b", 1): {4}}, {"a": 3, "['b', 1]": [4]}),
        (Path("x"), "x"),
        (torch.device("cpu"), "cpu"),
    ],
    ids=str,
)
def test_values_are_converted_as_people_expect(value: object, plain: object) -> None:
    assert kept("mine", value) == {"mine": plain}


def test_a_name_read_here_is_kept_where_it_can_be_read() -> None:
    """An epoch may be 3.0; what cannot be read is kept aside, as are names that are ours."""
    assert kept("best_epoch", 3.0) == {"best_epoch": 3}
    assert kept("device", torch.device("cpu")) == {"device": "cpu"}
    assert kept("best_epoch", "last") == {"objective:best_epoch": "last"}
    assert kept("reason", None) == {"objective:reason": None}
    assert kept("seed", 3) == {"objective:seed": 3}
    assert kept("history", [0.1]) == {"history": [0.1]}  # results.history tells what is drawn


def test_what_cannot_be_kept_is_dropped_with_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "_told", set())
    endless: list[object] = []
    endless.append(endless)
    assert kept("endless", endless) == kept("endless", endless) == {}
    assert caplog.text.count("user attribute 'endless' is dropped") == 1
