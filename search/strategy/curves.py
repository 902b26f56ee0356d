"""A Gaussian process over (configuration, log epoch), in a few milliseconds.

Freeze-thaw Bayesian optimization (Swersky, Snoek and Adams, 1406.3896), with a kernel that is a
sum: a smooth function of configuration and epoch, a curve that all share, a deviation of each
run's own that forgets with time, and noise.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.optimize import minimize

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
FIT_POINTS, FIT_STEPS = 110, 14
JITTER = 1e-6
# Prior of the logarithms: (mean, standard deviation)
PRIORS = {
    "smooth": (0.0, 0.5),  # variances, of scores with variance 1
    "shared": (-1.5, 0.8),
    "own": (-2.0, 0.8),
    "noise": (-5.5, 1.0),
    "time": (0.3, 0.5),  # lengths, in units of log(longest)
    "own_time": (0.5, 0.5),
}
LENGTH = (-0.5, 0.8)  # of a parameter, before its growth with the root of their number


@dataclass(frozen=True)
class Rows:
    """Points on curves. codes: float [n, C]; times: float [n], 0 first epoch, 1 last; own: the
    run each belongs to, int [n], negative and distinct for configurations not yet run."""

    codes: Array
    times: Array
    own: Indices

    def __len__(self) -> int:
        return len(self.times)

    def take(self, index: Indices) -> "Rows":
        return Rows(self.codes[index], self.times[index], self.own[index])

    def plus(self, other: "Rows") -> "Rows":
        return Rows(
            np.concatenate([self.codes, other.codes]),
            np.concatenate([self.times, other.times]),
            np.concatenate([self.own, other.own]),
        )


@dataclass(frozen=True)
class Hyper:
    """smooth, shared, own, noise: variances. time, own_time: lengths. lengths: float [P]."""

    smooth: float
    shared: float
    own: float
    noise: float
    time: float
    own_time: float
    lengths: Array

    @classmethod
    def of(cls, logs: Array) -> "Hyper":
        values = np.exp(logs)
        smooth, shared, own, noise, time, own_time = values[: len(PRIORS)].tolist()
        return cls(smooth, shared, own, noise, time, own_time, values[len(PRIORS) :])


def _matern(squares: Array) -> tuple[Array, Array]:
    """Matern 5/2 of squared distances, and its derivative by them."""
    root = np.sqrt(5 * squares)
    fall = np.exp(-root)
    return (1 + root + root**2 / 3) * fall, -(5 / 6) * (1 + root) * fall


def _squares(a: Array, b: Array) -> Array:
    products: Array = a @ b.T
    norms: Array = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :]
    return np.maximum(norms - 2 * products, 0.0)


def kernel(hyper: Hyper, groups: Indices, a: Rows, b: Rows) -> Array:
    """Covariances without the noise, float [len(a), len(b)]."""
    scale = 1 / hyper.lengths[groups] if len(groups) else np.zeros(0)
    near, _ = _matern(_squares(a.codes * scale, b.codes * scale))
    apart = np.abs(a.times[:, None] - b.times[None, :])
    time = np.exp(-0.5 * (apart / hyper.time) ** 2)
    same = a.own[:, None] == b.own[None, :]
    own = np.where(same, hyper.own * np.exp(-apart / hyper.own_time), 0.0)
    return (hyper.smooth * near + hyper.shared) * time + own


class _Evidence:
    """The negative log posterior of the hyperparameters and its gradient.

    All of it is symmetric: pairs of points are held once, those below the diagonal counting twice.
    """

    def __init__(self, rows: Rows, values: Array, groups: Indices, count: int) -> None:
        n = len(rows)
        self.values, self.count, self.n = values, count, n
        self.pairs = a, b = np.tril_indices(n)
        self.diagonal = np.flatnonzero(a == b)
        self.differences = np.zeros((count, len(a)))
        for column, group in enumerate(groups):
            code = rows.codes[:, column]
            self.differences[group] += (code[a] - code[b]) ** 2
        self.apart = np.abs(rows.times[a] - rows.times[b])
        self.same = (rows.own[a] == rows.own[b]).astype(float)
        self.twice = np.where(a == b, 1.0, 2.0)
        grown = LENGTH[0] + 0.5 * math.log(max(count, 1))
        self.mean = np.array([*(p[0] for p in PRIORS.values()), *([grown] * count)])
        self.sd = np.array([*(p[1] for p in PRIORS.values()), *([LENGTH[1]] * count)])

    def __call__(self, logs: Array) -> tuple[float, Array]:
        h, n = Hyper.of(logs), self.n
        weights = h.lengths**-2
        near, slope = _matern(weights @ self.differences)
        time = np.exp(-0.5 * (self.apart / h.time) ** 2)
        own = h.own * self.same * np.exp(-self.apart / h.own_time)
        smooth, shared = h.smooth * near * time, h.shared * time
        k = np.zeros((n, n), order="F")
        k[self.pairs] = smooth + shared + own
        k[np.diag_indices(n)] += h.noise + JITTER
        factor, failed = dpotrf(k, lower=1, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(logs)
        alpha = cho_solve((factor, True), self.values, check_finite=False)
        inverse, _ = dpotri(factor, lower=1)
        w = inverse[self.pairs] - alpha[self.pairs[0]] * alpha[self.pairs[1]]
        trace = w[self.diagonal].sum()
        w *= self.twice
        wide = (w * (smooth + shared)) @ self.apart**2 / h.time**2
        parts = [w @ smooth, w @ shared, w @ own, h.noise * trace]
        parts += [wide, (w * own) @ self.apart / h.own_time]
        by_length = self.differences @ (w * time * slope * h.smooth) * weights * -2
        off = (logs - self.mean) / self.sd
        value = 0.5 * self.values @ alpha + np.log(np.diag(factor)).sum() + 0.5 * off @ off
        return float(value), 0.5 * np.concatenate([parts, by_length]) + off / self.sd


def fit(rows: Rows, values: Array, groups: Indices, count: int) -> Hyper:
    """The likeliest hyperparameters under their prior, from at most FIT_POINTS of the points.

    values: float [n], of mean 0 and variance 1. groups: the parameter of each column of codes;
    count: of parameters.
    """
    if len(rows) > FIT_POINTS:
        index = np.unique(np.linspace(0, len(rows) - 1, FIT_POINTS).round().astype(np.intp))
        rows, values = rows.take(index), values[index]
    evidence = _Evidence(rows, values, groups, count)
    if len(rows) < 3:
        return Hyper.of(evidence.mean)
    options = {"maxiter": FIT_STEPS, "maxfun": FIT_STEPS + 6}
    bounds = [(m - 3 * s, m + 3 * s) for m, s in zip(evidence.mean, evidence.sd, strict=True)]
    found = minimize(
        evidence, evidence.mean, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return Hyper.of(found.x)


class Posterior:
    """What the curves are likely to be, given points on them."""

    def __init__(self, hyper: Hyper, groups: Indices, rows: Rows, values: Array) -> None:
        self.hyper, self.groups, self.rows, self.values = hyper, groups, rows, values
        k = kernel(hyper, groups, rows, rows)
        k[np.diag_indices(len(rows))] += hyper.noise + JITTER
        self.factor = np.linalg.cholesky(k)
        self.alpha = cho_solve((self.factor, True), values)

    def predict(self, rows: Rows) -> tuple[Array, Array]:
        """Mean and standard deviation of the noise-free curves at `rows`, float [n] each."""
        cross = kernel(self.hyper, self.groups, self.rows, rows)
        half = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        prior = self.hyper.smooth + self.hyper.shared + self.hyper.own
        left = np.maximum(prior - (half**2).sum(0), 1e-10)
        return self.alpha @ cross, np.sqrt(left)

    def believing(self, rows: Rows) -> "Posterior":
        """As if `rows` (running now) had come out as expected (kriging believer, Ginsbourger)."""
        if not len(rows):
            return self
        means, _ = self.predict(rows)
        values = np.concatenate([self.values, means])
        return Posterior(self.hyper, self.groups, self.rows.plus(rows), values)
