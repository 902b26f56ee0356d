"""search/answers/race.py: which of a few candidates is best."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.answers import race

TABLES = st.lists(
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0, race.FAILED]), min_size=30, max_size=30),
    min_size=1,
    max_size=5,
)


def run(
    table: list[list[float]],
    seeds: int,
    pick: Callable[[int], int] = lambda _: 0,
    keep: Sequence[int] = (),
) -> tuple[race.Standing, dict[int, list[float | None]]]:
    """Run a race to its end; `pick` chooses which of the wanted runs ends first."""
    scores: dict[int, list[float | None]] = {c: [None] * 30 for c in range(len(table))}
    while not (now := race.standing(scores, seeds, keep=keep)).over:
        offered = (*now.wanted, *now.ahead)
        candidate, seed = offered[pick(len(offered)) % len(offered)]
        scores[candidate][seed] = table[candidate][seed]
    return now, scores


@pytest.mark.soak
@pytest.mark.parametrize(
    "means",
    [
        [0, -3, -3, -5, -5],
        [0, -1, -1, -1, -1],
        [0, -0.5, -0.5, -1, -2],
        [0, -0.2, -0.5, -1, -10],
        [0, 0, 0, 0, 0],
    ],
)
def test_the_race_finds_a_best_or_tied_configuration(means: list[float]) -> None:
    """In at least 95 % of simulated races the truly best one wins or is named as tied."""
    generator, found, races = np.random.default_rng(0), 0, 160
    for _ in range(races):
        noise = generator.normal(size=(5, 30)) + generator.normal(size=30) / 3  # seeds are shared
        now, _scores = run((np.array(means)[:, None] + noise).tolist(), 5)
        assert now.winner is not None
        named = {now.winner, *now.ties}
        found += any(means[c] == max(means) for c in named)
    assert found / races >= 0.95


def test_clear_losers_drop_out_early_and_leave_their_runs_to_the_close_ones() -> None:
    """Two close ones and three hopeless: the former get more than five seeds each."""
    generator = np.random.default_rng(1)
    table = np.array([0.0, 0.0, -50, -50, -50])[:, None] + generator.normal(size=(5, 30))
    now, scores = run(table.tolist(), 5)
    counts = [sum(s is not None for s in row) for row in scores.values()]
    assert now.dropped == {2: 2, 3: 2, 4: 2}
    assert counts[0] == counts[1] == 9
    assert sum(counts) == 24


@pytest.mark.soak
@settings(deadline=None)  # the first critical values are integrals
@given(TABLES, st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_choice_follows_from_the_scores_alone(
    table: list[list[float]], seeds: int, random: object
) -> None:
    """Whatever order the runs end in, the winner, its ties and the dropped are the same."""
    in_order, _ = run(table, seeds)
    shuffled, _ = run(table, seeds, pick=lambda n: random.randrange(n))  # type: ignore[attr-defined]
    assert shuffled == in_order


@pytest.mark.soak
@settings(deadline=None)  # the first critical values are integrals
@given(TABLES, st.integers(1, 5))
def test_no_more_runs_than_seeds_times_candidates(table: list[list[float]], seeds: int) -> None:
    """And the winner has all of its seeds."""
    now, scores = run(table, seeds, keep=[0])
    used = {c: sum(s is not None for s in row) for c, row in scores.items()}
    assert sum(used.values()) <= seeds * len(table)
    assert used[0] >= seeds or race.FAILED in scores[0]
    if now.winner is not None:
        assert used[now.winner] >= seeds


def test_a_candidate_that_fails_on_a_fresh_seed_has_lost() -> None:
    """However good it was before; where all fail there is no winner."""
    failing = [9.0] * 2 + [race.FAILED] + [9.0] * 27
    now, _ = run([failing, [8.9, 9.1] * 15], 5)
    assert (now.winner, now.ties, now.dropped) == (1, (), {0: 3})
    now, _ = run([[race.FAILED] * 30] * 2, 5)
    assert (now.winner, now.over) == (None, True)


def test_without_dropping_each_gets_its_seeds_and_ties_are_told() -> None:
    """A comparison of enumerated configurations: a clear loser is worse, and was measured."""
    generator = np.random.default_rng(2)
    table = (np.array([0.0, 0.1, -50])[:, None] + generator.normal(size=(3, 5))).tolist()
    now = race.standing(dict(enumerate(table)), 5, drop=False)
    assert now.over
    assert {now.winner, *now.ties} == {0, 1}
    assert now.dropped == {}


def test_one_seed_names_a_winner_and_calls_all_others_tied() -> None:
    """One run each tells nothing about chance."""
    now, _ = run([[0.9] * 30, [0.1] * 30], 1)
    assert (now.winner, now.ties) == (0, (1,))


@pytest.mark.soak
def test_seeds_of_splits_that_overlap_tell_less() -> None:
    """What is a loser on independent seeds is tied where they share most of their images."""
    generator = np.random.default_rng(0)
    table = np.array([0.0, -0.9, -0.9])[:, None] + generator.normal(size=(3, 20)) / 2
    scores = {c: list(row[:20]) for c, row in enumerate(table.tolist())}
    alone = race.standing(scores, 20)
    shared = race.standing(scores, 20, overlap=1.0)
    assert alone.winner == shared.winner == 0
    assert (alone.ties, shared.ties) == ((), (1, 2))
