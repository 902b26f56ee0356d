"""What the confirm stage has shown, read back: scores on fresh seeds, with intervals.

For tables, figures, files and reports; `confirm.py` is what runs the stage.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.answers import fresh, plans, race, statistics, testset
from search.answers.fresh import Candidate
from search.answers.plans import CANDIDATE, SEED_INDEX, TESTED, Chosen, Plan
from search.answers.statistics import Interval
from search.record import chains, pauses, results
from search.record import study as studies


@dataclass(frozen=True)
class Evidence:
    """All that the confirm stage knows, candidates best first.

    `pending` is a later plan that has not come to its end: until then this one is the answer.
    """

    metric: str
    test_metric: str
    plan: Plan
    candidates: Sequence[Candidate]
    over: bool
    runs: int
    earlier: int  # models that the test set had been read for before this choice was made
    sign: int = 1  # 1 where high scores are good, else -1
    pending: Plan | None = None
    pending_runs: int = 0  # of those that `pending` wants, how many have ended

    @property
    def winner(self) -> Candidate | None:
        return next((c for c in self.candidates if c.state == "winner"), None)

    @property
    def ties(self) -> list[Candidate]:
        return [c for c in self.candidates if c.state == "tied"]

    def of(self, number: int) -> Candidate | None:
        """The candidate that is this trial of the search."""
        return next((c for c in self.candidates if c.number == number), None)

    @property
    def optimism(self) -> Interval | None:
        """By how much the search's best score was better than its mean on the planned seeds."""
        best = self.of(self.plan.best)
        scores = list(best.scores.values())[: self.plan.seeds] if best else []
        if not scores:
            return None
        shown = self.sign * self.plan.score
        noise = best.spread.noise if best else None
        signed, overlap = [self.sign * score for score in scores], self.plan.overlap
        return statistics.difference(shown, signed, noise, overlap)

    @property
    def noise(self) -> float | None:
        """Standard deviation from seed to seed, pooled over candidates."""
        return statistics.pooled_deviation(
            [list(c.scores.values()) for c in self.candidates if c.scores]
        )


def sibling(study: optuna.Study) -> optuna.Study | None:
    """The study `NAME:confirm` whose trials are the runs; None where there is none yet."""
    return next(iter(studies.siblings(study)), None)


def runs_of(
    confirming: optuna.Study, plan: Plan, begun: int | None = None
) -> dict[int, dict[int, FrozenTrial]]:
    """Candidate -> seed index -> the run as it stands now, the last link of its chain.

    Runs that an earlier plan asked for count, as they have the same seeds.

    Args:
        begun: only the first so many; None for all.
    """
    found: dict[int, dict[int, FrozenTrial]] = {number: {} for number in plan.candidates}
    trials = confirming.get_trials(deepcopy=False)[:begun]
    for links in chains.grouped(trials).values():
        run = links[-1]
        runs = found.get(run.user_attrs.get(CANDIDATE, -1))
        if runs is not None and plan.has(run):
            runs.setdefault(run.user_attrs[SEED_INDEX], run)
    return {number: dict(sorted(runs.items())) for number, runs in found.items()}


def standing(confirming: optuna.Study, plan: Plan) -> race.Standing:
    """How the race stands by what has ended so far."""
    sign = 1 if confirming.direction == StudyDirection.MAXIMIZE else -1
    open_ = _open(confirming)
    scores = {
        number: [_score(runs.get(i), open_, sign) for i in range(max(runs, default=-1) + 1)]
        for number, runs in runs_of(confirming, plan).items()
    }
    keep = dict.fromkeys([plan.best, *plan.baselines.values()] if plan.race else [])
    runs = None if plan.epochs is None else _payable(confirming, plan, plan.epochs)
    return race.standing(
        scores, plan.seeds, keep=keep, drop=plan.race, runs=runs, overlap=plan.overlap
    )


def _payable(confirming: optuna.Study, plan: Plan, epochs: int) -> int:
    """How many runs so many epochs pay in all: those that have ended, and each other one at its
    longest. It only grows as runs end sooner than they might."""
    last = [links[-1] for links in chains.grouped(confirming.get_trials(deepcopy=False)).values()]
    ended = [t for t in last if t.state.is_finished()]
    left = max(0, epochs - sum(map(results.epochs_run, ended)))
    return sum(map(plan.has, ended)) + left // longest(confirming)


def longest(study: optuna.Study) -> int:
    """The most epochs that one trial of a study takes; where nobody tells, that one has taken."""
    attrs = study.user_attrs
    if told := attrs.get("longest") or attrs.get("settings", {}).get("epochs"):
        return int(told)
    trials = study.get_trials(deepcopy=False)
    return max([1, *map(results.epochs_run, trials)])


def _open(confirming: optuna.Study) -> set[int]:
    """Runs that have not ended, or get a retry."""
    retries = confirming.user_attrs["spec"]["budget"]["retries"]
    chained = chains.grouped(confirming.get_trials(deepcopy=False)).values()
    return {
        links[-1].number
        for links in chained
        if not links[-1].state.is_finished() or chains.goes_on(links, retries)
    }


