"""A configuration that was trained again on fresh seeds: its scores, with intervals."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial

from search.answers import measures, statistics
from search.answers.statistics import Interval, Noise
from search.record import results

EPOCHS = ("best_epoch", "stop_epoch")  # what is told of a run's length, from 0


@dataclass(frozen=True)
class Spread:
    """What is known of the noise of scores: that of seeds, pooled over candidates, and of how many
    images a score is a share, None where it is none or nobody tells. Where each seed has a split of
    its own their noise is that of images, too."""

    noise: Noise | None = None
    images: int | None = None
    overlap: float = 0.0  # as of `statistics.variance_of_mean`


@dataclass(frozen=True)
class Candidate:
    """One configuration, trained with fresh seeds. `number` is its trial in the search.

    `scores` and `tests` go by seed, and so do `splits`, where each seed has a split of its own;
    `state` is winner, tied, worse, failed or open.
    """

    number: int
    params: Mapping[str, Any]
    configuration: str | None
    search_score: float | None
    pruned: bool
    scores: Mapping[int, float]
    tests: Mapping[int, float]
    state: str
    metric: str
    runs: Sequence[FrozenTrial] = field(repr=False, default=())
    splits: Mapping[int, int] = field(default_factory=dict)
    spread: Spread = Spread()
    test_spread: Spread = Spread()
    test_metric: str = ""  # what was read of the test, where that is another score

    @property
    def epochs(self) -> dict[str, dict[int, int]]:
        """The best epoch of each seed and its last one, from 0, where the objective tells them."""
        told = {
            name: {
                int(run.user_attrs["seed"]): int(run.user_attrs[name])
                for run in self.runs
                if name in run.user_attrs and run.user_attrs.get("seed") in self.scores
            }
            for name in EPOCHS
        }
        return {name: by_seed for name, by_seed in told.items() if by_seed}

    @property
    def interval(self) -> Interval | None:
        """Of the validation score; a winner's own lies too well, because it was chosen by it."""
        return _interval(self.scores, self.metric, self.spread) if self.scores else None

    @property
    def test(self) -> Interval | None:
        """Of the test score, which nobody has chosen by."""
        return (
            _interval(self.tests, self.test_metric or self.metric, self.test_spread)
            if self.tests
            else None
        )


def _interval(scores: Mapping[int, float], metric: str, spread: Spread) -> Interval:
    values = list(scores.values())
    about = statistics.interval(values, spread.noise, spread.images, spread.overlap)
    return about.within(0.0, 1.0) if measures.is_bounded(metric) else about


def with_spreads(
    found: Sequence[Candidate],
    images: int | None,
    tested: Mapping[int, Mapping[str, float]],
    overlap: float = 0.0,
) -> list[Candidate]:
    """The candidates, each told what all of them together show of the noise.

    Args:
        images: of validation, where the objective tells how many there are.
        overlap: of splits, where each seed has one of its own.
    """
    is_share = any(results.is_share(c.metric) for c in found)
    counts = [int(about["n"]) for about in tested.values() if about.get("n")]
    seen = Spread(statistics.typical([list(c.scores.values()) for c in found]), images)
    test = Spread(
        statistics.typical([list(c.tests.values()) for c in found]), min(counts, default=None)
    )
    if not is_share:
        seen, test = Spread(seen.noise), Spread(test.noise)
    if overlap:  # what other images would do is in the noise
        seen = Spread(seen.noise, None, overlap)
    return [dataclasses.replace(c, spread=seen, test_spread=test) for c in found]
