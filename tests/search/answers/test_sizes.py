"""sizes.py: of equal configurations the faster one is named, and chosen where that is preferred."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import create_trial

from search import plots
from search.answers import confirm, evidence, report, sizes, words
from search.studyfile.spec import Confirm
from tests.search import made

LARGE = {"parameters": 4_000, "multiply_adds": 90_000, "ms_1": 2.0, "ms_256": 0.31}
SMALL = {"parameters": 1_000, "multiply_adds": 30_000, "ms_1": 1.0, "ms_256": 0.1}
MEANS = {"sgd": 0.902, "adam": 0.9, "adagrad": 0.899}
OF = {"adam": LARGE, "adagrad": SMALL, "sgd": SMALL}


def confirmed(prefer: str, of: Mapping[str, Any] = OF) -> Any:
    """A study of three that tie, and its evidence; two of them have a smaller network."""
    study, spec = made.opened(f"by-{prefer}", prefer=prefer)
    for optimizer, mean in MEANS.items():
        trial = made.ask(study, spec, {"optimizer": optimizer, "lr": 0.1, "batch_size": 32})
        trial.set_user_attr(sizes.ATTRIBUTE, of[optimizer])
        made.end(study, trial, mean)
    score = made.noisy(MEANS, noise=0.01)
    runs = confirm.begin(study, spec, Confirm(top=3, seeds=4))
    assert runs is not None
    asked = confirm.spec_of_runs(spec)
    while confirm.advance(runs, study, 1):
        trial = made.ask(runs, asked, None)
        trial.set_user_attr(sizes.ATTRIBUTE, of[trial.params["optimizer"]])
        made.end(runs, trial, score(trial.params, trial.user_attrs["seed"]))
    assert confirm.choose(runs)
    return study, evidence.of(study)


def run(size: Any) -> Any:
    return create_trial(value=1.0, user_attrs={sizes.ATTRIBUTE: size})


def test_equal_networks_take_equal_time() -> None:
    """The shortest that was measured anywhere: what else ran meanwhile breaks no tie."""
    slow = {**SMALL, "ms_256": 0.4}
    found = sizes.of_runs({0: [run(slow)], 1: [run(SMALL), run(slow)], 2: [run(LARGE)]})
    assert found[0] == found[1] == sizes.Size(1_000, 30_000, 0.1)
    assert found[2].ms == 0.31
    assert sizes.preferred("faster", [2, 0, 1], found) == 0
    assert sizes.preferred("smaller", [0, 2, 1], found) == 0


@pytest.mark.parametrize("told", [None, 3, {}, {**SMALL, "ms_256": "fast"}, {**SMALL, "ms_256": 0}])
def test_an_attribute_of_another_kind_tells_nothing(told: Any) -> None:
    """Any objective may write it."""
    assert sizes.of_runs({0: [run(told)]}) == {}
    assert sizes.preferred("faster", [0, 1], {}) == 0


def test_little_is_no_reason() -> None:
    """A tenth faster may be the clock."""
    near = {**LARGE, "parameters": 3_999, "ms_256": 0.29}
    found = sizes.of_runs({0: [run(LARGE)], 1: [run(near)]})
    assert sizes.preferred("faster", [0, 1], found) == 0


@pytest.mark.soak
def test_the_answer_names_the_tie_that_is_faster(folder: Path, database: str) -> None:
    """And what would choose it; the score chooses where nothing else is preferred."""
    study, known = confirmed("score")
    ranked = [c.params["optimizer"] for c in known.candidates]
    assert ranked == ["adam", "adagrad", "sgd"]
    assert [c.state for c in known.candidates] == ["winner", "tied", "tied"]
    assert words.of_evidence(known, 3, "again")[-1] == (
        f"It ties with trial {known.candidates[1].number}, which is 3.1 times faster (0.1 against "
        "0.31 ms an image); `prefer: faster` would choose it."
    )
    assert plots.draw(study, "times") is not None
    assert "Score against time" in report.html(study, plots.drawn(study))


@pytest.mark.soak
@pytest.mark.parametrize(
    ("prefer", "told"),
    [
        ("faster", "3.1 times faster (0.1 against 0.31 ms an image)"),
        ("smaller", "4.0 times smaller (1,000 against 4,000 parameters)"),
    ],
)
def test_ties_are_broken_by_what_is_preferred(
    prefer: str, told: str, folder: Path, database: str
) -> None:
    """Of two as fast the one of the higher mean."""
    _, known = confirmed(prefer)
    assert known.winner.params["optimizer"] == "adagrad"
    leader = next(c.number for c in known.ties if c.params["optimizer"] == "adam")
    line = words.of_evidence(known, 3, "again")[-1]
    assert f"as `prefer: {prefer}` breaks ties: it ties with trial {leader}, whose" in line
    assert told in line


@pytest.mark.soak
def test_where_all_networks_are_equal_there_is_nothing_to_tell(folder: Path, database: str) -> None:
    study, known = confirmed("faster", dict.fromkeys(MEANS, SMALL))
    means = {c.number: c.interval.mean for c in known.candidates if c.interval}
    assert means[known.winner.number] == max(means.values())
    assert not any("faster" in line for line in words.of_evidence(known, 3, "again"))
    assert plots.draw(study, "times") is None
