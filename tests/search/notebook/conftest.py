"""What tests of a notebook share."""

import optuna
import pytest

from search.studyfile.spec import StudySpec
from tests.search import made


@pytest.fixture
def opened(database: str) -> tuple[optuna.Study, StudySpec]:
    """Two optimizers, each tried twice, and what was asked."""
    study, asked = made.opened(question="Which optimizer?", by="optimizer", budget={"trials": 20})
    for i, score in enumerate((0.5, 0.6, 0.7, 0.4)):
        params = {"optimizer": ("sgd", "adam")[i % 2], "lr": 0.1 / (i + 1), "batch_size": 16}
        made.search(study, asked, [(params, score)])
    return study, asked


@pytest.fixture
def study(opened: tuple[optuna.Study, StudySpec]) -> optuna.Study:
    return opened[0]