def _score(run: FrozenTrial | None, open_: set[int], sign: int) -> float | None:
    """Higher is better; a run that did not end as complete has lost."""
    if run is None or run.number in open_:
        return None
    return sign * float(run.value or 0.0) if is_scored(run) else race.FAILED


def is_scored(run: FrozenTrial) -> bool:
    """Whether a run ended as complete, with a finite score."""
    complete = run.state == TrialState.COMPLETE and run.value is not None
    return complete and math.isfinite(run.value or 0.0)


def of(study: optuna.Study) -> Evidence | None:
    """What is known of a study's best by now; None where no confirmation has begun."""
    confirming = sibling(study)
    found = plans.chosen(confirming) if confirming else None
    if confirming is None or found is None:
        return None
    return _read(study, confirming, found)


def at_work(study: optuna.Study) -> Evidence | None:
    """As `of`, by the present plan, though it may not have come to its end."""
    confirming = sibling(study)
    plan = plans.plan_of(confirming) if confirming else None
    if confirming is None or plan is None:
        return None
    attrs = confirming.user_attrs
    before = attrs.get(plans.EARLIER, ())
    return _read(study, confirming, Chosen(plan, attrs.get(plans.CHOICE), before=before))


def _read(study: optuna.Study, confirming: optuna.Study, chosen: Chosen) -> Evidence:
    plan, choice = chosen.plan, chosen.choice
    now, runs = standing(confirming, plan), runs_of(confirming, plan, chosen.runs)
    metric = results.metric(study)
    tested = testset.scores(confirming)
    measure = _measure(metric, tested)
    searched = {t.number: pauses.as_ended(t) for t in study.get_trials(deepcopy=False)}
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    found = [
        _candidate(searched[n], runs[n], tested, metric, measure, _state(n, now, choice))
        for n in plan.candidates
        if n in searched
    ]
    ranks = ("winner", "tied", "open", "worse", "failed")
    images = study.user_attrs.get("data", {}).get("n_validation")
    found = fresh.with_spreads(found, images, tested, plan.overlap)
    found.sort(
        key=lambda c: (ranks.index(c.state), sign * c.interval.mean if c.interval else 0, c.number)
    )
    done = sum(len(c.runs) for c in found)
    earlier = _read_before(chosen.before, runs, tested)
    later = chosen.pending
    ended = plans.ended(confirming, later) if later else 0
    about = (metric, f"test_{measure}", plan, found, choice is not None, done, earlier, -sign)
    return Evidence(*about, later, ended)


def _read_before(
    before: Sequence[Mapping[str, Any]],
    runs: Mapping[int, Mapping[int, FrozenTrial]],
    tested: Mapping[int, Mapping[str, float]],
) -> int:
    """For how many models the test set had been read when this choice was made: those that an
    earlier choice has left a note of, and all of candidates that are none any more."""
    noted = max((one.get(TESTED, 0) for one in before), default=0)
    ours = {r.number for ran in runs.values() for r in ran.values()}
    return max(noted, len(tested.keys() - ours))


def _measure(metric: str, tested: Mapping[int, Mapping[str, float]]) -> str:
    """What to read of a test: what validation goes by, where the objective's `evaluate` has it."""
    own = metric.removeprefix("val_")
    names = [name for measured in tested.values() for name in measured if name != "n"]
    wanted = [own, "accuracy", *(name for name in names if name != "loss")]
    return next((name for name in wanted if name in names), own)


def _state(number: int, now: race.Standing, choice: Mapping[str, Any] | None) -> str:
    if choice is not None:
        if number == choice["winner"]:
            return "winner"
        if number in choice["ties"]:
            return "tied"
        return "failed" if number in choice["failed"] else "worse"
    return "open" if number in now.alive else "worse"


def _candidate(
    searched: FrozenTrial,
    runs: Mapping[int, FrozenTrial],
    tested: Mapping[int, Mapping[str, float]],
    metric: str,
    measure: str,
    state: str,
) -> Candidate:
    complete = {i: r for i, r in runs.items() if is_scored(r)}
    return Candidate(
        searched.number,
        searched.params,
        searched.user_attrs.get("configuration"),
        searched.value,
        searched.state == TrialState.PRUNED,
        {int(r.user_attrs["seed"]): float(r.value or 0.0) for r in complete.values()},
        {
            int(r.user_attrs["seed"]): float(tested[r.number][measure])
            for r in complete.values()
            if measure in tested.get(r.number, {})
        },
        state,
        metric,
        tuple(r for r in runs.values() if r.state.is_finished()),
        {
            int(r.user_attrs["seed"]): int(r.user_attrs[chains.SPLIT])
            for r in complete.values()
            if chains.SPLIT in r.user_attrs
        },
        test_metric=measure,
    )
