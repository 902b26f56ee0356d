"""What becomes of a trial whose GPU fails it: on a fake of torch.cuda."""

import itertools
import math

import pytest
import torch
from optuna import TrialPruned
from optuna.trial import FixedTrial

from objectives import cnn, faults, train
from search.record.outcomes import POISONED

CUDA, CPU = torch.device("cuda:0"), torch.device("cpu")
GIB = 2**30


class Trial(FixedTrial):
    """Keeps its reports and never prunes."""

    def __init__(self):
        super().__init__({"lr": 0.05, "batch_size": 64})
        self.reports = []

    def report(self, value, step):
        self.reports.append(step)

    def should_prune(self):
        return False


def run(trial):
    settings = {"dataset": "digits", "network": "digits_cnn", "epochs": 2, "precision": "float32"}
    return cnn.objective(trial, device="cpu", threads=1, **settings)


def test_a_gpu_that_answers_lets_the_error_pass(monkeypatch):
    """It was the network's; and off GPUs nobody asks."""
    monkeypatch.setattr(torch, "rand", lambda *_, device: torch.zeros(1))
    error = ValueError("mine")
    assert faults.ask(CUDA, error) is None
    monkeypatch.setattr(torch, "rand", lambda *_, device: pytest.fail("asked"))
    assert faults.ask(CPU, error) is None


def test_a_gpu_that_is_full_is_not_broken(monkeypatch):
    """Others may hold what the question itself needs."""

    def full(*_, device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "rand", full)
    assert faults.ask(CUDA, ValueError("mine")) is None


def test_a_gpu_that_does_not_answer_is_told_in_words_that_replace_the_worker(monkeypatch):
    """Whatever the first error said: here a library's own words, that no pattern knows."""

    def refuse(*_, device):
        raise RuntimeError("an illegal memory access was encountered")

    def fail(self):
        raise KeyError("somebody's wrapper")

    monkeypatch.setattr(torch, "rand", refuse)
    monkeypatch.setattr(train.Training, "epoch", fail)
    monkeypatch.setattr(faults, "ask", lambda place, error, ask=faults.ask: ask(CUDA, error))
    with pytest.raises(RuntimeError) as caught:
        run(Trial())
    assert POISONED.search(str(caught.value))
    assert isinstance(caught.value.__cause__, KeyError)


def memory(monkeypatch, *free, total=80, own=2):
    """A GPU whose free GiB are these, look by look, then the last for ever."""
    looks = itertools.chain(free, itertools.repeat(free[-1]))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (next(looks) * GIB, total * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: own * GIB)
    slept = []
    monkeypatch.setattr(faults.time, "sleep", slept.append)
    return slept


def test_nobody_waits_where_nobody_else_holds_memory(monkeypatch):
    """A graph's pool alone may have been too much: step by step it may go."""
    slept = memory(monkeypatch, 75)
    assert faults.room(CUDA).startswith("memory ran out while others held 2.4 of 80.0 GiB; trained")
    assert not slept


def test_a_neighbour_is_waited_for(monkeypatch):
    """Until there is half as much again; and no longer than so many seconds."""
    slept = memory(monkeypatch, 10, 10, 10, 10, 10, 10, 40)
    assert "40.0 GiB free" in faults.room(CUDA)
    assert slept
    slept = memory(monkeypatch, 10)
    assert faults.room(CUDA, wait_s=0.0)
    assert not slept


def test_a_cpu_that_ran_out_of_memory_is_not_tried_again():
    """There an allocation that fails is larger than all there is."""
    assert faults.room(CPU) == ""


def exhausted(times):
    """An epoch that runs out of memory so many times, in the second epoch of a try."""
    left, whole = iter(range(times)), train.Training.epoch

    def epoch(self):
        if self.history and next(left, None) is not None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self)

    return epoch


@pytest.mark.soak
def test_a_trial_that_ran_out_of_memory_is_tried_once_more(monkeypatch):
    """Step by step, from its beginning; then it is as any other, and says so."""
    why, seen = "others held it", []
    made = train.Training.__init__

    def noted(self, *args, **named):
        seen.append(named["eager_because"])
        made(self, *args, **named)

    monkeypatch.setattr(train.Training, "__init__", noted)
    monkeypatch.setattr(train.Training, "epoch", exhausted(1))
    monkeypatch.setattr(faults, "room", lambda place: why)
    trial = Trial()
    assert not math.isnan(run(trial))
    assert seen == ["", cnn.ONE_BY_ONE]
    assert trial.reports == [0, 0, 1]
    assert trial.user_attrs["trained_again"] == why
    assert trial.user_attrs["reason"] == "all_epochs"
    assert not trial.constraints


@pytest.mark.soak
def test_twice_out_of_memory_is_infeasible(monkeypatch):
    """The sampler learns the region; nobody tries a third time."""
    monkeypatch.setattr(train.Training, "epoch", exhausted(2))
    monkeypatch.setattr(faults, "room", lambda place: "others held it")
    trial = Trial()
    with pytest.raises(TrialPruned):
        run(trial)
    assert trial.reports == [0, 0]
    assert trial.constraints == {"memory": 1.0}
    assert trial.user_attrs["reason"] == "out_of_memory"
