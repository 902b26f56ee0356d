"""search/service/hands.py: the workers of one GPU share it by CUDA MPS, as many as fill it.

The GPU is told by the objective; the program of MPS is one that keeps a log.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.record import budget, halt
from search.record.listener import Listener
from search.service import hands, run
from search.service.prepare import Order
from search.studyfile.spec import StudySpec
from search.workers import mps, packing, seats, threads
from search.workers.seats import Wish
from tests.search import mps_program

GIB = 2**30
URL = "sqlite:///a.db"
# Tells of a GPU, and keeps what its workers see of MPS.
MINE = """
    import os, pathlib, time
    HERE = pathlib.Path(__file__).parent
    def prepare(settings, device="auto"):
        gpu = {"type": "cuda", "name": "NVIDIA H100", "visible": ["0"], "worker_bytes": 2**30}
        return {"device": gpu | {"memory_bytes": 80 * 2**30}, "epochs": 1000}
    def objective(trial, device="auto"):
        seen = os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "none")
        with (HERE / "seen").open("a") as file:
            print(device, os.environ["CUDA_VISIBLE_DEVICES"], seen, file=file)
        for epoch in range(3):
            time.sleep(0.01)
            trial.report(epoch, epoch)
        return trial.params["x"]
"""
STUDY = """\
objective: ./mine.py:objective
space: {x: {float: [0.0, 1.0]}}
budget: {trials: 4}
sampler: random
confirm: false
"""


class Heard(Listener):
    """What was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, study: str, message: str) -> None:
        self.lines.append(message)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "cores", lambda: 8)
    for name in threads.VARIABLES:  # whoever runs the tests may have set one
        monkeypatch.delenv(name, raising=False)


GPU = {"type": "cuda", "name": "NVIDIA H100", "visible": ["0"], "worker_bytes": GIB}


def asked(
    folder: Path, room: int = 80, *, per_gpu: str = "auto", seconds: float | None = None
) -> tuple[hands.Opened, dict[str, Any], Heard]:
    """A study whose workers are to be seated on one GPU with so many GiB free, its answer of
    `prepare`, and what was said."""
    prepared = {"device": GPU | {"memory_bytes": room * GIB}, "epochs": 10**6}
    spec = StudySpec(name="mine", objective="./mine.py:objective", folder=str(folder))
    wish, heard = Wish.parse("auto", "auto", per_gpu), Heard()
    deadline = None if seconds is None else time.monotonic() + seconds
    study = optuna.create_study(study_name="mine")
    dealt = wish.seats(prepared)
    mine = hands.Hands(Order("mine", wish=wish), "", dealt, deadline, halt.Halt(study), heard)
    limits = budget.Limits(trials=4)
    return hands.Opened(study, spec, limits, mine), prepared, heard


def of_pace(monkeypatch: pytest.MonkeyPatch, *rates: float) -> list[dict[str, str]]:
    """Workers of such paces, and no process; the environments that they were given."""
    given: list[dict[str, str]] = []

    class Paces:
        def __init__(self, spec: Any, device: str, threads: int, environment: Any) -> None:
            given.append(environment)

        def __enter__(self) -> "Paces":
            return self

        def __exit__(self, *error: object) -> None: ...

        def rate(self, number: int) -> float:
            return rates[number - 1]

    monkeypatch.setattr(packing, "Paces", Paces)
    return given


def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon of somebody's, that answers."""
    monkeypatch.setattr(mps, "runs", lambda: True)
    monkeypatch.setattr(mps, "is_there", lambda: True)


