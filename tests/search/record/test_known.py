"""`run --from`: a study starts from what another one has found."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search.database import storage
from search.errors import SpecError, StorageError, StudyNotFoundError
from search.record import budget, chains, known, results, study
from search.studyfile import reading
from search.studyfile.spec import StudySpec
from search.workers.chooser import Chooser

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
URL = "sqlite:///a.db"
OLD_OPTUNA = Path(__file__).with_name("before") / "optuna-4.5.0.sql"
SPACE = "space={lr: {float: [0.001, 0.1], log: true}, batch: {choice: [64, 128]}}"
WIDER = "space={lr: {float: [0.001, 1.0], log: true}, batch: {choice: [64, 128, 256]}}"


def spec(name: str, space: str = SPACE, source: str = "", **changes: Any) -> StudySpec:
    more = [f"{key}={value}" for key, value in changes.items()]
    asked = [space, "settings={}", *([f"from={source}"] if source else []), *more]
    return reading.load("./mine.yaml", asked, name).spec


def old(trials: int = 4) -> optuna.Study:
    """Complete ones of rising score, the last pruned; one that failed."""
    made, _ = study.open_study(spec("old"), URL, {})
    for i in range(trials):
        made.enqueue_trial({"lr": 0.001 * (i + 1), "batch": 64})
        trial = made.ask()
        trial.suggest_float("lr", 0.001, 0.1, log=True)
        trial.suggest_categorical("batch", [64, 128])
        trial.report(i / 10, 0)
        trial.set_user_attr("seed", i)
        trial.set_user_attr("epochs_planned", 2)
        state = TrialState.PRUNED if i == trials - 1 else TrialState.COMPLETE
        made.tell(trial, None if state == TrialState.PRUNED else i / 10, state=state)
    made.tell(made.ask(), state=TrialState.FAIL)
    return made


def begun(asked: StudySpec) -> tuple[optuna.Study, StudySpec, list[str]]:
    """What `run` does before it trains."""
    found = known.find(asked, URL)
    opened, pinned = study.open_study(asked, URL, {})
    return opened, pinned, known.take_over(opened, pinned, found) if found else []


@pytest.mark.soak
def test_one_more_choice_and_a_wider_range_know_what_was_found(database: str) -> None:
    """With the new space's distributions, so that the sampler has them; marked; without cost."""
    old()
    opened, pinned, told = begun(spec("new", WIDER, "old", **{"budget.trials": 3}))
    assert told == [
        "4 of 5 trials of study 'old' are known from the start, outside the budget",
        "1 not: failed, or not ended",
    ]
    taken = opened.trials
    assert [t.user_attrs[chains.KNOWN]["trial"] for t in taken] == [0, 1, 2, 3]
    assert results.counts(taken)["known"] == 4
    assert taken[0].distributions["batch"].choices == (64, 128, 256)  # type: ignore[attr-defined]
    assert (taken[2].value, taken[3].state) == (0.2, TrialState.PRUNED)
    assert taken[0].user_attrs["seed"] == 0
    assert results.ranking(opened)[0].number == 2
    limits = study.limits(opened, pinned)
    assert (chains.started(taken), budget.has_slot(taken, limits)) == (0, True)
    for _ in range(3):
        claimed = budget.claim(opened, limits)
        assert claimed is not None
        opened.tell(opened.trials[-1].number, 0.0)
    assert budget.claim(opened, limits) is None


@pytest.mark.soak
def test_what_lies_outside_is_counted_by_its_reason(database: str) -> None:
    """A narrower range; a parameter that is new."""
    old()
    narrow = SPACE.replace("0.001", "0.002")
    assert begun(spec("new", narrow, "old"))[2][:2] == [
        "3 of 5 trials of study 'old' are known from the start, outside the budget",
        "1 not: 'lr' must lie in [0.002, 0.1], got 0.001; widen the range or move the value",
    ]
    more = SPACE.replace("batch", "drop: {float: [0, 1]}, batch")
    assert begun(spec("newer", more, "old"))[2][:2] == [
        "0 of 5 trials of study 'old' are known from the start, outside the budget",
        "4 not: the active parameter 'drop' is missing; add it",
    ]


@pytest.mark.soak
def test_each_trial_is_taken_over_once_however_it_was_broken_off(database: str) -> None:
    """A kill leaves some of them there; the same command goes on, also when the source is gone."""
    old()
    asked = spec("new", source="old")
    found = known.find(asked, URL)
    assert found is not None
    opened, pinned = study.open_study(asked, URL, {})
    known.take_over(opened, pinned, found._replace(trials=found.trials[:2], key=found.key))
    opened.set_user_attr(known.TAKEN, [])
    assert len(begun(asked)[0].trials) == 4
    optuna.delete_study(study_name="old", storage=opened._storage)
    assert known.find(asked, URL) is None


