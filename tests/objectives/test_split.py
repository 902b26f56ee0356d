"""Rules of drawing: each class its share, groups whole, every class on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objectives import split


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10**6), st.sampled_from([0.1, 0.15, 0.3]))
def test_groups_stay_whole(classes: int, seed: int, fraction: float) -> None:
    """And each class has images on both sides, near its share where the groups are small."""
    random = np.random.default_rng(seed)
    groups = random.integers(0, 60, 600)
    labels = groups % classes  # a group is of one class, as a patient is
    taken = split.drawn(labels, fraction, seed, groups)
    left = np.delete(np.arange(600), taken)
    assert not {*groups[taken]} & {*groups[left]}
    assert {*labels[taken]} == {*labels[left]} == {*labels}
    assert abs(len(taken) - 600 * fraction) < 30
    np.testing.assert_array_equal(taken, split.drawn(labels, fraction, seed, groups))


def test_a_class_of_one_group_is_refused() -> None:
    """It cannot be on both sides; the class is named."""
    with pytest.raises(ValueError, match="class 'b' has one training group; two are the least"):
        split.held_out("csv:x", "ab", np.array([0, 0, 1, 1]), 0.5, 0, np.array([0, 1, 2, 2]))
