"""compare.py, verdicts.py and `optsearch compare`: what may be concluded."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from search.answers import compare, evidence, groups, pairs, plans, statistics, verdicts
from search.answers.verdicts import Row
from search.errors import IdentityError, UsageError
from search.record import study as studies
from tests.search import made

Cli = Callable[..., Any]
SGD, ADAM, ADAGRAD = (
    {"optimizer": name, "lr": 0.01, "batch_size": 32} for name in ("sgd", "adam", "adagrad")
)
MEANS = {"sgd": 0.9, "adam": 0.9, "adagrad": 0.5}


@pytest.fixture
def study(database: str) -> optuna.Study:
    """Three optimizers, four trials of SGD and one of each other, the best of each confirmed."""
    opened, asked = made.opened()
    tried = [({**SGD, "lr": lr}, score) for lr, score in ((0.1, 0.8), (0.2, 0.92), (0.3, 0.7))]
    made.search(opened, asked, [*tried, (ADAM, 0.91), (ADAGRAD, 0.85)])
    made.confirm_best(opened, asked, made.noisy(MEANS))
    return opened


def rows_of(found: compare.Comparison) -> dict[str, Row]:
    return {row.value: row for row in found.rows}


# What is compared


@pytest.mark.soak
def test_each_value_is_spoken_for_by_its_best_configuration(study: optuna.Study) -> None:
    """With all trials that it had, and the scores of the confirm stage."""
    rows = rows_of(compare.compare([study]))
    assert {v: (r.number, r.trials) for v, r in rows.items()} == {
        "sgd": (1, 3),
        "adam": (3, 1),
        "adagrad": (4, 1),
    }
    known = evidence.of(study)
    assert known is not None
    for row in rows.values():
        candidate = known.of(row.number or 0)
        assert candidate is not None
        assert (row.score, row.test) == (candidate.interval, candidate.test)
        assert row.seeds > 1


@pytest.mark.soak
def test_of_equal_values_the_winner_of_the_race_stands_first(database: str) -> None:
    """Whichever of them was tried first."""
    opened, asked = made.opened()
    made.search(opened, asked, [(SGD, 0.8), (ADAM, 0.9), (ADAGRAD, 0.7)])
    runs = made.confirm_best(opened, asked, lambda params, seed: 0.95)
    winner = runs.user_attrs[plans.CHOICE]["winner"]
    assert winner == 1
    assert compare.compare([opened]).rows[0].number == winner


@pytest.mark.soak
def test_what_was_not_confirmed_has_one_seed_and_no_interval(database: str) -> None:
    """Its search score stands alone."""
    opened, asked = made.opened()
    made.search(opened, asked, [(SGD, 0.8), (ADAM, 0.7)])
    found = compare.compare([opened])
    assert [r.verdict for r in found.rows] == ["one seed", "one seed"]
    assert all(
        r.score == statistics.Interval(r.score.mean, None, None, 1) for r in found.rows if r.score
    )
    assert [r.p_best for r in found.rows] == [None, None]
    assert found.conclusions == ["one seed each: nothing may be concluded about which is better"]


def test_a_value_without_a_complete_trial_is_told(database: str) -> None:
    """It was tried, but has no score."""
    opened, asked = made.opened()
    made.search(opened, asked, [(SGD, 0.8)])
    made.prune(opened, made.ask(opened, asked, ADAM), 0.1)
    found = compare.compare([opened])
    assert [(r.value, r.verdict, r.trials) for r in found.rows][1] == ("adam", "no score", 1)
    assert (
        "adam: no trial is complete, so there is no score; `enqueue` tries one" in found.conclusions
    )


@pytest.mark.soak
def test_a_study_that_enumerates_is_compared_by_configuration(database: str) -> None:
    """Others by their first choice parameter; a study of Optuna alone by its first choice."""
    listed = [{"name": n, "params": {"lr": lr}} for n, lr in (("low", 0.1), ("high", 0.2))]
    opened, asked = made.opened(configurations=listed)
    made.enumerate_all(opened, asked, {"low": 0.3, "high": 0.4})
    found = compare.compare([opened])
    assert (found.by, [r.value for r in found.rows]) == ("configuration", ["high", "low"])
    assert groups.default_by(made.opened("other")[0]) == "optimizer"
    plain = optuna.create_study()
    trial = plain.ask()
    trial.suggest_float("x", 0, 1)
    trial.suggest_categorical("kind", ["a", "b"])
    plain.tell(trial, 1.0)
    assert compare.compare([plain]).by == "kind"


@pytest.mark.soak
def test_a_range_is_compared_in_parts_of_its_scale(database: str) -> None:
    """A learning rate by decades, not by its hundred different values; each trial once."""
    opened, asked = made.opened()
    rates = np.logspace(-4, 0, 21)
    made.search(opened, asked, [({**SGD, "lr": float(lr)}, 0.5 - abs(lr - 0.05)) for lr in rates])
    rows = rows_of(compare.compare([opened], "lr"))
    assert set(rows) == {"0.0001 to 0.001", "0.001 to 0.01", "0.01 to 0.1", "0.1 to 1"}
    assert sum(r.trials for r in rows.values()) == len(rates)
    assert next(iter(rows.values())).value == "0.01 to 0.1"


def test_a_parameter_that_a_trial_does_not_have_is_a_value_of_its_own(database: str) -> None:
    """Momentum exists under SGD only."""
    space = made.SPACE | {"momentum": {"choice": [0.0, 0.9], "when": {"optimizer": ["sgd"]}}}
    opened, asked = made.opened(space=space)
    made.search(opened, asked, [({**SGD, "momentum": 0.9}, 0.8), (ADAM, 0.7)])
    assert set(rows_of(compare.compare([opened], "momentum"))) == {"0.9", "not set"}


def test_an_unknown_parameter_is_answered_with_the_nearest(study: optuna.Study) -> None:
    """Or with all, where none is near."""
    with pytest.raises(UsageError, match=r"--by optimiser: .*did you mean optimizer\?"):
        compare.compare([study], "optimiser")
    with pytest.raises(UsageError, match=r"one of: optimizer, lr, batch_size, configuration"):
        compare.compare([study], "zzz")


def test_epochs_and_seconds_to_the_target(database: str) -> None:
    """The first epoch that is as good; never where none is; by default 95 % of the best."""
    opened, asked = made.opened()
    made.search(opened, asked, [(SGD, 0.8), (ADAM, 0.2)])
    rows = rows_of(compare.compare([opened]))  # SGD: 0.4, 0.6, 0.7, 0.8; the target is 0.76
    assert (rows["sgd"].epochs, rows["sgd"].seconds) == (4, 8.0)
    assert (rows["adam"].epochs, rows["adam"].seconds) == (math.inf, math.inf)
    rows = rows_of(compare.compare([opened], target=0.5))
    assert (rows["sgd"].epochs, rows["sgd"].seconds) == (2, 4.0)


def test_an_objective_that_keeps_no_history_has_epochs_but_no_seconds(database: str) -> None:
    """And one that never reports has neither."""
    plain = optuna.create_study(direction="minimize")
    for kind, reports in (("a", [3.0, 1.0]), ("b", [])):
        plain.enqueue_trial({"kind": kind})
        trial = plain.ask()
        trial.suggest_categorical("kind", ["a", "b"])
        for step, value in enumerate(reports):
            trial.report(value, step)
        plain.tell(trial, 1.0)
    rows = rows_of(compare.compare([plain], "kind"))
    assert (rows["a"].epochs, rows["a"].seconds) == (2, None)
    assert (rows["b"].epochs, rows["b"].seconds) == (None, None)


def test_no_complete_trial_is_told_with_the_next_step(database: str) -> None:
    """There is nothing to compare."""
    opened, asked = made.opened()
    made.prune(opened, made.ask(opened, asked, ADAM), 0.1)
    with pytest.raises(
        UsageError, match=r"mine: no trial is complete.*`optsearch run --study .*` goes"
    ):
        compare.compare([opened])


@pytest.mark.soak
def test_a_configuration_some_of_whose_seeds_failed_is_not_told_by_the_others(
    database: str,
) -> None:
    """Those that survived would look too good: the search's score stands, and it is told."""
    opened, asked = made.opened()
    made.search(opened, asked, [(SGD, 0.8), (ADAM, 0.7)])
    score = made.noisy(MEANS)
    broken: list[int] = []

    def failing(params: Any, seed: int) -> float:
        if params["optimizer"] == "sgd" and not broken:
            broken.append(seed)
            return math.nan
        return score(params, seed)

    made.confirm_best(opened, asked, failing)
    found = compare.compare([opened])
    assert rows_of(found)["sgd"].verdict == "one seed"
    assert any("trial 0" in line and "did not end as complete" in line for line in found.warnings)


