"""requests.py: what companions answer, as people write them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.answers import agreement, replay
from search.cli import train
from search.studyfile.spec import StudySpec
from search.workers import requests

Write = Callable[[str, str], Path]
COMPANIONS = """
    import pathlib
    import numpy as np

    def objective(trial, workdir, width=None): return 1.0
    def evaluate(workdir, split): return {scores}
    def confusion(workdir, split): return np.array([[5, 1], [2, 6]])
    def save(workdir, out): return {saved}
    def prepare(settings): return {{"data": {{"fingerprint": np.int64(3), "root": workdir}}}}
    def resolve(settings, params): return {{"width": np.float32(0.5), "layers": (1, 2)}}
    workdir = pathlib.Path("kept")
"""


@pytest.fixture
def asked(folder: Path, write: Write) -> Callable[..., StudySpec]:
    def spec(name: str, **answers: str) -> StudySpec:
        told = {"scores": "np.float32(0.5)", "saved": "None"} | answers
        write(f"{name}.py", COMPANIONS.format(**told))
        (folder / "kept").mkdir(exist_ok=True)
        return StudySpec(name=name, objective=f"./{name}.py:objective", folder=str(folder))

    return spec


def measured(spec: StudySpec) -> dict[str, Any]:
    return requests.measure(spec, "kept", "out", "cpu", ["validation", "test"])


def test_companions_may_answer_with_values_of_numpy(asked: Callable[..., StudySpec]) -> None:
    """A number is a score, an array a list, a path a text: files and the database hold them."""
    spec = asked("numbers")
    found = measured(spec)
    assert found["validation"] == found["test"] == {"score": 0.5}
    assert found["confusion"] == [[5, 1], [2, 6]]
    assert requests.prepare(spec, "cpu") == {"data": {"fingerprint": 3, "root": "kept"}}
    assert requests.resolve(spec, {}, None) == {"width": 0.5, "layers": [1, 2]}


@pytest.mark.parametrize(
    ("saved", "files"),
    [
        ("None", []),
        ("'model.pt'", ["model.pt"]),
        ("pathlib.Path('model.pt')", ["model.pt"]),
        ("(pathlib.Path('a'), 'b')", ["a", "b"]),
    ],
)
def test_save_names_its_files_as_it_likes(
    asked: Callable[..., StudySpec], saved: str, files: list[str]
) -> None:
    """One, several, or none: it may not say."""
    assert measured(asked("saves", saved=saved))["files"] == files


def test_a_test_score_of_any_name_is_told_and_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`{"accuracy": 0.9, "n": 100}` and a bare number alike."""
    best = replay.Best.model_validate(
        {
            "objective": "./mine.py:objective",
            "score": {"value": 0.7},
            "seed": 1,
            "confirmed": {"test_score": {"mean": 0.5, "seeds": {"1": 0.5}}},
        }
    )
    done: dict[str, Any] = {"value": 0.7, "reason": None, "attrs": {}}
    machine = agreement.Machine("cpu", 1, {}, None)
    for test, line in (
        ({"score": 0.5}, "test_score 0.5"),
        ({"accuracy": 0.9, "loss": 0.1, "n": 100.0}, "test_accuracy 0.9 on 100 images"),
    ):
        ready = SimpleNamespace(
            metric="value", facts={}, order=SimpleNamespace(best=best, together=None)
        )
        found = {"test": test, "files": [], "validation": test, "confusion": []}
        found["split"] = "test"
        train._tell_end(ready, SimpleNamespace(done=done, found=found, files=[]))  # type: ignore[arg-type]
        assert line in capsys.readouterr().out.splitlines()
        lines = agreement.of_run(best, "value", done, found, 1, machine)
        assert any("test_score 0.5 is bitwise" in told for told in lines) == ("score" in test)
