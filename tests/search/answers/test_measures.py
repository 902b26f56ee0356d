"""measures.py: what the name of a score says of its values."""

import numpy as np
import pytest
from sklearn import metrics

from search.answers import measures, words
from search.record import results

LABELS = np.repeat([0, 1, 2], [70, 20, 10])
FACTS = {"majority": {"class": "cat", "share": 0.7}, "classes": 3}


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("val_accuracy", metrics.accuracy_score(LABELS, LABELS * 0)),
        ("val_balanced_accuracy", metrics.balanced_accuracy_score(LABELS, LABELS * 0)),
        ("val_f1_macro", metrics.f1_score(LABELS, LABELS * 0, average="macro", zero_division=0)),
        ("val_auroc", metrics.roc_auc_score(LABELS, np.full((100, 3), 1 / 3), multi_class="ovr")),
        ("val_loss", None),
        ("val_top5_accuracy", None),
    ],
)
def test_what_always_the_same_answer_scores(metric: str, value: float | None) -> None:
    """As scikit-learn scores it; nothing where the facts do not tell."""
    known = measures.of_majority(metric, FACTS)
    assert known == (None if value is None else pytest.approx(value))
    assert measures.of_majority(metric, {}) is None
    assert (value is None) == (words.of_majority(metric, FACTS) == "")


def test_the_words_name_the_score() -> None:
    """Of an accuracy as ever."""
    told = words.of_majority("val_accuracy", FACTS)
    assert told == "Always saying 'cat' gives 0.7000 on the validation images."
    told = words.of_majority("val_f1_macro", FACTS)
    assert told == "Always saying 'cat' gives val_f1_macro 0.2745 on the validation images."


def test_only_shares_of_images_have_the_noise_of_images() -> None:
    """A mean over classes hangs on the images of a rare one; all of them lie from 0 to 1."""
    shares = {"val_accuracy", "my_accuracy", "val_top5_accuracy"}
    means = {"val_balanced_accuracy", "val_f1_macro", "val_auroc"}
    assert {name for name in shares | means if results.is_share(name)} == shares
    assert {name for name in {*shares, *means, "val_loss"} if measures.is_bounded(name)} == (
        shares | means
    )


def test_a_score_of_its_own_gets_a_panel_of_its_own() -> None:
    """After accuracy and loss; `lr` and `seconds` get none."""
    columns = [*results.HISTORY_COLUMNS, "val_auroc", "f1_macro", "val_f1_macro"]
    names = [validation for _, validation in results.panels(columns)]
    assert names == ["val_accuracy", "val_loss", "val_auroc", "val_f1_macro"]
