"""search/workers/packing.py: workers are added to a GPU while that is worth it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search.studyfile.spec import StudySpec
from search.workers import packing
from search.workers.packing import Packed, SlowError, choose

Write = Callable[[str, str], Path]


def of(*rates: float | str) -> Callable[[int], float]:
    def rate(number: int) -> float:
        found = rates[number - 1]
        if isinstance(found, str):
            raise SlowError(found)
        return found

    return rate


@pytest.mark.parametrize(
    ("most", "rates", "planned", "packed"),
    [
        (8, (2.0, 3.9, 5.5, 5.9), None, (3, "2, 3.9, 5.5, 5.9 epochs/s with 1 to 4: one more ga")),
        (2, (2.0, 3.9), None, (2, "2, 3.9 epochs/s with 1 to 2: no more fit")),
        (8, (2.0, 1.9), None, (1, "2, 1.9 epochs/s with 1 to 2: one more gains less than a tent")),
        (8, (2.0, "one died"), None, (1, "2 epochs/s with 1: one died")),
        (8, ("an epoch takes long",), None, (2, "an epoch takes long")),
        (8, (2.0, 4.0, 8.0), 400, (2, "the search takes one only 200 s")),
        (1, (2.0,), 400, (1, "the search takes one only 200 s")),
        (3, (2.0, 4.0, 8.0), 4000, (3, "2, 4, 8 epochs/s with 1 to 3: no more fit")),
    ],
)
def test_a_worker_is_added_while_epochs_a_second_grow_by_a_tenth(
    most: int, rates: tuple[float | str, ...], planned: int | None, packed: tuple[int, str]
) -> None:
    """What it chose, and why; a short search is not kept waiting."""
    found = choose(most, of(*rates), planned)
    assert found.workers == packed[0]
    assert found.why.startswith(packed[1])


def test_measuring_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is known by then."""
    monkeypatch.setattr(packing, "BUDGET_S", -1.0)
    assert choose(8, of(2.0), None) == Packed(2, "measuring took its time")


TRAINS = """
    import time
    def objective(trial, workdir):
        (workdir / "kept").write_text("")
        for epoch in range(3):
            time.sleep(0.01)
            trial.report(epoch, epoch)
        return 1.0
"""
FAILS = """
    def objective(trial, workdir):
        raise RuntimeError("no room")
"""


@pytest.fixture
def paces(folder: Path, write: Write) -> Callable[[str], packing.Paces]:
    def made(code: str) -> packing.Paces:
        write("mine.py", code)
        spec = StudySpec(name="mine", objective="./mine.py:objective", folder=str(folder))
        return packing.Paces(spec, "cpu", 1, {})

    return made


@pytest.mark.soak
def test_paces_are_taken_of_workers_at_the_same_time(
    paces: Callable[[str], packing.Paces],
) -> None:
    """Trial after trial of one configuration; no file of them stays."""
    with paces(TRAINS) as measured:
        first = measured.rate(1)
        assert 0 < first < 100  # an epoch takes 10 ms and more
        assert measured.rate(2) > 0
        processes = [worker for worker, _ in measured._at_work]
    assert len(processes) == 2
    assert not any(worker._process.is_alive() for worker in processes)
    assert not Path(measured._folder).exists()


def test_a_worker_that_fails_is_told_in_its_words(paces: Callable[[str], packing.Paces]) -> None:
    """Such as one that found no memory."""
    with paces(FAILS) as measured, pytest.raises(SlowError, match=r"with 1 one failed: .*no room"):
        measured.rate(1)


def test_epochs_that_take_long_are_not_waited_for(
    paces: Callable[[str], packing.Paces], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network so large fills a GPU alone."""
    monkeypatch.setattr(packing, "START_S", 0.0)
    monkeypatch.setattr(packing, "WINDOW_S", 0.0)
    with paces(TRAINS) as measured, pytest.raises(SlowError, match="an epoch takes longer than 0"):
        measured.rate(1)
