"""One search, simulated: asynchronous workers, each epoch of a run takes one unit of time.

The curve of a search is [[epochs spent, score], ...]: the true score of the configuration that it
would answer with, were that its budget. Optuna's answers with the best of those that ran to their
end by what was seen of them (of all, while none did). Ours lets the best that it has seen run to
its end with the last of its epochs (`Ending`), and pays for its confirming.
"""

import dataclasses
import heapq
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from quality_tables import Params, Task

from search.answers.candidates import kept
from search.strategy.freeze_thaw import FreezeThaw
from search.strategy.seen import ladder
from search.strategy.steps import Question, Run

Curve = list[list[float]]
TOP, SEEDS = 5, 5  # a study file's own defaults of `confirm`


def arms(task: Task) -> int:
    """How many values the question is about."""
    return len(task.space[task.by]["choice"]) if task.by else 0


class Answer:
    """What a search of Optuna's would say is best, and what that is worth in truth."""

    def __init__(self, task: Task) -> None:
        self.task, self.spent = task, 0
        self.best: tuple[bool, float] = (False, -np.inf)
        self.curve: Curve = []

    def saw(self, params: Params, best: float, complete: bool) -> None:
        """A run stands at `best`."""
        if np.isfinite(best) and (complete, best) > self.best:
            self.best = (complete, best)
            self.curve.append([self.spent, self.task.true(params)])


class Ending:
    """What ours would answer with, for every budget at once.

    A budget changes nothing of a search until its last epochs: those let the leader run to its
    end, from the first decision on at which another step would leave too few. So each decision
    ends the budgets that no earlier one has ended.
    """

    def __init__(self, task: Task) -> None:
        self.task, self.searched, self.budget = task, 0, 0
        self.curve: Curve = []

    def total(self, searched: int) -> int:
        """The least budget that leaves so many epochs to its search, by what the product keeps for
        confirming."""
        while self.budget - self.kept(self.budget) < searched:
            self.budget += 1
        return self.budget

    def kept(self, budget: int) -> int:
        values = arms(self.task)
        most = max(TOP, values)
        return kept(budget, self.task.longest, most, SEEDS, values)

    def decides(self, runs: Sequence[Run]) -> None:
        """The search is asked what to do next."""
        seen = [run for run in runs if np.isfinite(run.scores).any()]
        leader = max(seen, key=lambda run: float(np.nanmax(run.scores)), default=None)
        if leader is None or leader.state == "running":
            return  # running: it is on its way, and this worker does something else
        need = leader.planned - len(leader.scores) if leader.state == "paused" else 0
        spent = sum(max(r.until if r.state == "running" else 0, len(r.scores)) for r in runs)
        ends = spent + need + ladder(self.task.longest)[0]
        if ends > self.searched:
            at = self.total(max(self.searched, spent + need))
            score = self.task.true(dict(leader.params))
            if not self.curve or self.curve[-1][1] != score:
                self.curve.append([at, score])
            self.searched = ends


def ours(
    task: Task, seed: int, epochs: int, workers: int, portfolio: bool
) -> tuple[Curve, list[Run]]:
    """The product's own strategy, and the runs that it made.

    Where the question is which value is best, what counts is the answer at the end, so that it
    knows its budget, as in a run; else the curve, which is to be that of any longer budget.
    """
    answer = Ending(task)
    searches = epochs - answer.kept(epochs)
    pays = searches if task.by else None
    question = Question(task.space, task.longest, task.by, epochs=pays, seed=seed)
    strategy = FreezeThaw(question)
    rows = task.portfolio if portfolio else []
    runs = [
        Run(i, row, [], task.longest, state="queued", name=f"row-{i}") for i, row in enumerate(rows)
    ]
    seen: dict[int, Any] = {}
    events: list[tuple[int, int, int | None]] = [(0, w, None) for w in range(workers)]
    while events and sum(len(run.scores) for run in runs) < searches:
        now, worker, number = heapq.heappop(events)
        if number is not None:
            run = _epoch(runs[number], seen[number])
            runs[number] = run
            if run.state == "running" and len(run.scores) < run.until:
                heapq.heappush(events, (now + 1, worker, number))
                continue
            if run.state == "running":
                runs[number] = dataclasses.replace(run, state="paused")
        answer.decides(runs)
        step = strategy.next(runs)
        if step is None:
            continue
        if step.number is None:
            runs.append(Run(len(runs), step.params, [], task.longest))
        number = len(runs) - 1 if step.number is None else step.number
        seen.setdefault(number, task.seen(runs[number].params, _seed(seed, number)))
        runs[number] = dataclasses.replace(runs[number], state="running", until=step.until)
        heapq.heappush(events, (now + 1, worker, number))
    return answer.curve, runs


