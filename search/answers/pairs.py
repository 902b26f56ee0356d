"""Whether one of several candidates that were trained on the same seeds is ahead of another."""

import functools
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from scipy.special import bdtrc, stdtr

from search.answers.statistics import (
    Interval,
    Noise,
    half_width,
    moderated,
    reach_of_images,
    variance_of_mean,
)

Key = TypeVar("Key", bound=Hashable)


def lead(
    first: Key,
    second: Key,
    scores: Mapping[Key, Sequence[float]],
    images: int | None,
    overlap: float = 0.0,
) -> Interval:
    """By how much the first one's mean is above the second's, on common seeds: the interval that
    goes with `p_ahead`.

    Args:
        scores: of each candidate by seed, equally many; higher is better.
        images: as of `interval`. Which of them both got right is not known: their errors count as
            independent (Newcombe, "Interval estimation for the difference", 1998), which is wide.
        overlap: here and below as of `statistics.variance_of_mean`.
    """
    differences = np.subtract(scores[first], scores[second])
    mean, n = float(differences.mean()), len(differences)
    if n < 2:
        return Interval(mean, None, None, n)
    pooled, freedom = _noise(np.array(list(scores.values())))
    own = float(np.var(differences, ddof=1))
    half, down, up = half_width(moderated(own, n, Noise(2 * pooled, freedom)), n, overlap), 0.0, 0.0
    shares = [float(np.mean(scores[key])) for key in (first, second)]
    if images is not None:
        (first_down, first_up), (second_down, second_up) = (
            reach_of_images(s, images) for s in shares
        )
        down, up = math.hypot(first_down, second_up), math.hypot(first_up, second_down)
    if not (half or down or up):
        return Interval(mean, None, None, n)
    return Interval(mean, mean - math.hypot(half, down), mean + math.hypot(half, up), n, images)


def p_better(first: Sequence[float], second: Sequence[float], overlap: float = 0.0) -> float:
    """How likely `first` would lead so far, value by value, if it were no better: paired t test.

    Where all differences are equal the test has no noise to go by, and the signs alone count
    (binomial test): three lucky images in a row prove nothing.
    """
    differences = np.subtract(first, second)
    if len(differences) < 2 or not differences.any():
        return 1.0
    if np.ptp(differences) > 1e-12 * np.abs(differences).max():
        variance = variance_of_mean(differences.var(ddof=1), len(differences), overlap)
        return _p_above(differences.mean(), variance, len(differences) - 1)
    wins = int((differences > 0).sum())
    return float(bdtrc(wins - 1, len(differences), 0.5))


def p_ahead(
    first: Key, second: Key, scores: Mapping[Key, Sequence[float]], overlap: float = 0.0
) -> float:
    """As `p_better`, of two among several candidates that had the same seeds: what their scores
    tell of a seed's noise together counts too (a moderated paired t test: Smyth, "Linear models and
    empirical Bayes methods", 2004). Two seeds of six candidates tell more than two of two.

    Args:
        scores: of each candidate by seed, equally many; higher is better.
    """
    mean, noise, n = _difference(first, second, scores)
    if noise is None:
        return p_better(scores[first], scores[second], overlap)
    return _p_above(mean, variance_of_mean(noise.variance, n, overlap), noise.freedom)


def p_leads(
    leader: Key,
    other: Key,
    scores: Mapping[Key, Sequence[float]],
    among: int,
    overlap: float = 0.0,
) -> float:
    """How likely some candidate would lead another one by so much if none were better: who leads is
    known only afterwards, so that every pair counts (Tukey's studentised range; Bonferroni where
    the two alone tell of their noise).

    Args:
        scores: as of `p_ahead`.
        among: how many candidates there are; of those with other seeds too.
    """
    mean, noise, n = _difference(leader, other, scores)
    if noise is None:
        return min(1.0, among * (among - 1) * p_ahead(leader, other, scores, overlap))
    if mean <= 0:
        return 1.0
    spread = mean / math.sqrt(variance_of_mean(noise.variance, n, overlap) / 2)
    from scipy import stats  # a third of a second, for who confirms only

    return float(stats.studentized_range.sf(spread, among, noise.freedom))


def is_ahead(
    leader: Key,
    other: Key,
    scores: Mapping[Key, Sequence[float]],
    among: int,
    level: float,
    overlap: float = 0.0,
) -> bool:
    """Whether `p_leads` is below a level; faster, for races."""
    mean, noise, n = _difference(leader, other, scores)
    if noise is None:
        return p_leads(leader, other, scores, among, overlap) < level
    variance = variance_of_mean(noise.variance, n, overlap)
    return mean > _critical(level, among, noise.freedom) * math.sqrt(variance / 2)


@functools.cache
def _critical(level: float, among: int, freedom: float) -> float:
    """Of the studentised range: SciPy looks for it by an integral that takes milliseconds."""
    from scipy import stats  # a third of a second, for who confirms only

    return float(stats.studentized_range.isf(level, among, freedom))


def _difference(
    first: Key, second: Key, scores: Mapping[Key, Sequence[float]]
) -> tuple[float, Noise | None, int]:
    """(mean by which the first is ahead, noise of one seed's difference, seeds); None where the
    two alone tell of their noise."""
    differences = np.subtract(scores[first], scores[second])
    mean, n = float(differences.mean()) if len(differences) else 0.0, len(differences)
    if n < 2:
        return mean, None, n
    pooled, freedom = _noise(np.array(list(scores.values())))
    found = moderated(float(np.var(differences, ddof=1)), n, Noise(2 * pooled, freedom))
    return mean, None if found.freedom == n - 1 else found, n


def _p_above(mean: float, variance: float, freedom: float) -> float:
    """How likely a mean of such variance would be so large if the true one were 0 (Student's t)."""
    return float(stdtr(freedom, -mean / math.sqrt(variance)))


def _noise(scores: Any) -> tuple[float, int]:
    """Variance from seed to seed, and its degrees of freedom: what neither candidate nor seed
    explains. scores: float [candidates, seeds]."""
    candidates, seeds = scores.shape
    freedom = (candidates - 1) * (seeds - 1)
    if freedom < 1:
        return 0.0, 0
    rest = scores - scores.mean(1, keepdims=True) - scores.mean(0, keepdims=True) + scores.mean()
    return float((rest**2).sum() / freedom), freedom


def holm(p_values: Sequence[float]) -> list[float]:
    """P values of several tests, corrected so that below 0.05 one in twenty such sets errs at all.

    Holm, "A simple sequentially rejective multiple test procedure", 1979. In the order given.
    """
    corrected, largest = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected
