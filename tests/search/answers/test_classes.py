"""classes.py: precision, recall and F1 of each class."""

import numpy as np
import pytest
from sklearn import metrics

from search.answers import classes


def test_each_class_is_told_as_scikit_learn_does() -> None:
    """From the confusion matrix alone, of classes of uneven size."""
    generator = np.random.default_rng(0)
    labels = generator.choice(3, 500, p=[0.7, 0.2, 0.1])
    answers = np.where(generator.random(500) < 0.6, labels, generator.choice(3, 500))
    rows = classes.of(metrics.confusion_matrix(labels, answers).tolist(), ["cat", "dog", "owl"])
    wanted = metrics.precision_recall_fscore_support(labels, answers)
    for name, values in zip(("precision", "recall", "f1", "images"), wanted, strict=True):
        assert [row[name] for row in rows] == pytest.approx(values.tolist())


def test_a_share_of_nothing_is_none() -> None:
    """No image is of `owl`, none was taken for `dog`."""
    rows = classes.of([[3, 0, 1], [2, 0, 0], [0, 0, 0]], ["cat", "dog", "owl"])
    assert [row["precision"] for row in rows] == [0.6, None, 0.0]
    assert [row["recall"] for row in rows] == [0.75, 0.0, None]
    assert classes.as_csv(rows).decode().splitlines()[2] == "dog,2,,0.0,0.0"
    told = "weakest class: 'dog', F1 0.0000 (precision of nothing, recall 0.0000), 2 images"
    assert classes.weakest(rows) == told
    assert classes.weakest([]) == ""
