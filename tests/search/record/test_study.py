"""search/record/study.py: made once, resumed as the same question only."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.database import storage
from search.errors import IdentityError, StorageError, StudyNotFoundError
from search.record import study
from search.studyfile import reading, spec
from search.studyfile.spec import StudySpec

PREPARED = {
    "settings": {"precision": "float32", "data_dir": "/here"},
    "data": {"fingerprint": "sha256:1", "train": 100},
}


@pytest.fixture
def url(database: str) -> str:
    """A SQLite file: what is asked of every database is in test_storage.py."""
    return database


@pytest.fixture(params=["database", "postgresql"])
def either(request: pytest.FixtureRequest, folder: Path) -> str:
    """A database of either kind."""
    return str(request.getfixturevalue(request.param))


def question(*overrides: str) -> StudySpec:
    return reading.load("./mine.yaml", ["settings.epochs=3", *overrides]).spec


def test_a_study_keeps_its_spec_data_code_and_versions(either: str) -> None:
    """What a reader needs to know where a result came from."""
    made, pinned = study.open_study(question(), either, PREPARED)
    read = study.load_study("mine", either)
    assert read.user_attrs["data"] == PREPARED["data"]
    assert read.user_attrs["code"].startswith("sha256:")
    assert {"python", "optuna", "optsearch"} <= read.user_attrs["versions"].keys()
    assert study.stored_spec(read) == pinned
    assert pinned.settings == {"epochs": 3, "precision": "float32", "data_dir": "/here"}
    assert made.direction == optuna.study.StudyDirection.MAXIMIZE


def test_the_same_question_resumes_the_same_study(either: str) -> None:
    """With its trials, its uid and what it was made with."""
    first, _ = study.open_study(question(), either, PREPARED)
    first.tell(first.ask(), 1.0)
    again, _ = study.open_study(question(), either, PREPARED)
    assert len(again.trials) == 1
    assert again.user_attrs == first.user_attrs


@pytest.mark.soak
@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("space.x.float=[-20.0, 10.0]", "space.x.float: was [-10.0, 10.0], is [-20.0"),
        ("space.y.float=[0.0, 1.0]", "space.y: was nothing, is {"),
        ("settings.epochs=4", "settings.epochs: was 3, is 4"),
        ("settings.width=4", "settings.width: was nothing, is 4"),
        ("direction=minimize", "direction: was maximize, is minimize"),
        ("seed=1", "seed: was 0, is 1"),
        ("objective=./mine.py:other", "objective: was ./mine.py:objective, is ./mine.py:other"),
    ],
)
def test_resume_refuses_a_changed_question(url: str, change: str, difference: str) -> None:
    """Naming every difference, offering --name, and changing nothing in the database."""
    made, _ = study.open_study(question(), url, PREPARED)
    before = made.user_attrs
    with pytest.raises(IdentityError) as caught:
        study.open_study(question(change), url, PREPARED)
    assert difference in str(caught.value)
    assert "--name NAME" in str(caught.value)
    assert study.load_study("mine", url).user_attrs == before
    other = question(change).model_copy(update={"name": "other"})
    assert study.open_study(other, url, PREPARED)[0].study_name == "other"


def test_resume_refuses_other_data(url: str) -> None:
    """The same name on other pixels is another question."""
    study.open_study(question(), url, PREPARED)
    other = {**PREPARED, "data": {"fingerprint": "sha256:2"}}
    with pytest.raises(IdentityError, match="data fingerprint: was sha256:1, is sha256:2"):
        study.open_study(question(), url, other)


@pytest.mark.parametrize(
    "change",
    [
        "sampler={name: random}",
        "pruner={name: none}",
        "budget={trials: 99}",
        "baselines=[{name: zero, params: {x: 0.0}}]",
        "question=Why?",
    ],
)
def test_sampler_pruner_budget_and_baselines_may_change(url: str, change: str) -> None:
    """They are how the question is answered; the study keeps the newest."""
    study.open_study(question(), url, PREPARED)
    again, _ = study.open_study(question(change), url, PREPARED)
    key = change.partition("=")[0]
    assert again.user_attrs["spec"][key] == question(change).model_dump(mode="json")[key]


def test_what_was_pinned_when_the_study_was_made_holds_for_all_of_its_trials(url: str) -> None:
    """`precision: auto` was float32 on the first machine, and stays so on the second."""
    study.open_study(question(), url, PREPARED)
    elsewhere = {**PREPARED, "settings": {"precision": "bfloat16", "data_dir": "/here"}}
    _, pinned = study.open_study(question(), url, elsewhere)
    assert pinned.settings["precision"] == "float32"


def test_the_data_folder_belongs_to_the_machine(url: str) -> None:
    """Another one is no other question, and it is the one that is used from then on."""
    study.open_study(question("settings.data_dir=/here"), url, PREPARED)
    moved = {**PREPARED, "settings": {"precision": "float32", "data_dir": "/there"}}
    resumed, pinned = study.open_study(question("settings.data_dir=/there"), url, moved)
    assert pinned.settings["data_dir"] == "/there"
    assert resumed.user_attrs["settings"]["data_dir"] == "/there"


@pytest.mark.soak
def test_baselines_are_queued_once(either: str) -> None:
    """Resumed or not; a new one is added."""
    one = "baselines=[{name: one, params: {x: 1.0}}]"
    two = "baselines=[{name: one, params: {x: 1.0}}, {name: two, params: {x: 2.0}}]"
    for change in (one, one, two):
        made, _ = study.open_study(question(change), either, PREPARED)
    names = [t.user_attrs["configuration"] for t in made.trials]
    assert names == ["one", "two"]
    assert made.ask().suggest_float("x", -10, 10) == 1.0


@pytest.mark.soak
def test_a_study_of_another_program_is_refused(url: str) -> None:
    """Its trials were drawn from another space; optsearch leaves them alone."""
    theirs = optuna.create_study(study_name="mine", storage=storage.open_storage(url))
    theirs.tell(theirs.ask(), 1.0)
    with pytest.raises(StorageError, match=r"was not made by optsearch; use --name"):
        study.open_study(question(), url, PREPARED)
    assert study.load_study("mine", url).user_attrs == {}
    with pytest.raises(StudyNotFoundError, match="was not made by optsearch"):
        study.require_spec(study.load_study("mine", url))


def test_a_study_of_a_newer_optsearch_is_refused(url: str) -> None:
    """An older one could not read all of its spec."""
    made, _ = study.open_study(question(), url, PREPARED)
    made.set_user_attr("spec_version", spec.SPEC_VERSION + 1)
    with pytest.raises(IdentityError, match="newer optsearch; upgrade this one, or use --name"):
        study.open_study(question(), url, PREPARED)


@pytest.mark.soak
def test_a_study_whose_making_was_cut_short_is_made_whole(url: str) -> None:
    """A kill between any two writes leaves a study that the same command completes."""
    record = study._record(question(), PREPARED)
    for count in range(len(record)):
        name = f"cut{count}"
        cut = question().model_copy(update={"name": name})
        half = optuna.create_study(
            study_name=name, storage=storage.open_storage(url), direction="maximize"
        )
        for key, value in [*study._record(cut, PREPARED).items()][:count]:
            half.set_user_attr(key, value)
        whole, pinned = study.open_study(cut, url, PREPARED)
        assert study.stored_spec(whole) == pinned


def test_an_unknown_study_is_told_with_those_that_exist(url: str) -> None:
    """The place and the names."""
    study.open_study(question(), url, PREPARED)
    with pytest.raises(StudyNotFoundError, match=r"--study digits: not in .*; studies there: mine"):
        study.load_study("digits", url)


def test_a_deleted_study_leaves_nothing(either: str, folder: Path) -> None:
    """Neither in the database nor on disk; its namesake's files stay."""
    made, _ = study.open_study(question(), either, PREPARED)
    kept = study.folder(made, folder) / "0"
    kept.mkdir(parents=True)
    study.delete_study(made, folder)
    assert not kept.exists()
    with pytest.raises(StudyNotFoundError, match="none yet"):
        study.load_study("mine", either)


