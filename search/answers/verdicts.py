"""What a few scores by seed allow to say about which value is best."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.answers import pairs, statistics
from search.answers.statistics import Interval

ALPHA = 0.05
NOT_COMPARED = "not compared"
MANY = 10  # seeds, from which on a bootstrap is to be believed


@dataclass(frozen=True)
class Row:
    """A value and its best configuration.

    `scores` go by seed, {} where it was not confirmed: then `score` is the search's, of one seed.
    `epochs` and `seconds` are those to the target, the median over runs: inf is never, None is not
    known. `verdict` is best, tied, worse, not compared (no other has several seeds), one seed or no
    score; `p` is that of the leader's lead, corrected. `is_dropped` tells that it lost the race.
    `configurations` were tried in `epochs_spent`, whose last third gained `settled` (effort.py).
    """

    study: str
    value: str
    trials: int
    number: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[int, float] = field(default_factory=dict)
    score: Interval | None = None
    test: Interval | None = None
    epochs: float | None = None
    seconds: float | None = None
    p_best: float | None = None
    verdict: str = "no score"
    p: float | None = None
    data: str = ""
    is_dropped: bool = False
    configurations: int = 0
    epochs_spent: int = 0
    settled: float | None = None
    overlap: float = 0.0  # of the splits of its seeds, as of `statistics.variance_of_mean`

    @property
    def seeds(self) -> int:
        """That the score is a mean over."""
        return self.score.n if self.score else 0

    @property
    def name(self) -> str:
        """The value, with its study where that is another word."""
        return (
            f"{self.value} ({self.study})"
            if self.study and self.study != self.value
            else (self.value)
        )


def judged(rows: Sequence[Row], sign: int) -> list[Row]:
    """The rows in order, with verdicts, from their scores by seed.

    Each is tested against the leader, on the seeds that both have had. Who leads is known only
    afterwards: so every pair of values counts in the correction.
    """
    several = [r for r in rows if len(r.scores) > 1]
    single = [r for r in rows if len(r.scores) <= 1]
    several.sort(key=lambda r: -sign * r.score.mean if r.score else 0.0)
    single.sort(key=lambda r: -sign * r.score.mean if r.score else math.inf)
    drawn = {r.name: list(r.scores.values()) for r in several}
    chances = statistics.probability_best(drawn, maximize=sign > 0)
    several.sort(key=lambda r: r.is_dropped)  # a mean over two lucky seeds leads nobody
    found = []
    for i, row in enumerate(several):
        p = _p_behind(row, several, sign) if i else None
        verdict = "worse" if row.is_dropped or (p is not None and p < ALPHA) else "tied"
        verdict = "best" if i == 0 else verdict
        verdict = verdict if len(several) > 1 else NOT_COMPARED
        found.append(dataclasses.replace(row, verdict=verdict, p=p, p_best=chances.get(row.name)))
    alone = [dataclasses.replace(r, verdict="one seed") if r.score else r for r in single]
    return [*found, *alone]


def _p_behind(row: Row, rows: Sequence[Row], sign: int) -> float:
    """How likely the first row would lead this one so far if it were no better, corrected."""
    common = [seed for seed in rows[0].scores if seed in row.scores]
    if not common:
        return 1.0
    told = [r for r in rows if all(seed in r.scores for seed in common)]
    scores = {r.name: [sign * r.scores[seed] for seed in common] for r in told}
    return pairs.p_leads(rows[0].name, row.name, scores, len(rows), rows[0].overlap)


def conclusions(rows: Sequence[Row], sign: int) -> list[str]:
    """What these rows show, and what they do not, in sentences."""
    several = [r for r in rows if r.verdict in ("best", "tied", "worse", NOT_COMPARED)]
    alone = [r.name for r in rows if r.verdict == "one seed"]
    unscored = [r.name for r in rows if r.verdict == "no score"]
    lines = _leading(several) + _trailing(several, sign) if len(several) > 1 else []
    if alone and not lines:
        besides = f" besides {several[0].name}" if several else ""
        lines.append(f"one seed each{besides}: nothing may be concluded about which is better")
    elif alone:
        lines.append(f"{_listed(alone)}: one seed only, nothing may be concluded from it")
    elif not lines:
        only = f"only {several[0].name} has a score" if several else "no value has a score"
        lines.append(f"{only}: which value is better is not known")
    if unscored:
        untried = "no trial is complete, so there is no score; `enqueue` tries one"
        lines.append(f"{_listed(unscored)}: {untried}")
    if pairs := len(several) * (len(several) - 1) // 2:
        corrected = f", corrected for {pairs} pairs" if pairs > 1 else ""
        lines.append(f"p: paired t test on common seeds{corrected}")
    return lines


def in_brief(rows: Sequence[Row]) -> list[str]:
    """The same without the numbers, which a table beside it has. `rows`: best first."""
    of = {v: [r.name for r in rows if r.verdict == v] for v in ("best", "tied", "worse")}
    if not of["best"]:
        return [line for line in conclusions(rows, 1) if not line.startswith("p: ")]
    (best,) = of["best"]
    if tied := of["tied"]:
        lines = [f"{best} ties with {_listed(tied)}: which is better these seeds cannot tell."]
    else:
        lines = [f"{best} is best."]
    lines += [f"Worse: {_listed(worse)}."] if (worse := of["worse"]) else []
    if alone := [r.name for r in rows if r.verdict in ("one seed", "no score")]:
        lines.append(f"Not confirmed: {_listed(alone)}; nothing may be concluded of what is not.")
    return lines


def unsure(rows: Sequence[Row]) -> list[str]:
    """A warning where P(best) rests on a few seeds."""
    fewest = min((r.seeds for r in rows if r.p_best is not None), default=MANY)
    told = f"P(best) draws the seeds at hand anew; with {fewest} of them it is too sure"
    return [told] if fewest < MANY else []


def _leading(rows: Sequence[Row]) -> list[str]:
    best, tied = rows[0], [r for r in rows if r.verdict == "tied"]
    if not tied:
        return [f"{best.name} is best: {best.score}"]
    others = ", ".join(f"{r.score.mean:.4f} (p {r.p:.2g})" for r in tied if r.score)
    return [
        f"{best.name} is best or tied with {_listed([r.name for r in tied])}: {best.score} against "
        f"{others}; which of them is better these seeds cannot tell"
    ]


def _trailing(rows: Sequence[Row], sign: int) -> list[str]:
    best = rows[0]
    return [
        f"{r.name} is worse by {sign * (best.score.mean - r.score.mean):.4f} (p {r.p:.2g})"
        for r in rows
        if r.verdict == "worse" and best.score and r.score
    ]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
