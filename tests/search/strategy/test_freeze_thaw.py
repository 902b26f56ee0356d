"""What a strategy promises to whoever asks it: `search.strategy.steps.Strategy`."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.strategy.floors import floor_epochs
from search.strategy.freeze_thaw import FreezeThaw
from search.strategy.points import Points
from search.strategy.seen import Seen, ladder
from search.strategy.steps import Question, Run, Step

MIXED: dict[str, Any] = {
    "optimizer": {"choice": ["sgd", "adam"]},
    "lr": {"float": [1e-4, 1.0], "log": True},
    "momentum": {"float": [0.0, 0.9], "when": {"optimizer": ["sgd"]}},
    "layers": {"int": [1, 4]},
    "flip": {"choice": [True, False, None]},
}
ODD_SPACES: dict[str, dict[str, Any]] = {
    "empty": {},
    "one choice": {"a": {"choice": ["x"]}},
    "lists and none": {"a": {"choice": [None, [1, 2], True, 1.5, "s"]}},
    "steps": {"a": {"int": [1, 9], "step": 4}, "b": {"float": [0.0, 1.0], "step": 0.25}},
    "mixed": MIXED,
}
Score = Callable[[dict[str, Any], int], float]


def bowl(params: dict[str, Any], epoch: int) -> float:
    """Best at a rate of 0.01 under sgd; a curve that rises with the epochs."""
    worth = 1 - 0.1 * (math.log10(params.get("lr", 0.01)) + 2) ** 2
    worth -= 0.05 * (params.get("optimizer") == "adam")
    return worth - 0.5 * math.exp(-(epoch + 1) / 4)


def search(
    question: Question,
    score: Score,
    epochs: int,
    queued: list[Run] | None = None,
    workers: int = 1,
    timely: int | None = None,
) -> tuple[list[Run], list[Step]]:
    """Workers in turn, each trains a whole step; checks every step on the way."""
    runs, steps, strategy = list(queued or []), [], FreezeThaw(question)
    flying: list[int] = []
    while sum(len(r.scores) for r in runs) < epochs:
        while len(flying) < workers:
            step = strategy.next(runs, timely)
            if step is None:
                break
            steps.append(step)
            runs, number = begun(runs, step, question.longest)
            flying.append(number)
        if not flying:
            break
        number = flying.pop(0)
        runs[number] = trained(runs[number], score)
    return runs, steps


def begun(runs: list[Run], step: Step, longest: int) -> tuple[list[Run], int]:
    """The step's run as running; a step that breaks the promise fails."""
    if step.number is None:
        runs = [*runs, Run(len(runs), step.params, [], longest)]
    number = len(runs) - 1 if step.number is None else step.number
    run = runs[number]
    assert run.state in ("queued", "paused")
    assert len(run.scores) < step.until <= run.planned
    assert step.params == dict(run.params)
    assert step.why
    runs[number] = dataclasses.replace(run, state="running", until=step.until)
    return runs, number


def trained(run: Run, score: Score) -> Run:
    scores = [*run.scores, *(score(dict(run.params), e) for e in range(len(run.scores), run.until))]
    state = "complete" if len(scores) >= run.planned else "paused"
    return dataclasses.replace(run, scores=scores, state=state)


@pytest.mark.soak
def test_the_same_question_and_runs_give_the_same_step() -> None:
    """A strategy made anew at any time says what the one that saw all of it says."""
    question = Question(MIXED, longest=8, by="optimizer", seed=3)
    strategy, runs = FreezeThaw(question), []
    for _ in range(20):
        step = strategy.next(runs)
        assert step == FreezeThaw(question).next(runs)
        assert step is not None
        runs, number = begun(runs, step, 8)
        runs[number] = trained(runs[number], bowl)


def test_another_seed_searches_elsewhere() -> None:
    firsts = {str(FreezeThaw(Question(MIXED, 8, seed=s)).next([])) for s in range(5)}
    assert len(firsts) > 1


@pytest.mark.parametrize("name", ODD_SPACES)
@pytest.mark.parametrize("pauses", [True, False])
def test_every_space_is_searched(name: str, pauses: bool) -> None:
    """Until its configurations are used up, whatever its values are."""
    question = Question(ODD_SPACES[name], longest=5, pauses=pauses, trials=12)
    runs, _ = search(question, bowl, epochs=60)
    assert any(run.state == "complete" for run in runs)


