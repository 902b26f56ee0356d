"""`Study("cifar")`: a handle that finds what the commands find; `compare` as a table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from search import Study, compare, load_results
from search.errors import SpecError, StorageError, StudyNotFoundError, UsageError
from tests.search import made

Cli = Callable[..., Any]


pytestmark = pytest.mark.usefixtures("ready")


def test_a_study_is_named_as_its_run_names_it() -> None:
    """A file's, a dict's and a function's; what no study file bears is a name in the storage."""

    def objective(trial: Any) -> float:
        return 1.0

    assert Study("./mine.yaml").name == "mine"
    assert Study(Path("mine.yaml"), name="other").name == "other"
    assert Study("digits").name == "digits"
    assert Study("of-another-machine").name == "of-another-machine"
    assert Study(objective).name == "objective"
    assert Study({"objective": objective}).name == "objective"
    assert Study({"objective": "./mine.py:objective"}).name == "mine"
    assert Study({"objective": "./mine.py:objective", "name": "own"}).name == "own"


def test_what_is_no_study_is_refused_at_once(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"must be a name, a path, a dict or a function, got 7"):
        Study(7)  # type: ignore[arg-type]
    with pytest.raises(StudyNotFoundError, match=r"^study='./nosuch.yaml': no such file"):
        Study("./nosuch.yaml")
    (folder / "mine.yaml").write_text("objective: ./mine.py:objective\nbudgte: {}\n")
    with pytest.raises(SpecError, match="budgte"):
        Study("./mine.yaml")


def test_it_is_run_asked_and_found_again(cli: Cli, folder: Path) -> None:
    """By another handle, and by the commands, in the same folder; run again it resumes."""
    study = Study("./mine.yaml")
    with pytest.raises(StorageError, match=r"^storage='sqlite:///runs/optsearch.db': no such file"):
        _ = study.answer
    ran = study.run(trials=2, workers=1)
    assert ran.best == study.answer.best
    assert len(study.results()) == 2
    assert len(study.run(trials=3, workers=1).best or {}) > 0
    again = Study("mine")
    assert list(again.results()["number"]) == [0, 1, 2]
    assert len(again.results(history=True)) == 9
    assert "history" in again.figures()
    assert cli("show", "--study", "mine", "--json").json["best"] == again.answer.best
    assert (folder / "best.yaml").exists()
    with pytest.raises(StudyNotFoundError, match=r"^study='mine': no such study"):
        again.run()  # its name is known, its file is not here


def test_its_secrets_are_not_shown() -> None:
    told = repr(Study("digits", storage="postgresql://me:s3cr3t@host/db"))
    assert told == "Study('digits', storage='postgresql://me:***@host/db')"


def test_without_a_model_it_says_where_one_was_looked_for() -> None:
    with pytest.raises(UsageError, match=r"^mine/best: no such folder"):
        Study("digits", out="mine/best.yaml").model()


@pytest.mark.soak
def test_the_model_is_the_winners() -> None:
    """Of this study, not of another one that has written to the same place."""
    budget = {"budget": {"trials": 1}, "confirm": {"top": 1, "seeds": 2}}
    study = Study("digits")
    study.run(overrides={"settings.epochs": 1, "by": "none", **budget}, device="cpu", workers=1)
    Image.new("L", (8, 8)).save("dark.png")
    guesses = study.model().predict(["dark.png"], top=1)
    assert len(guesses) == 1
    with pytest.raises(UsageError, match=r"out='best.yaml': .* of study 'digits', not of 'mine'"):
        Study("./mine.yaml").model()


# compare


@pytest.mark.soak
def test_values_are_compared_in_a_table(database: str) -> None:
    """A row a value, best first; numbers are numbers; the answer in words lies beside it."""
    study, asked = made.opened(by="optimizer", budget={"trials": 20})
    for i, score in enumerate((0.5, 0.6, 0.7, 0.4)):
        params = {"optimizer": ("sgd", "adam")[i % 2], "lr": 0.1 / (i + 1), "batch_size": 16}
        made.search(study, asked, [(params, score)])
    table = compare("mine", storage=database)
    assert table.index.name == "optimizer"
    assert list(table.index) == ["sgd", "adam"]
    assert list(table["score"]) == [0.7, 0.6]
    assert list(table["verdict"]) == ["one seed"] * 2
    assert list(table["trial"]) == [2, 1]
    assert list(table["params.lr"]) == [0.1 / 3, 0.05]
    assert "study" not in table
    assert table["test"].isna().all()
    assert {table[name].dtype.kind for name in ("score", "test", "p", "target_seconds")} == {"f"}
    assert "nothing may be concluded" in table.attrs["sentences"][0]
    by_size = Study("mine", storage=database).compare("batch_size")
    assert list(by_size.index) == ["16"]
    with pytest.warns(UserWarning, match="same data is taken on trust") as heard:
        both = compare(["mine", "mine"], "optimizer", database)
    assert {warning.filename for warning in heard} == {__file__}  # the line that has called
    assert list(both["study"]) == ["mine"] * len(both)
    assert len(load_results("mine", database)) == 4
    with pytest.raises(UsageError, match="nosuch"):
        compare("mine", "nosuch", database)
