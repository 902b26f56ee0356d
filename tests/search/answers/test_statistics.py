"""search/answers/statistics.py against simulated truth."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from search.answers import pairs, race, statistics
from search.answers.statistics import Interval

SIMULATIONS = 2_000


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_of_a_fixed_configuration_covers_its_mean(n: int) -> None:
    """In 93 to 97 % of 2,000 simulations."""
    draws = np.random.default_rng(n).normal(0.9, 0.01, size=(SIMULATIONS, n))
    found = [statistics.interval(list(row)) for row in draws]
    covered = [about.low <= 0.9 <= about.high for about in found if about.low and about.high]
    assert len(covered) == SIMULATIONS
    assert 0.93 <= np.mean(covered) <= 0.97


def test_the_interval_of_a_winner_covers_its_mean_less_often() -> None:
    """Choosing the best of ten by the same values makes its interval lie too well: this is why the
    output says so."""
    draws = np.random.default_rng(0).normal(0.9, 0.01, size=(SIMULATIONS, 10, 5))
    best = draws[np.arange(SIMULATIONS), draws.mean(2).argmax(1)]
    found = [statistics.interval(list(row)) for row in best]
    assert np.mean([i.low <= 0.9 <= i.high for i in found if i.low and i.high]) < 0.93


def test_the_prediction_interval_covers_the_next_value() -> None:
    """In 93 to 97 % of 2,000 simulations."""
    draws = np.random.default_rng(1).normal(size=(SIMULATIONS, 6))
    found = [statistics.next_value(list(row[:5])) for row in draws]
    covered = [
        about.low <= row[5] <= about.high
        for about, row in zip(found, draws, strict=True)
        if about.low is not None and about.high is not None
    ]
    assert len(covered) == SIMULATIONS
    assert 0.93 <= np.mean(covered) <= 0.97


def test_one_value_has_no_interval() -> None:
    """One seed tells nothing about the spread, so nothing is printed."""
    assert statistics.interval([0.5]) == Interval(0.5, None, None, 1)
    assert statistics.next_value([0.5]) == Interval(0.5, None, None, 1)
    assert str(statistics.interval([0.5])) == statistics.interval([0.5]).short == "0.5000"
    assert statistics.interval([0.5]).as_dict() == {"mean": 0.5, "n": 1}


def test_bounds_end_where_values_end() -> None:
    """No accuracy lies above 1, and the short form tells the half that was not cut."""
    about = statistics.interval([0.99, 1.0, 1.0]).within(0.0, 1.0)
    assert about.high == 1.0
    assert about.low is not None
    assert about.short.endswith(f"±{about.mean - about.low:.4f}")


def test_equals_are_seldom_called_different() -> None:
    """The p value of equals lies below 0.05 in about one of twenty simulations."""
    draws = np.random.default_rng(2).normal(size=(SIMULATIONS, 2, 5))
    called = [pairs.p_better(list(a), list(b)) < 0.05 for a, b in draws]
    assert 0.035 <= np.mean(called) <= 0.065


def test_differences_without_noise_count_by_their_signs() -> None:
    """Three validation images more in each of three runs prove nothing; in ten runs they do."""
    assert pairs.p_better([0.91] * 3, [0.9] * 3) == pytest.approx(1 / 8)
    assert pairs.p_better([0.91] * 10, [0.9] * 10) == pytest.approx(2**-10)
    assert pairs.p_better([0.9] * 10, [0.9] * 10) == 1.0
    assert pairs.p_better([0.9] * 10, [0.91] * 10) == 1.0
    assert pairs.p_better([0.9], [0.1]) == 1.0


def test_the_noise_is_pooled_within_groups() -> None:
    """Groups of different means and sizes with the same spread give that spread."""
    draw = np.random.default_rng(3).normal
    groups = [list(draw(mean, 0.2, size=n)) for mean, n in ((0, 400), (50, 700), (-3, 300))]
    assert statistics.pooled_deviation(groups) == pytest.approx(0.2, rel=0.05)
    assert statistics.pooled_deviation([[1.0], [2.0]]) is None


def test_the_probability_of_being_best_follows_the_means() -> None:
    """A clear best has it all; equals share it; where low is good the order turns round."""
    clear = {"a": [0.9, 0.91, 0.92], "b": [0.5, 0.51, 0.52]}
    assert statistics.probability_best(clear) == {"a": 1.0, "b": 0.0}
    assert statistics.probability_best(clear, maximize=False) == {"a": 0.0, "b": 1.0}
    equal = statistics.probability_best({"a": [1.0, 1.0], "b": [1.0, 1.0]})
    assert equal == {"a": 0.5, "b": 0.5}
    assert statistics.probability_best({"a": [1.0], "b": [1.0, 2.0]}) == {}


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 1), (3, 7), (270, 270), (81, 100)])
def test_a_share_has_the_interval_of_wilson(successes: int, n: int) -> None:
    """As SciPy's, whose module of statistics takes half a second to import."""
    theirs = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    ours = statistics.proportion(successes, n)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_a_share_has_a_wilson_interval() -> None:
    """The textbook's: 0 of 10 lies between 0 and 0.278."""
    share = statistics.proportion(0, 10)
    assert (share.low, share.high) == (pytest.approx(0, abs=1e-9), pytest.approx(0.2775, abs=1e-4))
    assert math.isnan(statistics.proportion(0, 0).mean)