def test_epochs_that_another_study_paid_for_are_not_of_the_budget(database: str) -> None:
    """Neither for the claim, nor for a strategy that grants epochs."""
    old()
    stepwise = {"settings.epochs": 2, "budget.epochs": 4, "strategy": "freeze_thaw"}
    opened, pinned, _ = begun(spec("new", source="old", **stepwise))
    limits = study.limits(opened, pinned)
    assert budget.left(opened.trials, limits) == 4
    chooser = Chooser(opened, pinned, limits, Path("work"), resumes=True)
    asked = chooser._strategy.question  # type: ignore[attr-defined]
    assert asked.epochs == 4 + sum(map(results.epochs_run, opened.trials))
    assert chooser.claim() is not None


def test_other_settings_are_told_and_no_seed_is_claimed(database: str) -> None:
    """A score that cannot be had again by its seed must not say that it can."""
    old()
    opened, _, told = begun(spec("new", source="old", **{"settings.epochs": 9}))
    assert told[-1] == (
        "study 'old' was asked with other settings: its scores may not compare with those here"
    )
    assert "seed" not in opened.trials[0].user_attrs


def test_a_database_of_optuna_4_is_read_and_stays_as_it_is(database: str, folder: Path) -> None:
    """Made by 4.5.0: plain Optuna, another schema, local times. Every byte of it stays."""
    there = folder / "there"
    there.mkdir()
    file = there / "four.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(OLD_OPTUNA.read_text())
    connection.close()
    file.chmod(0o444)
    before = (file.read_bytes(), sorted(there.iterdir()))
    source = f"{{study: old, storage: 'sqlite:///{file}'}}"
    asked = spec("new", WIDER, source)
    found = known.find(asked, URL)
    assert (file.read_bytes(), sorted(there.iterdir())) == before
    assert found is not None
    opened, pinned = study.open_study(asked, URL, {})
    told = known.take_over(opened, pinned, found)
    assert told[0].startswith("3 of 4 trials of study 'old' are known")
    assert [t.value for t in opened.trials] == [0.5, 0.6, 0.4]
    assert results.seconds(opened.trials[0]) == pytest.approx(0.017048, abs=1e-6)
    with pytest.raises(StorageError, match="was made by Optuna 4"):
        storage.open_storage(f"sqlite:///{file}")


@pytest.mark.parametrize(
    ("name", "source", "kind", "told"),
    [
        ("new", "olf", StudyNotFoundError, "from olf: not in sqlite:///a.db; studies there: old"),
        ("old", "old", SpecError, "'old' is the study itself"),
        ("new", "{study: old, storage: 'sqlite:///no.db'}", StorageError, "no such file"),
        ("new", "{study: old, storage: 'sqlite:///mine.py'}", StorageError, "not a database"),
    ],
)
def test_what_cannot_be_taken_over_is_told_in_one_line(
    database: str, name: str, source: str, kind: type[Exception], told: str
) -> None:
    """Before the new study is made."""
    old()
    with pytest.raises(kind, match=told):
        known.find(spec(name, source=source), URL)


def test_a_study_of_another_direction_or_without_a_space_is_refused(database: str) -> None:
    """High scores there are low ones here; and nobody knows what lies in no space."""
    old()
    with pytest.raises(SpecError, match="has direction maximize, not minimize"):
        known.find(spec("new", source="old", direction="minimize"), URL)
    with pytest.raises(SpecError, match="needs a `space`"):
        known.find(spec("new", "space={}", "old"), URL)


@pytest.mark.soak
def test_a_refused_change_tells_how_to_keep_what_is_known(cli: Cli) -> None:
    """And the command that it names does so."""
    run = ("run", "--study", "./mine.yaml", "--workers", 1, "--no-confirm", "--log", "plain")
    assert cli(*run).code == 0
    wider = ("--set", "space.x.float=[-20.0, 20.0]")
    refused = cli(*run, *wider)
    assert (refused.code, refused.err.count("\n")) == (7, 1)
    assert "with --name NAME; --from mine lets it know the trials of this one" in refused.err
    answer = cli(*run, *wider, "--name", "wider", "--from", "mine")
    assert answer.code == 0
    assert "4 of 4 trials of study 'mine' are known from the start" in answer.out + answer.err
    shown = cli("show", "--study", "wider", "--json").json
    assert (shown["trials"]["known"], shown["budget"]) == (4, {"trials": 4, "started": 4})
    rows: list[FrozenTrial] = [row for row in shown["rows"] if row["state"] == "known"]
    assert len(rows) == 4