def test_namesakes_have_folders_of_their_own(url: str, folder: Path) -> None:
    """A checkpoint of a deleted study must not be taken up by the next one of that name."""
    first, _ = study.open_study(question(), url, PREPARED)
    one = study.folder(first, folder)
    study.delete_study(first, folder)
    second, _ = study.open_study(question(), url, PREPARED)
    assert study.folder(second, folder) != one


@pytest.mark.parametrize("name", ["../../etc", "/etc/x", "a b", "..", "é", "a:b"])
def test_the_folder_of_a_study_is_inside_of_the_workdir(name: str, url: str, folder: Path) -> None:
    """Whatever its name consists of."""
    made, _ = study.open_study(question().model_copy(update={"name": name}), url, PREPARED)
    assert study.folder(made, folder).resolve().parent == folder.resolve()


def test_a_trials_seed_depends_on_study_and_chain_only(folder: Path) -> None:
    """The same for whoever runs it, another one for each trial and each study seed."""
    seeds: Callable[[Any], list[int]] = lambda s: [study.trial_seed(s, n) for n in range(50)]  # noqa: E731
    assert seeds(question()) == seeds(question("sampler={name: random}"))
    assert len({*seeds(question()), *seeds(question("seed=1"))}) == 100
    assert all(0 <= seed < 2**32 for seed in seeds(question()))


def test_a_difference_is_told_where_it_is(url: str) -> None:
    """However long what both sides begin with."""
    long = [f"choice {i}" for i in range(40)]
    was, now = study._short(long, [*long, "one more"])
    assert "one more" in now
    assert was != now
    assert max(len(was), len(now)) <= 80
    assert study._short(None, 1) == ("nothing", "1")
