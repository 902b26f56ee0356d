"""Two hundred kills at random moments, of workers and of the command: nothing is lost or doubled,
whether trials run to their end or pause on their way.

    make soak

SOAK_KILLS (200), SOAK_TRIALS (150) and SOAK_SEED (0) may be set.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from objectives import cnn
from search.database import storage
from search.record import chains
from tests.soak.runs import Run, kill

KILLS = int(os.environ.get("SOAK_KILLS", "200"))
SEED = int(os.environ.get("SOAK_SEED", "0"))
TRIALS = int(os.environ.get("SOAK_TRIALS", "150"))  # at first; more, until all is killed
EPOCHS = 6
# As objectives.cnn, but every epoch is kept: these trials are shorter than half a minute.
OBJECTIVE = """\
from objectives import cnn

cnn.CHECKPOINT_EVERY_S = 0.0
objective = cnn.objective
"""
SETTINGS = {"dataset": "digits", "network": "digits_cnn", "epochs": EPOCHS, "flip": True}
# A retry limit as high as this cannot be reached by chance.
STUDY = f"""\
objective: ./soak.py:objective
settings: {json.dumps(SETTINGS)}
space:
  optimizer:  {{choice: [sgd, adam]}}
  lr:         {{float: [1.0e-4, 1.0e-2], log: true}}
  batch_size: {{choice: [64, 128]}}
budget: {{retries: 1000}}
"""
WAYS = {
    # what stands in the file besides, and what the study may spend
    "to_the_end": ("sampler: random\npruner: none\n", "trials"),
    "pausing": ("strategy: {name: freeze_thaw, max_paused: 12}\n", "epochs"),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of the test's own, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db"
    return str(request.getfixturevalue("postgresql"))


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(tmp_path: Path, url: str, way: str) -> Iterator[Run]:
    (tmp_path / "soak.yaml").write_text(STUDY + WAYS[way][0])
    (tmp_path / "soak.py").write_text(OBJECTIVE)
    arguments = ("--study", "./soak.yaml", "--storage", url, "--workers", "2", "--set")
    made = Run((*arguments, _budget(way, TRIALS)), tmp_path)
    yield made
    made.end()


def _budget(way: str, wanted: int) -> str:
    """As much as so many whole trials."""
    kind = WAYS[way][1]
    return f"budget.{kind}={wanted * (EPOCHS if kind == 'epochs' else 1)}"


def test_killed_again_and_again_a_study_ends_exactly_as_if_nobody_had(
    run: Run, url: str, way: str
) -> None:
    """Its budget, nothing running or paused, no chain twice, every curve bitwise the same."""
    draw = random.Random(SEED)
    kills = {"trial": 0, "worker": 0, "command": 0}
    wanted = TRIALS
    while True:
        run.start()
        is_spared = draw.random() < 0.5
        assert run.process is not None
        while run.process.poll() is None:
            time.sleep(draw.uniform(0.05, 1.0))
            if not _are_enough(kills):
                which = _kill_one(run, url, draw, is_spared)
                if which:
                    kills[which] += 1
                if which == "command":
                    run.process.wait(60)
        if _are_enough(kills) and run.process.returncode == 0:
            break
        if run.process.returncode == 0:
            wanted += TRIALS
            run.arguments = (*run.arguments[:-1], _budget(way, wanted))
    found = _trials(url)
    resumed = sum(chains.RESUMED in t.user_attrs for t in found)
    sys.stdout.write(f"{way}: {kills}, {wanted} trials, {len(found)} rows, {resumed} resumed\n")
    (_check_paused if way == "pausing" else _check)(found, wanted)


def _are_enough(kills: dict[str, int]) -> bool:
    """Of each kind at least one: of a few, all may have fallen on commands that were starting."""
    return sum(kills.values()) >= KILLS and all(kills.values())


def _kill_one(run: Run, url: str, draw: random.Random, is_spared: bool) -> str:
    """Kill somebody; "" where nobody was hit.

    In three of five times a worker with a trial, in one any worker at all (it may be about to
    begin, or to end), in one the command. Until a command has begun to train it is left alone
    nine times of ten, and every other one always: on a slow machine none would ever come to that.
    """
    number = draw.choice([signal.SIGKILL, signal.SIGTERM])
    whom = draw.choice(["trial", "trial", "trial", "worker", "command"])
    workers = run.workers()
    busy = _with_a_trial(workers, url) if len(workers) > 1 else []  # one alone prepares the study
    if not busy:
        whom = "" if is_spared else draw.choice(["command", *[""] * 9])
    if whom == "command":
        assert run.process is not None
        return whom if kill(run.process.pid, number) else ""
    hit = {"trial": busy, "worker": workers}.get(whom)
    return whom if hit and kill(draw.choice(hit), number) else ""


def _with_a_trial(workers: list[int], url: str) -> list[int]:
    leases = [t.user_attrs.get(chains.LEASE, {}) for t in _trials(url) if not t.state.is_finished()]
    return [pid for pid in workers if pid in [lease.get("pid") for lease in leases]]


def _trials(url: str) -> list[FrozenTrial]:
    return optuna.load_study(study_name="soak", storage=storage.open_storage(url)).trials


def _check(trials: list[FrozenTrial], wanted: int) -> None:
    links = chains.grouped(trials)
    assert len(links) == wanted
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    for chain in links.values():
        *before, last = chain
        assert last.state == TrialState.COMPLETE
        assert {t.state for t in before} <= {TrialState.FAIL}
        assert {chains.reason_of(t) for t in before} <= set(chains.RETRIED)
        for link in before:  # one that was killed early had not drawn all of them
            assert link.params.items() <= last.params.items()
        whole = _undisturbed(last)
        assert _curve(last) == whole
        for link in before:
            assert _curve(link) == whole[: len(link.intermediate_values)]


def _check_paused(trials: list[FrozenTrial], wanted: int) -> None:
    links = chains.grouped(trials)
    last = [chain[-1] for chain in links.values()]
    assert {t.state for t in last} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert {t.user_attrs["reason"] for t in last if t.state == TrialState.PRUNED} <= {"hopeless"}
    spent = sum(len(_curve(t)) for t in last)
    assert wanted * EPOCHS - EPOCHS < spent <= wanted * EPOCHS
    for chain in links.values():
        assert {chains.reason_of(t) for t in chain[:-1]} <= set(chains.RETRIED)
        whole = _undisturbed(chain[-1])
        assert len(_curve(chain[-1])) == EPOCHS or chain[-1].state == TrialState.PRUNED
        for link in chain:
            assert _curve(link) == whole[: len(_curve(link))]


def _curve(trial: FrozenTrial) -> list[float]:
    return [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]


class _Alone(FixedTrial):
    """Outside of any study; keeps what is reported."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.reported: list[float] = []

    def report(self, value: float, step: int) -> None:
        self.reported.append(value)


def _undisturbed(trial: FrozenTrial) -> list[float]:
    """The curve of the same configuration and seed, trained here in one go."""
    alone = _Alone(trial.params)
    cnn.objective(alone, seed=trial.user_attrs["seed"], device="cpu", threads=1, **SETTINGS)
    return alone.reported
