"""Rules of the data: split fairly, described truly, the test set apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objectives import datasets

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_digits_are_split_70_15_15() -> None:
    """1,797 images: 1,257 to train on, 270 to validate, 270 to test, pixels 0..16, every class."""
    data, test = datasets.load("digits"), datasets.load_test("digits")
    sizes = [len(split.labels) for split in (data.train, data.validation, test)]
    assert sizes == [1257, 270, 270]
    assert data.train.images.shape == (1257, 1, 8, 8)
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == np.int64
    assert data.scale == data.train.images.max() == 16
    assert data.classes == tuple("0123456789")
    for split in (data.train, data.validation, test):
        shares = np.bincount(split.labels) / len(split.labels)
        assert shares == pytest.approx([0.1] * 10, abs=0.01)


def test_digits_are_those_of_scikit_learn() -> None:
    """Read from its table without importing it: the same images, each in one split only."""
    from sklearn.datasets import load_digits

    data, test = datasets.load("digits"), datasets.load_test("digits")
    ours = np.concatenate([data.train.images, data.validation.images, test.images])
    theirs = load_digits().images.astype(np.uint8)
    assert sorted(image.tobytes() for image in ours) == sorted(image.tobytes() for image in theirs)


def test_a_split_depends_on_its_seed_alone() -> None:
    """The same seed gives the same images; another seed others, of the same number."""
    one, same = datasets.load("digits"), datasets.load("digits")
    other = datasets.load("digits", split_seed=1)
    np.testing.assert_array_equal(one.validation.images, same.validation.images)
    assert len(other.validation.labels) == len(one.validation.labels)
    assert not np.array_equal(one.validation.images, other.validation.images)
    assert one.fingerprint == other.fingerprint


def test_the_validation_fraction_is_of_the_training_images() -> None:
    """validation 0.2 of digits' 1,527 is 305."""
    data = datasets.load("digits", validation=0.2)
    assert [len(data.train.labels), len(data.validation.labels)] == [1222, 305]


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(2, 60), min_size=2, max_size=8), seed=st.integers(0, 9999))
def test_stratified_agrees_with_scikit_learn(sizes: list[int], seed: int) -> None:
    """The same share of every class, up to which of equal remainders is rounded up."""
    from sklearn.model_selection import train_test_split

    labels = RANDOM.permutation(np.repeat(np.arange(len(sizes)), sizes))
    count = max(len(sizes), len(labels) // 4)
    if count > len(labels) - len(sizes):
        return
    ours = datasets.stratified(labels, count, seed)
    assert len(np.unique(ours)) == len(ours) == count
    theirs = train_test_split(labels, test_size=count, stratify=labels, random_state=seed)[1]
    counts = [np.bincount(chosen, minlength=len(sizes)) for chosen in (labels[ours], theirs)]
    assert np.abs(counts[0] - counts[1]).max() <= 1


def test_describe_says_what_load_gives() -> None:
    """Counts, shape and fingerprint, in values that JSON can carry."""
    about, data = (
        datasets.describe("digits", validation=0.3),
        datasets.load("digits", validation=0.3),
    )
    assert json.loads(json.dumps(about)) == {
        "name": "digits",
        "fingerprint": data.fingerprint,
        "n_train": len(data.train.labels),
        "n_validation": len(data.validation.labels),
        "n_test": 270,
        "classes": 10,
        "shape": [1, 8, 8],
        "majority": {"class": "1", "share": 0.1026},
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"dataset": "cifar11"},
            r"unknown dataset 'cifar11'; one of: .*folder:PATH, .*; did you mean",
        ),
        ({"dataset": "digits", "validation": 0}, "0 < validation < 1 must hold, got 0"),
        ({"dataset": "digits", "validation": 1.0}, "0 < validation < 1 must hold, got 1.0"),
        ({"dataset": "digits", "image_size": 0}, "image_size >= 1 must hold, got 0"),
        (
            {"dataset": "digits", "image_size": 16, "resize": "pad"},
            "resize pad: the images of digits are square; remove it",
        ),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    """With the rule, the value and the valid names."""
    with pytest.raises(ValueError, match=message):
        datasets.load(**options)


def test_image_size_resizes_a_named_data_set() -> None:
    """digits at 16 pixels: the same labels and about the same mean."""
    plain, large = datasets.load("digits"), datasets.load("digits", image_size=16)
    assert large.train.images.shape == (1257, 1, 16, 16)
    assert datasets.load_test("digits", image_size=16).images.shape == (270, 1, 16, 16)
    np.testing.assert_array_equal(plain.train.labels, large.train.labels)
    assert large.train.images.mean() == pytest.approx(plain.train.images.mean(), abs=0.1)
    assert large.fingerprint != plain.fingerprint
