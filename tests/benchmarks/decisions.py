"""How long does a decision of freeze_thaw take? In a study of 1,000 trials, and of 10,000.

    python tests/benchmarks/decisions.py --decisions 60

The runs are drawn: 8 parameters (two of them choices, one conditional), 50 epochs at most, curves
that rise to what a configuration is worth, with noise. As in a real study most have ended at a
rung, 64 are paused and a twentieth have run to their end. Each decision differs from the one
before, as its run has gone on meanwhile. The first one of a worker encodes all runs.
"""

import argparse
import dataclasses
import time

import numpy as np

from search.strategy.freeze_thaw import FreezeThaw
from search.strategy.points import Points
from search.strategy.seen import ladder
from search.strategy.steps import Question, Run

LONGEST, PAUSED = 50, 64
SPACE = {
    "optimizer": {"choice": ["sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta"]},
    "lr": {"float": [1e-5, 1.0], "log": True},
    "momentum": {"float": [0.5, 0.99], "when": {"optimizer": ["sgd"]}},
    "weight_decay": {"float": [1e-6, 1e-1], "log": True},
    "batch_size": {"int": [16, 512], "log": True},
    "dropout": {"float": [0.0, 0.6]},
    "label_smoothing": {"float": [0.0, 0.2]},
    "augmentation": {"choice": ["none", "crop", "flip_crop"]},
}


def curve(place: np.ndarray, epochs: int, rng: np.random.Generator) -> list[float]:
    """Scores of so many epochs: best near 0.4 in each place, with a seed's noise."""
    far = float(np.nansum((place - 0.4) ** 2))
    top, speed = 0.95 - 0.3 * far, 2 + 10 * abs(float(np.nan_to_num(place[1])) - 0.5)
    steps = np.arange(1, epochs + 1)
    scores = top * (1 - np.exp(-steps / speed)) + rng.normal(0, 0.003, epochs)
    return [float(score) for score in scores]


def drawn(trials: int, seed: int = 0) -> list[Run]:
    """The runs of a study."""
    rng, points = np.random.default_rng(seed), Points(SPACE)
    rungs = ladder(LONGEST)
    places, runs = points.draw(rng, trials), []
    weights = 0.4 ** np.arange(len(rungs))
    for number, place in enumerate(places):
        until = int(rng.choice(rungs, p=weights / weights.sum()))
        state = (
            "complete" if until == LONGEST else "paused" if number >= trials - PAUSED else "ended"
        )
        scores = curve(place, until, rng)
        runs.append(Run(number, points.params(place), scores, LONGEST, state=state))
    return runs


def timed(trials: int, decisions: int, by: str | None) -> list[tuple[float, float]]:
    """Milliseconds of each decision of a worker, by the clock and by the processor."""
    runs, rng, points = drawn(trials), np.random.default_rng(1), Points(SPACE)
    strategy = FreezeThaw(Question(SPACE, LONGEST, by=by, epochs=10**9))
    taken = []
    for _ in range(decisions + 1):
        started = np.array([time.perf_counter(), time.process_time()])
        step = strategy.next(runs)
        ended = np.array([time.perf_counter(), time.process_time()])
        taken.append(tuple(1000 * (ended - started)))
        assert step is not None
        if step.number is None:
            runs.append(Run(len(runs), step.params, [], LONGEST))
        number = len(runs) - 1 if step.number is None else step.number
        scores = curve(points.draw(rng, 1)[0], step.until, rng)
        state = "complete" if step.until >= LONGEST else "paused"
        runs[number] = dataclasses.replace(runs[number], scores=scores, state=state)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--decisions", type=int, default=60)
    asked = parser.parse_args()
    print(
        "| trials | question | first, ms | then: median, ms | 95 % within, ms | of the processor |"
    )
    print("|---|---|---|---|---|---|")
    for trials in asked.trials:
        for by in (None, "optimizer"):
            first, *rest = timed(trials, asked.decisions, by)
            clock, busy = zip(*rest, strict=True)
            numbers = first[0], np.median(clock), np.quantile(clock, 0.95), np.median(busy)
            times = " | ".join(f"{x:.0f}" for x in numbers)
            print(f"| {trials:,} | {by or 'none'} | {times} |", flush=True)


if __name__ == "__main__":
    main()
