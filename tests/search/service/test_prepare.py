"""Rules of what is looked at before a run begins."""

import pytest

from search.errors import UsageError
from search.service import prepare
from search.studyfile.parts import Budget, Until
from search.studyfile.spec import StudySpec


@pytest.mark.parametrize(
    ("score", "metric", "refused"),
    [
        (94, "val_accuracy", "val_accuracy lies from 0 to 1.*did you mean 0.94"),
        (-1, "val_f1_macro", "val_f1_macro lies from 0 to 1"),
        (0.94, "val_accuracy", ""),
        (94, "value", ""),
        (94, None, ""),
    ],
)
def test_a_score_that_cannot_come_is_not_waited_for(
    score: float, metric: str | None, refused: str
) -> None:
    """A share is written as such."""
    asked = StudySpec(name="s", objective="m:f", budget=Budget(until=Until(score=score), trials=9))
    if not refused:
        prepare._check_until(asked, metric)
        return
    with pytest.raises(UsageError, match=refused):
        prepare._check_until(asked, metric)
