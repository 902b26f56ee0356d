"""When a search has found enough: the score that was asked for, or no gain for so long.

Both follow from the rows of the trials alone, so every worker and every later command sees the
same. They end nothing that runs: no further trial begins, and none is granted more epochs.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.record import chains, results
from search.studyfile.parts import NOISE, Stalled
from search.studyfile.spec import StudySpec

STALLED = "stalled: "
SPENT = "optsearch:spent"  # user attribute of a complete trial: epochs of all trials by then
MEASURED = "optsearch:noise"  # study attribute: from seed to seed, as a confirm stage measured it
TAIL, LEAST = 3, 4  # the last third of a curve, of so many epochs at least, tells its scatter


class Enough(NamedTuple):
    """`score` is what ends a search, `stalled` how long without a gain does; None for neither.
    `noise` is a seed's as fresh seeds have shown it, `images` of how many the score is a share."""

    is_high_good: bool
    metric: str
    score: float | None
    stalled: Stalled | None
    noise: float | None = None
    images: int | None = None

    @property
    def sign(self) -> int:
        """Makes higher better."""
        return 1 if self.is_high_good else -1

    @property
    def counts_epochs(self) -> bool:
        """Whether it matters how many epochs were spent when."""
        return self.stalled is not None and self.stalled.epochs is not None

    @property
    def key(self) -> list[object]:
        """What tells it from another one, for the database."""
        stalled = None if self.stalled is None else self.stalled.model_dump()
        return [self.score, stalled]


class Gain(NamedTuple):
    """The last gain: by which trial, how long ago in the unit of the rule; and how small a
    difference is none, in number and in words."""

    trial: FrozenTrial
    since: int
    by: float
    whence: str


def of(spec: StudySpec, metric: str, attrs: Mapping[str, Any]) -> Enough | None:
    """What is enough in a study with these attributes; None where nothing is."""
    until, stalled = spec.budget.until, spec.budget.stalled
    if until is None and stalled is None:
        return None
    images = attrs.get("data", {}).get("n_validation") if results.is_share(metric) else None
    score = None if until is None else until.score
    return Enough(spec.direction == "maximize", metric, score, stalled, attrs.get(MEASURED), images)


def why(trials: Sequence[FrozenTrial], enough: Enough | None) -> str:
    """Why nothing more is to be begun; "" where something is."""
    if enough is None:
        return ""
    return _reached(trials, enough) or _stalled(trials, enough)


def off(line: str) -> str:
    """What to set so that a search goes on all the same, by the words of `why`."""
    return "budget.stalled=null" if line.startswith(STALLED) else "budget.until=null"


def _reached(trials: Sequence[FrozenTrial], enough: Enough) -> str:
    if enough.score is None:
        return ""
    found = (
        t for t in _complete(trials, enough) if _score(t, enough) >= enough.sign * enough.score
    )
    first = next(found, None)
    if first is None:
        return ""
    shown = f"{enough.metric} {first.value:.5g}"
    return f"enough: trial {first.number} has {shown}, budget.until is {enough.score:g}"


def _stalled(trials: Sequence[FrozenTrial], enough: Enough) -> str:
    if enough.stalled is None or (gain := last_gain(trials, enough)) is None:
        return ""
    unit = "epochs" if enough.stalled.epochs else "trials"
    most = enough.stalled.epochs or enough.stalled.trials or 0
    if gain.since < most:
        return ""
    return (
        f"{STALLED}{gain.since} {unit} without a gain of more than {gain.by:.2g} ({gain.whence}) "
        f"on trial {gain.trial.number}'s {enough.metric} {gain.trial.value:.5g}"
    )


def last_gain(trials: Sequence[FrozenTrial], enough: Enough) -> Gain | None:
    """None where no trial is complete, or the rule is not asked for."""
    complete = _complete(trials, enough)
    if not complete or enough.stalled is None:
        return None
    by, whence = noise(complete, enough)
    last = complete[0]
    for trial in complete[1:]:
        if _score(trial, enough) > _score(last, enough) + by:
            last = trial
    if enough.stalled.epochs:
        return Gain(last, spent(trials) - _spent_at(last, trials), by, whence)
    ends = [
        t for t in chains.last_links(trials) if t.state.is_finished() and not chains.is_known(t)
    ]
    return Gain(last, sum(_end(t) > _end(last) for t in ends), by, whence)


def noise(complete: Sequence[FrozenTrial], enough: Enough) -> tuple[float, str]:
    """How small a difference of scores is none, and whence that is known.

    What another seed changes is measured by the confirm stage, which is at the end. Before it
    stands in: of a share of images the chance of which images these are, sqrt(p (1 - p) / n); of
    any other score how it scatters from epoch to epoch at the end of the best curves. Where nobody
    reports, any gain is one.
    """
    assert enough.stalled is not None
    if enough.stalled.by != NOISE:
        return float(enough.stalled.by), "budget.stalled.by"
    if enough.noise is not None:
        return enough.noise, "the noise of a seed, as fresh seeds have shown it"
    best = sorted(complete, key=lambda t: -_score(t, enough))
    share = float(best[0].value or 0.0)
    if enough.images and 0 <= share <= 1:
        found = math.sqrt(share * (1 - share) / enough.images)
        return found, f"the chance of {enough.images} images"
    scatters = [s for t in best[: max(1, len(best) // 2)] if (s := _scatter(t)) is not None]
    if scatters:
        return median(scatters), "how scores scatter from epoch to epoch"
    return 0.0, "noise is not known"


def _scatter(trial: FrozenTrial) -> float | None:
    """Of one epoch's score about the curve, from the differences of neighbours, which a slow rise
    hardly changes (von Neumann, 1941); None of a short curve."""
    curve = [value for _, value in sorted(results.by_epoch(trial).items())]
    tail = [v for v in curve[-max(LEAST, len(curve) // TAIL) :] if math.isfinite(v)]
    if len(tail) < LEAST:
        return None
    squares = [(b - a) ** 2 for a, b in itertools.pairwise(tail)]
    return math.sqrt(math.fsum(squares) / (2 * len(squares)))


def spent(trials: Sequence[FrozenTrial]) -> int:
    """Epochs of all trials so far; those that a retry found in a checkpoint count once."""
    own = [t for t in trials if not chains.is_queued(t) and not chains.is_known(t)]
    return sum(results.epochs_run(links[-1]) for links in chains.grouped(own).values())


def _spent_at(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """By the end of a trial: as its worker noted it, else of those that had ended by then."""
    if SPENT in trial.user_attrs:
        return int(trial.user_attrs[SPENT])
    ended = [t for t in trials if t.state.is_finished() and _end(t) <= _end(trial)]
    return spent(ended)


def _complete(trials: Sequence[FrozenTrial], enough: Enough) -> list[FrozenTrial]:
    """Those that may be an answer, as they ended."""
    direction = StudyDirection.MAXIMIZE if enough.is_high_good else StudyDirection.MINIMIZE
    able = (t for t in trials if t.state == TrialState.COMPLETE)
    return sorted(results.ranked(able, direction), key=_end)


def _end(trial: FrozenTrial) -> tuple[float, int]:
    return results.moment(trial.datetime_complete).timestamp(), trial.number


def _score(trial: FrozenTrial, enough: Enough) -> float:
    return enough.sign * float(trial.value or 0.0)
