"""service/predict.py: which pictures are meant, their classes, and the score."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.errors import UsageError
from search.service import predict

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]

OWN = """
    class Model:
        classes = ["cat", "dog"]

        def predict(self, files, top):
            return [self.row(file) for file in files]

        def row(self, file):
            text = open(file).read().strip()
            if text == "broken":
                return {"file": file, "error": "is broken", "foreign": file.endswith(".txt")}
            best = {"class": text, "probability": 0.75}
            return {"file": file, **best, "top": [best], "notes": ["is small"]}

    def objective(trial): return 1.0
    def load(folder): return Model()
"""


@pytest.fixture
def model(write: Write) -> Path:
    """A folder of an objective of one's own, whose model says what is written in a file."""
    write("own.py", OWN)
    about = '{"format": "optsearch-folder-1", "study": "own", "trial": 0, "files": {}, '
    about += f'"objective": "./own.py:objective", "folder": "{Path.cwd()}"}}'
    return write("best/manifest.json", about).parent


@pytest.fixture
def pictures(write: Write) -> None:
    for name, text in {"cat/a.png": "cat", "cat/b.png": "dog", "dog/sub/c.png": "dog"}.items():
        write(f"pictures/{name}", text)
    write("pictures/notes.txt", "broken")
    write("pictures/.hidden.png", "cat")


def test_folders_lists_and_files_are_meant(pictures: None, write: Write) -> None:
    """Hidden files are not; a CSV's files lie beside it; standard input is a file a line."""
    write("lists/some.csv", "id,File\n1,../pictures/cat/a.png\n")
    found = list(predict.named(["pictures", "lists/some.csv", "-", "one.png"], ["two.png\n", "\n"]))
    assert [str(one.file) for one in found] == [
        *("pictures/cat/a.png", "pictures/cat/b.png", "pictures/dog/sub/c.png"),
        *("pictures/notes.txt", "lists/../pictures/cat/a.png", "two.png", "one.png"),
    ]
    assert [one.folder for one in found] == [Path("pictures")] * 4 + [None] * 3


def test_the_folders_of_a_file_up_to_the_named_one_may_be_its_class(pictures: None) -> None:
    """A class may have sub-folders, as in training; of a single file only its own folder tells."""
    found = [*predict.named(["pictures", "pictures/dog", "pictures/dog/sub/c.png"], [])]
    told = [predict.truth("folders", [one]) for one in found if one.file.name == "c.png"]
    inner = Path("pictures/dog/sub/c.png")
    assert told == [
        {inner: ["sub", "dog", "pictures"]},
        {inner: ["sub", "dog"]},
        {inner: ["sub"]},
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,what\n1,2\n", "some.csv:1 a column named file or path or image or img must be there"),
        ("file\na.png\n", "some.csv:1 a column named class or label or truth must be there"),
        (None, "some.csv: cannot be read as a CSV"),
    ],
)
def test_a_truth_that_cannot_be_read_is_told(text: str, told: str, write: Write) -> None:
    if text:
        write("some.csv", text)
    with pytest.raises(UsageError, match=told):
        predict.truth("some.csv", [predict.Named(Path("a.png"))])


def test_a_command_predicts_and_scores(model: Path, pictures: None, write: Write, cli: Cli) -> None:
    """A line a picture; the truth of a CSV knows what a folder's name does not."""
    done = cli("predict", model, "pictures", "--truth", "folders")
    assert done.code == 0
    assert done.out.splitlines() == [
        "file,class,probability,truth,error",
        "pictures/cat/a.png,cat,0.750000,cat,",
        "pictures/cat/b.png,dog,0.750000,cat,",
        "pictures/dog/sub/c.png,dog,0.750000,dog,",
    ]
    assert done.err.splitlines()[-3:] == [
        "3 of 3 images: is small",
        "files in folders that are no pictures, passed over: 1",
        "accuracy 0.6667 on 3 images",
    ]
    write("truth.csv", "file;class\npictures/cat/b.png;dog\npictures/dog/sub/c.png;wolf\n")
    done = cli("predict", model, "pictures", "--truth", "truth.csv", "--json")
    assert done.code == 0
    assert done.err.splitlines()[-4:] == [
        "files in folders that are no pictures, passed over: 1",
        "images that are not in --truth, and are not scored: 1",
        "images of class 'wolf', which the model does not know, counted as wrong: 1",
        "accuracy 0.5000 on 2 images",
    ]


def test_a_broken_picture_is_a_line_and_an_exit_code(model: Path, write: Write, cli: Cli) -> None:
    """The others are answered all the same."""
    write("broken.png", "broken")
    write("right.png", "cat")
    done = cli("predict", model, "broken.png", "right.png")
    assert done.code == 1
    assert done.out.splitlines()[1:] == ["broken.png,,,is broken", "right.png,cat,0.750000,"]
    assert "images that could not be read: 1; their rows tell why" in done.err


def test_an_altered_folder_and_one_without_load_are_told(
    model: Path, write: Write, cli: Cli
) -> None:
    """In one line, each with its own code."""
    write("own.py", "def objective(trial): return 1.0\n")
    done = cli("predict", model, "a.png")
    assert (done.code, len(done.err.splitlines())) == (4, 1)
    assert "./own.py:objective offers no `load`" in done.err
    write("best/manifest.json", (model / "manifest.json").read_text().replace("{}", '{"w": "0"}'))
    done = cli("predict", model, "a.png")
    assert (done.code, done.err) == (2, f"{model}/w: is missing; take another copy of the folder\n")