def _seed(seed: int, number: int) -> int:
    return seed * 100_003 + number


def _epoch(run: Run, seen: Any) -> Run:
    """The run, one epoch later."""
    value = float(seen[len(run.scores)])
    scores = [*run.scores, value]
    if not np.isfinite(value):
        return dataclasses.replace(run, scores=scores, state="ended")
    complete = len(scores) >= run.planned
    return dataclasses.replace(run, scores=scores, state="complete" if complete else run.state)


def _optuna_study(kind: str, task: Task, seed: int) -> optuna.Study:
    samplers = {"random": optuna.samplers.RandomSampler, "asha": optuna.samplers.RandomSampler}
    pruners: dict[str, optuna.pruners.BasePruner] = {
        "random": optuna.pruners.NopPruner(),
        "asha": optuna.pruners.SuccessiveHalvingPruner(),
        "hyperband": optuna.pruners.HyperbandPruner(max_resource=task.longest),
        "optuna": optuna.pruners.MedianPruner(),
    }
    return optuna.create_study(
        study_name=f"{kind}-{seed}",
        direction="maximize",
        sampler=samplers.get(kind, optuna.samplers.TPESampler)(seed=seed),
        pruner=pruners[kind],
    )


def optunas(kind: str, task: Task, seed: int, epochs: int, workers: int) -> tuple[Curve, list[Run]]:
    """One of Optuna's own searches, in memory."""
    study = _optuna_study(kind, task, seed)
    answer = Answer(task)
    events: list[tuple[int, int]] = [(0, w) for w in range(workers)]
    jobs: dict[int, tuple[optuna.Trial, Params, Any, list[float]]] = {}
    runs: list[Run] = []
    while answer.spent < epochs:
        now, worker = heapq.heappop(events)
        if worker not in jobs:
            trial = study.ask()
            params = _suggest(trial, task.space)
            jobs[worker] = trial, params, task.seen(params, _seed(seed, trial.number)), []
        trial, params, seen, scores = jobs[worker]
        answer.spent += 1
        scores.append(float(seen[len(scores)]))
        ends = not np.isfinite(scores[-1])
        if not ends:
            trial.report(scores[-1], len(scores) - 1)
            complete = len(scores) >= task.longest
            ends = complete or trial.should_prune()
            answer.saw(params, max(scores), complete)
        if ends:
            complete = len(scores) >= task.longest and np.isfinite(scores[-1])
            pruned = optuna.trial.TrialState.PRUNED
            study.tell(trial, *([max(scores)] if complete else [None, pruned]))
            state = "complete" if complete else "ended"
            runs.append(Run(trial.number, params, scores, task.longest, state=state))
            del jobs[worker]
        heapq.heappush(events, (now + 1, worker))
    return answer.curve, runs


def _suggest(trial: optuna.Trial, space: dict[str, Any]) -> Params:
    params: Params = {}
    pending = list(space)
    for name in itertools.chain.from_iterable([pending] * len(pending)):
        when = space[name].get("when", {})
        if name in params or not all(params.get(n, _NONE) in v for n, v in when.items()):
            continue
        params[name] = _value(trial, name, space[name])
    return params


_NONE = object()


def _value(trial: optuna.Trial, name: str, parameter: dict[str, Any]) -> Any:
    log, step = parameter.get("log", False), parameter.get("step")
    if "float" in parameter:
        return trial.suggest_float(name, *parameter["float"], log=log, step=step)
    if "int" in parameter:
        return trial.suggest_int(name, *parameter["int"], log=log, step=step or 1)
    return trial.suggest_categorical(name, parameter["choice"])