def test_the_expected_best_is_the_mean_over_all_draws() -> None:
    """As counted out over every choice of n of the scores."""
    scores = [0.3, 0.9, 0.1, 0.7, 0.7]
    for n in range(1, 6):
        draws = [max(chosen) for chosen in itertools.combinations(scores, n)]
        assert statistics.expected_best(scores, n) == pytest.approx(np.mean(draws))


@pytest.mark.soak
def test_the_optimism_of_a_search_is_estimated_without_bias() -> None:
    """Over many simulated searches the estimate equals what the best score truly owed to luck,
    though the race drops losers early: the search's best is always given all of its seeds."""
    generator = np.random.default_rng(4)
    errors, luck = [], []
    for _ in range(300):
        means = generator.normal(0, 0.01, size=20)
        shown = means + generator.normal(0, 0.01, size=20)
        top = np.argsort(-shown)[:5].tolist()
        runs = {c: list(means[c] + generator.normal(0, 0.01, size=40)) for c in top}
        scores: dict[int, list[float | None]] = {c: [] for c in top}
        while wanted := race.standing(scores, 5, keep=top[:1]).wanted:
            candidate, seed = wanted[0]
            scores[candidate].append(runs[candidate][seed])
        fresh = [float(s) for s in scores[top[0]][:5] if s is not None]
        assert len(fresh) == 5
        truth = shown[top[0]] - means[top[0]]
        errors.append(statistics.difference(shown[top[0]], fresh).mean - truth)
        luck.append(truth)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / math.sqrt(len(errors))
    assert np.mean(luck) > 0.005


# Noise of seeds and of images together


def test_equal_values_alone_have_no_interval() -> None:
    """Two seeds that happen to agree do not make a score exact; what other values or the images
    tell of the noise gives bounds."""
    assert statistics.interval([0.625, 0.625]) == Interval(0.625, None, None, 2)
    noise = statistics.typical([[0.625, 0.625], [0.6, 0.65], [0.61, 0.66], [0.7, 0.73]])
    pooled = statistics.interval([0.625, 0.625], noise)
    assert pooled.low is not None
    assert pooled.low < 0.61
    images = statistics.interval([0.625, 0.625], images=120)
    assert images.low is not None
    assert images.low < 0.55


def test_the_typical_noise_is_not_that_of_the_wildest() -> None:
    """A configuration that diverges now and then tells nothing of the others."""
    calm = [[0.9, 0.901, 0.899], [0.8, 0.801, 0.799], [0.7, 0.701, 0.699]]
    wild = [0.1, 0.9, 0.5]
    assert statistics.typical([*calm, wild]).variance < 1e-5


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_moderated_interval_covers_the_mean(seeds: int) -> None:
    """In 93 % of 1,000 simulations at least; a winner's own noise is no less than it shows."""
    draws = np.random.default_rng(seeds).normal(0.9, 0.01, size=(1000, 5, seeds))
    found = [statistics.interval(list(d[0]), statistics.typical(d.tolist())) for d in draws]
    covered = [i.low <= 0.9 <= i.high for i in found if i.low is not None and i.high is not None]
    assert np.mean(covered) >= 0.93


@pytest.mark.parametrize(("images", "share"), [(60, 0.97), (120, 0.9), (1000, 0.99)])
def test_an_interval_with_images_covers_the_share_of_all_images(images: int, share: float) -> None:
    """In 93 % of 1,000 simulations at least, where that of seeds alone is far too sure: the seeds'
    models fail on the same images."""
    generator = np.random.default_rng(images)
    with_images, without = [], []
    for _ in range(1000):
        hard = generator.random(images) > share  # what any model gets wrong
        lucky = generator.random((5, images)) < 0.02  # and what a seed adds
        scores = list(1 - (hard ^ lucky).mean(1))
        truth = share * 0.98 + (1 - share) * 0.02
        for about, kept in (
            (statistics.interval(scores, images=images), with_images),
            (statistics.interval(scores), without),
        ):
            kept.append(about.low is not None and about.low <= truth <= (about.high or 1.0))
    assert np.mean(with_images) >= 0.93
    assert np.mean(without) < 0.85


def test_a_lead_agrees_with_its_test() -> None:
    """Its interval holds 0 where the two-sided test does not reject, in each of 300 draws."""
    generator = np.random.default_rng(3)
    for _ in range(300):
        drawn = generator.normal([0.0, 0.5, 1.0], 1.0, size=(5, 3)).T.tolist()
        scores = dict(enumerate(drawn))
        by = pairs.lead(0, 1, scores, None)
        p = pairs.p_ahead(0, 1, scores)
        assert by.low is not None
        assert by.high is not None
        assert (by.low > 0 or by.high < 0) == (min(p, 1 - p) < 0.025)


@pytest.mark.parametrize("splits", [3, 5, 10])
def test_an_interval_over_splits_covers_the_mean_over_all_images(splits: int) -> None:
    """Each value is the mean over another tenth of the same images. Without knowing that they
    share the rest the interval is too narrow, and more of them do not mend it."""
    generator, held, whole = np.random.default_rng(0), 20, 200
    inside = {0.0: 0, held / (whole - held): 0}
    for _ in range(600):
        images = generator.normal(size=whole)  # how well each is recognized, 0 on average
        scores = [generator.choice(images, held, replace=False).mean() for _ in range(splits)]
        for overlap in inside:
            about = statistics.interval(scores, overlap=overlap)
            assert about.low is not None
            assert about.high is not None
            inside[overlap] += about.low <= 0 <= about.high
    too_narrow, right = (count / 600 for count in inside.values())
    assert 0.93 <= right <= 0.985
    assert too_narrow < right - 0.005
