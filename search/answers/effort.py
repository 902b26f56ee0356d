"""What each value of a parameter was given in a search, and whether its tuning had come to rest."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from optuna.trial import FrozenTrial, TrialState

from search.record import results

LAST = 3  # the last third of the epochs tells whether more of them would have gained


class Effort(NamedTuple):
    """`configurations` begun, `epochs` they took, and what the last third of these gained: None
    where less than two configurations, or no score, tell."""

    configurations: int
    epochs: int
    settled: float | None


def spent(trials: Sequence[FrozenTrial], sign: int) -> Effort:
    """What these trials, one a chain, were given.

    The gain is of the best score so far, configurations taken in the order in which they began.

    Args:
        sign: 1 where high scores are good, else -1.
    """
    ordered = sorted(trials, key=lambda t: t.number)
    epochs = [results.epochs_run(t) for t in ordered]
    best = [shown(t, sign) for t in ordered]
    return Effort(len(ordered), sum(epochs), _gain(epochs, best))


def shown(trial: FrozenTrial, sign: int) -> float:
    """The best that a trial has shown, higher is better; -inf where it showed nothing."""
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        return sign * trial.value if math.isfinite(trial.value) else -math.inf
    reported = [sign * v for v in trial.intermediate_values.values() if math.isfinite(v)]
    return max(reported, default=-math.inf)


def _gain(epochs: Sequence[int], best: Sequence[float]) -> float | None:
    """By how much the best score grew after the first two thirds of the epochs."""
    if len(epochs) < 2 or max(best) == -math.inf:
        return None
    early, run = -math.inf, 0
    for took, score in zip(epochs, best, strict=True):
        run += took
        if run * LAST > sum(epochs) * (LAST - 1):
            break
        early = max(early, score)
    return max(best) - early if math.isfinite(early) else None


def words(efforts: Mapping[str, Effort], noise: float | None) -> list[str]:
    """What each value got, in sentences.

    Args:
        noise: standard deviation of a score from seed to seed, where that is known.
    """
    if len(efforts) < 2:
        return []
    got = "; ".join(f"{name} {_got(one)}" for name, one in efforts.items())
    moving = [
        f"{name} (the last third of its epochs gained {one.settled:.4f})"
        for name, one in efforts.items()
        if one.settled is not None and one.settled > (noise or 0.0)
    ]
    untold = [name for name, one in efforts.items() if one.settled is None]
    lines = [f"tried: {got}"]
    if moving:
        lines.append(f"tuning had not come to rest for {', '.join(moving)}")
    if untold:
        lines.append(f"too few configurations tell whether {', '.join(untold)} could gain by more")
    if not moving and not untold:
        limit = f"the noise of a seed, {noise:.2g}" if noise else "nothing"
        lines.append(
            f"tuning had come to rest: the last third of the epochs gained {limit} at most"
        )
    return lines


def _got(one: Effort) -> str:
    some = "1 configuration" if one.configurations == 1 else f"{one.configurations} configurations"
    return f"{some}, {one.epochs} epochs" if one.epochs else some
