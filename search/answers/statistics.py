"""What may be concluded from a few noisy scores. SciPy does the statistics."""

import functools
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from scipy.special import bdtrc, chdtri, fdtrc, gammaln, ndtri, stdtr, stdtrit

LEVEL = 0.95  # of every interval
RESAMPLES = 10_000
Key = TypeVar("Key", bound=Hashable)


class Noise(NamedTuple):
    """A variance, and how many degrees of freedom it was estimated with."""

    variance: float
    freedom: float


class Interval(NamedTuple):
    """A mean over `n` values and where the true one is to be expected.

    There are no bounds of one value, nor where all are equal and nothing else tells of noise.
    `images` is how many of them each value was measured on, where the bounds cover them too.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    images: int | None = None

    def within(self, low: float, high: float) -> "Interval":
        """With bounds that lie where values can: no accuracy is above 1."""
        if self.low is None or self.high is None:
            return self
        return self._replace(low=max(self.low, low), high=min(self.high, high))

    def as_dict(self, digits: int = 6) -> dict[str, float | int]:
        """For files: without the bounds where there are none."""
        named = {k: v for k, v in self._asdict().items() if v is not None}
        counts = ("n", "images")
        return {k: v if k in counts else float(f"{v:.{digits}g}") for k, v in named.items()}

    @property
    def short(self) -> str:
        """`0.9926 ±0.0045`; the half that no bound of the values cuts off."""
        if self.low is None or self.high is None:
            return f"{self.mean:.4f}"
        return f"{self.mean:.4f} ±{max(self.high - self.mean, self.mean - self.low):.4f}"

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:.4f}"
        return f"{self.mean:.4f} ({self.low:.4f} to {self.high:.4f})"


def interval(
    values: Sequence[float], noise: Noise | None = None, images: int | None = None
) -> Interval:
    """Mean and Student's t interval, for values that are about normal around their mean.

    It holds for a configuration that was fixed before. That of a winner lies too well: it was
    chosen because its values were good.

    Args:
        noise: that of values like these, theirs among them: two that happen to be equal are not
            taken for exact.
        images: on which each value, then a share of them, was measured. That they might have been
            others is part of the bounds: more values make them no narrower than that.
    """
    mean, n = math.fsum(values) / len(values), len(values)
    if n < 2:
        return Interval(mean, None, None, n)
    own = float(np.var(values, ddof=1))
    half = _half(_moderated(own, n, noise or Noise(0.0, 0)), n)
    is_share = images is not None and 0 <= mean <= 1
    down, up = _of_images(mean, images) if is_share and images else (0.0, 0.0)
    if not (half or down or up):
        return Interval(mean, None, None, n)
    low, high = mean - math.hypot(half, down), mean + math.hypot(half, up)
    return Interval(mean, low, high, n, images if is_share else None)


def _half(noise: Noise, n: int) -> float:
    """Half of the interval of a mean over n values with such noise."""
    return float(stdtrit(noise.freedom, 0.5 + LEVEL / 2) * math.sqrt(noise.variance / n))


def _of_images(share: float, images: int) -> tuple[float, float]:
    """How far a share of so many images may lie below and above (Wilson's interval). Added to other
    noise square by square (Zou and Donner, "Construction of confidence limits ... MOVER", 2008)."""
    z = float(ndtri(0.5 + LEVEL / 2))
    scale = 1 + z**2 / images
    centre = (share + z**2 / 2 / images) / scale
    half = z / scale * math.sqrt(share * (1 - share) / images + z**2 / 4 / images**2)
    return share - (centre - half), centre + half - share


def typical(groups: Sequence[Sequence[float]]) -> Noise:
    """The noise within groups: the median over them, so that one that diverges now and then does
    not stand for all; of normal values, unbiased however few each has."""
    several = [g for g in groups if len(g) > 1]
    if not several:
        return Noise(0.0, 0)
    freedoms = [len(g) - 1 for g in several]
    squares = [float(np.var(g)) * len(g) for g in several]
    variances = [s / float(chdtri(f, 0.5)) for s, f in zip(squares, freedoms, strict=True)]
    return Noise(float(np.median(variances)), sum(freedoms))


def lead(
    first: Key, second: Key, scores: Mapping[Key, Sequence[float]], images: int | None
) -> Interval:
    """By how much the first one's mean is above the second's, on common seeds: the interval that
    goes with `p_ahead`.

    Args:
        scores: of each candidate by seed, equally many; higher is better.
        images: as of `interval`. Which of them both got right is not known: their errors count as
            independent (Newcombe, "Interval estimation for the difference", 1998), which is wide.
    """
    differences = np.subtract(scores[first], scores[second])
    mean, n = float(differences.mean()), len(differences)
    if n < 2:
        return Interval(mean, None, None, n)
    pooled, freedom = _noise(np.array(list(scores.values())))
    own = float(np.var(differences, ddof=1))
    half, down, up = _half(_moderated(own, n, Noise(2 * pooled, freedom)), n), 0.0, 0.0
    shares = [float(np.mean(scores[key])) for key in (first, second)]
    if images is not None:
        (first_down, first_up), (second_down, second_up) = (_of_images(s, images) for s in shares)
        down, up = math.hypot(first_down, second_up), math.hypot(first_up, second_down)
    if not (half or down or up):
        return Interval(mean, None, None, n)
    return Interval(mean, mean - math.hypot(half, down), mean + math.hypot(half, up), n, images)


def next_value(values: Sequence[float]) -> Interval:
    """Where one more value is to be expected: the prediction interval, wider than `interval`."""
    about = interval(values)
    if about.high is None:
        return about
    half = (about.high - about.mean) * math.sqrt(about.n + 1)
    return about._replace(low=about.mean - half, high=about.mean + half)


def difference(value: float, values: Sequence[float], noise: Noise | None = None) -> Interval:
    """`value` minus the mean of the others, as `interval`: the optimism of a search's score."""
    return interval([value - one for one in values], noise)


def p_better(first: Sequence[float], second: Sequence[float]) -> float:
    """How likely `first` would lead so far, value by value, if it were no better: paired t test.

    Where all differences are equal the test has no noise to go by, and the signs alone count
    (binomial test): three lucky images in a row prove nothing.
    """
    differences = np.subtract(first, second)
    if len(differences) < 2 or not differences.any():
        return 1.0
    if np.ptp(differences) > 1e-12 * np.abs(differences).max():
        return _p_above(differences.mean(), differences.var(ddof=1), len(differences))
    wins = int((differences > 0).sum())
    return float(bdtrc(wins - 1, len(differences), 0.5))


PRIOR = 8.0  # degrees of freedom that the noise of the other candidates is worth at most
UNLIKE = 0.05  # a pair this unlikely to be as noisy as the others is judged by itself alone


def p_ahead(first: Key, second: Key, scores: Mapping[Key, Sequence[float]]) -> float:
    """As `p_better`, of two among several candidates that had the same seeds: what their scores
    tell of a seed's noise together counts too (a moderated paired t test: Smyth, "Linear models and
    empirical Bayes methods", 2004). Two seeds of six candidates tell more than two of two.

    Args:
        scores: of each candidate by seed, equally many; higher is better.
    """
    mean, noise, n = _difference(first, second, scores)
    if noise is None:
        return p_better(scores[first], scores[second])
    return _p_above(mean, noise.variance, n, noise.freedom)


def p_leads(leader: Key, other: Key, scores: Mapping[Key, Sequence[float]], among: int) -> float:
    """How likely some candidate would lead another one by so much if none were better: who leads is
    known only afterwards, so that every pair counts (Tukey's studentised range; Bonferroni where
    the two alone tell of their noise).

    Args:
        scores: as of `p_ahead`.
        among: how many candidates there are; of those with other seeds too.
    """
    mean, noise, n = _difference(leader, other, scores)
    if noise is None:
        return min(1.0, among * (among - 1) * p_ahead(leader, other, scores))
    if mean <= 0:
        return 1.0
    spread = mean / math.sqrt(noise.variance / n / 2)
    return float(stats.studentized_range.sf(spread, among, noise.freedom))


def is_ahead(
    leader: Key, other: Key, scores: Mapping[Key, Sequence[float]], among: int, level: float
) -> bool:
    """Whether `p_leads` is below a level; faster, for races."""
    mean, noise, n = _difference(leader, other, scores)
    if noise is None:
        return p_leads(leader, other, scores, among) < level
    return mean > _critical(level, among, noise.freedom) * math.sqrt(noise.variance / n / 2)


@functools.cache
def _critical(level: float, among: int, freedom: float) -> float:
    """Of the studentised range: SciPy looks for it by an integral that takes milliseconds."""
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
    found = _moderated(float(np.var(differences, ddof=1)), n, Noise(2 * pooled, freedom))
    return mean, None if found.freedom == n - 1 else found, n


def _moderated(own: float, n: int, all_: Noise) -> Noise:
    """The noise of n values whose variance is `own`, by what all values together tell of it; never
    less than their own, and that alone where they are unlike the others."""
    weight = min(all_.freedom - (n - 1), PRIOR)  # their own noise is not to count twice
    if weight <= 0 or all_.variance <= 0:
        return Noise(own, n - 1)
    if fdtrc(n - 1, all_.freedom, own / all_.variance) < UNLIKE:
        return Noise(own, n - 1)
    variance = (weight * all_.variance + (n - 1) * own) / (weight + n - 1)
    return Noise(max(variance, own), weight + n - 1)


def _p_above(mean: float, variance: float, n: int, freedom: float | None = None) -> float:
    """How likely a mean of n values would be so large if the true one were 0 (Student's t)."""
    t = mean / math.sqrt(variance / n)
    return float(stdtr(n - 1 if freedom is None else freedom, -t))


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


def pooled_deviation(groups: Sequence[Sequence[float]]) -> float | None:
    """Standard deviation within groups: the noise of a seed. None without two values in any."""
    squares = sum(float(np.var(g)) * len(g) for g in groups)
    freedom = sum(len(g) - 1 for g in groups)
    return math.sqrt(squares / freedom) if freedom else None


def probability_best(
    scores: Mapping[Key, Sequence[float]], *, maximize: bool = True, seed: int = 0
) -> dict[Key, float]:
    """How often each one's mean is the best when its values are drawn anew (bootstrap).

    Ties are shared. Each one's values are resampled alone, as they may differ in number. With
    fewer than two values of any there is nothing to resample: {}.
    """
    if len(scores) < 2 or min(map(len, scores.values())) < 2:
        return {}
    generator = np.random.default_rng(seed)
    means = np.array(
        [
            np.asarray(v)[generator.integers(len(v), size=(RESAMPLES, len(v)))].mean(1)
            for v in scores.values()
        ]
    )
    means = means if maximize else -means
    best = np.isclose(means, means.max(0), rtol=0, atol=1e-12)
    return dict(zip(scores, (best / best.sum(0)).mean(1).tolist(), strict=True))


def proportion(successes: int, n: int) -> Interval:
    """A share and its Wilson interval; nan without a single try."""
    if n == 0:
        return Interval(math.nan, None, None, 0)
    share = successes / n
    below, above = _of_images(share, n)
    return Interval(share, max(0.0, share - below), min(1.0, share + above), n)


def expected_best(scores: Sequence[float], n: int) -> float:
    """The best of `n` of these scores, drawn without replacement, on average (higher is better).

    Dodge et al., "Show Your Work", 2019, there with replacement.
    """
    ordered, total = np.sort(scores), len(scores)
    ranks = np.arange(1, total + 1)
    # the k-th smallest is the best of n where the other n-1 are below it
    log_ways = _log_choose(ranks - 1, n - 1) - _log_choose(np.array([total]), n)
    return float((ordered * np.exp(log_ways)).sum())


def _log_choose(n: Any, k: int) -> Any:
    """Logarithm of the binomial coefficient of each n over k; minus infinity where n < k."""
    ways = np.full(n.shape, -np.inf)
    some = n[n >= k]
    ways[n >= k] = gammaln(some + 1) - gammaln(k + 1) - gammaln(some - k + 1)
    return ways
