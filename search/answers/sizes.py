"""How large confirmed configurations are, and how long they take for an image: what breaks ties."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial

from search.answers.evidence import Evidence
from search.answers.race import Standing

ATTRIBUTE = "size"  # of a trial, by its objective: parameters, multiply_adds, ms_1, ms_256
SCORE, FASTER, SMALLER = "score", "faster", "smaller"  # what a study may prefer among equals
CLEAR = 1.2  # times as fast, or as small, from which on it is no matter of measuring


class Size(NamedTuple):
    """Of a network; `ms` an image, in the largest batch that was timed."""

    parameters: int
    multiply_adds: int
    ms: float

    def measure(self, prefer: str) -> float:
        """What is to be low."""
        return self.ms if prefer == FASTER else float(self.parameters)


def of_trial(trial: FrozenTrial) -> Size | None:
    """As the objective has told; None where it has not, or otherwise."""
    told: Any = trial.user_attrs.get(ATTRIBUTE)
    try:
        ms = told.get("ms_256", told.get("ms_1"))
        found = Size(int(told["parameters"]), int(told["multiply_adds"]), float(ms))
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
    return found if min(found) > 0 else None


def of_runs(runs: Mapping[int, Sequence[FrozenTrial]]) -> dict[int, Size]:
    """The size of each candidate by its runs. Equal networks take equal time, the shortest that was
    measured: what else ran on the machine breaks no tie."""
    told = {n: [size for run in ran if (size := of_trial(run))] for n, ran in runs.items()}
    shortest: dict[tuple[int, int], float] = {}
    for size in (one for several in told.values() for one in several):
        known = shortest.get(size[:2], size.ms)
        shortest[size[:2]] = min(known, size.ms)
    return {n: s[0]._replace(ms=shortest[s[0][:2]]) for n, s in told.items() if s}


def preferred(prefer: str, order: Sequence[int], sizes: Mapping[int, Size]) -> int:
    """Of equals, best score first, the one that is clearly faster, or smaller, than the first."""
    able = [number for number in order if number in sizes]
    if order[0] not in sizes:
        return order[0]
    best = min(able, key=lambda number: sizes[number].measure(prefer))
    is_clear = sizes[order[0]].measure(prefer) >= CLEAR * sizes[best].measure(prefer)
    return best if is_clear else order[0]


def chosen(
    prefer: str, now: Standing, runs: Mapping[int, Mapping[int, FrozenTrial]], sign: int
) -> tuple[int | None, list[int]]:
    """The winner of a race that is over, and its ties: of equals the one that is preferred.

    Args:
        runs: of each candidate, by round. sign: 1 where high scores are good, else -1.
    """
    if now.winner is None or prefer == SCORE:
        return now.winner, list(now.ties)
    means = {n: fmean(sign * float(r.value or 0.0) for r in runs[n].values()) for n in now.ties}
    order = [now.winner, *sorted(now.ties, key=lambda number: -means[number])]
    winner = preferred(prefer, order, of_runs({n: [*runs[n].values()] for n in order}))
    return winner, [number for number in order if number != winner]


def sentences(known: Evidence) -> list[str]:
    """That a tie of the winner is faster; or what the study's preference has chosen."""
    winner = known.winner
    if winner is None or winner.interval is None:
        return []
    ties = [c for c in known.ties if c.interval is not None]
    found = of_runs({c.number: c.runs for c in (winner, *ties)})
    if winner.number not in found:
        return []
    means = {c.number: known.sign * c.interval.mean for c in (winner, *ties) if c.interval}
    leader = max(means, key=lambda number: means[number])
    if known.plan.prefer != SCORE and leader != winner.number and leader in found:
        better = _words(found[winner.number], found[leader], known.plan.prefer)
        return [
            f"Trial {winner.number} is the answer, as `prefer: {known.plan.prefer}` breaks ties: "
            f"it ties with trial {leader}, whose mean is the highest, and is {better}."
        ]
    other = preferred(FASTER, [winner.number, *(c.number for c in ties)], found)
    if other == winner.number:
        return []
    better = _words(found[other], found[winner.number], FASTER)
    return [f"It ties with trial {other}, which is {better}; `prefer: {FASTER}` would choose it."]


def _words(one: Size, than: Size, prefer: str) -> str:
    """`3.1 times faster (0.12 against 0.37 ms an image)`."""
    times = than.measure(prefer) / one.measure(prefer)
    if prefer == FASTER:
        return f"{times:.1f} times faster ({one.ms:.2g} against {than.ms:.2g} ms an image)"
    return f"{times:.1f} times smaller ({one.parameters:,} against {than.parameters:,} parameters)"