def test_unequal_tuning_is_warned_of(study: optuna.Study) -> None:
    """Three tries of one against one of the other is more than twice."""
    line, *_ = compare.compare([study]).warnings
    assert line.startswith("not tuned alike: sgd had 3 trials, adam 1")


# Several studies


@pytest.mark.soak
def test_studies_of_different_data_are_refused_unless_asked_for(database: str) -> None:
    """Each difference is named; then each row says which data its scores are of."""
    for name, fingerprint, epochs in (("a", "sha256:1", 3), ("b", "sha256:2", 5)):
        prepared = {"data": {"fingerprint": fingerprint}, "settings": {"epochs": epochs}}
        opened, asked = made.opened(name, prepared, settings={"epochs": epochs})
        made.search(opened, asked, [(SGD, 0.8)])
    both = [studies.load_study(name, made.URL) for name in "ab"]
    with pytest.raises(IdentityError) as caught:
        compare.compare(both)
    assert "epochs: a 3, b 5" in str(caught.value)
    assert "data fingerprint: a sha256:1, b sha256:2" in str(caught.value)
    found = compare.compare(both, allow_different_data=True)
    assert {r.name: r.data for r in found.rows} == {
        "sgd (a)": "epochs 3, data fingerprint sha256:1",
        "sgd (b)": "epochs 5, data fingerprint sha256:2",
    }
    assert [r.value for r in compare.compare(both, "study", allow_different_data=True).rows] == [
        "a",
        "b",
    ]


