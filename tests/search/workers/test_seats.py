"""search/workers/seats.py: GPUs are dealt out, cores divided, and memory is not promised twice."""

import os

import pytest

from search.errors import UsageError
from search.workers import seats
from search.workers.seats import MASK, Seat, deal

GIB = 2**30
TWO_GPUS = {"type": "cuda", "visible": ["2", "5"], "memory_bytes": 80 * GIB}


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "cores", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_on_the_cpu_every_core_is_a_worker_of_one_thread() -> None:
    """Unless a number is asked for: then they share the cores."""
    assert deal("auto", {"type": "cpu"}, None, None) == [Seat("auto", 1)] * 16
    assert deal("cpu", {}, 3, None) == [Seat("cpu", 5)] * 3
    assert deal("cpu", {}, 40, None) == [Seat("cpu", 1)] * 40


@pytest.mark.parametrize(("said", "threads"), [("3", 3), ("4,2", 4), ("0", 8), ("many", 8)])
def test_threads_that_a_person_has_set_stand(
    monkeypatch: pytest.MonkeyPatch, said: str, threads: int
) -> None:
    """OpenMP's own variable; what is no number is OpenMP's to complain of."""
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert deal("cpu", {}, 2, None) == [Seat("cpu", threads)] * 2


def test_any_other_device_without_gpus_to_deal_has_one_worker() -> None:
    """Such as Apple's."""
    assert deal("auto", {"type": "mps"}, None, None) == [Seat("auto", 16)]


def test_gpus_are_dealt_out_in_turn_by_their_names_in_the_mask() -> None:
    """A worker sees one of those that the command saw, as its only one."""
    dealt = deal("auto", TWO_GPUS, 4, None)
    assert [seat.environment[MASK] for seat in dealt] == ["2", "5", "2", "5"]
    assert {(seat.device, seat.threads) for seat in dealt} == {("cuda", 4)}


def test_gpus_are_dealt_out_by_the_variable_that_rules() -> None:
    """Of ROCm where HIP_VISIBLE_DEVICES is set: by the other one all would sit on one GPU."""
    dealt = deal("auto", TWO_GPUS | {"mask": "HIP_VISIBLE_DEVICES"}, 2, None)
    assert [seat.environment for seat in dealt] == [
        {"HIP_VISIBLE_DEVICES": "2"},
        {"HIP_VISIBLE_DEVICES": "5"},
    ]


@pytest.mark.parametrize(
    ("workers", "per_gpu", "needed_gib", "number"),
    [
        (None, None, 1, 4),  # two on each: a second fills the gaps of the first
        (None, None, 50, 2),  # of which memory holds one
        (None, 3, 1, 6),
        (1, None, 1, 1),
        (5, None, 1, 5),
    ],
)
def test_as_many_workers_share_a_gpu_as_suit_it(
    workers: int | None, per_gpu: int | None, needed_gib: int, number: int
) -> None:
    """Never more than its memory holds."""
    found = {**TWO_GPUS, "worker_bytes": needed_gib * GIB}
    assert len(deal("cuda", found, workers, per_gpu)) == number


def test_more_workers_than_memory_allows_are_refused_with_the_arithmetic() -> None:
    """And with the number that fits."""
    found = {**TWO_GPUS, "worker_bytes": 30 * GIB}
    with pytest.raises(UsageError) as caught:
        deal("cuda", found, None, 3)
    assert str(caught.value) == (
        "3 workers on one GPU x 30.0 GiB = 90.0 GiB needed, 80.0 GiB free; use --workers-per-gpu 2"
    )


def test_workers_that_contradict_their_share_of_a_gpu_are_refused() -> None:
    """Two options say two things."""
    with pytest.raises(UsageError, match="2 GPUs x 1 workers each are 2"):
        deal("cuda", TWO_GPUS, 3, 1)


def test_a_share_of_a_gpu_is_refused_where_there_is_none() -> None:
    """An option that would do nothing misleads."""
    with pytest.raises(UsageError, match="--workers-per-gpu 2: no CUDA GPU is used here"):
        deal("auto", {"type": "cpu"}, None, 2)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "", "99999999999999999999"])
def test_a_number_of_workers_is_auto_or_at_least_one(text: str) -> None:
    """Anything else is a usage error that names its option."""
    assert seats.count("--workers", "auto") is None
    assert seats.count("--workers", "3") == 3
    with pytest.raises(UsageError, match=f"--workers {text}: must be auto or a number"):
        seats.count("--workers", text)


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all of the machine's: a container may have fewer."""
    monkeypatch.undo()
    assert 1 <= seats.cores() <= (os.cpu_count() or 1)