def test_as_many_as_fill_the_gpu_is_told_and_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same study measures nothing a second time; fewer, where memory holds fewer by then."""
    served(monkeypatch)
    given = of_pace(monkeypatch, 2.0, 3.9, 5.5, 5.6)
    opened, prepared, heard = asked(folder)
    filled = hands.packed(opened, prepared).hands.seats
    assert len(filled) == 3
    assert {seat.threads for seat in filled} == {2}
    told = "3 workers on NVIDIA H100 (2, 3.9, 5.5, 5.6 epochs/s with 1 to 4: one more gains less"
    assert heard.lines[0].startswith(told)
    assert given == [{"CUDA_VISIBLE_DEVICES": "0"}]
    assert len(hands.packed(opened, prepared).hands.seats) == 3
    prepared["device"]["memory_bytes"] = 2 * GIB
    assert len(hands.packed(opened, prepared).hands.seats) == 2
    assert len(given) == 1
    assert len(heard.lines) == 3


def test_without_mps_two_take_turns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told why there are not more."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    opened, prepared, heard = asked(folder)
    assert len(hands.packed(opened, prepared).hands.seats) == 2
    why = "they take turns: nvidia-cuda-mps-control is not installed"
    assert heard.lines == [f"2 workers on NVIDIA H100 ({why})"]


@pytest.mark.parametrize(
    ("room", "per_gpu", "seconds", "number", "said"),
    [
        (80, "auto", 600.0, 2, ["2 workers on NVIDIA H100 (too little time to measure how many"]),
        (80, "3", None, 3, []),
        (1, "auto", None, 1, []),
    ],
)
def test_nothing_is_measured_where_it_would_be_in_vain(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
    per_gpu: str,
    seconds: float | None,
    number: int,
    said: list[str],
) -> None:
    """In a hurry, where a number was asked for, where memory holds one worker."""
    served(monkeypatch)
    given = of_pace(monkeypatch)
    opened, prepared, heard = asked(folder, room, per_gpu=per_gpu, seconds=seconds)
    assert len(hands.packed(opened, prepared).hands.seats) == number
    assert [line[: len(said[0])] for line in heard.lines] == said
    assert not given


def test_mps_that_fails_costs_its_gain_and_no_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That workers take turns is told, with the program's own words."""
    mps_program.install(tmp_path, monkeypatch)
    monkeypatch.setenv("FAILS", "1")
    opened, _, heard = asked(folder, per_gpu="2")
    with hands.seated(opened.hands, opened.study, opened.spec) as seated:
        assert list(seated.seats) == list(opened.hands.seats)
    (line,) = heard.lines
    assert line.startswith("workers take turns on the GPU: nvidia-cuda-mps-control -d: An instance")


@pytest.mark.soak  # a whole run, and processes that measure
def test_one_gpu_is_filled_and_shared(
    folder: Path,
    write: Callable[[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each worker is a client of our daemon, which ends with the run."""
    log = mps_program.install(tmp_path, monkeypatch)
    for name, value in (("MOST", 2), ("EPOCHS", 1), ("WARM_UP", 1), ("SHORT_S", 0)):
        monkeypatch.setattr(packing, name, value)
    write("mine.yaml", STUDY)
    write("mine.py", MINE)
    heard = Heard()
    run.run(Order("./mine.yaml", wish=Wish.parse("auto", "auto", "auto"), storage=URL), heard)
    chosen = optuna.load_study(study_name="mine", storage=URL).user_attrs[hands.PACKED]
    workers, why = chosen["NVIDIA H100"]
    assert workers in (1, 2)
    assert "epochs/s with 1 to 2: " in why
    assert f"{workers} worker{'s' * (workers - 1)} on NVIDIA H100 ({why})" in heard.lines
    rows = [line.split() for line in (folder / "seen").read_text().splitlines()]
    assert {tuple(row[:2]) for row in rows} == {("cuda", "0")}
    assert "none" not in {row[2] for row in rows[:2]}  # the last may be a worker without neighbours
    told = log.read_text().splitlines()
    assert told == ["start mask=", "quit"] * (len(told) // 2)
    assert told


@pytest.mark.parametrize(
    ("found", "is_whole"),
    [
        ({"visible": ["0"], "name": "NVIDIA H100"}, True),
        ({"visible": ["1"], "name": "NVIDIA H100", "mask": seats.MASK}, True),
        ({"visible": ["0", "1"], "name": "NVIDIA H100"}, False),
        ({"visible": ["0"], "name": "NVIDIA A100-SXM4-40GB MIG 1g.5gb"}, False),
        ({"visible": ["MIG-1f9a"], "name": "NVIDIA A100"}, False),
        ({"visible": ["0"], "name": "AMD", "mask": "HIP_VISIBLE_DEVICES"}, False),
        ({"type": "cpu"}, False),
    ],
)
def test_only_one_whole_gpu_is_shared(found: dict[str, Any], is_whole: bool) -> None:
    """Slices and several GPUs are dealt out, one worker or two on each."""
    assert seats.is_whole(found) is is_whole
    if "visible" in found:
        dealt = seats.deal("cuda", found | {"memory_bytes": 80 * GIB}, None, 2)
        assert {seat.shares for seat in dealt} == {is_whole}
        assert all(
            a.environment == b.environment
            for a, b in itertools.pairwise(dealt[:: len(found["visible"])])
        )
