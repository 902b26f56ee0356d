"""search/answers/export.py: the answer as YAML that a person can read and a program can run."""

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from search.answers import export, replay
from search.errors import OutputError
from search.record import study
from search.studyfile import reading, spec, yaml_lines


@example({"_": "0E0"})  # a number in YAML 1.2, a text in 1.1, whose rules PyYAML writes by
@given(
    st.dictionaries(
        st.text("abcxyz_", min_size=1),
        st.floats()
        | st.integers(-(10**18), 10**18)
        | st.booleans()
        | st.none()
        | st.text(max_size=10)
        | st.lists(st.floats(allow_nan=False), max_size=3),
        min_size=1,
    )
)
def test_every_value_is_read_back_bit_by_bit(content: dict[str, Any]) -> None:
    """By YAML 1.1 readers (PyYAML) and by our own of YAML 1.2 alike."""
    text = export._sections({"config": content})
    for read in (yaml.safe_load(text), yaml_lines.load(text, "best.yaml")[0]):
        for key, value in content.items():
            back = read["config"][key]
            assert type(back) is type(value)
            assert back == value or (math.isnan(value) and math.isnan(back))


ODD = (
    *("08", "1e-3", "0E0", "yes", "null", "~", "2026-10-25", "1:30", "=", "<<", ".inf", "nan"),
    *(
        "true",
        "x: y",
        "# no",
        "- x",
        "'",
        '"',
        "%",
        "ü" * 40,
        "a word " * 14 + "x",
        "-x",
        "!!int 1",
    ),
)


@pytest.mark.soak
@pytest.mark.parametrize("name", ODD)
def test_the_file_is_read_back_whatever_things_are_called(folder: Path, name: str) -> None:
    """Study, parameter, choice and configuration of an odd name; the same types, and the study."""
    asked = spec.StudySpec(name=name, objective="./mine.py:objective", folder=str(folder))
    opened, pinned = study.open_study(asked, f"sqlite:///{folder}/a.db", {})
    trial = opened.ask()
    trial.suggest_categorical(name, [name])
    trial.suggest_categorical("none", [None])
    trial.set_user_attr("configuration", name)
    opened.tell(trial, 1e-3)
    resolved = {"all": {name: [name, 1e-3, 10**20, math.inf, None, True]}}
    out = folder / "best.yaml"
    export.write(out, export.document(opened, pinned, opened.trials[0], resolved))
    best = replay.load(out)
    assert (best.study, best.params, best.recorded) == (name, {name: name, "none": None}, 1e-3)
    assert repr(best.config) == repr(resolved)
    assert export.study_in(out) == name


def made(folder: Path) -> tuple[optuna.Study, spec.StudySpec]:
    url = f"sqlite:///{folder}/a.db"
    prepared = {"settings": {"precision": "float32"}, "data": {"fingerprint": "sha256:1"}}
    opened, pinned = study.open_study(reading.load("./mine.yaml").spec, url, prepared)
    trial = opened.ask()
    trial.suggest_float("x", -10, 10)
    trial.set_user_attr("seed", 7)
    trial.set_user_attr("device", "cpu")
    trial.set_user_attr("reason", "plateau")
    opened.tell(trial, 1 / 3)
    return opened, pinned


def test_the_document_holds_the_configuration_with_its_evidence(folder: Path) -> None:
    """Study, trial, score, parameters, every default, seed, device, data, code and versions."""
    opened, pinned = made(folder)
    (trial,) = opened.trials
    text = export.document(opened, pinned, trial, {"lr": 1e-05, "sizes": [1, 2]})
    read = yaml.safe_load(text)
    assert text.startswith(
        "# Where is the top of the parabola?\n# Trial 0 of study 'mine' after 1 "
    )
    assert read["study"] == "mine"
    assert read["objective"] == "./mine.py:objective"
    assert read["trial"] == 0
    assert read["score"] == {"value": 1 / 3, "direction": "maximize", "reason": "plateau"}
    assert read["params"] == trial.params
    assert read["config"] == {"lr": 1e-05, "sizes": [1, 2]}
    assert (read["seed"], read["device"]) == (7, "cpu")
    assert read["data"] == {"fingerprint": "sha256:1"}
    assert read["code"].startswith("sha256:")
    assert read["versions"]["optuna"] == optuna.__version__


def test_an_objective_that_resolves_nothing_exports_its_settings(folder: Path) -> None:
    """`resolve` is optional."""
    opened, pinned = made(folder)
    read = yaml.safe_load(export.document(opened, pinned, opened.trials[0], {}))
    assert read["config"] == {"precision": "float32"}


def test_the_first_of_many_files_is_the_best() -> None:
    """`best.yaml`, `best.2.yaml`, `best.3.yaml`."""
    assert export.paths(Path("a/best.yaml"), 3) == [
        Path("a/best.yaml"),
        Path("a/best.2.yaml"),
        Path("a/best.3.yaml"),
    ]


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    """Over an older one, too; a reader never sees half of it."""
    out = tmp_path / "best.yaml"
    for text in ("é: 1\n", "b: 2\n"):
        export.check_writable(out)
        export.write(out, text)
        assert out.read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["best.yaml"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    """Before the training, so that the answer has its place."""
    export.check_writable(tmp_path / "a/b/best.yaml")
    export.write(tmp_path / "a/b/best.yaml", "x: 1\n")
    assert (tmp_path / "a/b/best.yaml").exists()


@pytest.mark.parametrize("place", ["file/best.yaml", "folder", "/dev/null"])
def test_a_path_that_cannot_be_written_is_told_before(place: str, tmp_path: Path) -> None:
    """Below a file, a folder, a device (which a replacing write would destroy)."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError) as caught:
        export.check_writable(tmp_path / place)
    message = str(caught.value)
    assert message.startswith(f"--out {tmp_path / place}: cannot be written: ")
    assert message.endswith("; name another one")


def test_a_file_that_cannot_be_written_in_the_end_is_told_too(tmp_path: Path) -> None:
    """The folder went away during the training: an error of its kind, no traceback."""
    with pytest.raises(OutputError, match="cannot be written"):
        export.write(tmp_path / "gone/best.yaml", "x: 1\n")
