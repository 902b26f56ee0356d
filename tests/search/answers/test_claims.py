"""claims.py: whether a published claim holds here, by what seeds can tell."""

from search.answers import claims
from search.answers.evidence import Evidence, Plan
from search.answers.fresh import Candidate, Spread

SEEDS = range(5)
NOISE = (0.001, -0.002, 0.0015, 0.0, -0.0005)


def candidate(name: str, mean: float, shift: int, measured: str, overlap: float = 0.0) -> Candidate:
    scores = {seed: mean + NOISE[(seed + shift) % 5] for seed in SEEDS}
    tests = scores if measured == "tests" else {}
    about = (shift, {}, name, mean, False, scores, tests, "open", "val_accuracy")
    return Candidate(*about, spread=Spread(overlap=overlap))


def said(means: dict[str, float], measured: str = "tests", overlap: float = 0.0) -> str:
    """What is said of the claim that `a` is first, where the configurations have these means."""
    named = enumerate(means.items())
    found = [candidate(name, mean, i, measured, overlap) for i, (name, mean) in named]
    plan = Plan([c.number for c in found], 0, 0.9, 5, 5, 3, race=False)
    known = Evidence("val_accuracy", "test_accuracy", plan, found, True, 15, 0)
    return claims.judged(known, "a", 1)


def test_a_claim_that_the_tests_show_holds() -> None:
    """Far above all others on common seeds."""
    words = said({"a": 0.99, "b": 0.9, "c": 0.8})
    assert words.startswith("Published: a is first. That holds here: its test_accuracy is above")


def test_a_lead_that_may_be_chance_shows_nothing() -> None:
    """The best mean is not enough; the other one is named."""
    words = said({"a": 0.9001, "b": 0.9, "c": 0.5})
    assert "its lead over b (p" in words
    assert "not refuted, and not shown" in words


def test_a_claim_against_the_tests_does_not_hold() -> None:
    """Another one is better beyond chance."""
    words = said({"a": 0.8, "b": 0.99, "c": 0.5})
    assert "That does not hold here: b has a better test_accuracy" in words


def test_a_better_mean_of_another_may_be_chance() -> None:
    """Neither shown nor refuted."""
    assert "neither shown nor refuted" in said({"a": 0.9, "b": 0.9001})


def test_without_tests_validation_scores_speak() -> None:
    """And are named as what they are."""
    words = said({"a": 0.99, "b": 0.9}, measured="validation")
    assert "its val_accuracy is above" in words


def test_seeds_on_splits_of_their_own_tell_less_than_their_number() -> None:
    """They share most of their training images: a lead that five seeds of one split would show may
    be chance. Not so on the test set, which all of them share."""
    means = {"a": 0.903, "b": 0.9}
    assert "That holds here" in said(means, "validation")
    assert "may be chance with 5 seeds" in said(means, "validation", overlap=1.0)
    assert "That holds here" in said(means, "tests", overlap=1.0)
