"""Rules of study files that are written: they are read again, and never lost."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from search.errors import OutputError, UsageError
from search.service import draft, prepare
from search.studyfile import starter

Cli = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
PROPOSED = {
    "settings": {"dataset": "folder:my photos", "network": "keras_cnn", "epochs": 20},
    "space": {"optimizer": {"choice": ["sgd"]}, "lr": {"float": [1e-5, 1.0], "log": True}},
    "baselines": [{"name": "usual", "params": {"optimizer": "sgd", "lr": 1e-3}}],
    "budget": {"trials": 8, "epochs": 160, "hours": 0.5},
    "why": {"dataset": "40 images # of 2 classes " + "and more " * 20, "budget": "half an hour"},
    "told": ["40 images of 2 classes"],
}


@pytest.fixture
def proposed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[dict[str, Any]]:
    """What was asked of a companion that is not started."""
    asked: list[dict[str, Any]] = []

    class Process:
        def __enter__(self) -> "Process":
            return self

        def __exit__(self, *_: object) -> None: ...

        def ask(self, name: str, **given: Any) -> Any:
            asked.append(given)
            return PROPOSED

    monkeypatch.setattr(draft, "Process", Process)
    monkeypatch.setattr(draft.process, "warm_up", lambda *_: None)
    return asked


def test_a_draft_is_a_study_file(proposed: list[dict[str, Any]]) -> None:
    """Whatever its data is called; comments stay comments, and no line is wide."""
    made = draft.from_data("my photos/", Path("my-photos.yaml"), hours=0.5)
    text = made.file.read_text()
    read = yaml.safe_load(text)
    for key in ("settings", "space", "baselines", "budget"):
        assert read[key] == PROPOSED[key]
    assert max(map(len, text.splitlines())) <= starter.WIDTH + 1
    assert prepare.read(str(made.file)).spec.by == "optimizer"
    assert proposed == [
        {"reference": draft.OURS, "data": "my photos/", "device": "auto", "hours": 0.5}
        | {"columns": {}}
    ]


def test_no_file_is_written_over_unasked(proposed: list[dict[str, Any]]) -> None:
    """It is refused before any data is looked at."""
    file = Path("a.yaml")
    file.write_text("mine")
    with pytest.raises(OutputError, match=r"a\.yaml: is there already; name another with --out"):
        draft.from_data("photos", file)
    assert file.read_text() == "mine"
    assert not proposed
    draft.from_data("photos", file, force=True)
    assert "keras_cnn" in file.read_text()


def test_the_same_run_goes_on_with_its_file(proposed: list[dict[str, Any]]) -> None:
    """One that asks about other data is refused."""
    first = draft.for_run("my photos/", None, Path("best.yaml"), "auto", 1.0)
    again = draft.for_run("my photos", None, Path("best.yaml"), "auto", 1.0)
    assert first.file == again.file == Path("my-photos.yaml")
    assert len(proposed) == 1
    assert "goes on as it stands" in again.told[0]
    with pytest.raises(UsageError, match=r"asks about folder:my photos; give the study another"):
        draft.for_run("others", "my-photos", Path("best.yaml"), "auto", 1.0)


def test_what_columns_are_called_is_handed_on(proposed: list[dict[str, Any]], cli: Cli) -> None:
    """To the look, and into the command that the file tells; a file that says otherwise stays."""
    file = Path("birds.yaml")
    columns = {"label": "kind of bird"}
    draft.for_run("folder:my photos", "birds", Path("best.yaml"), columns=columns)
    assert proposed[0]["columns"] == columns
    assert "--columns 'label=kind of bird'`" in file.read_text()
    with pytest.raises(
        UsageError, match=r"birds\.yaml is there, and its columns are called as usua"
    ):
        draft.for_run("folder:my photos", "birds", Path("best.yaml"), columns=columns)
    for words, told in (
        (("run", "--study", "digits", "--columns", "label=kind"), "--columns: are of a table of"),
        (("init", "--objective", "./a.py:f", "--columns", "label=kind"), "give it with --data"),
        (("data", "a.csv", "--columns", "label"), "--columns label: must be KEY=NAME, as in"),
    ):
        answer = cli(*words)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert told in answer.err


def test_an_objective_of_ones_own_is_written_and_runs(folder: Path) -> None:
    """The code is that of the README; one that is there is left alone."""
    made = draft.from_objective("./own.py:score", Path("own.yaml"))
    assert (folder / "own.py").read_text() == starter.objective("score")
    assert starter.objective("objective") in (ROOT / "README.md").read_text()
    subprocess.run([sys.executable, "-m", "py_compile", "own.py"], check=True)
    assert prepare.read("./own.yaml").spec.budget.trials == 20
    assert [line.partition(":")[0] for line in made.told] == ["own.py", "own.yaml"]
    before = (folder / "mine.py").read_text()
    draft.from_objective("./mine.py:objective", Path("mine.yaml"), force=True)
    assert (folder / "mine.py").read_text() == before
    with pytest.raises(UsageError, match=r"must be \./FILE\.py:FUNCTION"):
        draft.from_objective("mine", Path("b.yaml"))


@pytest.mark.parametrize(
    ("data", "name"),
    [("photos/", "photos"), ("folder:a/b c", "b-c"), ("x/set.csv", "set"), ("digits", "digits")],
)
def test_a_study_is_called_as_its_data(data: str, name: str) -> None:
    """In letters that a file can have."""
    assert starter.name_of(data) == name


def test_data_and_a_study_are_two_questions(cli: Cli) -> None:
    """And `init` asks for one of its own."""
    assert "are two questions" in cli("run", "--study", "digits", "--data", "x").err
    assert "give --data PATH" in cli("init").err


@pytest.mark.soak
def test_a_folder_of_photos_gets_a_confirmed_answer(cli: Cli, folder: Path) -> None:
    """One command: uneven classes, two broken files; the same command again goes on."""
    drawn = np.random.default_rng(0)
    for label, (kind, count) in enumerate({"cat": 180, "ship": 120, "frog": 60, "cow": 40}.items()):
        (folder / "photos" / kind).mkdir(parents=True)
        for i in range(count):
            pixels = drawn.integers(0, 60, (12, 12, 3)) + 60 * label
            file = folder / "photos" / kind / f"{i}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(file)
    for broken in ("cat/3.png", "frog/7.png"):
        (folder / "photos" / broken).write_bytes(b"broken")
    command = ("run", "--data", "photos/", "--timeout", "3m", "--workers", 2, "--log", "plain")
    done = cli(*command)
    assert done.code == 0, done.err
    assert "2 of 400 files are broken and left out" in done.err
    answer = yaml.safe_load((folder / "best.yaml").read_text())
    assert "test" in str(answer)
    assert "goes on as it stands" in cli(*command).err
