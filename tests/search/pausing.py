"""Studies whose trials pause, with an objective that keeps its place in a file."""

import functools
import os
import random
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.record import chains, study
from search.strategy import check
from search.studyfile import reading
from search.studyfile.spec import StudySpec
from search.workers import worker

URL = "sqlite:///a.db"
EPOCHS = 9
# A network in ten lines: a random walk towards x, whose state is in a file after every epoch.
OBJECTIVE = """\
import json, random

def objective(trial, *, epochs, seed, workdir):
    file = workdir / "state.json"
    values = json.loads(file.read_text()) if file.exists() else []
    trial.set_user_attr("epochs_planned", epochs)
    if values:
        trial.set_user_attr("resumed_from", len(values))
    for epoch, value in enumerate(values):
        trial.report(value, epoch)
    while len(values) < epochs:
        draw = random.Random(f"{seed} {values}")
        values.append(trial.params["x"] + draw.random() + len(values) / 10)
        file.write_text(json.dumps(values))
        trial.set_user_attr("checkpointed", len(values))
        trial.report(values[-1], len(values) - 1)
    return values[-1]
"""
# One that begins anew whenever it is called, and says nothing of it.
FORGETS = """\
import optuna

def objective(trial, *, epochs, seed{argument}):
    trial.set_user_attr("begun", trial.user_attrs.get("begun", 0) + 1)
    for epoch in range(epochs):
        trial.report(trial.params["x"] + epoch / 10, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return trial.params["x"]
"""
STUDY = f"""\
objective: ./mine.py:objective
settings: {{epochs: {EPOCHS}}}
space: {{x: {{float: [0.0, 1.0]}}}}
strategy: freeze_thaw
budget: {{epochs: 60}}
"""


def write(objective: str = OBJECTIVE, file: str = STUDY) -> None:
    """`mine.py` and `mine.yaml` in the current folder."""
    Path("mine.py").write_text(textwrap.dedent(objective))
    Path("mine.yaml").write_text(file)


def opened(
    *overrides: str, url: str = URL, prepared: dict[str, Any] | None = None
) -> tuple[optuna.Study, StudySpec]:
    """The study of `mine.yaml`, made or resumed."""
    file = reading.load("./mine.yaml", list(overrides), checks=(check.problems,))
    return study.open_study(file.spec, url, prepared or {})


def work(
    *overrides: str, url: str = URL, prepared: dict[str, Any] | None = None, place: str = "work"
) -> optuna.Study:
    """Open the study, and let one worker in this process work at it until it has nothing to do."""
    made, pinned = opened(*overrides, url=url, prepared=prepared)
    worker.work(pinned, url, device="cpu", workdir=place)
    return made


def curve(trial: FrozenTrial) -> list[float]:
    return [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]


def walk(trial: FrozenTrial, epochs: int = EPOCHS) -> list[float]:
    """The curve that OBJECTIVE has without any pause."""
    values: list[float] = []
    while len(values) < epochs:
        draw = random.Random(f"{trial.user_attrs['seed']} {values}")
        values.append(trial.params["x"] + draw.random() + len(values) / 10)
    return values


def spent(trials: Sequence[FrozenTrial]) -> int:
    """Epochs of every chain, once."""
    last = [links[-1] for links in chains.grouped(trials).values()]
    return sum(len(t.intermediate_values) for t in last)


def states(made: optuna.Study) -> list[str]:
    return [
        "PAUSED" if chains.is_paused(t) else t.state.name for t in made.get_trials(deepcopy=False)
    ]


def forked(call: "functools.partial[Any]") -> int:
    """Call in a process of its own; how that ended, as `os.waitpid` tells."""
    pid = os.fork()
    if pid == 0:
        try:
            call()
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]