def test_studies_that_measure_different_things_are_never_compared(database: str) -> None:
    """A loss is no accuracy, whatever is allowed."""
    first, _ = made.opened("a")
    second, _ = made.opened("b", direction="minimize")
    with pytest.raises(UsageError, match="must share one score"):
        compare.compare([first, second], allow_different_data=True)


@pytest.mark.soak
def test_data_that_is_not_known_is_taken_on_trust_and_told(database: str) -> None:
    """An objective of one's own need not tell what its data is."""
    both = []
    for name in "ab":
        opened, asked = made.opened(name)
        made.search(opened, asked, [(SGD, 0.8)])
        both.append(opened)
    assert any("taken on trust" in line for line in compare.compare(both).warnings)


# What may be concluded


def drawn(generator: np.random.Generator, means: list[float], seeds: int = 5) -> list[Row]:
    """Values with normal scores; those of one seed have something in common."""
    common = generator.normal(0, 0.02, seeds)
    rows = []
    for i, mean in enumerate(means):
        values = mean + common + generator.normal(0, 0.01, seeds)
        scores = dict(enumerate(values.tolist()))
        rows.append(
            Row("", str(i), 1, scores=scores, score=statistics.interval([*scores.values()]))
        )
    return rows


@pytest.mark.soak
def test_equal_values_are_called_worse_in_one_of_twenty_comparisons_at_most() -> None:
    """Although the best is chosen after the fact, and all pairs count at once: 200 draws do not
    show more (their own 95 % interval)."""
    generator = np.random.default_rng(0)
    wrong = sum(
        any(r.verdict == "worse" for r in verdicts.judged(drawn(generator, [0.9] * 4), 1))
        for _ in range(200)
    )
    assert (statistics.proportion(wrong, 200).low or 0.0) <= verdicts.ALPHA


def test_a_real_difference_is_found() -> None:
    """Ten times the noise of a seed, in nearly all comparisons; the interval of the leader holds
    its own mean, and the probabilities add up."""
    generator = np.random.default_rng(1)
    found = 0
    for _ in range(40):
        rows = verdicts.judged(drawn(generator, [0.8, 0.9]), 1)
        assert sum(r.p_best or 0 for r in rows) == pytest.approx(1)
        found += [r.value for r in rows] == ["1", "0"] and rows[1].verdict == "worse"
    assert found >= 38


