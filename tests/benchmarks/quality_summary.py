"""Figures of many simulated searches: speed against Optuna's defaults, and arms."""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Line = dict[str, Any]
REFERENCE, MARKS = "optuna", (1000, 2500)


def read(paths: Iterable[Path]) -> list[Line]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def score_at(line: Line, epochs: float) -> float:
    """Of the answer after so many epochs; nan before the first."""
    scores = [score for spent, score in line["curve"] if spent <= epochs]
    return float(scores[-1]) if scores else float("nan")


def reached(line: Line, target: float) -> float:
    """Epochs until the answer is as good as `target`; inf: never.

    Not before the epochs of one full run: until then nothing can have run to its end.
    """
    spent = [s for s, score in line["curve"] if score >= target]
    return float(max(spent[0], line["longest"])) if spent else float("inf")


def speeds(lines: list[Line], searcher: str, mark: int) -> tuple[dict[str, float], float, int]:
    """({task: how many times fewer epochs}, share of runs that never got there, runs).

    The target is the mean score of Optuna's defaults, one worker, after `mark` epochs. A run that
    never got there counts as if it did at twice the epochs that it had.
    """
    by_task: dict[str, list[float]] = defaultdict(list)
    missed = 0
    for task in {line["task"] for line in lines}:
        of = [line for line in lines if line["task"] == task]
        base = [score_at(x, mark) for x in of if x["searcher"] == REFERENCE]
        target = float(np.nanmean(base)) if base else float("nan")
        for line in of:
            if line["searcher"] == searcher and np.isfinite(target):
                epochs = reached(line, target)
                missed += not np.isfinite(epochs)
                by_task[task].append(np.log(mark / min(epochs, 2 * line["epochs"])))
    runs = sum(map(len, by_task.values()))
    return {t: float(np.exp(np.mean(v))) for t, v in by_task.items()}, missed / max(runs, 1), runs


def interval(values: Array, repeats: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of a geometric mean over tasks (paired: each is a ratio)."""
    rng = np.random.default_rng(0)
    logs = np.log(values)
    means = logs[rng.integers(0, len(logs), (repeats, len(logs)))].mean(1)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    return float(low), float(high)


def markdown(lines: list[Line]) -> str:
    """Tables for people."""
    rows = [
        "| searcher | workers | to Optuna's score at | times fewer epochs | 95 % | worst task "
        "| never got there | runs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kinds = sorted({(line["searcher"], line["workers"]) for line in lines})
    for searcher, workers in kinds:
        mine = [
            x
            for x in lines
            if (x["searcher"], x["workers"]) == (searcher, workers)
            or (x["searcher"] == REFERENCE and searcher != REFERENCE and x["workers"] == 1)
        ]
        for mark in MARKS:
            if not any(x["epochs"] >= mark for x in lines if x["searcher"] == REFERENCE):
                continue
            fast, missed, runs = speeds(mine, searcher, mark)
            if not fast:
                continue
            values = np.array(list(fast.values()))
            low, high = interval(values)
            worst = min(fast, key=lambda t: fast[t])
            rows.append(
                f"| {searcher} | {workers} | {mark} | {np.exp(np.log(values).mean()):.2f} "
                f"| {low:.2f} to {high:.2f} | {fast[worst]:.2f} ({worst}) | {missed:.0%} | {runs} |"
            )
    return "\n".join(rows) + "\n" + _arms([line for line in lines if line.get("arms")])


def _arms(lines: list[Line]) -> str:
    """How fairly the values of `optimizer` were tried."""
    if not lines:
        return ""
    rows = [
        "",
        "| table | searcher | workers | arms complete | regret of an arm, mean | worst "
        "| tied, called so | behind, called so |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kinds = sorted({(x["task"], x["searcher"], x["workers"]) for x in lines})
    for kind in kinds:
        mine = [x for x in lines if (x["task"], x["searcher"], x["workers"]) == kind]
        arms = [arm for x in mine for arm in x["arms"].values()]
        regrets = [100 * arm["regret"] for arm in arms]
        share = float(np.mean([arm["complete"] for arm in arms]))
        rows.append(
            f"| {' | '.join(map(str, kind))} | {share:.0%} | {np.mean(regrets):.2f} points "
            f"| {max(regrets):.2f} | {_called(mine, ('best', 'tied'), 0, TIED)} "
            f"| {_called(mine, ('worse',), BEHIND, np.inf)} |"
        )
    return "\n".join(rows)


TIED, BEHIND = 0.005, 0.02  # below the best arm's answer, in truth: within a seed's noise, clearly


def _called(lines: list[Line], right: tuple[str, ...], low: float, high: float) -> str:
    """`34 of 35`: arms that lie so far below the best, and those whose verdict was right."""
    found = []
    for line in lines:
        told = [arm for arm in line["arms"].values() if "verdict" in arm]
        best = max((arm["true"] for arm in told), default=0.0)
        found += [arm["verdict"] in right for arm in told if low <= best - arm["true"] <= high]
    return f"{sum(found)} of {len(found)}" if found else "-"
