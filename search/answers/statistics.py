"""What may be concluded from a few noisy scores. SciPy does the statistics."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from scipy.special import chdtri, fdtrc, gammaln, ndtri, stdtrit

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

    @property
    def turned(self) -> "Interval":
        """Of the same difference, taken the other way."""
        low = None if self.high is None else -self.high
        return self._replace(mean=-self.mean, low=low, high=None if self.low is None else -self.low)

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
    values: Sequence[float],
    noise: Noise | None = None,
    images: int | None = None,
    overlap: float = 0.0,
) -> Interval:
    """Mean and Student's t interval, for values that are about normal around their mean.

    It holds for a configuration that was fixed before. That of a winner lies too well: it was
    chosen because its values were good.

    Args:
        noise: that of values like these, theirs among them: two that happen to be equal are not
            taken for exact.
        images: on which each value, then a share of them, was measured. That they might have been
            others is part of the bounds: more values make them no narrower than that.
        overlap: as of `half_width`.
    """
    mean, n = math.fsum(values) / len(values), len(values)
    if n < 2:
        return Interval(mean, None, None, n)
    own = float(np.var(values, ddof=1))
    half = half_width(moderated(own, n, noise or Noise(0.0, 0)), n, overlap)
    is_share = images is not None and 0 <= mean <= 1
    down, up = reach_of_images(mean, images) if is_share and images else (0.0, 0.0)
    if not (half or down or up):
        return Interval(mean, None, None, n)
    low, high = mean - math.hypot(half, down), mean + math.hypot(half, up)
    return Interval(mean, low, high, n, images if is_share else None)


def half_width(noise: Noise, n: int, overlap: float = 0.0) -> float:
    """Half of the interval of a mean over n values with such noise.

    Args:
        overlap: as of `variance_of_mean`.
    """
    variance = variance_of_mean(noise.variance, n, overlap)
    return float(stdtrit(noise.freedom, 0.5 + LEVEL / 2) * math.sqrt(variance))


def variance_of_mean(variance: float, n: int, overlap: float) -> float:
    """Of the mean of n values with this variance.

    Args:
        overlap: where each value is of another split of the same images, validation images per
            training image: the splits share most of their training images, so that more of them
            tell less than their number (Nadeau and Bengio, "Inference for the generalization
            error", 2003).
    """
    return variance / n + variance * overlap


def reach_of_images(share: float, images: int) -> tuple[float, float]:
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


def next_value(values: Sequence[float]) -> Interval:
    """Where one more value is to be expected: the prediction interval, wider than `interval`."""
    about = interval(values)
    if about.high is None:
        return about
    half = (about.high - about.mean) * math.sqrt(about.n + 1)
    return about._replace(low=about.mean - half, high=about.mean + half)


def difference(
    value: float, values: Sequence[float], noise: Noise | None = None, overlap: float = 0.0
) -> Interval:
    """`value` minus the mean of the others, as `interval`: the optimism of a search's score."""
    return interval([value - one for one in values], noise, overlap=overlap)


PRIOR = 8.0  # degrees of freedom that the noise of the other candidates is worth at most
UNLIKE = 0.05  # a pair this unlikely to be as noisy as the others is judged by itself alone


def moderated(own: float, n: int, all_: Noise) -> Noise:
    """The noise of n values whose variance is `own`, by what all values together tell of it; never
    less than their own, and that alone where they are unlike the others."""
    weight = min(all_.freedom - (n - 1), PRIOR)  # their own noise is not to count twice
    if weight <= 0 or all_.variance <= 0:
        return Noise(own, n - 1)
    if fdtrc(n - 1, all_.freedom, own / all_.variance) < UNLIKE:
        return Noise(own, n - 1)
    variance = (weight * all_.variance + (n - 1) * own) / (weight + n - 1)
    return Noise(max(variance, own), weight + n - 1)


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
    below, above = reach_of_images(share, n)
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