ODD_SCORES = [math.nan, math.inf, -math.inf, 0.0, 1e6, -1e6, 1e300]


def _survive(values: list[float], longest: int) -> None:
    question = Question(MIXED, longest=longest, by="optimizer")
    search(question, lambda params, e: values[(e + len(str(params))) % len(values)], epochs=40)


@pytest.mark.parametrize("number", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_every_score_is_survived(number: int) -> None:
    """Not a number, endless, all equal, huge."""
    values = st.lists(st.sampled_from(ODD_SCORES), min_size=1, max_size=4)
    drawn = given(values, st.integers(1, 7))(_survive)
    settings(max_examples=number, deadline=None)(drawn)()


@pytest.mark.soak
def test_configurations_from_outside_the_space_are_seen() -> None:
    """Baselines may lie outside, lack a parameter, or have one that nobody knows."""
    odd: list[dict[str, Any]] = [{"lr": 50.0, "what": [1]}, {"optimizer": "lion", "lr": "fast"}, {}]
    queued = [Run(i, p, [], 6, state="queued", name="odd") for i, p in enumerate(odd)]
    flat: Score = lambda params, epoch: 0.1 * epoch  # noqa: E731
    runs, _ = search(Question(MIXED, 6, by="optimizer"), flat, 60, queued)
    assert all(len(run.scores) for run in runs[:3])


def test_queued_runs_come_first_and_in_order() -> None:
    rows = [{"optimizer": o, "lr": 0.01, "layers": 1, "flip": None} for o in ("adam", "sgd")]
    queued = [Run(i, p, [], 16, state="queued", name=str(i)) for i, p in enumerate(rows)]
    _, steps = search(Question(MIXED, 16), bowl, 40, queued)
    assert [step.number for step in steps[:2]] == [0, 1]
    assert steps[0].until == ladder(16)[0]


def test_few_epochs_complete_the_leader_before_all_that_is_queued_has_begun() -> None:
    """Eight entries of a portfolio would else take a small budget, and leave no answer."""
    rows = [{"optimizer": "adam", "lr": 0.1 / (i + 1), "layers": 1, "flip": None} for i in range(8)]
    queued = [Run(i, p, [], 20, state="queued", name=str(i)) for i, p in enumerate(rows)]
    runs, _ = search(Question(MIXED, 20, epochs=40), bowl, 40, queued)
    assert sum(len(run.scores) for run in runs) <= 40
    assert "complete" in {run.state for run in runs}


def rows_of_each(n: int, *, asked: bool) -> list[Run]:
    """So many entries of a portfolio in each arm, interleaved."""
    arms: list[dict[str, Any]] = [{"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adam"}]
    rows = [{**a, "lr": 0.1 / (i + 1), "layers": 1, "flip": None} for i in range(n) for a in arms]
    return [
        Run(i, row, [], 9, state="queued", name=str(i), asked=asked) for i, row in enumerate(rows)
    ]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("budget", [18, 22, 26, 30])
def test_a_portfolio_never_takes_what_brings_each_arm_to_an_end(budget: int, workers: int) -> None:
    """Two arms of nine epochs pay for one entry each; more of them as more is left."""
    question = Question(MIXED, 9, by="optimizer", epochs=budget)
    runs, _ = search(question, bowl, budget, rows_of_each(4, asked=False), workers)
    assert {r.params["optimizer"] for r in runs if r.state == "complete"} == {"sgd", "adam"}
    begun = [r for r in runs if r.name is not None and r.state != "queued"]
    assert len(begun) >= 2 + (budget - 18) // 4
    assert sum(len(r.scores) for r in runs) <= budget


@pytest.mark.parametrize("workers", [1, 2])
def test_where_time_is_short_each_arm_is_brought_to_an_end_first(workers: int) -> None:
    """What the time is likely to pay ends nothing: the rest of the portfolio follows."""
    question = Question(MIXED, 9, by="optimizer", epochs=72)
    queued = rows_of_each(4, asked=False)
    first, _ = search(question, bowl, 18 + 4 * workers, queued, workers, timely=18)
    ended = {r.params["optimizer"] for r in first if r.state == "complete"}
    assert ended == {"sgd", "adam"}
    after, _ = search(question, bowl, 72, queued, workers, timely=18)
    assert all(r.scores for r in after[:8])
    assert sum(len(r.scores) for r in after) == 72


def test_what_a_person_asked_for_is_tried_whatever_it_takes() -> None:
    """Its epochs are not for the floors to save."""
    question = Question(MIXED, 9, by="optimizer", epochs=26)
    runs, _ = search(question, bowl, 26, rows_of_each(3, asked=True))
    assert all(r.scores for r in runs[:6])


@pytest.mark.parametrize("workers", [1, 4])
def test_every_arm_has_a_complete_run_when_its_floor_is_paid(workers: int) -> None:
    """Whatever it looks like: adam here never comes near sgd."""
    question = Question(MIXED, longest=10, by="optimizer")
    worse: Score = lambda p, e: bowl(p, e) - (p["optimizer"] == "adam")  # noqa: E731
    budget = floor_epochs(question) + 10 * workers
    question = dataclasses.replace(question, epochs=budget)
    runs, _ = search(question, worse, budget, workers=workers)
    complete = {run.params["optimizer"] for run in runs if run.state == "complete"}
    assert complete == {"sgd", "adam"}


def first_to_their_ends(score: Score, lr: float, seed: int = 3) -> list[Run]:
    """Of each arm, where each has one entry of a portfolio, at that rate."""
    question = Question(MIXED, longest=15, by="optimizer", seed=seed)
    rest = {"layers": 2, "flip": True}
    rows = [{"optimizer": "sgd", "lr": lr, "momentum": 0.9} | rest, {"optimizer": "adam", "lr": lr}]
    queued = [
        Run(i, row | rest, [], 15, state="queued", name=f"row-{i}") for i, row in enumerate(rows)
    ]
    question = dataclasses.replace(question, epochs=150)
    runs, _ = search(question, score, 150, queued)
    of = [[r for r in runs if r.params["optimizer"] == a] for a in ("sgd", "adam")]
    return [next(r for r in mine if r.state == "complete") for mine in of]


@pytest.mark.soak
def test_what_is_known_to_be_good_runs_to_its_end_where_the_first_epochs_show_only_noise() -> None:
    """As where a network begins to learn late: a table of ours, seed 8."""

    def late(params: dict[str, Any], epoch: int) -> float:
        noise = np.random.default_rng([int(1e6 * params["lr"]), epoch]).random()
        return bowl(params, epoch) if epoch > 9 else 0.1 + 0.1 * float(noise)

    assert {run.name for run in first_to_their_ends(late, 0.01)} == {"row-0", "row-1"}


@pytest.mark.soak
def test_what_is_known_to_be_good_gives_way_to_what_is_surely_better() -> None:
    """In the arm of the best; of the other, which gains less, nothing is said."""
    firsts = [first_to_their_ends(bowl, 1.0, seed)[0] for seed in range(4)]
    assert {run.name for run in firsts} == {None}


@pytest.mark.soak
def test_an_arm_that_may_win_gets_more_than_one_that_is_behind() -> None:
    question = Question(MIXED, longest=10, by="optimizer")
    worse: Score = lambda p, e: bowl(p, e) - (p["optimizer"] == "adam")  # noqa: E731
    runs, _ = search(question, worse, 300)
    spent = {o: sum(len(r.scores) for r in runs if r.params["optimizer"] == o)
             for o in ("sgd", "adam")}  # fmt: skip
    assert spent["sgd"] > spent["adam"] > 40


@pytest.mark.soak
def test_the_best_has_run_to_its_end_when_the_epochs_are_used_up() -> None:
    for seed in range(3):
        runs, _ = search(Question(MIXED, longest=10, epochs=90, seed=seed), bowl, 90)
        assert sum(len(run.scores) for run in runs) <= 90
        assert max(runs, key=lambda run: max(run.scores)).state == "complete"


def test_it_ends_where_only_trials_are_limited() -> None:
    runs, _ = search(Question(MIXED, longest=10, trials=8), bowl, 10_000)
    assert len(runs) == 8
    assert max(runs, key=lambda run: max(run.scores)).state == "complete"


def test_without_pauses_only_the_callers_own_run_goes_on() -> None:
    """Others are running or ended; theirs is the one that is paused."""
    question, runs = Question(MIXED, longest=8, pauses=False), []
    for _ in range(30):
        step = FreezeThaw(question).next(runs)
        assert step is not None
        runs, number = begun(runs, step, 8)
        ended = (r for r in runs if r.state == "paused")
        for run in ended:
            runs[run.number] = dataclasses.replace(run, state="ended")
        runs[number] = trained(runs[number], bowl)
    assert any(run.state == "complete" for run in runs)


def test_it_says_why_in_chances() -> None:
    question = Question(MIXED, longest=10)
    runs, _ = search(question, bowl, 60)
    paused = next(run for run in runs if run.state == "paused")
    words, _, best = FreezeThaw(question).explain(runs, paused.number).rpartition(" ")
    assert words.endswith(" % chance to beat")
    shown = dataclasses.replace(question, minimizes=True)  # scores bear the other sign
    told = FreezeThaw(shown).explain(runs, paused.number)
    assert float(told.rpartition(" ")[2]) == -float(best)


def test_the_best_has_nobody_to_beat_but_itself() -> None:
    """So where it pauses it is told as the best, beside the best of the others."""
    question = Question(MIXED, longest=10)
    runs, _ = search(question, bowl, 60)
    ranked = sorted(runs, key=lambda run: -max(run.scores, default=-math.inf))
    first = dataclasses.replace(ranked[0], state="paused", scores=[*ranked[0].scores[:2], 2.0])
    runs[first.number] = first
    told = FreezeThaw(question).explain(runs, first.number)
    second = max(ranked[1].scores)
    assert told == f"paused at epoch 3: the best so far, 2; the best of the others is {second:.4g}"
    assert "the best so far, 2" in FreezeThaw(question).explain([first], first.number)


def test_it_finds_more_than_chance_does() -> None:
    """The mean of five seeds, on a bowl that few random configurations come near."""
    space = {n: {"float": [0.0, 1.0]} for n in "abcd"}
    score: Score = lambda p, e: -sum((v - 0.3) ** 2 for v in p.values()) - 1 / (e + 2)  # noqa: E731
    ours, chance = [], []
    for seed in range(5):
        runs, _ = search(Question(space, longest=8, seed=seed), score, 160)
        ours.append(max(run.scores[-1] for run in runs if run.state == "complete"))
        points = Points(space)
        drawn = map(points.params, points.draw(np.random.default_rng(seed), 20))
        chance.append(max(score(params, 7) for params in drawn))
    assert np.mean(ours) > np.mean(chance)


def test_runs_whose_schedule_follows_the_horizon_are_compared_at_equal_horizon() -> None:
    """A run of a horizon of 8 pauses at the same parts of it as one of 16 does."""
    seen = Seen(Question(MIXED, longest=16))
    short = Run(0, {"optimizer": "adam"}, [0.1, 0.2, 0.3], planned=8, horizon=8)
    seen.update([short, Run(1, {"optimizer": "adam"}, [0.1, 0.2, 0.3], planned=16)])
    assert seen.rungs == [4, 8, 16]
    assert seen.next_rung(0) == 4
    assert seen.next_rung(1) == 4
    assert seen.marks[0, 0] == 0.2
    assert np.isnan(seen.marks[1, 0])


def test_a_horizon_that_is_told_late_is_taken_in() -> None:
    """An objective tells it when it begins: what was queued without one is placed anew then."""
    question = Question({"lr": {"float": [0.1, 1.0]}}, longest=20)
    queued = Run(0, {"lr": 0.5}, (), 20, state="queued")
    begun = Run(0, {"lr": 0.5}, (0.3,), 10, horizon=10, state="running", until=3)
    seen, fresh = Seen(question), Seen(question)
    seen.update([queued])
    seen.update([begun])
    fresh.update([begun])
    assert seen.stretch.tolist() == fresh.stretch.tolist() == [2.0]
    assert seen.codes.tolist() == fresh.codes.tolist()
