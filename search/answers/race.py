"""Which of a few candidates is best: each is trained with the same fresh seeds, and clear losers
drop out early, so that the runs go to those that are close (as in SMAC's intensifier and F-Race,
Birattari 2002).

Everything here follows from the scores alone, seed by seed: however the runs are spread over
machines and time, the same scores lead to the same choice.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.answers import pairs

ALPHA = 0.05  # a candidate this unlikely to be as good as the leader counts as worse
LOOK = 0.01  # the same at each look before the last: there are several
FIRST_LOOK = 2  # seeds that each candidate gets before any drops out
FAILED = float("-inf")  # the score of a run that did not end as complete
Run = tuple[int, int]
Scores = Mapping[int, Sequence[float | None]]  # candidate -> score by seed; higher is better


@dataclass(frozen=True)
class Standing:
    """How a race stands.

    `wanted` are runs, (candidate, seed), that are needed next; `ahead` are those that will be
    needed unless their candidate drops out, for workers that would idle. `dropped` tells after how
    many seeds. `winner` is None until the race is over, or where all failed.
    """

    over: bool
    alive: tuple[int, ...]
    dropped: dict[int, int]
    wanted: tuple[Run, ...] = ()
    ahead: tuple[Run, ...] = ()
    winner: int | None = None
    ties: tuple[int, ...] = ()


def standing(
    scores: Scores,
    seeds: int,
    *,
    keep: Collection[int] = (),
    drop: bool = True,
    runs: int | None = None,
    overlap: float = 0.0,
) -> Standing:
    """How a race stands after these scores.

    Args:
        seeds: that the winner gets at least. What dropped candidates leave of their share goes to
            those still in doubt.
        keep: candidates that are given all their seeds even where they lose: the search's own best
            and the baselines. Its optimism, and the winner's lead over them, would look too large
            if they were measured on their bad seeds only.
        drop: False where every candidate is to get all of its seeds.
        runs: that can be paid in all; None for as many as all seeds of all candidates.
        overlap: where each seed has a split of its own, as of `statistics.variance_of_mean`.
    """
    alive, dropped = list(scores), dict[int, int]()
    budget, spent, done = min(runs or math.inf, seeds * len(scores)), 0, 0
    while alive:
        running = [*alive, *(c for c in keep if c in dropped and done < seeds)]
        is_spent = spent + len(running) > budget and done >= min(FIRST_LOOK, seeds)
        if is_spent or (done >= seeds and len(alive) == 1):
            break
        if any(_score(scores[c], done) is None for c in running):
            sure = max(done + 1, min(FIRST_LOOK, seeds)) if drop else seeds
            missing = _missing(scores, running, range(done, sure))
            later = () if runs else _missing(scores, alive, range(sure, seeds))
            return Standing(False, tuple(alive), dropped, missing, later)
        done, spent = done + 1, spent + len(running)
        losers = [c for c in alive if _score(scores[c], done - 1) == FAILED]
        if drop and done >= FIRST_LOOK:
            rest = [c for c in alive if c not in losers]
            losers += _losers(scores, rest, done, LOOK, overlap)
        dropped |= dict.fromkeys(losers, done)
        alive = [c for c in alive if c not in losers]
    winner = _leader(scores, alive, done) if alive else None
    ties = () if winner is None else _ties(scores, alive, done, winner, overlap)
    return Standing(True, tuple(alive), dropped, winner=winner, ties=ties)


def _missing(scores: Scores, candidates: Sequence[int], seeds: range) -> tuple[Run, ...]:
    return tuple((c, s) for s in seeds for c in candidates if _score(scores[c], s) is None)


def _score(scores: Sequence[float | None], seed: int) -> float | None:
    return scores[seed] if seed < len(scores) else None


def _first(scores: Scores, candidate: int, done: int) -> list[float]:
    return [float(s) for s in scores[candidate][:done] if s is not None]


def _leader(scores: Scores, alive: Sequence[int], done: int) -> int:
    return max(alive, key=lambda c: np.mean(_first(scores, c, done)))


def _losers(
    scores: Scores, alive: Sequence[int], done: int, alpha: float, overlap: float
) -> list[int]:
    """Those that are behind the leader, corrected for that it is known only afterwards."""
    if len(alive) < 2:
        return []
    leader = _leader(scores, alive, done)
    first = {c: _first(scores, c, done) for c in alive}
    others, among = (c for c in alive if c != leader), len(alive)
    return [c for c in others if pairs.is_ahead(leader, c, first, among, alpha, overlap)]


def _ties(
    scores: Scores, alive: Sequence[int], done: int, winner: int, overlap: float
) -> tuple[int, ...]:
    """Those whose difference to the winner may be chance."""
    losers = _losers(scores, alive, done, ALPHA, overlap)
    return tuple(c for c in alive if c != winner and c not in losers)