def test_pairs_are_tested_on_the_seeds_that_both_have_had() -> None:
    """One that dropped out early has fewer; without a common seed nothing is known."""
    leader = {s: 0.9 + s / 1000 for s in range(6)}
    rows = [
        Row("", "a", 1, scores=leader, score=statistics.interval([*leader.values()])),
        Row("", "b", 1, scores={0: 0.1, 1: 0.12, 2: 0.11}, score=statistics.interval([0.1, 0.12])),
        Row("", "c", 1, scores={7: 0.1, 8: 0.12, 9: 0.1}, score=statistics.interval([0.1, 0.11])),
    ]
    judged = {r.value: r for r in verdicts.judged(rows, 1)}
    assert judged["b"].verdict == "worse"
    assert (judged["c"].verdict, judged["c"].p) == ("tied", 1.0)


def test_lower_is_better_where_the_study_minimizes() -> None:
    """The order, the probability of being best and the difference turn round."""
    generator = np.random.default_rng(2)
    rows = verdicts.judged(drawn(generator, [0.1, 0.5]), -1)
    assert [r.value for r in rows] == ["0", "1"]
    assert rows[0].p_best == 1.0
    assert any(line.startswith("1 is worse by 0.") for line in verdicts.conclusions(rows, -1))


def test_the_conclusion_names_ties_losers_and_what_is_not_known(study: optuna.Study) -> None:
    """In sentences that a person can repeat."""
    found = compare.compare([study])
    lines = found.conclusions
    assert "is best or tied with" in lines[0]
    assert {"sgd", "adam"} <= set(lines[0].replace(":", "").split())
    assert lines[1].startswith("adagrad is worse by 0.")
    assert lines[-1] == "p: paired t test on common seeds, corrected for 3 pairs"
    few = f"with {min(row.seeds for row in found.rows)} of them it is too sure"
    assert found.warnings[-1] == f"P(best) draws the seeds at hand anew; {few}"


def test_holm_corrects_as_in_the_paper() -> None:
    """Each p times what is left to test, never below one before it, never above 1."""
    assert pairs.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert pairs.holm([0.5, 0.9]) == [1.0, 1.0]
    assert pairs.holm([]) == []


# The command


def test_the_command_prints_a_table_and_its_conclusions(study: optuna.Study, cli: Cli) -> None:
    """Best first; warnings, the target, and whose scores these are."""
    answer = cli("compare", "--study", "mine", "--storage", made.URL)
    assert (answer.code, answer.err) == (0, "")
    assert re.search(r"optimizer +verdict", answer.out)
    assert "warning: not tuned alike" in answer.out
    assert "adagrad is worse" in answer.out


def test_json_holds_every_row(study: optuna.Study, cli: Cli) -> None:
    """What never happened is "never"; the scores go by seed."""
    told = cli("compare", "--study", "mine", "--storage", made.URL, "--json", "--target", "2").json
    assert [row["verdict"] for row in told["rows"]] == ["best", "tied", "worse"]
    assert told["rows"][0]["epochs"] == "never"
    assert len(told["rows"][0]["scores"]) == told["rows"][0]["score"]["n"] > 1
    assert json.dumps(told)


@pytest.mark.soak
def test_wrong_use_ends_with_its_own_code(database: str, folder: Path, cli: Cli) -> None:
    """2 for an unknown parameter, 6 for no study, 7 for other data; one line each."""
    for name, epochs in (("a", 3), ("b", 5)):
        opened, asked = made.opened(name, {"settings": {"epochs": epochs}})
        made.search(opened, asked, [(SGD, 0.8)])
    place = ("--storage", made.URL)
    for arguments, code in (
        (("--study", "a", "--by", "optimiser"), 2),
        (("--study", "none"), 6),
        (("--study", "a", "--study", "b"), 7),
    ):
        answer = cli("compare", *arguments, *place)
        assert answer.code == code
        assert len(answer.err.strip().splitlines()) == 1
    assert (
        cli("compare", "--study", "a", "--study", "b", "--allow-different-data", *place).code == 0
    )


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        (["sgd", "adam"], ["sgd", "adam"]),
        ([1, "1", None, "None", "not set"], ["1", '"1"', "None", '"None"', '"not set"']),
        ([[1], "[1]"], ["[1]", '"[1]"']),
    ],
)
def test_values_that_differ_have_names_that_do(choices: list[Any], told: list[str]) -> None:
    """Or they would be one row, tuned by the trials of both."""
    assert list(groups.named(choices).values()) == told
